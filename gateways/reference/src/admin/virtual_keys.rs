//! `/api/governance/virtual-keys`: create, read with usage, edit, delete.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::Authorized;
use super::edit::MeterEdits;
use super::reply::{conflict, filter, invalid, missing, not_written, parse, refuse, respond, to_the_end};
use super::shapes::{CreateKey, KeyView, UpdateKey, view};
use crate::clock::Moment;
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::identity::{self, KeyHash};
use crate::ledger::{Ledger, MeterId};
use crate::policy::VirtualKey;
use crate::store::{Change, KeyRow, Membership, Standing, StoredKey};
use crate::window::ResetDuration;

#[derive(Serialize)]
struct Listed {
    virtual_keys: Vec<KeyView>,
    count: usize,
    total_count: usize,
    limit: usize,
    offset: usize,
}

#[derive(Serialize)]
struct One {
    virtual_key: KeyView,
}

#[derive(Serialize)]
pub(super) struct Changed {
    pub(super) message: &'static str,
    pub(super) virtual_key: KeyView,
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    limit: Option<usize>,
    offset: Option<usize>,
    search: Option<String>,
}

pub(super) async fn list(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    RawQuery(query): RawQuery,
) -> Response {
    let filter: Filter = match filter(query.as_deref()) {
        Ok(filter) => filter,
        Err(problem) => return refuse(&problem),
    };
    let search = filter.search.unwrap_or_default().to_lowercase();
    let keys: Vec<Arc<VirtualKey>> = {
        let policy = gateway.policy();
        policy.keys.all().filter(|key| key.row.name.to_lowercase().contains(&search)).cloned().collect()
    };
    let offset = filter.offset.unwrap_or(0);
    let limit = filter.limit.unwrap_or(keys.len());
    let page = keys.iter().skip(offset).take(limit);
    let virtual_keys: Vec<KeyView> = page.map(|key| view(&gateway, key, None)).collect();
    let count = virtual_keys.len();
    respond(&Listed { virtual_keys, count, total_count: keys.len(), limit, offset })
}

pub(super) async fn read(_admin: Authorized, State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    match find(&gateway, &id) {
        Ok(key) => respond(&One { virtual_key: view(&gateway, &key, None) }),
        Err(problem) => refuse(&problem),
    }
}

pub(super) async fn create(_admin: Authorized, State(gateway): State<Arc<Gateway>>, body: Bytes) -> Response {
    to_the_end(async move {
        let _one_at_a_time = gateway.editing.lock().await;
        let body: CreateKey = parse(&body)?;
        check_name(&gateway, &body.name, None)?;
        let value = identity::generate();
        let now = gateway.books.now();
        let row = KeyRow {
            id: Uuid::new_v4().to_string().into(),
            name: body.name,
            description: body.description.unwrap_or_default(),
            is_active: body.is_active.unwrap_or(true),
            value_hash: KeyHash::of(&value),
            value_hint: identity::hint(&value),
            membership: Membership::None,
            calendar_aligned: body.calendar_aligned,
            expires_at: body.expires_at.map_or(Ok(None), |text| expiry(&text, now))?,
            retired_hash: None,
            file_hash: None,
            created_at: now,
            updated_at: now,
            standing: Standing::Live,
        };
        let mut key = VirtualKey { row, grants: Vec::new(), meters: Vec::new() };
        let mut edits = MeterEdits::default();
        edits.key_meters(&mut key, Some(body.budgets), body.rate_limit, |_| None)?;
        edits.grants(&mut key, body.provider_configs, &gateway.providers(), |_| None)?;
        let key = save(&gateway, key, edits).await?;
        let virtual_key = view(&gateway, &key, Some(value));
        Ok(respond(&Changed { message: "Virtual key created successfully", virtual_key }))
    })
    .await
}

pub(super) async fn update(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    to_the_end(async move {
        let _one_at_a_time = gateway.editing.lock().await;
        let mut key = VirtualKey::clone(&*find(&gateway, &id)?);
        let body: UpdateKey = parse(&body)?;
        let lengths = |id: &MeterId| -> Option<ResetDuration> {
            gateway.books.meters([id]).pop().map(|(_, meter)| meter.window.length)
        };
        let mut edits = MeterEdits::default();
        let is_renamed = body.name.as_ref().is_some_and(|name| *name != key.row.name);
        if let Some(name) = body.name {
            check_name(&gateway, &name, Some(&key.row.id))?;
            key.row.name = name;
        }
        key.row.description = body.description.unwrap_or(key.row.description);
        key.row.is_active = body.is_active.unwrap_or(key.row.is_active);
        if let Some(text) = body.expires_at {
            key.row.expires_at = expiry(&text, gateway.books.now())?;
        }
        let aligned = body.calendar_aligned.filter(|aligned| *aligned != key.row.calendar_aligned);
        key.row.calendar_aligned = aligned.unwrap_or(key.row.calendar_aligned);
        edits.key_meters(&mut key, body.budgets, body.rate_limit, lengths)?;
        if let Some(grants) = body.provider_configs {
            edits.grants(&mut key, grants, &gateway.providers(), lengths)?;
        }
        if is_renamed || aligned.is_some() {
            let ids = key.grants.iter().flat_map(|policy| &policy.meters).chain(&key.meters);
            let meters = gateway.books.meters(ids.map(|meter| &meter.id));
            edits.rest(&key, &meters, aligned)?;
        }
        key.row.updated_at = gateway.books.now();
        let key = save(&gateway, key, edits).await?;
        let virtual_key = view(&gateway, &key, None);
        Ok(respond(&Changed { message: "Virtual key updated successfully", virtual_key }))
    })
    .await
}

pub(super) async fn delete(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Response {
    to_the_end(async move {
        let _one_at_a_time = gateway.editing.lock().await;
        let key = find(&gateway, &id)?;
        let edits = MeterEdits::remove_all(&key);
        let now = gateway.books.now();
        let row = match key.row.file_hash {
            // Of the file: its next start must not bring it back.
            Some(_) => Change::PutKey(stored(&key, Standing::Deleted)),
            None => Change::DeleteKey(key.row.id.clone()),
        };
        let changes = |ledger: &Ledger| {
            let mut changes = edits.changes(ledger, now);
            changes.push(row);
            changes
        };
        let written = gateway.books.write(changes).await;
        written.map_err(not_written)?;
        let mut policy = gateway.policy_mut();
        policy.keys.remove(&key.row.id);
        gateway.books.apply(|ledger| edits.apply(ledger, now));
        drop(policy);
        Ok(respond(&Message { message: "Virtual key deleted successfully" }))
    })
    .await
}

/// Writes the key and its meters, and only then lets requests see them.
async fn save(gateway: &Gateway, key: VirtualKey, edits: MeterEdits) -> Result<Arc<VirtualKey>, Problem> {
    let now = gateway.books.now();
    let row = stored(&key, Standing::Live);
    let changes = |ledger: &Ledger| {
        let mut changes = edits.changes(ledger, now);
        changes.push(Change::PutKey(row));
        changes
    };
    gateway.books.write(changes).await.map_err(not_written)?;
    // Requests are admitted under the same lock: none finds the key without its meters.
    let mut policy = gateway.policy_mut();
    gateway.books.apply(|ledger| edits.apply(ledger, now));
    let id = key.row.id.clone();
    policy.keys.put(key);
    drop(policy);
    find(gateway, &id)
}

/// The key as it is written.
pub(super) fn stored(key: &VirtualKey, standing: Standing) -> StoredKey {
    let grants = key.grants.iter().map(|policy| policy.grant.clone()).collect();
    StoredKey { row: KeyRow { standing, ..key.row.clone() }, grants }
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
