//! What a request is charged by: the price when it was admitted.

use std::sync::Arc;

use serde_json::Value;

use super::extras::{Extra, Extras};
use super::media::{self, Media};
use super::price::Price;
use crate::ledger::Spent;
use crate::money::Usd;
use crate::rates::Service;
use crate::usage::Usage;

/// What a request is charged by.
#[derive(Clone, Debug)]
pub(crate) struct Tariff {
    /// By the id of the provider's key, or for every other key. Until it is known which one
    /// serves, the dearest counts.
    prices: Vec<(Option<String>, Price)>,
    /// The service that the request asks for, if it leaves no choice.
    asked: Option<Service>,
    /// What can be done for it beside answering.
    extras: Extras,
    /// What to remember of its cost, where nothing but that bounds its model's output.
    pub(crate) unbounded: Option<Unbounded>,
}

/// A model without a bound on its output, and how many answers it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unbounded {
    pub(crate) provider: Arc<str>,
    pub(crate) model: String,
    pub(crate) answers: u64,
}

impl Tariff {
    /// Without any price it costs nothing.
    pub(crate) fn new(prices: Vec<(Option<String>, Price)>, asked: Option<Service>, extras: Extras) -> Tariff {
        Tariff { prices, asked, extras, unbounded: None }
    }

    /// Whether it is known what such a thing costs, whichever key serves.
    pub(crate) fn has_price_of(&self, extra: Extra) -> bool {
        self.prices.iter().all(|(_, price)| price.extra(extra).is_some())
    }

    /// This key of the provider serves.
    pub(crate) fn served_by(&mut self, key: Option<&str>) {
        let own = key.filter(|key| self.prices.iter().any(|(id, _)| id.as_deref() == Some(key)));
        let named: Vec<_> = self.prices.iter().filter(|(id, _)| id.as_deref() == own).cloned().collect();
        if !named.is_empty() {
            self.prices = named;
        }
    }

    /// What the tokens and what was done beside them cost, and how many tokens they are.
    pub(crate) fn spent(&self, usage: &Usage) -> Spent {
        let each = |price: &Price| price.cost(usage, self.asked).plus(price.extras_cost(usage, &self.extras));
        Spent { cost: self.dearest(each), tokens: usage.total() }
    }

    /// The most that so many tokens can cost, with all that can be done beside them.
    pub(crate) fn bound(&self, input: u64, output: u64) -> Spent {
        let each = |price: &Price| price.bound(input, output, self.asked).plus(price.extras_bound(&self.extras));
        let cost = self.dearest(each);
        Spent { cost, tokens: input.saturating_add(output) }
    }

    /// What an answer shows that images or audio cost; `None` where it does not.
    pub(crate) fn media_spent(&self, media: Media, answer: Option<&Value>, held: Spent) -> Option<Spent> {
        let costs = self.prices.iter().map(|(_, price)| price.media_cost(media, answer, self.asked));
        let cost = costs.collect::<Option<Vec<Usd>>>()?.into_iter().max().unwrap_or_default();
        let told = answer.and_then(|answer| media::tokens(media, answer));
        Some(Spent { cost, tokens: told.map_or(held.tokens, |usage| usage.total()) })
    }

    /// The most that images or audio can cost, with so many tokens of text.
    pub(crate) fn media_bound(&self, media: Media, text: u64) -> Spent {
        Spent { cost: self.dearest(|price| price.media_bound(media, text, self.asked)), tokens: media.tokens(text) }
    }

    fn dearest(&self, cost: impl Fn(&Price) -> Usd) -> Usd {
        self.prices.iter().map(|(_, price)| cost(price)).max().unwrap_or_default()
    }
}
