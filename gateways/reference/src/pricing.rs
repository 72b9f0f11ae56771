//! What a model costs: the price sheet, and the administrator's overrides of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::{Override, OverrideMatch, OverrideScope, PricePatch, Pricing, RequestType};
use crate::ledger::Spent;
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
    /// A part without a price of its own costs what its whole costs. Half a price is
    /// none; embeddings have no output, and need no price for it.
    fn from_patch(patch: &PricePatch, kind: RequestType) -> Option<Price> {
        let input = patch.input_cost_per_token?;
        let output = match kind {
            RequestType::Embedding => patch.output_cost_per_token.unwrap_or_default(),
            RequestType::ChatCompletion | RequestType::TextCompletion | RequestType::Responses => {
                patch.output_cost_per_token?
            }
        };
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

/// What a request is charged by: the price when it was admitted.
#[derive(Clone, Debug)]
pub(crate) struct Tariff {
    pub(crate) price: Price,
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
    /// What the tokens cost, and how many they are.
    pub(crate) fn spent(&self, usage: &Usage) -> Spent {
        Spent { cost: self.price.cost(usage), tokens: usage.total() }
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

impl ModelEntry {
    fn read(text: &str) -> Result<ModelEntry, String> {
        let entry: SheetEntry = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let prices = PricePatch {
            input_cost_per_token: entry.input_cost_per_token,
            output_cost_per_token: entry.output_cost_per_token,
            cache_read_input_token_cost: entry.cache_read_input_token_cost,
            cache_creation_input_token_cost: entry.cache_creation_input_token_cost,
            output_cost_per_reasoning_token: entry.output_cost_per_reasoning_token,
        };
        if let Some(field) = prices.negative() {
            return Err(format!("{field} is negative"));
        }
        let max_output_tokens = entry.max_output_tokens.as_ref().and_then(Value::as_u64);
        // No model answers with nothing: that is how some sheets say that they do not know.
        Ok(ModelEntry { prices, max_output_tokens: max_output_tokens.filter(|most| *most > 0) })
    }
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
            let entry = match ModelEntry::read(raw.get()) {
                Ok(entry) => entry,
                Err(problem) => {
                    // The model stays without a price, also one of a wider name, and is
                    // refused under a budget.
                    tracing::warn!(model, problem, "an entry of the price sheet is not usable");
                    self.models.insert(model, ModelEntry::default());
                    continue;
                }
            };
            let known = self.models.entry(model).or_default();
            known.prices = entry.prices.or(&known.prices);
            known.max_output_tokens = entry.max_output_tokens.or(known.max_output_tokens);
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
            patch = best.patch.or(&patch);
        }
        Price::from_patch(&patch, question.kind)
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
#[path = "pricing_tests.rs"]
mod tests;
