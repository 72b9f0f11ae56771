//! Which wins at a start, `config.json` or the database.
//!
//! An entity of the file that changed since it was last read (its hash says so)
//! wins over the database; one that did not leaves the administrators' edits be, a
//! deletion among them. Entities made through the API stay. What has left the file
//! no longer counts (a key is not valid), but what was spent is kept for the day it
//! comes back. Usage is never touched.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::declared::{Declared, DeclaredEntity, DeclaredKey, DeclaredMeter};
use super::entities::{Customer, Entity, EntityRow, ModelConfig, Team};
use super::file_hash::FileHash;
use super::pairs::{self, SavedMeter};
use super::rows::{Change, HoldRow, KeyRow, Membership, MeterRow, OwnerKey, Saved, Standing, StoredKey};
use crate::clock::Moment;
use crate::grant::grants_json;
use crate::identity::{self, KeyHash};
use crate::ledger::{Amount, MeterId};
use crate::window::Window;

/// The configuration that holds from now on, and what has to be written for it.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) customers: Vec<EntityRow<Customer>>,
    pub(crate) teams: Vec<EntityRow<Team>>,
    pub(crate) models: Vec<EntityRow<ModelConfig>>,
    pub(crate) keys: Vec<StoredKey>,
    pub(crate) meters: Vec<MeterRow>,
    pub(crate) changes: Vec<Change>,
    /// Name and value of each key whose value was generated just now.
    pub(crate) generated: Vec<(String, String)>,
}

/// Two entities that cannot both be valid.
#[derive(Debug, thiserror::Error)]
#[error("the {noun} '{declared}' of config.json has the same {field} as '{saved}', which was made through the API")]
pub(crate) struct MergeError {
    noun: &'static str,
    declared: String,
    saved: String,
    field: &'static str,
}

/// Brings the file and the database together.
pub(crate) fn merge(declared: Declared, saved: Saved, now: Moment) -> Result<Merged, MergeError> {
    let mut merged = Merged::default();
    let mut won = HashSet::new();
    merged.customers = entities(declared.customers, saved.customers, now, &mut merged.changes, &mut won)?;
    merged.teams = entities(declared.teams, saved.teams, now, &mut merged.changes, &mut won)?;
    merged.models = entities(declared.models, saved.models, now, &mut merged.changes, &mut won)?;
    keys(declared.keys, saved.keys, now, &mut merged, &mut won)?;
    meters(declared.meters, recovered(saved.meters, &saved.holds, now), now, &won, &mut merged);
    Ok(merged)
}

/// Those whose entity of the file wins over what is stored: a budget or a limit that was
/// deleted with them, or from them, comes back.
type Won = HashSet<OwnerKey>;

/// Those that hold from now on.
fn entities<T: Entity>(
    declared: Vec<DeclaredEntity<T>>,
    saved: Vec<EntityRow<T>>,
    now: Moment,
    changes: &mut Vec<Change>,
    won: &mut Won,
) -> Result<Vec<EntityRow<T>>, MergeError> {
    let mut saved: HashMap<Arc<str>, EntityRow<T>> = saved.into_iter().map(|row| (Arc::clone(&row.id), row)).collect();
    let mut live = Vec::new();
    for declared in declared {
        let hash = entity_hash(&declared);
        let DeclaredEntity { id, entity, calendar_aligned } = declared;
        let row = match saved.remove(&id) {
            Some(row) if row.file_hash == Some(hash) && row.standing != Standing::Left => row,
            before => {
                won.extend(before.is_some().then(|| T::owner(Arc::clone(&id))));
                let created_at = before.map_or(now, |row| row.created_at);
                let file_hash = Some(hash);
                let row = EntityRow {
                    id,
                    entity,
                    calendar_aligned,
                    file_hash,
                    created_at,
                    updated_at: now,
                    standing: Standing::Live,
                };
                changes.push(T::put(row.clone()));
                row
            }
        };
        if row.standing == Standing::Live {
            live.push(row);
        }
    }
    let mut rest: Vec<EntityRow<T>> = saved.into_values().filter(|row| row.standing == Standing::Live).collect();
    rest.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let labels: HashSet<String> = live.iter().map(|row| row.entity.label()).collect();
    for mut row in rest {
        if row.file_hash.is_some() {
            row.standing = Standing::Left;
            changes.push(T::put(row));
            continue;
        }
        let label = row.entity.label();
        if labels.contains(&label) {
            return Err(MergeError { noun: T::NOUN, declared: label.clone(), saved: label, field: "name" });
        }
        live.push(row);
    }
    Ok(live)
}

fn keys(
    declared: Vec<DeclaredKey>,
    saved: Vec<StoredKey>,
    now: Moment,
    merged: &mut Merged,
    won: &mut Won,
) -> Result<(), MergeError> {
    // By their place: a map of the keys themselves would hold them twice while it is filled.
    let places: HashMap<Arc<str>, usize> =
        saved.iter().enumerate().map(|(place, key)| (Arc::clone(&key.row.id), place)).collect();
    let mut saved: Vec<Option<StoredKey>> = saved.into_iter().map(Some).collect();
    merged.keys.reserve_exact(declared.len());
    for key in declared {
        let hash = key_hash(&key);
        let before = places.get(&key.id).and_then(|place| saved.get_mut(*place)?.take());
        let key = match before {
            Some(key) if key.row.file_hash == Some(hash) && key.row.standing != Standing::Left => key,
            before => {
                if before.is_some() {
                    won.insert(OwnerKey::VirtualKey(Arc::clone(&key.id)));
                    won.extend(key.grants.iter().map(|grant| OwnerKey::Grant(Arc::clone(&grant.id))));
                }
                let key = stored_key(key, hash, before.map(|key| key.row), now, &mut merged.generated);
                merged.changes.push(Change::PutKey(key.clone()));
                key
            }
        };
        if key.row.standing == Standing::Live {
            merged.keys.push(key);
        }
    }
    let mut rest: Vec<StoredKey> =
        saved.into_iter().flatten().filter(|key| key.row.standing == Standing::Live).collect();
    rest.sort_by(|a, b| (a.row.created_at, &a.row.id).cmp(&(b.row.created_at, &b.row.id)));
    let mut kept = Vec::new();
    for mut key in rest {
        if key.row.file_hash.is_some() {
            key.row.standing = Standing::Left;
            merged.changes.push(Change::PutKey(key));
        } else {
            kept.push(key);
        }
    }
    check_clashes(&merged.keys, &kept)?;
    merged.keys.extend(kept);
    Ok(())
}

/// A key made through the API cannot have the name or the value of one of the file.
fn check_clashes(declared: &[StoredKey], kept: &[StoredKey]) -> Result<(), MergeError> {
    if kept.is_empty() {
        return Ok(());
    }
    let names: HashSet<&str> = declared.iter().map(|key| key.row.name.as_str()).collect();
    let values: HashMap<KeyHash, &str> =
        declared.iter().map(|key| (key.row.value_hash, key.row.name.as_str())).collect();
    for KeyRow { name, value_hash, .. } in kept.iter().map(|key| &key.row) {
        let same_name = names.get(name.as_str()).map(|other| ("name", *other));
        if let Some((field, other)) = same_name.or_else(|| values.get(value_hash).map(|other| ("value", *other))) {
            return Err(MergeError { noun: "virtual key", declared: other.to_owned(), saved: name.clone(), field });
        }
    }
    Ok(())
}

fn stored_key(
    key: DeclaredKey,
    file_hash: FileHash,
    before: Option<KeyRow>,
    now: Moment,
    generated: &mut Vec<(String, String)>,
) -> StoredKey {
    let retired_hash = before.as_ref().and_then(|before| before.retired_hash);
    let declared = key.value.as_deref().map(|value| (KeyHash::of(value), identity::hint(value)));
    // A value that was rotated away is not valid again because something else was edited.
    let declared = declared.filter(|(hash, _)| retired_hash != Some(*hash));
    let retired_hash = if declared.is_some() { None } else { retired_hash };
    let (value_hash, value_hint) = match (declared, &before) {
        (Some(declared), _) => declared,
        // The generated value of an earlier start stays valid.
        (None, Some(before)) => (before.value_hash, before.value_hint.clone()),
        (None, None) => {
            let value = identity::generate();
            generated.push((key.name.clone(), value.clone()));
            (KeyHash::of(&value), identity::hint(&value))
        }
    };
    let row = KeyRow {
        id: key.id,
        name: key.name,
        description: key.description,
        is_active: key.is_active,
        value_hash,
        value_hint,
        membership: key.membership,
        calendar_aligned: key.calendar_aligned,
        expires_at: key.expires_at,
        retired_hash,
        file_hash: Some(file_hash),
        created_at: before.map_or(now, |row| row.created_at),
        updated_at: now,
        standing: Standing::Live,
    };
    StoredKey { row, grants: key.grants }
}

fn meters(declared: Vec<DeclaredMeter>, saved: Vec<SavedMeter>, now: Moment, won: &Won, merged: &mut Merged) {
    let (pairs, mut rest) = pairs::of(declared, saved);
    merged.meters.reserve_exact(pairs.len());
    for (meter, before) in pairs {
        let before = before.and_then(|at| rest.take(at));
        let hash = meter_hash(&meter);
        let renamed = before.as_ref().map(|(row, _)| row.id.clone()).filter(|old| *old != meter.id);
        let is_renamed = renamed.is_some();
        merged.changes.extend(renamed.map(Change::DeleteMeter));
        let stays = |row: &MeterRow| match row.standing {
            Standing::Live => true,
            Standing::Left => false,
            Standing::Deleted => !won.contains(&row.owner),
        };
        let (row, changed) = match before {
            Some((row, charged)) if !is_renamed && row.file_hash == Some(hash) && stays(&row) => (row, charged),
            before => (meter_row(meter, hash, before.map(|(row, _)| row), now), true),
        };
        if changed {
            merged.changes.push(Change::PutMeter(row.clone()));
        }
        if row.standing == Standing::Live {
            merged.meters.push(row);
        }
    }
    for (mut row, mut changed) in rest.into_iter() {
        if row.file_hash.is_some() && row.standing == Standing::Live {
            row.standing = Standing::Left;
            changed = true;
        }
        if changed {
            merged.changes.push(Change::PutMeter(row.clone()));
        }
        if row.standing == Standing::Live {
            merged.meters.push(row);
        }
    }
}

fn meter_row(meter: DeclaredMeter, hash: FileHash, before: Option<MeterRow>, now: Moment) -> MeterRow {
    let window = |row: &MeterRow| Window { start: row.window_start, length: row.reset_duration.clone() };
    let (used, window) = match before.filter(|row| !window(row).has_ended(now)) {
        // As for an edit through the API: what was used in a window that goes on stays.
        Some(row) => (row.used, window(&row).edited(meter.reset_duration, now)),
        None => (Amount::ZERO, Window::beginning(meter.reset_duration, now)),
    };
    MeterRow {
        id: meter.id,
        owner: meter.owner,
        limit: meter.limit,
        reset_duration: window.length,
        used,
        window_start: window.start,
        file_hash: Some(hash),
        standing: Standing::Live,
    }
}

/// The meters with every leftover hold counted as spent now, and whether each changed.
/// A window that begins in the future (the clock was set back) begins now.
fn recovered(meters: Vec<MeterRow>, holds: &[HoldRow], now: Moment) -> Vec<SavedMeter> {
    let mut extra: HashMap<&MeterId, Amount> = HashMap::new();
    for hold in holds {
        for id in hold.meters.iter() {
            let amount = crate::ledger::Spent { cost: hold.cost, tokens: hold.tokens }.amount(id.measure());
            let sum = extra.entry(id).or_default();
            *sum = sum.plus(amount);
        }
    }
    meters
        .into_iter()
        .map(|mut row| {
            let ahead = row.window_start > now;
            if ahead {
                row.window_start = now;
            }
            let lost = extra.get(&row.id).copied().unwrap_or_default();
            let window = Window { start: row.window_start, length: row.reset_duration.clone() };
            if lost > Amount::ZERO && window.has_ended(now) {
                row.used = Amount::ZERO;
                row.window_start = Window::beginning(window.length, now).start;
            }
            row.used = row.used.plus(lost);
            (row, ahead || lost > Amount::ZERO)
        })
        .collect()
}

fn entity_hash<T: Entity>(declared: &DeclaredEntity<T>) -> FileHash {
    let mut parts = declared.entity.parts();
    // What was added to the file's language later counts only where it is said.
    parts.extend(declared.calendar_aligned.then_some("calendar"));
    FileHash::of(&parts)
}

fn key_hash(key: &DeclaredKey) -> FileHash {
    let value = key.value.as_deref().map_or_else(String::new, |value| KeyHash::of(value).to_hex());
    let active = if key.is_active { "active" } else { "inactive" };
    let grants = grants_json(&key.grants);
    let mut parts = vec![key.name.as_str(), &key.description, active, &value, &grants];
    match &key.membership {
        Membership::None => {}
        Membership::Team(id) => parts.extend(["team", id]),
        Membership::Customer(id) => parts.extend(["customer", id]),
    }
    parts.extend(key.calendar_aligned.then_some("calendar"));
    let expiry = key.expires_at.map(|moment| moment.to_string());
    parts.extend(expiry.as_deref());
    FileHash::of(&parts)
}

fn meter_hash(meter: &DeclaredMeter) -> FileHash {
    let (level, owner) = meter.owner.parts();
    let limit = meter.limit.raw().to_string();
    let mut parts = vec![level, owner, &limit, meter.reset_duration.text()];
    parts.extend(meter.reset_duration.is_on_calendar().then_some("calendar"));
    FileHash::of(&parts)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
