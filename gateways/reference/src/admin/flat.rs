//! `/api/governance/budgets` and `/rate-limits`: all of them, whoever owns them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::auth::Authorized;
use super::reply::respond;
use super::views::{BudgetView, LimitsView, RateLimitView};
use crate::gateway::Gateway;
use crate::policy::{OwnedMeter, Policy};
use crate::store::OwnerKey;

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Budgets {
    budgets: Vec<BudgetView>,
    count: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct RateLimits {
    rate_limits: Vec<RateLimitView>,
    count: usize,
}

pub(super) async fn budgets(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    let budgets: Vec<BudgetView> = all(&gateway).flat_map(|limits| limits.into_lists().0).collect();
    respond(&Budgets { count: budgets.len(), budgets })
}

pub(super) async fn rate_limits(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    let rate_limits: Vec<RateLimitView> = all(&gateway).flat_map(|limits| limits.into_lists().1).collect();
    respond(&RateLimits { count: rate_limits.len(), rate_limits })
}

fn all(gateway: &Gateway) -> impl Iterator<Item = LimitsView> {
    let owners = owners(&gateway.policy());
    owners.into_iter().map(|(owner, meters)| LimitsView::of(gateway, &owner, &meters))
}

/// Everyone who has budgets or limits, from the widest.
fn owners(policy: &Policy) -> Vec<(OwnerKey, Vec<OwnedMeter>)> {
    let levels = &policy.levels;
    let customers = levels.customers().map(|one| (OwnerKey::Customer(one.row.id.clone()), one.meters.clone()));
    let teams = levels.teams().map(|one| (OwnerKey::Team(one.row.id.clone()), one.meters.clone()));
    let keys = policy.keys.all().flat_map(|key| {
        let own = (OwnerKey::VirtualKey(key.row.id.clone()), key.meters.clone());
        let grants = key.grants.iter().map(|one| (OwnerKey::Grant(one.grant.id.clone()), one.meters.clone()));
        std::iter::once(own).chain(grants)
    });
    let providers = levels.providers().map(|(name, meters)| (OwnerKey::Provider(name.clone()), meters.to_vec()));
    let models = levels.models().map(|one| (OwnerKey::Model(one.row.id.clone()), one.meters.clone()));
    let all = customers.chain(teams).chain(keys).chain(providers).chain(models);
    all.filter(|(_, meters)| !meters.is_empty()).collect()
}
