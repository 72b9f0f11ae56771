//! Which scripts make sense.

use rust_decimal::Decimal;
use thiserror::Error;

use crate::fault::{Fault, FaultRule};
use crate::script::{Model, Script};

/// Why a script makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScriptError {
    /// A provider cannot be addressed.
    #[error("provider `{provider}`: a name is one path segment, and not `_mock`")]
    ProviderName {
        /// The name.
        provider: String,
    },
    /// A provider serves a model that the script does not have.
    #[error("provider `{provider}`: the script has no model `{model}`")]
    UnknownModel {
        /// The provider.
        provider: String,
        /// The name that it lists.
        model: String,
    },
    /// A model's figures contradict each other or are out of bounds.
    #[error("model `{model}`: {problem}")]
    Model {
        /// The model.
        model: String,
        /// What is wrong.
        problem: String,
    },
    /// A fault rule makes no sense.
    #[error("provider `{provider}`, fault rule {number}: {problem}")]
    Rule {
        /// The provider.
        provider: String,
        /// The rule's place in its list, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
}

// Within these bounds a charge has at most 10 digits before the point and 15 after it, so
// that it is exact, and so is the sum of a thousand million of them.
const MOST_TOKENS: u64 = 1_000_000_000;
const MOST_PER_MILLION: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
const MOST_DECIMALS: u32 = 9;
const MOST_CHUNKS: u32 = 100_000;

impl Script {
    /// Whether this script can be played.
    ///
    /// # Errors
    /// The first thing that makes no sense, with its place.
    pub fn validate(&self) -> Result<(), ScriptError> {
        for (name, model) in &self.models {
            model.problem().map_or(Ok(()), |problem| Err(ScriptError::Model { model: name.clone(), problem }))?;
        }
        for (name, provider) in &self.providers {
            if name.is_empty() || name == "_mock" || name.contains(['/', '?', '#', '%']) {
                return Err(ScriptError::ProviderName { provider: name.clone() });
            }
            let listed = provider.models.iter().flatten();
            if let Some(unknown) = listed.into_iter().find(|m| !self.models.contains_key(*m)) {
                return Err(ScriptError::UnknownModel { provider: name.clone(), model: unknown.clone() });
            }
            for (index, rule) in provider.faults.iter().enumerate() {
                rule.problem().map_or(Ok(()), |problem| {
                    Err(ScriptError::Rule { provider: name.clone(), number: index + 1, problem })
                })?;
            }
        }
        Ok(())
    }
}

impl Model {
    fn problem(&self) -> Option<String> {
        let usage = &self.usage;
        if usage.input.max(usage.output) > MOST_TOKENS {
            return Some(format!("more than {MOST_TOKENS} tokens a call"));
        }
        if usage.cached.saturating_add(usage.cache_write) > usage.input {
            return Some(format!(
                "`cached` {} and `cache_write` {} are parts of `input`, which is {}",
                usage.cached, usage.cache_write, usage.input
            ));
        }
        if usage.cache_write_hour > usage.cache_write {
            return Some(format!(
                "`cache_write_hour` {} is a part of `cache_write`, which is {}",
                usage.cache_write_hour, usage.cache_write
            ));
        }
        if usage.searches > MOST_TOKENS {
            return Some(format!("more than {MOST_TOKENS} searches a call"));
        }
        if usage.seconds > MOST_TOKENS {
            return Some(format!("more than {MOST_TOKENS} seconds a call"));
        }
        if usage.reasoning > usage.output {
            return Some(format!("`reasoning` {} is a part of `output`, which is {}", usage.reasoning, usage.output));
        }
        if !(1..=MOST_CHUNKS).contains(&self.chunks) {
            return Some(format!("`chunks` is {}, and can be 1 to {MOST_CHUNKS}", self.chunks));
        }
        if self.answer.reasoning.as_deref() == Some("") {
            return Some("`answer.reasoning` is empty; leave it out".to_owned());
        }
        let price = self.price.as_ref()?;
        if let Some(long) = price.long.filter(|long| long.above == 0 || long.above % 1000 != 0) {
            return Some(format!("`above` {} is no whole number of thousands", long.above));
        }
        let long = price.long.map(|long| [Some(long.input), Some(long.output), long.cached]);
        let parts = [price.cached, price.cache_write, price.cache_write_hour, price.reasoning];
        let units = [price.character, price.image, price.second, price.search];
        [Some(price.input), Some(price.output)]
            .into_iter()
            .chain(parts)
            .chain(units)
            .chain(long.into_iter().flatten())
            .flatten()
            .find(|price| {
                price.decimal() > MOST_PER_MILLION || price.decimal().scale() > MOST_DECIMALS
            })
            .map(|price| {
                format!(
                    "{price} per million tokens: a price is at most ${MOST_PER_MILLION}, with at most {MOST_DECIMALS} decimals"
                )
            })
    }
}

impl FaultRule {
    fn problem(&self) -> Option<String> {
        let faults = match (&self.fault, &self.sequence) {
            (Some(fault), None) => std::slice::from_ref(fault),
            (None, Some(_)) if self.first.is_some() => {
                return Some("`first` goes with `fault`, not with `sequence`".into());
            }
            (None, Some(faults)) if faults.is_empty() => {
                return Some("`sequence` is empty".into());
            }
            (None, Some(faults)) => faults,
            (Some(_), Some(_)) => return Some("has both `fault` and `sequence`".into()),
            (None, None) => return Some("has neither `fault` nor `sequence`".into()),
        };
        if self.first == Some(0) {
            return Some("`first: 0` matches no call".into());
        }
        faults.iter().find_map(Fault::problem)
    }
}

impl Fault {
    fn problem(&self) -> Option<String> {
        match self {
            Fault::Status { code, .. } if !(400..=599).contains(code) => {
                Some(format!("`status` {code} is no error: it can be 400 to 599"))
            }
            Fault::Split { sizes } if sizes.is_empty() || sizes.contains(&0) => {
                Some("`split` needs sizes, each at least 1".into())
            }
            Fault::SlowDrip { bytes: 0, .. } => Some("`slow_drip` needs `bytes` of at least 1".into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn problem(json: &str) -> String {
        serde_json::from_str::<Script>(json).unwrap().validate().unwrap_err().to_string()
    }

    fn rule(rule: &str) -> String {
        problem(&format!(r#"{{"providers": {{"primary": {{"faults": [{{"fault": "ok"}}, {rule}]}}}}}}"#))
    }

    fn model(model: &str) -> String {
        problem(&format!(r#"{{"models": {{"mock-1": {model}}}}}"#))
    }

    #[test]
    fn a_wrong_rule_is_named_with_its_place() {
        let at = "provider `primary`, fault rule 2: ";
        for (json, says) in [
            ("{}", "has neither `fault` nor `sequence`"),
            (r#"{"fault": "hang", "sequence": ["ok"]}"#, "has both `fault` and `sequence`"),
            (r#"{"first": 2, "sequence": ["ok"]}"#, "`first` goes with `fault`, not with `sequence`"),
            (r#"{"sequence": []}"#, "`sequence` is empty"),
            (r#"{"first": 0, "fault": "hang"}"#, "`first: 0` matches no call"),
            (r#"{"fault": {"status": {"code": 200}}}"#, "`status` 200 is no error: it can be 400 to 599"),
            (r#"{"sequence": ["ok", {"split": {"sizes": [1, 0]}}]}"#, "`split` needs sizes, each at least 1"),
            (r#"{"fault": {"slow_drip": {"bytes": 0, "every": "1ms"}}}"#, "`slow_drip` needs `bytes` of at least 1"),
        ] {
            assert_eq!(rule(json), format!("{at}{says}"));
        }
    }

    #[test]
    fn figures_that_contradict_each_other_are_refused() {
        for (json, says) in [
            (
                r#"{"usage": {"input": 10, "cached": 8, "cache_write": 3}}"#,
                "`cached` 8 and `cache_write` 3 are parts of `input`, which is 10",
            ),
            (r#"{"usage": {"output": 1, "reasoning": 2}}"#, "`reasoning` 2 is a part of `output`, which is 1"),
            (r#"{"usage": {"input": 1000000001}}"#, "more than 1000000000 tokens a call"),
            (r#"{"answer": {"reasoning": ""}}"#, "`answer.reasoning` is empty; leave it out"),
            (r#"{"chunks": 0}"#, "`chunks` is 0, and can be 1 to 100000"),
            (
                r#"{"price": {"input": "$0.0000000001", "output": "$1"}}"#,
                "$0.0000000001 per million tokens: a price is at most $1000000, with at most 9 decimals",
            ),
            (
                r#"{"price": {"input": "$1", "output": "$1", "long": {"above": 128001, "input": "$1", "output": "$1"}}}"#,
                "`above` 128001 is no whole number of thousands",
            ),
        ] {
            assert_eq!(model(json), format!("model `mock-1`: {says}"));
        }
    }

    #[test]
    fn a_provider_must_be_addressable_and_its_models_known() {
        assert_eq!(
            problem(r#"{"providers": {"_mock": {}}}"#),
            "provider `_mock`: a name is one path segment, and not `_mock`"
        );
        assert_eq!(
            problem(r#"{"providers": {"primary": {"models": ["mock-2"]}}}"#),
            "provider `primary`: the script has no model `mock-2`"
        );
    }
}
