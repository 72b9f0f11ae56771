//! What a scenario asks a gateway to enforce, in words that belong to no gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{capability::Capability, money::Usd, period::Period};

/// Everything that a gateway is configured with before a scenario starts.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Whether a call without a virtual key is refused.
    pub mandatory_keys: bool,
    /// The providers that the gateway knows.
    pub providers: Vec<Provider>,
    /// The keys that callers may use.
    pub virtual_keys: Vec<VirtualKey>,
    /// Prices that override the price sheet.
    pub price_overrides: Vec<PriceOverride>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mandatory_keys: true,
            providers: vec![Provider::named("primary")],
            virtual_keys: Vec::new(),
            price_overrides: Vec::new(),
        }
    }
}

/// A provider behind the gateway: one path prefix of the upstream.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name, in the gateway and in the upstream alike.
    pub name: String,
    /// How long the gateway waits for an answer; the gateway's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
}

impl Provider {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), timeout: None }
    }
}

/// A key that the gateway gives to a caller, and what is enforced on it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct VirtualKey {
    /// The name by which steps and reports speak of it.
    pub name: String,
    /// The literal value; one of the gateway's own form is made if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether calls with it are served.
    #[serde(default = "yes")]
    pub active: bool,
    /// Caps on what it may spend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// Limits on how often, or for how many tokens, it may call.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The providers it may use, in order of preference; every provider of the policy if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Route>,
}

fn yes() -> bool {
    true
}

/// A provider that a virtual key may use.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The provider's name.
    pub provider: String,
    /// Its share of the calls, in percent. The first choice is drawn by weight, the others follow by
    /// falling weight: 100 beside 0 makes an order without chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// Caps on what this key may spend at this provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
}

/// A cap on spending.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most that may be spent in one window.
    pub limit: Usd,
    /// The length of a window.
    pub reset: Period,
}

/// Limits on how often, or for how many tokens, a key may call.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Calls in one window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Limit>,
    /// Tokens, in and out together, in one window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Limit>,
}

impl Limits {
    fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }
}

/// So many in a window.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The most that passes in one window.
    pub max: u64,
    /// The length of a window.
    pub per: Period,
}

/// A price, in dollars per million tokens, that overrides the price sheet.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PriceOverride {
    /// The model's exact name.
    pub model: String,
    /// A million input tokens.
    pub input: Usd,
    /// A million output tokens.
    pub output: Usd,
}

impl Policy {
    /// The capabilities without which a gateway cannot even be configured with this policy.
    #[must_use]
    pub fn needs(&self) -> Vec<Capability> {
        let keys = &self.virtual_keys;
        let routes = || keys.iter().flat_map(|key| &key.providers);
        let conditions = [
            (Capability::KeysOptional, !self.mandatory_keys),
            (Capability::KeysInactive, keys.iter().any(|key| !key.active)),
            (Capability::KeysLiteral, keys.iter().any(|key| key.value.is_some())),
            (Capability::BudgetsVirtualKey, keys.iter().any(|key| !key.budgets.is_empty())),
            (Capability::BudgetsProvider, routes().any(|route| !route.budgets.is_empty())),
            (Capability::LimitsRequests, keys.iter().any(|key| key.limits.requests.is_some())),
            (Capability::LimitsTokens, keys.iter().any(|key| key.limits.tokens.is_some())),
            (Capability::RoutingOrder, routes().count() > keys.len()),
            (Capability::PricingOverrides, !self.price_overrides.is_empty()),
        ];
        conditions.into_iter().filter(|(_, needed)| *needed).map(|(capability, _)| capability).collect()
    }
}
