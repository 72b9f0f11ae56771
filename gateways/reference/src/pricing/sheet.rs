//! The price sheet and the model parameters, from a file, a URL or this program.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::Pricing;
use crate::connect::{self, describe};
use crate::lower_case::lower_case;
use crate::rates::Rates;

/// For a whole sheet, be it at the start or later.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Public list prices of well-known models, for a gateway that is told of no other sheet.
const SHIPPED: &str = include_str!("../../prices.json");

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

/// What is known of each model.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    /// By model, or by `provider/model`.
    models: HashMap<String, Entry>,
    /// Those of these names that have capital letters, by the same name without.
    capitals: HashMap<String, String>,
}

/// What a sheet says of a model.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) rates: Arc<Rates>,
    pub(super) max_input_tokens: Option<u64>,
    pub(super) max_output_tokens: Option<u64>,
}

impl Entry {
    fn read(text: &str) -> Result<Entry, String> {
        let fields: IndexMap<String, Box<RawValue>> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut rates = Rates::default();
        for (name, figure) in &fields {
            // Null is how a sheet says that it has no such price.
            if Rates::knows(name) && figure.get() != "null" {
                rates.add(name, figure).map_err(|error| error.to_string())?;
            }
        }
        let most = |name: &str| {
            let most = serde_json::from_str::<Value>(fields.get(name)?.get()).ok()?.as_u64();
            // No model has none: that is how some sheets say that they do not know.
            most.filter(|most| *most > 0)
        };
        let (max_input_tokens, max_output_tokens) = (most("max_input_tokens"), most("max_output_tokens"));
        Ok(Entry { rates: Arc::new(rates), max_input_tokens, max_output_tokens })
    }
}

impl Sheet {
    /// Reads the sheet and the model parameters that the configuration names.
    pub(crate) async fn load(pricing: &Pricing) -> Result<Sheet, PricingError> {
        let mut sheet = Sheet::default();
        match &pricing.sheet_url {
            Some(url) => sheet.read(url, &fetch(url).await?)?,
            None => sheet.read("the shipped sheet", SHIPPED)?,
        }
        if let Some(url) = &pricing.parameters_url {
            sheet.read(url, &fetch(url).await?)?;
        }
        Ok(sheet)
    }

    pub(super) fn read(&mut self, url: &str, text: &str) -> Result<(), PricingError> {
        let entries: IndexMap<String, Box<RawValue>> =
            serde_json::from_str(text).map_err(|error| PricingError::Shape(url.to_owned(), error))?;
        for (model, raw) in entries {
            if let Cow::Owned(lower) = lower_case(&model) {
                self.capitals.insert(lower, model.clone());
            }
            let entry = match Entry::read(raw.get()) {
                Ok(entry) => entry,
                Err(problem) => {
                    // The model stays without a price, also one of a wider name, and is
                    // refused under a budget.
                    tracing::warn!(model, problem, "an entry of the price sheet is not usable");
                    self.models.insert(model, Entry::default());
                    continue;
                }
            };
            let known = self.models.entry(model).or_default();
            if !entry.rates.is_empty() {
                known.rates = Arc::new(entry.rates.or(&known.rates));
            }
            known.max_input_tokens = entry.max_input_tokens.or(known.max_input_tokens);
            known.max_output_tokens = entry.max_output_tokens.or(known.max_output_tokens);
        }
        Ok(())
    }

    pub(super) fn entry(&self, provider: &str, model: &str) -> Option<&Entry> {
        self.named(&format!("{provider}/{model}")).or_else(|| self.named(model))
    }

    /// The entry of this name, else the one that differs in the case of its letters alone.
    fn named(&self, name: &str) -> Option<&Entry> {
        let written = |lower: &str| self.models.get(self.capitals.get(lower)?);
        self.models.get(name).or_else(|| match lower_case(name) {
            Cow::Borrowed(lower) => written(lower),
            Cow::Owned(lower) => self.models.get(&lower).or_else(|| written(&lower)),
        })
    }

    /// The models that the sheet has for a provider, or for any.
    pub(super) fn models_of(&self, provider: &str) -> Vec<String> {
        let own = |name: &String| match (name.split_once('/'), name) {
            (Some((owner, model)), _) if owner == provider => Some(model.to_owned()),
            (None, name) => Some(name.clone()),
            _ => None,
        };
        self.models.keys().filter_map(own).collect()
    }
}

async fn fetch(url: &str) -> Result<String, PricingError> {
    if let Some(path) = url.strip_prefix("file://") {
        return std::fs::read_to_string(path).map_err(|error| PricingError::Read(url.to_owned(), error));
    }
    let failed = |error: reqwest::Error| PricingError::Fetch(url.to_owned(), describe(&error));
    let client = connect::fetcher(url).map_err(failed)?;
    let answer = client.get(url).timeout(FETCH_TIMEOUT).send().await.map_err(failed)?;
    answer.error_for_status().map_err(failed)?.text().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_shipped_sheet_prices_each_of_its_models() {
        let mut sheet = Sheet::default();
        sheet.read("the shipped sheet", SHIPPED).unwrap();
        assert!(sheet.models.len() >= 12);
        for (model, entry) in &sheet.models {
            assert!(!entry.rates.is_empty(), "{model}");
        }
    }
}
