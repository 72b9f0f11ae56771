//! Who can have caps: customers, teams, virtual keys, providers and models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Policy,
    caps::{Budget, Capped, Limits, capped},
};
use crate::{capability::Capability, period::Period};

capped! {
    /// A provider behind the gateway: one path prefix of the upstream.
    pub struct Provider {
        /// Its name, in the gateway and in the upstream alike.
        pub name: String,
        /// Whose protocol it speaks.
        #[serde(default, skip_serializing_if = "Api::is_openai")]
        pub api: Api,
        /// How long the gateway waits for an answer; the gateway's default if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub timeout: Option<Period>,
        /// How often the gateway tries again before it turns to another provider; never if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub retries: Option<u8>,
        /// The names of the keys that the gateway has for it, all alike; one without a name if empty. A fault of
        /// the upstream's script can befall one of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub keys: Vec<String>,
    }
    /// Caps on what all callers together may spend at it.
    budgets: BudgetsProvider,
    /// Limits on how often, or for how many tokens, all callers together may call it.
    limits: LimitsProvider,
}

impl Provider {
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            api: Api::Openai,
            timeout: None,
            retries: None,
            keys: Vec::new(),
            budgets: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// The names by which templates find its keys among all: its own, or `primary/worn`.
    pub fn key_names(&self) -> impl Iterator<Item = String> {
        let own = self.keys.is_empty().then(|| self.name.clone());
        own.into_iter().chain(self.keys.iter().map(|key| format!("{}/{key}", self.name)))
    }
}

/// Whose protocol a provider speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI's.
    #[default]
    Openai,
    /// Anthropic's.
    Anthropic,
    /// Gemini's.
    Gemini,
}

impl Api {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_openai(&self) -> bool {
        *self == Self::Openai
    }
}

capped! {
    /// A customer: what its teams and keys spend together can be capped.
    pub struct Customer {
        /// Its name.
        pub name: String,
    }
    /// Caps on what its teams and keys may spend together.
    budgets: BudgetsCustomer,
    /// Limits on how often, or for how many tokens, they may call together.
    limits: LimitsCustomer,
}

capped! {
    /// A team: what its keys spend together can be capped.
    pub struct Team {
        /// Its name.
        pub name: String,
        /// The customer that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub customer: Option<String>,
    }
    /// Caps on what its keys may spend together.
    budgets: BudgetsTeam,
    /// Limits on how often, or for how many tokens, they may call together.
    limits: LimitsTeam,
}

capped! {
    /// What is enforced on a model, whoever calls it or for one virtual key.
    pub struct ModelCaps {
        /// The name by which steps and reports speak of it.
        pub name: String,
        /// The model.
        pub model: String,
        /// Only at this provider; at every one if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub provider: Option<String>,
        /// Only for this virtual key; for everybody if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub virtual_key: Option<String>,
    }
    /// Caps on what all these callers together may spend on it.
    budgets: BudgetsModel,
    /// Limits on how often, or for how many tokens, all these callers together may call it.
    limits: LimitsModel,
}

capped! {
    /// A key that the gateway gives to a caller, and what is enforced on it.
    pub struct VirtualKey {
        /// The name by which steps and reports speak of it.
        pub name: String,
        /// The literal value; one of the gateway's own form is made if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<String>,
        /// Whether calls with it are served.
        #[serde(default = "yes")]
        pub active: bool,
        /// Calls with it are refused from so long after the gateway's start on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires: Option<Period>,
        /// The team that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub team: Option<String>,
        /// The customer that it belongs to, without a team.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub customer: Option<String>,
        /// The providers it may use, in order of preference; every provider of the policy if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub providers: Vec<Route>,
    }
    /// Caps on what it may spend.
    budgets: BudgetsVirtualKey,
    /// Limits on how often, or for how many tokens, it may call.
    limits: LimitsVirtualKey,
}

fn yes() -> bool {
    true
}

impl VirtualKey {
    /// A key that may use every provider of a policy in order, without caps.
    #[must_use]
    pub fn named(name: &str, policy: &Policy) -> Self {
        let route = |(index, provider): (usize, &Provider)| Route {
            weight: Some(if index == 0 { 100 } else { 0 }),
            ..Route::to(&provider.name)
        };
        Self {
            name: name.to_owned(),
            value: None,
            active: true,
            expires: None,
            team: None,
            customer: None,
            budgets: Vec::new(),
            limits: Limits::default(),
            providers: policy.providers.iter().enumerate().map(route).collect(),
        }
    }
}

capped! {
    /// A provider that a virtual key may use.
    pub struct Route {
        /// The provider's name.
        pub provider: String,
        /// Its share of the calls, in percent. The first choice is drawn by weight, the others follow by
        /// falling weight: 100 beside 0 makes an order without chance.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub weight: Option<u8>,
        /// The models that this key may use there; every one if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub models: Vec<String>,
        /// Models that this key may not use there, allowed or not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub blocked_models: Vec<String>,
    }
    /// Caps on what this key may spend at this provider.
    budgets: BudgetsVirtualKeyProvider,
    /// Limits on how often, or for how many tokens, this key may call this provider.
    limits: LimitsVirtualKeyProvider,
}

impl Route {
    /// A provider that may be used for every model, without caps.
    #[must_use]
    pub fn to(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            weight: None,
            models: Vec::new(),
            blocked_models: Vec::new(),
            budgets: Vec::new(),
            limits: Limits::default(),
        }
    }
}
