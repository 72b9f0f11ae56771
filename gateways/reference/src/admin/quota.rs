//! `/api/governance/virtual-keys/quota`: what a virtual key has left, for whoever holds it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::reply::{Reply, respond};
use super::views::{GrantView, LimitsView, grants};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::identity::{self, Presented};
use crate::policy::VirtualKey;
use crate::store::{Membership, OwnerKey};

/// What a virtual key has left.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Quota {
    virtual_key_name: String,
    is_active: bool,
    #[serde(flatten)]
    limits: LimitsView,
    provider_configs: Vec<GrantView>,
    model_configs: Vec<ModelQuota>,
    /// The key's team and customer, whose budgets others spend too.
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<SharedQuota>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<SharedQuota>,
}

/// What it has left for a model.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ModelQuota {
    model_name: String,
    provider: Option<Arc<str>>,
    #[serde(flatten)]
    limits: LimitsView,
}

/// What its team or customer has left.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct SharedQuota {
    name: String,
    #[serde(flatten)]
    limits: LimitsView,
}

/// Answers with the key's own credential, not the administrator's.
pub(super) async fn read(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Reply {
    Ok(respond(&quota(&gateway, &*key(&gateway, &headers)?)))
}

fn key(gateway: &Gateway, headers: &HeaderMap) -> Result<Arc<VirtualKey>, Problem> {
    match identity::presented(headers) {
        Presented::Conflict => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "virtual_key_conflict",
            "two different virtual keys in one request",
        )),
        Presented::None => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "virtual_key_required",
            format!("Missing virtual key. {}", identity::HOW_TO_BRING_ONE),
        )),
        Presented::Key(hash) => gateway.policy().keys.find(&hash).ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "virtual_key_not_found",
                "virtual key not found. The provided virtual key does not exist or has been revoked.",
            )
        }),
    }
}

fn quota(gateway: &Gateway, key: &VirtualKey) -> Quota {
    let (models, team, customer) = {
        let policy = gateway.policy();
        let levels = &policy.levels;
        let models: Vec<_> = levels.models_of_key(&key.row.id).cloned().collect();
        let team = key.row.membership.team_id().and_then(|id| levels.team(id)).cloned();
        let customer = match &key.row.membership {
            Membership::Customer(id) => levels.customer(id),
            _ => team.as_ref().and_then(|team| levels.customer(team.row.entity.customer_id.as_ref()?)),
        };
        (models, team, customer.cloned())
    };
    Quota {
        virtual_key_name: key.row.name.clone(),
        is_active: key.row.is_active,
        limits: LimitsView::of(gateway, &OwnerKey::VirtualKey(key.row.id.clone()), &key.meters),
        provider_configs: grants(gateway, key),
        model_configs: models
            .iter()
            .map(|model| ModelQuota {
                model_name: model.row.entity.model_name.clone(),
                provider: model.row.entity.provider.clone(),
                limits: LimitsView::of(gateway, &OwnerKey::Model(model.row.id.clone()), &model.meters),
            })
            .collect(),
        team: team.map(|team| SharedQuota {
            name: team.row.entity.name.clone(),
            limits: LimitsView::of(gateway, &OwnerKey::Team(team.row.id.clone()), &team.meters),
        }),
        customer: customer.map(|customer| SharedQuota {
            name: customer.row.entity.name.clone(),
            limits: LimitsView::of(gateway, &OwnerKey::Customer(customer.row.id.clone()), &customer.meters),
        }),
    }
}
