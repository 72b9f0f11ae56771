//! What a provider does for a request beside answering, and charges for beside tokens: searches
//! of the web, and sessions in which code runs.

use super::price::Price;
use crate::money::Usd;
use crate::rates::{Context, Item, Service};
use crate::usage::Usage;

/// Everything that a search can be priced as.
const SEARCHES: [Item; 4] = [Item::Search, Item::SearchLow, Item::SearchMedium, Item::SearchHigh];

/// How much of what a search finds the model reads; it can have a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchSize {
    Low,
    Medium,
    High,
}

/// What is done and charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    Search(Option<SearchSize>),
    CodeSession,
}

/// What a request can have done, at most, and what its answer will not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// Each with how often, at most.
    pub(crate) most: Vec<(Extra, u64)>,
    /// Searches that are made for sure, and that no answer counts.
    pub(crate) sure_searches: u64,
}

impl Price {
    /// The price of one; `None` where it has none.
    pub(super) fn extra(&self, extra: Extra) -> Option<Usd> {
        let each = |item| self.rates.get(item, Context::Any, Service::Standard);
        let sized = match extra {
            Extra::CodeSession => return each(Item::CodeSession),
            Extra::Search(Some(SearchSize::Low)) => each(Item::SearchLow),
            Extra::Search(Some(SearchSize::Medium)) => each(Item::SearchMedium),
            Extra::Search(Some(SearchSize::High)) => each(Item::SearchHigh),
            Extra::Search(None) => None,
        };
        sized.or_else(|| self.rates.dearest(&SEARCHES, Context::Any, &[Service::Standard]))
    }

    /// The most that can be charged beside tokens.
    pub(super) fn extras_bound(&self, extras: &Extras) -> Usd {
        let each = extras.most.iter().map(|(extra, most)| self.extra(*extra).unwrap_or_default().times(*most));
        each.fold(Usd::ZERO, Usd::plus)
    }

    /// What is charged beside tokens, by what the answer tells.
    pub(super) fn extras_cost(&self, usage: &Usage, extras: &Extras) -> Usd {
        let price = |extra| self.extra(extra).unwrap_or_default();
        let asked = extras.most.iter().map(|(extra, _)| *extra).filter(|extra| matches!(extra, Extra::Search(_)));
        // No answer tells which of several sizes a search had.
        let search = asked.map(price).max().unwrap_or_else(|| price(Extra::Search(None)));
        let searches = usage.searches.max(extras.sure_searches);
        search.times(searches).plus(price(Extra::CodeSession).times(usage.code_sessions))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::rates::Rates;

    fn price(patch: &str) -> Price {
        Price { rates: Arc::new(Rates::from_json(patch).unwrap()) }
    }

    const SIZED: &str = r#"{"search_context_cost_per_query": {"search_context_size_low": 0.03,
        "search_context_size_medium": 0.035, "search_context_size_high": 0.05}}"#;

    #[test]
    fn a_search_costs_its_size_and_the_dearest_where_that_is_open() {
        let of = |patch, size| price(patch).extra(Extra::Search(size)).map(|price| price.to_string());
        assert_eq!(of(SIZED, Some(SearchSize::Low)).as_deref(), Some("0.03"));
        assert_eq!(of(SIZED, None).as_deref(), Some("0.05"));
        let flat = r#"{"search_context_cost_per_query": 0.01}"#;
        assert_eq!(of(flat, Some(SearchSize::High)).as_deref(), Some("0.01"));
        assert_eq!(of(r#"{"input_cost_per_token": 1}"#, None), None);
    }

    #[test]
    fn a_search_costs_the_dearest_of_the_sizes_that_are_asked_for() {
        let cost = |sizes: &[Option<SearchSize>]| {
            let most = sizes.iter().map(|size| (Extra::Search(*size), 2)).collect();
            let extras = Extras { most, sure_searches: 0 };
            price(SIZED).extras_cost(&Usage { searches: 1, ..Usage::default() }, &extras).to_string()
        };
        assert_eq!(cost(&[Some(SearchSize::Low)]), "0.03");
        assert_eq!(cost(&[Some(SearchSize::Low), Some(SearchSize::High), Some(SearchSize::Medium)]), "0.05");
        assert_eq!(cost(&[Some(SearchSize::Low), None]), "0.05");
        assert_eq!(cost(&[]), "0.05");
    }

    #[test]
    fn what_is_charged_is_what_is_told_and_at_least_what_is_sure() {
        let price = price(r#"{"search_context_cost_per_query": 0.01, "code_interpreter_cost_per_session": 0.03}"#);
        let extras = Extras { most: vec![(Extra::Search(None), 5), (Extra::CodeSession, 2)], sure_searches: 1 };
        assert_eq!(price.extras_bound(&extras).to_string(), "0.11");
        let told = |searches, code_sessions| Usage { searches, code_sessions, ..Usage::default() };
        assert_eq!(price.extras_cost(&told(0, 0), &extras).to_string(), "0.01");
        assert_eq!(price.extras_cost(&told(3, 1), &extras).to_string(), "0.06");
        assert_eq!(price.extras_cost(&told(0, 0), &Extras::default()), Usd::ZERO);
    }
}
