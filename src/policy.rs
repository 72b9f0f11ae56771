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
    /// What is enforced on models, whoever calls them.
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

/// A provider behind the gateway: one path prefix of the upstream.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
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
    /// Caps on what all callers together may spend at it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// Limits on how often, or for how many tokens, all callers together may call it.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

impl Provider {
    fn named(name: &str) -> Self {
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

/// A customer: what its teams and keys spend together can be capped.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// Its name.
    pub name: String,
    /// Caps on what its teams and keys may spend together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// Limits on how often, or for how many tokens, they may call together.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// A team: what its keys spend together can be capped.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// The customer that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Caps on what its keys may spend together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// Limits on how often, or for how many tokens, they may call together.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// What is enforced on a model, whoever calls it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ModelCaps {
    /// The name by which steps and reports speak of it.
    pub name: String,
    /// The model.
    pub model: String,
    /// Only at this provider; at every one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Caps on what all callers together may spend on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// Limits on how often, or for how many tokens, all callers together may call it.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
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
    /// Calls with it are refused from so long after the gateway's start on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Period>,
    /// The team that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The customer that it belongs to, without a team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
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
    /// The models that this key may use there; every one if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Models that this key may not use there, allowed or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_models: Vec<String>,
    /// Caps on what this key may spend at this provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// Limits on how often, or for how many tokens, this key may call this provider.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
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

/// A cap on spending.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most that may be spent in one window.
    pub limit: Usd,
    /// The length of a window.
    pub reset: Period,
    /// Windows follow the calendar, in UTC: a day begins at midnight, a month on its first.
    #[serde(default, skip_serializing_if = "is_not")]
    pub calendar: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_not(flag: &bool) -> bool {
    !flag
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
    /// The model's exact name, or the beginning of one and `*`.
    pub model: String,
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

impl Policy {
    /// The capabilities without which a gateway cannot even be configured with this policy.
    #[must_use]
    pub fn needs(&self) -> Vec<Capability> {
        let levels = self.levels();
        let budgets = levels.iter().filter(|level| !level.budgets.is_empty()).map(|level| level.budgets_need);
        let limits = levels.iter().filter(|level| !level.limits.is_empty()).map(|level| level.limits_need);
        let mut needs: Vec<_> = self.other_needs().chain(budgets).chain(limits).collect();
        let mut seen = std::collections::HashSet::new();
        needs.retain(|need| seen.insert(*need));
        needs
    }

    fn other_needs(&self) -> impl Iterator<Item = Capability> {
        let keys = &self.virtual_keys;
        let routes = || keys.iter().flat_map(|key| &key.providers);
        let levels = self.levels();
        let mut budgets = levels.iter().flat_map(|level| level.budgets);
        let limits = |test: fn(&Limits) -> bool| levels.iter().any(|level| test(level.limits));
        let prices = &self.price_overrides;
        let conditions = [
            (Capability::KeysOptional, !self.mandatory_keys),
            (Capability::KeysInactive, keys.iter().any(|key| !key.active)),
            (Capability::KeysLiteral, keys.iter().any(|key| key.value.is_some())),
            (Capability::KeysExpire, keys.iter().any(|key| key.expires.is_some())),
            (Capability::HeadersRequired, !self.required_headers.is_empty()),
            (Capability::ModelsAllowed, routes().any(|route| !route.models.is_empty())),
            (Capability::ModelsBlocked, routes().any(|route| !route.blocked_models.is_empty())),
            (Capability::LimitsRequests, limits(|limits| limits.requests.is_some())),
            (Capability::LimitsTokens, limits(|limits| limits.tokens.is_some())),
            (Capability::WindowsCalendar, budgets.any(|budget| budget.calendar)),
            (Capability::ProvidersAnthropic, self.providers.iter().any(|provider| provider.api == Api::Anthropic)),
            (Capability::ProvidersGemini, self.providers.iter().any(|provider| provider.api == Api::Gemini)),
            (Capability::RoutingRetries, self.providers.iter().any(|provider| provider.retries.is_some())),
            (Capability::RoutingKeys, self.providers.iter().any(|provider| !provider.keys.is_empty())),
            (Capability::RoutingOrder, routes().count() > keys.len()),
            (Capability::PricingOverrides, !prices.is_empty()),
            (Capability::PricingWildcards, prices.iter().any(|price| price.model.ends_with('*'))),
            (Capability::PricingReasoning, prices.iter().any(|price| price.reasoning.is_some())),
        ];
        conditions.into_iter().filter(|(_, needed)| *needed).map(|(capability, _)| capability)
    }

    /// Everything that can have caps, each with the capabilities to have them.
    fn levels(&self) -> Vec<Level<'_>> {
        let level = |budgets, limits, budgets_need, limits_need| Level { budgets, limits, budgets_need, limits_need };
        let mut levels = Vec::new();
        for one in &self.customers {
            levels.push(level(&one.budgets, &one.limits, Capability::BudgetsCustomer, Capability::LimitsCustomer));
        }
        for one in &self.teams {
            levels.push(level(&one.budgets, &one.limits, Capability::BudgetsTeam, Capability::LimitsTeam));
        }
        for one in &self.providers {
            levels.push(level(&one.budgets, &one.limits, Capability::BudgetsProvider, Capability::LimitsProvider));
        }
        for one in &self.models {
            levels.push(level(&one.budgets, &one.limits, Capability::BudgetsModel, Capability::LimitsModel));
        }
        for key in &self.virtual_keys {
            let (budgets, limits) = (Capability::BudgetsVirtualKey, Capability::LimitsVirtualKey);
            levels.push(level(&key.budgets, &key.limits, budgets, limits));
            for route in &key.providers {
                let (budgets, limits) = (Capability::BudgetsVirtualKeyProvider, Capability::LimitsVirtualKeyProvider);
                levels.push(level(&route.budgets, &route.limits, budgets, limits));
            }
        }
        levels
    }
}

/// Something that can have caps.
struct Level<'a> {
    budgets: &'a [Budget],
    limits: &'a Limits,
    budgets_need: Capability,
    limits_need: Capability,
}

/// The model that a request names, without the provider that may stand before it: `primary/mock-1`.
#[must_use]
pub fn without_provider<'a>(model: &'a str, policy: &Policy) -> &'a str {
    let after = |provider: &Provider| model.strip_prefix(&provider.name)?.strip_prefix('/');
    policy.providers.iter().find_map(after).unwrap_or(model)
}
