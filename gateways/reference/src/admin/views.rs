//! Answers as Bifrost has them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::Moment;
use crate::config::{AllowList, Weight};
use crate::gateway::Gateway;
use crate::ledger::{Measure, Meter, MeterId};
use crate::money::Usd;
use crate::policy::{GrantPolicy, OwnedMeter, VirtualKey};
use crate::store::OwnerKey;
use crate::window::ResetDuration;

/// A virtual key as it is answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VirtualKey", deny_unknown_fields)]
pub(super) struct KeyView {
    id: Arc<str>,
    name: String,
    description: String,
    /// In full when it is made, else its beginning.
    value: String,
    is_active: bool,
    calendar_aligned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
    team_id: Option<Arc<str>>,
    customer_id: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<NamedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<NamedView>,
    provider_configs: Vec<GrantView>,
    #[serde(flatten)]
    limits: LimitsView,
    created_at: Moment,
    updated_at: Moment,
}

/// An entity inside another.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "Named", deny_unknown_fields)]
pub(super) struct NamedView {
    pub(super) id: Arc<str>,
    pub(super) name: String,
}

/// What a virtual key may use of a provider.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderConfig", deny_unknown_fields)]
pub(super) struct GrantView {
    id: Arc<str>,
    virtual_key_id: Arc<str>,
    provider: Arc<str>,
    weight: Option<Weight>,
    allowed_models: AllowList,
    blacklisted_models: Vec<String>,
    key_ids: AllowList,
    allow_all_keys: bool,
    #[serde(flatten)]
    limits: LimitsView,
}

/// An owner's budgets and limits with their usage.
#[derive(Serialize, JsonSchema)]
pub(super) struct LimitsView {
    budgets: Vec<BudgetView>,
    /// Of each metric the shortest window.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<RateLimitView>,
    rate_limits: Vec<RateLimitView>,
}

/// A budget with its usage, and whose it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Budget", deny_unknown_fields)]
pub(super) struct BudgetView {
    id: String,
    max_limit: Usd,
    reset_duration: ResetDuration,
    calendar_aligned: bool,
    current_usage: Usd,
    last_reset: Moment,
    #[serde(flatten)]
    owner: OwnerView,
}

/// A rate limit with its usage, and whose it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RateLimit", deny_unknown_fields)]
pub(super) struct RateLimitView {
    id: String,
    /// Whether a window of it follows the calendar.
    calendar_aligned: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    requests: Option<RequestsView>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    tokens: Option<TokensView>,
    #[serde(flatten)]
    owner: OwnerView,
}

/// The field that names an owner, and its id.
#[derive(Serialize, JsonSchema)]
enum OwnerView {
    #[serde(rename = "customer_id")]
    Customer(Arc<str>),
    #[serde(rename = "team_id")]
    Team(Arc<str>),
    #[serde(rename = "virtual_key_id")]
    VirtualKey(Arc<str>),
    #[serde(rename = "provider_config_id")]
    ProviderConfig(Arc<str>),
    #[serde(rename = "provider")]
    Provider(Arc<str>),
    #[serde(rename = "model_config_id")]
    ModelConfig(Arc<str>),
}

#[derive(Clone, Serialize, JsonSchema)]
struct RequestsView {
    request_max_limit: i64,
    request_reset_duration: ResetDuration,
    request_current_usage: i64,
    request_last_reset: Moment,
}

#[derive(Clone, Serialize, JsonSchema)]
struct TokensView {
    token_max_limit: i64,
    token_reset_duration: ResetDuration,
    token_current_usage: i64,
    token_last_reset: Moment,
}

/// A virtual key with its usage at this moment. `value` is given once, when it is made.
pub(super) fn key_view(gateway: &Gateway, key: &VirtualKey, value: Option<String>) -> KeyView {
    let (team, customer) = membership(gateway, key);
    let row = &key.row;
    KeyView {
        id: row.id.clone(),
        name: row.name.clone(),
        description: row.description.clone(),
        value: value.unwrap_or_else(|| row.value_hint.clone()),
        is_active: row.is_active,
        calendar_aligned: row.calendar_aligned,
        expires_at: row.expires_at,
        team_id: team.as_ref().map(|team| team.id.clone()),
        customer_id: customer.as_ref().map(|customer| customer.id.clone()),
        team,
        customer,
        provider_configs: grants(gateway, key),
        limits: LimitsView::of(gateway, &OwnerKey::VirtualKey(row.id.clone()), &key.meters),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// The key's own team or customer, if that one is there.
fn membership(gateway: &Gateway, key: &VirtualKey) -> (Option<NamedView>, Option<NamedView>) {
    let policy = gateway.policy();
    let team = key.row.membership.team_id().and_then(|id| policy.levels.team(id));
    let customer = key.row.membership.customer_id().and_then(|id| policy.levels.customer(id));
    (
        team.map(|team| NamedView { id: team.row.id.clone(), name: team.row.entity.name.clone() }),
        customer.map(|customer| NamedView { id: customer.row.id.clone(), name: customer.row.entity.name.clone() }),
    )
}

/// What the key may use of each provider.
pub(super) fn grants(gateway: &Gateway, key: &VirtualKey) -> Vec<GrantView> {
    key.grants.iter().map(|policy| grant_view(gateway, key, policy)).collect()
}

fn grant_view(gateway: &Gateway, key: &VirtualKey, policy: &GrantPolicy) -> GrantView {
    let grant = &policy.grant;
    GrantView {
        id: grant.id.clone(),
        virtual_key_id: key.row.id.clone(),
        provider: grant.provider.clone(),
        weight: grant.weight,
        allowed_models: grant.allowed_models.clone(),
        blacklisted_models: grant.blacklisted_models.clone(),
        key_ids: grant.key_ids.clone(),
        allow_all_keys: grant.key_ids == AllowList::All,
        limits: LimitsView::of(gateway, &OwnerKey::Grant(grant.id.clone()), &policy.meters),
    }
}

impl LimitsView {
    pub(super) fn of(gateway: &Gateway, owner: &OwnerKey, owned: &[OwnedMeter]) -> LimitsView {
        let now = gateway.books.now();
        let meters = gateway.books.meters(owned.iter().map(|meter| &meter.id));
        let mut limits = LimitsView { budgets: Vec::new(), rate_limit: None, rate_limits: Vec::new() };
        for (id, meter) in &meters {
            match meter.measure {
                Measure::Usd => limits.budgets.push(BudgetView::of(id, meter, owner, now)),
                Measure::Requests | Measure::Tokens => limits.add(id, meter, owner, now),
            }
        }
        limits
    }

    pub(super) fn into_lists(self) -> (Vec<BudgetView>, Vec<RateLimitView>) {
        (self.budgets, self.rate_limits)
    }

    /// Adds one counter of a rate limit to the list, and to the one that stands for all.
    fn add(&mut self, id: &MeterId, meter: &Meter, owner: &OwnerKey, now: Moment) {
        let new = || RateLimitView {
            id: id.id().to_owned(),
            calendar_aligned: false,
            requests: None,
            tokens: None,
            owner: OwnerView::of(owner),
        };
        self.rate_limit.get_or_insert_with(new).add(meter, now);
        match self.rate_limits.iter_mut().find(|limit| limit.id == id.id()) {
            Some(limit) => limit.add(meter, now),
            None => {
                let mut limit = new();
                limit.add(meter, now);
                self.rate_limits.push(limit);
            }
        }
    }
}

impl BudgetView {
    fn of(id: &MeterId, meter: &Meter, owner: &OwnerKey, now: Moment) -> BudgetView {
        BudgetView {
            id: id.id().to_owned(),
            max_limit: Usd::from_pico(meter.limit.raw()),
            reset_duration: meter.window.length.clone(),
            calendar_aligned: meter.window.length.is_on_calendar(),
            current_usage: Usd::from_pico(meter.used_at(now).raw()),
            last_reset: meter.window_at(now).start,
            owner: OwnerView::of(owner),
        }
    }
}

impl RateLimitView {
    /// Adds a counter where there is none of its metric yet.
    fn add(&mut self, meter: &Meter, now: Moment) {
        let (limit, used) = (meter.limit.raw(), meter.used_at(now).raw());
        let length = meter.window.length.clone();
        self.calendar_aligned |= length.is_on_calendar();
        let last_reset = meter.window_at(now).start;
        match meter.measure {
            Measure::Usd => {}
            Measure::Requests => {
                self.requests.get_or_insert(RequestsView {
                    request_max_limit: limit,
                    request_reset_duration: length,
                    request_current_usage: used,
                    request_last_reset: last_reset,
                });
            }
            Measure::Tokens => {
                self.tokens.get_or_insert(TokensView {
                    token_max_limit: limit,
                    token_reset_duration: length,
                    token_current_usage: used,
                    token_last_reset: last_reset,
                });
            }
        }
    }
}

impl OwnerView {
    fn of(owner: &OwnerKey) -> OwnerView {
        match owner {
            OwnerKey::Customer(id) => OwnerView::Customer(Arc::clone(id)),
            OwnerKey::Team(id) => OwnerView::Team(Arc::clone(id)),
            OwnerKey::VirtualKey(id) => OwnerView::VirtualKey(Arc::clone(id)),
            OwnerKey::Grant(id) => OwnerView::ProviderConfig(Arc::clone(id)),
            OwnerKey::Provider(name) => OwnerView::Provider(Arc::clone(name)),
            OwnerKey::Model(id) => OwnerView::ModelConfig(Arc::clone(id)),
        }
    }
}
