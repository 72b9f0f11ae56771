//! Bodies as Bifrost has them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::config::{AllowList, Weight};
use crate::gateway::Gateway;
use crate::ledger::{Measure, Meter, MeterId};
use crate::money::Usd;
use crate::policy::{GrantPolicy, OwnedMeter, VirtualKey};
use crate::window::ResetDuration;

/// The body of a creation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateKey {
    #[serde(default)]
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) is_active: Option<bool>,
    #[serde(default)]
    pub(super) provider_configs: Vec<GrantBody>,
    #[serde(default)]
    pub(super) budgets: Vec<BudgetBody>,
    pub(super) rate_limit: Option<RateLimitBody>,
    #[serde(default)]
    pub(super) calendar_aligned: bool,
    /// RFC 3339.
    pub(super) expires_at: Option<String>,
}

/// The body of an edit: what is absent stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateKey {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) is_active: Option<bool>,
    /// Replaces the list; a provider that stays keeps its budgets and limits.
    pub(super) provider_configs: Option<Vec<GrantBody>>,
    /// Replaces the list; a budget with the same window keeps its usage.
    pub(super) budgets: Option<Vec<BudgetBody>>,
    /// Changes what it names; without any limit, it removes all.
    pub(super) rate_limit: Option<RateLimitBody>,
    /// Holds for every window of the key that the body does not set otherwise.
    pub(super) calendar_aligned: Option<bool>,
    /// RFC 3339; an empty text means never.
    pub(super) expires_at: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantBody {
    pub(super) id: Option<String>,
    pub(super) provider: String,
    pub(super) weight: Option<Weight>,
    pub(super) allowed_models: Option<AllowList>,
    #[serde(default)]
    pub(super) blacklisted_models: Vec<String>,
    pub(super) key_ids: Option<AllowList>,
    pub(super) budgets: Option<Vec<BudgetBody>>,
    pub(super) rate_limit: Option<RateLimitBody>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetBody {
    pub(super) id: Option<String>,
    pub(super) max_limit: Usd,
    pub(super) reset_duration: ResetDuration,
    /// Wins over that of the key.
    pub(super) calendar_aligned: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateLimitBody {
    pub(super) request_max_limit: Option<u64>,
    pub(super) request_reset_duration: Option<ResetDuration>,
    pub(super) token_max_limit: Option<u64>,
    pub(super) token_reset_duration: Option<ResetDuration>,
}

/// A virtual key as it is answered.
#[derive(Serialize)]
pub(super) struct KeyView {
    id: Arc<str>,
    name: String,
    description: String,
    /// In full when it is made, else its beginning.
    value: String,
    is_active: bool,
    calendar_aligned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    provider_configs: Vec<GrantView>,
    budgets: Vec<BudgetView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<RateLimitView>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct GrantView {
    id: Arc<str>,
    virtual_key_id: Arc<str>,
    provider: Arc<str>,
    weight: Option<Weight>,
    allowed_models: AllowList,
    blacklisted_models: Vec<String>,
    key_ids: AllowList,
    allow_all_keys: bool,
    budgets: Vec<BudgetView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<RateLimitView>,
}

#[derive(Serialize)]
struct BudgetView {
    id: String,
    max_limit: Usd,
    reset_duration: ResetDuration,
    calendar_aligned: bool,
    current_usage: Usd,
    last_reset: String,
}

#[derive(Default, Serialize)]
struct RateLimitView {
    id: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    requests: Option<RequestsView>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    tokens: Option<TokensView>,
}

#[derive(Serialize)]
struct RequestsView {
    request_max_limit: i64,
    request_reset_duration: ResetDuration,
    request_current_usage: i64,
    request_last_reset: String,
}

#[derive(Serialize)]
struct TokensView {
    token_max_limit: i64,
    token_reset_duration: ResetDuration,
    token_current_usage: i64,
    token_last_reset: String,
}

/// A virtual key with its usage at this moment. `value` is given once, when it is made.
pub(super) fn view(gateway: &Gateway, key: &VirtualKey, value: Option<String>) -> KeyView {
    let now = gateway.books.now();
    let meters = |owned: &[OwnedMeter]| gateway.books.meters(owned.iter().map(|meter| &meter.id));
    let own = meters(&key.meters);
    KeyView {
        id: key.row.id.clone(),
        name: key.row.name.clone(),
        description: key.row.description.clone(),
        value: value.unwrap_or_else(|| key.row.value_hint.clone()),
        is_active: key.row.is_active,
        calendar_aligned: key.row.calendar_aligned,
        expires_at: key.row.expires_at.map(|moment| moment.to_string()),
        provider_configs: key
            .grants
            .iter()
            .map(|policy| grant_view(key, policy, &meters(&policy.meters), now))
            .collect(),
        budgets: budgets(&own, now),
        rate_limit: rate_limit(&own, now),
        created_at: key.row.created_at.to_string(),
        updated_at: key.row.updated_at.to_string(),
    }
}

fn grant_view(key: &VirtualKey, policy: &GrantPolicy, meters: &[(MeterId, Meter)], now: Moment) -> GrantView {
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
        budgets: budgets(meters, now),
        rate_limit: rate_limit(meters, now),
    }
}

fn budgets(meters: &[(MeterId, Meter)], now: Moment) -> Vec<BudgetView> {
    meters
        .iter()
        .filter(|(_, meter)| meter.measure == Measure::Usd)
        .map(|(id, meter)| BudgetView {
            id: id.id().to_owned(),
            max_limit: Usd::from_pico(meter.limit.raw()),
            reset_duration: meter.window.length.clone(),
            calendar_aligned: meter.window.length.is_on_calendar(),
            current_usage: Usd::from_pico(meter.used_at(now).raw()),
            last_reset: meter.window_at(now).start.to_string(),
        })
        .collect()
}

fn rate_limit(meters: &[(MeterId, Meter)], now: Moment) -> Option<RateLimitView> {
    let mut view = RateLimitView::default();
    for (id, meter) in meters {
        let (limit, used) = (meter.limit.raw(), meter.used_at(now).raw());
        let length = meter.window.length.clone();
        let last_reset = meter.window_at(now).start.to_string();
        match meter.measure {
            Measure::Usd => continue,
            Measure::Requests => {
                view.requests = Some(RequestsView {
                    request_max_limit: limit,
                    request_reset_duration: length,
                    request_current_usage: used,
                    request_last_reset: last_reset,
                });
            }
            Measure::Tokens => {
                view.tokens = Some(TokensView {
                    token_max_limit: limit,
                    token_reset_duration: length,
                    token_current_usage: used,
                    token_last_reset: last_reset,
                });
            }
        }
        id.id().clone_into(&mut view.id);
    }
    (!view.id.is_empty()).then_some(view)
}
