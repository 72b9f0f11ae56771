//! `/api/governance/virtual-keys`: create, read with usage, edit, delete.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::asked::{InBody, InPath, InQuery};
use super::auth::Authorized;
use super::bodies::KeyBody;
use super::commit::commit;
use super::entities;
use super::meter_edits::{MeterEdits, Place};
use super::reply::{Counts, Page, Reply, change, conflict, done, invalid, missing, respond};
use super::views::{KeyView, key_view};
use crate::clock::Moment;
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::identity::{self, KeyHash};
use crate::ledger::{Meter, MeterId};
use crate::policy::{Policy, VirtualKey};
use crate::store::{Change, KeyRow, Membership, OwnerKey, Standing, StoredKey};

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Listed {
    virtual_keys: Vec<KeyView>,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct One {
    virtual_key: KeyView,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Changed {
    pub(super) message: &'static str,
    pub(super) virtual_key: KeyView,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    limit: Option<usize>,
    offset: Option<usize>,
    search: Option<String>,
    team_id: Option<String>,
    customer_id: Option<String>,
}

pub(super) async fn list(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InQuery(filter): InQuery<Filter>,
) -> Response {
    let search = filter.search.unwrap_or_default().to_lowercase();
    let keys: Vec<Arc<VirtualKey>> = {
        let policy = gateway.policy();
        let is_wanted = |key: &&Arc<VirtualKey>| {
            let (team, customer) = (key.row.membership.team_id(), key.row.membership.customer_id());
            filter.team_id.as_deref().is_none_or(|id| team.map(AsRef::as_ref) == Some(id))
                && filter.customer_id.as_deref().is_none_or(|id| customer.map(AsRef::as_ref) == Some(id))
                && key.row.name.to_lowercase().contains(&search)
        };
        policy.keys.all().filter(is_wanted).cloned().collect()
    };
    let Page { items, counts } = Page::of(keys, filter.limit, filter.offset);
    let virtual_keys = items.iter().map(|key| key_view(&gateway, key, None)).collect();
    respond(&Listed { virtual_keys, counts })
}

pub(super) async fn read(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InPath(id): InPath<String>) -> Reply {
    let key = find(&gateway, &id)?;
    Ok(respond(&One { virtual_key: key_view(&gateway, &key, None) }))
}

pub(super) async fn create(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InBody(mut body): InBody<KeyBody>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let name = body.name.take().unwrap_or_default();
        check_name(&gateway, &name, None)?;
        let value = identity::generate();
        let now = gateway.books.now();
        let row = KeyRow {
            id: Uuid::new_v4().to_string().into(),
            name,
            description: String::new(),
            is_active: true,
            value_hash: KeyHash::of(&value),
            value_hint: identity::hint(&value),
            membership: Membership::None,
            calendar_aligned: false,
            expires_at: None,
            retired_hash: None,
            file_hash: None,
            created_at: now,
            updated_at: now,
            standing: Standing::Live,
        };
        let key =
            edit(&gateway, VirtualKey { row: Arc::new(row), grants: Vec::new(), meters: Vec::new() }, body).await?;
        let virtual_key = key_view(&gateway, &key, Some(value));
        Ok(respond(&Changed { message: "Virtual key created successfully", virtual_key }))
    })
    .await
}

pub(super) async fn update(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(id): InPath<String>,
    InBody(body): InBody<KeyBody>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let key = VirtualKey::clone(&*find(&gateway, &id)?);
        let key = edit(&gateway, key, body).await?;
        let virtual_key = key_view(&gateway, &key, None);
        Ok(respond(&Changed { message: "Virtual key updated successfully", virtual_key }))
    })
    .await
}

pub(super) async fn delete(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(id): InPath<String>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let key = find(&gateway, &id)?;
        let mut edits = MeterEdits::default();
        edits.remove_key(&key);
        let mut rows = vec![match key.row.file_hash {
            // Of the file: its next start must not bring it back.
            Some(_) => Change::PutKey(stored(&key, Standing::Deleted)),
            None => Change::DeleteKey(key.row.id.clone()),
        }];
        let models: Vec<_> = gateway.policy().levels.models_of_key(&key.row.id).cloned().collect();
        for model in &models {
            edits.remove_all(&OwnerKey::Model(model.row.id.clone()), &model.meters);
            rows.push(entities::removal(&model.row));
        }
        let apply = |policy: &mut Policy| {
            policy.keys.remove(&key.row.id);
            models.iter().for_each(|model| policy.levels.remove_model(&model.row.id));
        };
        commit(&gateway, &edits, rows, apply).await?;
        Ok(done("Virtual key deleted successfully"))
    })
    .await
}

/// Changes what the body names, writes it, and only then lets requests see it.
async fn edit(gateway: &Gateway, mut key: VirtualKey, mut body: KeyBody) -> Result<Arc<VirtualKey>, Problem> {
    let ledger = |id: &MeterId| -> Option<Meter> { gateway.books.meter(id) };
    let mut edits = MeterEdits::default();
    let meters = body.take_meters()?;
    let is_renamed = body.name.as_ref().is_some_and(|name| *name != key.row.name);
    let aligned = body.calendar_aligned.filter(|aligned| *aligned != key.row.calendar_aligned);
    let grants = body.provider_configs.take();
    edit_row(gateway, Arc::make_mut(&mut key.row), body)?;
    edits.key_meters(&mut key, meters, &ledger)?;
    if let Some(grants) = grants {
        edits.grants(&mut key, grants, &gateway.providers(), &ledger)?;
    }
    if is_renamed || aligned.is_some() {
        edits.rest_of_key(&mut key, aligned, &ledger)?;
    }
    if is_renamed {
        rename_models(gateway, &key, &mut edits)?;
    }
    let id = key.row.id.clone();
    let rows = vec![Change::PutKey(stored(&key, Standing::Live))];
    commit(gateway, &edits, rows, |policy| policy.keys.put(key)).await?;
    find(gateway, &id)
}

fn edit_row(gateway: &Gateway, row: &mut KeyRow, body: KeyBody) -> Result<(), Problem> {
    let now = gateway.books.now();
    if let Some(name) = body.name {
        check_name(gateway, &name, Some(&row.id))?;
        row.name = name;
    }
    if let Some(description) = body.description {
        row.description = description;
    }
    row.is_active = body.is_active.unwrap_or(row.is_active);
    if let Some(text) = body.expires_at {
        row.expires_at = expiry(&text, now)?;
    }
    row.calendar_aligned = body.calendar_aligned.unwrap_or(row.calendar_aligned);
    let team = body.team_id.as_ref().map(Option::as_deref);
    let customer = body.customer_id.as_ref().map(Option::as_deref);
    row.membership = membership(gateway, &row.membership, team, customer)?;
    row.updated_at = now;
    Ok(())
}

/// The key's team or customer as the body says: one that is null is left, one that is named
/// takes the place of the other.
fn membership(
    gateway: &Gateway,
    now: &Membership,
    team: Option<Option<&str>>,
    customer: Option<Option<&str>>,
) -> Result<Membership, Problem> {
    let policy = gateway.policy();
    match (team, customer) {
        (Some(Some(_)), Some(Some(_))) => Err(invalid("VirtualKey cannot be attached to both Team and Customer")),
        (Some(Some(id)), _) => {
            let team = policy.levels.team(id).ok_or_else(|| invalid(format!("there is no team '{id}'")))?;
            Ok(Membership::Team(team.row.id.clone()))
        }
        (_, Some(Some(id))) => {
            let customer = policy.levels.customer(id);
            let customer = customer.ok_or_else(|| invalid(format!("there is no customer '{id}'")))?;
            Ok(Membership::Customer(customer.row.id.clone()))
        }
        (team, customer) => Ok(match now {
            Membership::Team(_) if team.is_some() => Membership::None,
            Membership::Customer(_) if customer.is_some() => Membership::None,
            other => other.clone(),
        }),
    }
}

/// Refusals by limits of the key's models show its new name.
fn rename_models(gateway: &Gateway, key: &VirtualKey, edits: &mut MeterEdits) -> Result<(), Problem> {
    let models: Vec<_> = gateway.policy().levels.models_of_key(&key.row.id).cloned().collect();
    for model in models {
        let place = Place {
            key: OwnerKey::Model(model.row.id.clone()),
            owner: model.owner(Some(&key.row.name)),
            calendar_aligned: model.row.calendar_aligned,
            meters: &mut model.meters.clone(),
        };
        edits.rest(&place, None, &|id: &MeterId| gateway.books.meter(id))?;
    }
    Ok(())
}

/// The key as it is written.
pub(super) fn stored(key: &VirtualKey, standing: Standing) -> StoredKey {
    let grants = key.grants.iter().map(|policy| policy.grant.clone()).collect();
    StoredKey { row: Arc::new(KeyRow { standing, ..KeyRow::clone(&key.row) }), grants }
}

/// When a key expires. An empty text: never.
fn expiry(text: &str, now: Moment) -> Result<Option<Moment>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let moment = Moment::parse(text).filter(|moment| *moment > now);
    let problem = || invalid(format!("expires_at must be a time to come, like 2027-01-31T00:00:00Z: {text}"));
    moment.map(Some).ok_or_else(problem)
}

fn check_name(gateway: &Gateway, name: &str, own_id: Option<&str>) -> Result<(), Problem> {
    if name.trim().is_empty() {
        return Err(invalid("Virtual key name is required"));
    }
    let policy = gateway.policy();
    if policy.keys.all().any(|key| key.row.name == name && Some(key.row.id.as_ref()) != own_id) {
        return Err(conflict("A virtual key with this name already exists"));
    }
    Ok(())
}

pub(super) fn find(gateway: &Gateway, id: &str) -> Result<Arc<VirtualKey>, Problem> {
    gateway.policy().keys.get(id).ok_or_else(|| missing("Virtual key not found"))
}
