//! What a case shares with those that had its gateway before.

use std::collections::HashMap;

use mock_upstream::Price;

use super::{complete::completed_script, observation::Told};
use crate::{money::Usd, policy::Policy, scenario::Scenario};

/// What a gateway is configured with for a scenario: a case that asks for something else needs another gateway.
#[derive(Debug, PartialEq)]
pub struct Asked {
    policy: Policy,
    models: Vec<(String, Option<Price>, Option<u64>)>,
}

impl Asked {
    /// What a scenario asks for.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let script = completed_script(&scenario.upstream, &scenario.policy);
        let models = script.models.into_iter().map(|(name, model)| (name, model.price, model.max_output_tokens));
        Self { policy: scenario.policy.clone(), models: models.collect() }
    }
}

/// What the gateway's own figures were when a case began: the money of those that had the gateway before.
pub(super) type Before = HashMap<Told, Usd>;
