//! What a scenario asks a gateway to enforce, in words that belong to no gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::Usd;

mod caps;
mod needs;
mod owners;

pub use caps::{Budget, Limit, Limits};
pub use owners::{Api, Customer, ModelCaps, Provider, Route, Team, VirtualKey};

/// Everything that a gateway is configured with before a scenario starts.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Whether a call without a virtual key is refused.
    pub mandatory_keys: bool,
    /// Headers without which every inference call is refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_headers: Vec<String>,
    /// The providers that the gateway knows.
    pub providers: Vec<Provider>,
    /// Customers, who have teams and keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub customers: Vec<Customer>,
    /// Teams, which have keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<Team>,
    /// What is enforced on models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelCaps>,
    /// The keys that callers may use.
    pub virtual_keys: Vec<VirtualKey>,
    /// Prices that override the price sheet.
    pub price_overrides: Vec<PriceOverride>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mandatory_keys: true,
            required_headers: Vec::new(),
            providers: vec![Provider::named("primary")],
            customers: Vec::new(),
            teams: Vec::new(),
            models: Vec::new(),
            virtual_keys: Vec::new(),
            price_overrides: Vec::new(),
        }
    }
}

/// A price, in dollars per million tokens, that overrides the price sheet.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PriceOverride {
    /// The model's exact name, or the beginning of one and `*`.
    pub model: String,
    /// Only at this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Only with this one of the provider's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only for this virtual key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_key: Option<String>,
    /// A million input tokens.
    pub input: Usd,
    /// A million output tokens.
    pub output: Usd,
    /// A million input tokens that were read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Usd>,
    /// A million input tokens that were written to a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Usd>,
    /// A million output tokens of reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Usd>,
}

impl PriceOverride {
    /// Whether it is for all calls of its models.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.provider.is_none() && self.key.is_none() && self.virtual_key.is_none()
    }
}

/// The model that a request names, without the provider that may stand before it: `primary/mock-1`.
#[must_use]
pub fn without_provider<'a>(model: &'a str, policy: &Policy) -> &'a str {
    let after = |provider: &Provider| model.strip_prefix(&provider.name)?.strip_prefix('/');
    policy.providers.iter().find_map(after).unwrap_or(model)
}
