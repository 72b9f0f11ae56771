//! `/api/governance/providers`: budgets and limits of a provider, for whoever asks.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::asked::{InBody, InPath};
use super::auth::Authorized;
use super::bodies::ProviderBody;
use super::commit::commit;
use super::meter_edits::{MeterEdits, Place};
use super::reply::{Reply, change, done, missing, respond};
use super::views::LimitsView;
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::ledger::{Level, Meter, MeterId, Owner};
use crate::store::OwnerKey;

/// Budgets and limits of a provider, for whoever asks.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderLimits", deny_unknown_fields)]
struct ProviderView {
    provider: Arc<str>,
    #[serde(flatten)]
    limits: LimitsView,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Listed {
    providers: Vec<ProviderView>,
    count: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct One {
    provider: ProviderView,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Changed {
    message: &'static str,
    provider: ProviderView,
}

pub(super) async fn list(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    let names: Vec<Arc<str>> = gateway.providers().keys().cloned().collect();
    let providers: Vec<ProviderView> = names.into_iter().map(|name| view(&gateway, name)).collect();
    respond(&Listed { count: providers.len(), providers })
}

pub(super) async fn read(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(name): InPath<String>,
) -> Reply {
    let name = find(&gateway, &name)?;
    Ok(respond(&One { provider: view(&gateway, name) }))
}

pub(super) async fn update(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(name): InPath<String>,
    InBody(mut body): InBody<ProviderBody>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let name = find(&gateway, &name)?;
        let mut meters = gateway.policy().levels.provider(&name).to_vec();
        let ledger = |id: &MeterId| -> Option<Meter> { gateway.books.meter(id) };
        let mut edits = MeterEdits::default();
        let mut place = Place {
            key: OwnerKey::Provider(Arc::clone(&name)),
            owner: Owner { level: Level::Provider, entity: Arc::clone(&name) },
            calendar_aligned: false,
            meters: &mut meters,
        };
        edits.set(&mut place, body.take_meters()?, &ledger)?;
        commit(&gateway, &edits, Vec::new(), |policy| policy.levels.put_provider(Arc::clone(&name), meters)).await?;
        let message = "Provider governance updated successfully";
        Ok(respond(&Changed { message, provider: view(&gateway, name) }))
    })
    .await
}

pub(super) async fn delete(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(name): InPath<String>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let name = find(&gateway, &name)?;
        let mut edits = MeterEdits::default();
        edits.remove_all(&OwnerKey::Provider(Arc::clone(&name)), gateway.policy().levels.provider(&name));
        commit(&gateway, &edits, Vec::new(), |policy| policy.levels.put_provider(name, Vec::new())).await?;
        Ok(done("Provider governance deleted successfully"))
    })
    .await
}

fn view(gateway: &Gateway, name: Arc<str>) -> ProviderView {
    let meters = gateway.policy().levels.provider(&name).to_vec();
    let limits = LimitsView::of(gateway, &OwnerKey::Provider(Arc::clone(&name)), &meters);
    ProviderView { provider: name, limits }
}

fn find(gateway: &Gateway, name: &str) -> Result<Arc<str>, Problem> {
    let providers = gateway.providers();
    let known = providers.get_key_value(name).map(|(name, _)| Arc::clone(name));
    known.ok_or_else(|| missing("Provider not found"))
}
