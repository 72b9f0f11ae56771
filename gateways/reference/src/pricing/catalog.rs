//! The prices in force: the sheet, and the administrator's overrides of it.

use std::sync::Arc;

use super::overrides::Overrides;
use super::price::Price;
use super::sheet::Sheet;
use crate::config::{ProviderKey, RequestType};

/// All prices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) sheet: Arc<Sheet>,
    pub(crate) overrides: Arc<Overrides>,
}

/// What is asked for a price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PriceQuestion<'a> {
    /// The id of the virtual key.
    pub(crate) key: Option<&'a str>,
    pub(crate) provider: &'a str,
    /// The id of the provider's key that serves.
    pub(crate) provider_key: Option<&'a str>,
    pub(crate) model: &'a str,
    pub(crate) kind: RequestType,
}

impl Catalog {
    /// The price of a model for this key, provider and kind of request.
    pub(crate) fn price(&self, question: PriceQuestion<'_>) -> Option<Price> {
        let sheet = self.sheet.entry(question.provider, question.model).map(|entry| &entry.rates);
        let rates = match (self.overrides.find(question), sheet) {
            (Some(patch), Some(sheet)) => Arc::new(patch.or(sheet)),
            (Some(rates), None) | (None, Some(rates)) => Arc::clone(rates),
            (None, None) => return None,
        };
        Price::of(rates, question.kind)
    }

    /// The price for each of the provider's keys that may serve, of which one will; without
    /// an id, that for all keys that have none of their own. `None` where one has no price.
    pub(crate) fn prices<'a>(
        &self,
        question: PriceQuestion<'_>,
        keys: impl Iterator<Item = &'a ProviderKey>,
    ) -> Option<Vec<(Option<String>, Price)>> {
        let Some(keyed) = self.overrides.keyed(question.provider) else {
            return Some(vec![(None, self.price(question)?)]);
        };
        let mut prices: Vec<(Option<String>, Price)> = Vec::new();
        for key in keys {
            let own = keyed.contains(&key.id).then_some(key.id.as_str());
            if prices.iter().all(|(known, _)| known.as_deref() != own) {
                let price = self.price(PriceQuestion { provider_key: own, ..question })?;
                prices.push((own.map(str::to_owned), price));
            }
        }
        if prices.is_empty() {
            prices.push((None, self.price(question)?));
        }
        Some(prices)
    }

    /// How many tokens a model can answer with, if the sheet says so.
    pub(crate) fn max_output_tokens(&self, provider: &str, model: &str) -> Option<u64> {
        self.sheet.entry(provider, model)?.max_output_tokens
    }

    /// How many tokens a model reads at once, if the sheet says so.
    pub(crate) fn max_input_tokens(&self, provider: &str, model: &str) -> Option<u64> {
        self.sheet.entry(provider, model)?.max_input_tokens
    }

    /// The models that the sheet has for a provider, or for any.
    pub(crate) fn models_of(&self, provider: &str) -> Vec<String> {
        self.sheet.models_of(provider)
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
