//! What a model costs: the price sheet, and the administrator's overrides of it.

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::{Override, OverrideMatch, OverrideScope, PricePatch, Pricing, RequestType};
use crate::money::Usd;
use crate::usage::Usage;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Dollars for one token of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Price {
    input: Usd,
    output: Usd,
    cached: Usd,
    cache_write: Usd,
    reasoning: Usd,
}

impl Price {
    /// A part without a price of its own costs what its whole costs. Without any
    /// price for input or output there is none.
    fn from_patch(patch: &PricePatch) -> Option<Price> {
        if patch.input_cost_per_token.is_none() && patch.output_cost_per_token.is_none() {
            return None;
        }
        let input = patch.input_cost_per_token.unwrap_or_default();
        let output = patch.output_cost_per_token.unwrap_or_default();
        Some(Price {
            input,
            output,
            cached: patch.cache_read_input_token_cost.unwrap_or(input),
            cache_write: patch.cache_creation_input_token_cost.unwrap_or(input),
            reasoning: patch.output_cost_per_reasoning_token.unwrap_or(output),
        })
    }

    /// What the tokens cost.
    pub(crate) fn cost(&self, usage: &Usage) -> Usd {
        let cached = usage.cached.min(usage.input);
        let cache_write = usage.cache_write.min(usage.input - cached);
        let reasoning = usage.reasoning.min(usage.output);
        [
            self.input.times(usage.input - cached - cache_write),
            self.cached.times(cached),
            self.cache_write.times(cache_write),
            self.output.times(usage.output - reasoning),
            self.reasoning.times(reasoning),
        ]
        .into_iter()
        .fold(Usd::ZERO, Usd::plus)
    }

    /// The most that so many tokens can cost, of whatever kind they turn out to be.
    pub(crate) fn bound(&self, input: u64, output: u64) -> Usd {
        let dearest_input = self.input.max(self.cached).max(self.cache_write);
        let dearest_output = self.output.max(self.reasoning);
        dearest_input.times(input).plus(dearest_output.times(output))
    }
}

/// Why prices could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PricingError {
    /// The file cannot be read.
    #[error("cannot read prices from {0}: {1}")]
    Read(String, std::io::Error),
    /// The server did not answer with a sheet.
    #[error("cannot fetch prices from {0}: {1}")]
    Fetch(String, String),
    /// It is no sheet.
    #[error("{0} is no price sheet: {1}")]
    Shape(String, serde_json::Error),
}

/// All prices.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By model, or by `provider/model`.
    models: HashMap<String, ModelEntry>,
    overrides: Vec<Override>,
}

#[derive(Clone, Debug, Default)]
struct ModelEntry {
    prices: PricePatch,
    max_output_tokens: Option<u64>,
}

/// An entry of the sheet or of the model parameters, as far as it is read.
#[derive(Deserialize)]
struct SheetEntry {
    input_cost_per_token: Option<Usd>,
    output_cost_per_token: Option<Usd>,
    cache_read_input_token_cost: Option<Usd>,
    cache_creation_input_token_cost: Option<Usd>,
    output_cost_per_reasoning_token: Option<Usd>,
    max_output_tokens: Option<Value>,
}

/// What is asked for a price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PriceQuestion<'a> {
    /// The id of the virtual key.
    pub(crate) key: Option<&'a str>,
    pub(crate) provider: &'a str,
    pub(crate) model: &'a str,
    pub(crate) kind: RequestType,
}

impl Catalog {
    /// Reads the sheet and the model parameters that the configuration names.
    pub(crate) async fn load(pricing: &Pricing, client: &reqwest::Client) -> Result<Catalog, PricingError> {
        let mut catalog = Catalog { models: HashMap::new(), overrides: pricing.overrides.clone() };
        if let Some(url) = &pricing.sheet_url {
            catalog.read(url, &fetch(url, client).await?)?;
        }
        if let Some(url) = &pricing.parameters_url {
            catalog.read(url, &fetch(url, client).await?)?;
        }
        Ok(catalog)
    }

    fn read(&mut self, url: &str, text: &str) -> Result<(), PricingError> {
        let entries: IndexMap<String, Box<RawValue>> =
            serde_json::from_str(text).map_err(|error| PricingError::Shape(url.to_owned(), error))?;
        for (model, raw) in entries {
            let entry: SheetEntry = match serde_json::from_str(raw.get()) {
                Ok(entry) => entry,
                Err(error) => {
                    // The model stays without a price, and is refused under a budget.
                    tracing::warn!(model, %error, "an entry of the price sheet is not usable");
                    continue;
                }
            };
            let known = self.models.entry(model).or_default();
            let or = |new: Option<Usd>, old: Option<Usd>| new.or(old);
            known.prices = PricePatch {
                input_cost_per_token: or(entry.input_cost_per_token, known.prices.input_cost_per_token),
                output_cost_per_token: or(entry.output_cost_per_token, known.prices.output_cost_per_token),
                cache_read_input_token_cost: or(
                    entry.cache_read_input_token_cost,
                    known.prices.cache_read_input_token_cost,
                ),
                cache_creation_input_token_cost: or(
                    entry.cache_creation_input_token_cost,
                    known.prices.cache_creation_input_token_cost,
                ),
                output_cost_per_reasoning_token: or(
                    entry.output_cost_per_reasoning_token,
                    known.prices.output_cost_per_reasoning_token,
                ),
            };
            let max_output = entry.max_output_tokens.as_ref().and_then(Value::as_u64);
            known.max_output_tokens = max_output.or(known.max_output_tokens);
        }
        Ok(())
    }

    /// The price of a model for this key, provider and kind of request.
    pub(crate) fn price(&self, question: PriceQuestion<'_>) -> Option<Price> {
        let entry = self.entry(question.provider, question.model);
        let mut patch = entry.map(|entry| entry.prices).unwrap_or_default();
        let best = self
            .overrides
            .iter()
            .filter(|candidate| candidate.request_types.contains(&question.kind))
            .filter_map(|candidate| Some((rank(candidate, question)?, candidate)))
            .max_by_key(|(rank, _)| *rank);
        if let Some((_, best)) = best {
            let own = best.patch;
            patch = PricePatch {
                input_cost_per_token: own.input_cost_per_token.or(patch.input_cost_per_token),
                output_cost_per_token: own.output_cost_per_token.or(patch.output_cost_per_token),
                cache_read_input_token_cost: own.cache_read_input_token_cost.or(patch.cache_read_input_token_cost),
                cache_creation_input_token_cost: own
                    .cache_creation_input_token_cost
                    .or(patch.cache_creation_input_token_cost),
                output_cost_per_reasoning_token: own
                    .output_cost_per_reasoning_token
                    .or(patch.output_cost_per_reasoning_token),
            };
        }
        Price::from_patch(&patch)
    }

    /// How many tokens a model can answer with, if the sheet says so.
    pub(crate) fn max_output_tokens(&self, provider: &str, model: &str) -> Option<u64> {
        self.entry(provider, model)?.max_output_tokens
    }

    /// The models that the sheet has for a provider, or for any.
    pub(crate) fn models_of(&self, provider: &str) -> Vec<String> {
        let own = |name: &String| match (name.split_once('/'), name) {
            (Some((owner, model)), _) if owner == provider => Some(model.to_owned()),
            (None, name) => Some(name.clone()),
            _ => None,
        };
        self.models.keys().filter_map(own).collect()
    }

    fn entry(&self, provider: &str, model: &str) -> Option<&ModelEntry> {
        self.models.get(&format!("{provider}/{model}")).or_else(|| self.models.get(model))
    }
}

/// How specific an override is for the question: its scope, then exact before
/// wildcard, then the longer beginning. `None`: it does not apply.
fn rank(candidate: &Override, question: PriceQuestion<'_>) -> Option<(u8, bool, usize)> {
    let scope = match &candidate.scope {
        OverrideScope::Global => 0,
        OverrideScope::Provider(provider) if provider == question.provider => 1,
        OverrideScope::VirtualKey(key) if Some(key.as_str()) == question.key => 2,
        OverrideScope::VirtualKeyProvider { key, provider }
            if Some(key.as_str()) == question.key && provider == question.provider =>
        {
            3
        }
        _ => return None,
    };
    match &candidate.pattern {
        OverrideMatch::Exact(model) if model == question.model => Some((scope, true, model.len())),
        OverrideMatch::Prefix(prefix) if question.model.starts_with(prefix) => Some((scope, false, prefix.len())),
        _ => None,
    }
}

async fn fetch(url: &str, client: &reqwest::Client) -> Result<String, PricingError> {
    if let Some(path) = url.strip_prefix("file://") {
        return std::fs::read_to_string(path).map_err(|error| PricingError::Read(url.to_owned(), error));
    }
    let failed = |error: reqwest::Error| PricingError::Fetch(url.to_owned(), crate::upstream::describe(&error));
    let answer = client.get(url).timeout(FETCH_TIMEOUT).send().await.map_err(failed)?;
    answer.error_for_status().map_err(failed)?.text().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const SHEET: &str = r#"{
        "mock-1": {"provider": "primary", "mode": "chat", "input_cost_per_token": 2.5e-06,
                   "output_cost_per_token": 0.00001, "max_output_tokens": 200},
        "special/mock-1": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
        "free": {"input_cost_per_token": 0, "output_cost_per_token": 0},
        "bare": {"mode": "chat"},
        "too-fine": {"input_cost_per_token": 1.23456789e-13}
    }"#;

    fn catalog(overrides: Vec<Override>) -> Catalog {
        let mut catalog = Catalog { models: HashMap::new(), overrides };
        catalog.read("sheet", SHEET).unwrap();
        catalog
    }

    fn question<'a>(provider: &'a str, model: &'a str) -> PriceQuestion<'a> {
        PriceQuestion { key: Some("vk"), provider, model, kind: RequestType::ChatCompletion }
    }

    fn cost(catalog: &Catalog, provider: &str, model: &str) -> Option<String> {
        let usage = Usage { input: 7_000, output: 3_000, ..Usage::default() };
        Some(catalog.price(question(provider, model))?.cost(&usage).to_string())
    }

    fn fixed(scope: OverrideScope, pattern: OverrideMatch, input: &str) -> Override {
        let patch = PricePatch { input_cost_per_token: input.parse().ok(), ..PricePatch::default() };
        Override { scope, pattern, request_types: vec![RequestType::ChatCompletion], patch }
    }

    #[test]
    fn tokens_cost_what_the_sheet_says() {
        let catalog = catalog(Vec::new());
        assert_eq!(cost(&catalog, "primary", "mock-1").as_deref(), Some("0.0475"));
        assert_eq!(cost(&catalog, "special", "mock-1").as_deref(), Some("0.01"));
        assert_eq!(cost(&catalog, "primary", "free").as_deref(), Some("0"));
        assert_eq!(catalog.max_output_tokens("primary", "mock-1"), Some(200));
    }

    #[test]
    fn a_model_without_a_usable_price_has_none() {
        let catalog = catalog(Vec::new());
        for model in ["bare", "too-fine", "unknown"] {
            assert_eq!(cost(&catalog, "primary", model), None, "{model}");
        }
    }

    #[test]
    fn the_most_specific_override_wins() {
        let prefix = |text: &str| OverrideMatch::Prefix(text.to_owned());
        let exact = OverrideMatch::Exact("new-1".to_owned());
        let catalog = catalog(vec![
            fixed(OverrideScope::Global, exact.clone(), "0.001"),
            fixed(OverrideScope::Global, prefix("new"), "0.002"),
            fixed(OverrideScope::VirtualKey("vk".to_owned()), prefix(""), "0.003"),
            fixed(OverrideScope::VirtualKey("other".to_owned()), exact, "0.004"),
        ]);
        assert_eq!(cost(&catalog, "primary", "new-1").as_deref(), Some("21"));
        let anonymous = PriceQuestion { key: None, ..question("primary", "new-1") };
        let price = catalog.price(anonymous).unwrap();
        assert_eq!(price.bound(1, 0).to_string(), "0.001");
    }

    #[test]
    fn parts_cost_their_own_price_and_else_that_of_their_whole() {
        let price = Price::from_patch(&PricePatch {
            input_cost_per_token: "0.01".parse().ok(),
            output_cost_per_token: "0.1".parse().ok(),
            cache_read_input_token_cost: "0.001".parse().ok(),
            ..PricePatch::default()
        })
        .unwrap();
        let usage = Usage { input: 100, output: 10, cached: 40, cache_write: 10, reasoning: 5 };
        // 50 fresh and 10 written at 0.01, 40 cached at 0.001, 10 output at 0.1
        assert_eq!(price.cost(&usage).to_string(), "1.64");
        assert!(price.bound(100, 10) >= price.cost(&usage));
    }
}
