//! The administrator's own prices, found by scope and model.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::catalog::PriceQuestion;
use super::kept::KeptOverrides;
use crate::config::{Override, OverrideMatch, OverrideScope, RequestType};
use crate::lower_case::lower_case;
use crate::rates::Rates;

/// The overrides in force. What a request looks up does not grow with their number.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    by_scope: HashMap<OverrideScope, HashMap<RequestType, Models>>,
    /// By provider, the ids of its keys that have prices of their own.
    keyed: HashMap<String, HashSet<String>>,
    /// As they were written, by id.
    pub(crate) written: KeptOverrides,
}

/// The overrides of one scope and kind of request.
#[derive(Debug, Default)]
struct Models {
    exact: HashMap<String, Arc<Rates>>,
    prefixes: HashMap<String, Arc<Rates>>,
    /// The lengths of the prefixes, from the longest.
    lengths: Vec<usize>,
}

impl Overrides {
    pub(crate) fn of(written: KeptOverrides) -> Overrides {
        let ready = Overrides::new(written.values().map(|known| &known.checked));
        Overrides { written, ..ready }
    }

    /// Makes them ready. Of two for the same, the later counts.
    pub(super) fn new<'a>(overrides: impl IntoIterator<Item = &'a Override>) -> Overrides {
        let mut ready = Overrides::default();
        for known in overrides {
            let rates = Arc::new(known.patch.clone());
            if let (Some(provider), Some(key)) = (&known.scope.provider, &known.scope.provider_key) {
                ready.keyed.entry(provider.clone()).or_default().insert(key.clone());
            }
            let kinds = ready.by_scope.entry(known.scope.clone()).or_default();
            for kind in &known.request_types {
                let models = kinds.entry(*kind).or_default();
                match &known.pattern {
                    OverrideMatch::Exact(model) => models.exact.insert(model.clone(), Arc::clone(&rates)),
                    OverrideMatch::Prefix(prefix) => {
                        if !models.lengths.contains(&prefix.len()) {
                            models.lengths.push(prefix.len());
                            models.lengths.sort_by_key(|length| std::cmp::Reverse(*length));
                        }
                        models.prefixes.insert(prefix.clone(), Arc::clone(&rates))
                    }
                };
            }
        }
        ready
    }

    /// The most specific override: by its scope, then exact before wildcard, then by the
    /// longer beginning.
    pub(super) fn find(&self, question: PriceQuestion<'_>) -> Option<&Arc<Rates>> {
        if self.by_scope.is_empty() {
            return None;
        }
        let PriceQuestion { key, provider, provider_key, model, kind } = question;
        let model = &*lower_case(model);
        let of = |key: Option<&str>, provider: Option<&str>, provider_key: Option<&str>| {
            let owned = |name: Option<&str>| name.map(str::to_owned);
            let scope =
                OverrideScope { virtual_key: owned(key), provider: owned(provider), provider_key: owned(provider_key) };
            self.by_scope.get(&scope)?.get(&kind)?.find(model)
        };
        let provider = Some(provider);
        // Asked twice where there is no virtual key or no key of the provider: it answers the same.
        of(key, provider, provider_key)
            .or_else(|| of(key, provider, None))
            .or_else(|| of(key, None, None))
            .or_else(|| of(None, provider, provider_key))
            .or_else(|| of(None, provider, None))
            .or_else(|| of(None, None, None))
    }

    /// The keys of a provider that have prices of their own.
    pub(super) fn keyed(&self, provider: &str) -> Option<&HashSet<String>> {
        self.keyed.get(provider)
    }
}

impl Models {
    fn find(&self, model: &str) -> Option<&Arc<Rates>> {
        let beginning = |length: &usize| self.prefixes.get(model.get(..*length)?);
        self.exact.get(model).or_else(|| self.lengths.iter().find_map(beginning))
    }
}
