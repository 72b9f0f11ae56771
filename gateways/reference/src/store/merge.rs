//! Which wins at a start, `config.json` or the database.
//!
//! An entity of the file that changed since it was last read (its hash says so)
//! wins over the database; one that did not leaves the administrators' edits be, a
//! deletion among them. Entities made through the API stay. What has left the file
//! no longer counts (a key is not valid), but what was spent is kept for the day it
//! comes back. Usage is never touched.

use std::hash::Hash;
use std::sync::Arc;

use super::IsKnown;
use super::declared::{DeclaredEntity, DeclaredKey, Hashed};
use super::entities::{Customer, Entity, EntityRow, ModelConfig, Team};
use super::file_hash::FileHash;
use super::noted::{Noted, NotedMeter};
use super::rows::{Change, KeyRow, MeterRow, OwnerKey, Saved, Standing, StoredKey};
use super::used::{Used, Won};
use crate::clock::Moment;
use crate::identity::{self, KeyHash, KeyValue};
use crate::maps::{Map, Set};

/// The configuration that holds from now on, and what has to be written for it.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) customers: Vec<EntityRow<Customer>>,
    pub(crate) teams: Vec<EntityRow<Team>>,
    pub(crate) models: Vec<EntityRow<ModelConfig>>,
    /// Also those that do not count.
    pub(crate) keys: Vec<Noted<StoredKey>>,
    /// Also those that do not count.
    pub(crate) meters: Vec<NotedMeter>,
    /// What has to be written beside the keys and meters that have changed.
    pub(crate) changes: Vec<Change>,
    /// Name and value of each key whose value was generated just now.
    pub(crate) generated: Vec<(String, String)>,
}

/// Two entities that cannot both be valid.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {noun} '{declared}' of config.json has the same {field} as '{saved}', which was made or edited through the API"
)]
pub(crate) struct MergeError {
    noun: &'static str,
    /// Which of its section the one of the file is.
    place: usize,
    declared: String,
    saved: String,
    field: &'static str,
}

impl MergeError {
    /// Where the one of the file stands in it.
    pub(crate) fn at(&self) -> String {
        let section = match self.noun {
            Customer::NOUN => "customers",
            Team::NOUN => "teams",
            ModelConfig::NOUN => "model_configs",
            _ => "virtual_keys",
        };
        format!("governance.{section}[{}]", self.place)
    }
}

/// Brings the file and the database together. `meters` reads the stored ones but for those that
/// it is told are known already.
pub(crate) fn merge<E: From<MergeError>>(
    Hashed { declared, key_hashes }: Hashed,
    saved: Saved,
    meters: impl FnOnce(IsKnown<'_>) -> Result<Vec<MeterRow>, E>,
    now: Moment,
) -> Result<Merged, E> {
    let mut merged = Merged::default();
    let mut won: Won = declared.back.iter().map(|name| OwnerKey::Provider(name.as_str().into())).collect();
    merged.customers = entities(declared.customers, saved.customers, now, &mut merged.changes, &mut won)?;
    merged.teams = entities(declared.teams, saved.teams, now, &mut merged.changes, &mut won)?;
    let is_deleted = |key: &&StoredKey| key.row.standing == Standing::Deleted;
    let mut back: Set<Arc<str>> = saved.keys.iter().filter(is_deleted).map(|key| Arc::clone(&key.row.id)).collect();
    keys(declared.keys.into_iter().zip(key_hashes), saved.keys, now, &mut merged, &mut won)?;
    back.retain(|id| won.contains(&OwnerKey::VirtualKey(Arc::clone(id))));
    let models = brought_back(saved.models, &back);
    merged.models = entities(declared.models, models, now, &mut merged.changes, &mut won)?;
    let mut used = Used::of(declared.meters, &saved.holds, now);
    let stored = meters(&mut |stored| used.take(stored))?;
    merged.meters = used.finish(stored, &won, &mut merged.changes);
    Ok(merged)
}

/// The model configurations as they are stored, but that those of a key which the file brings back
/// have only left where they were deleted, so that they come back with it. Whether one was deleted
/// with its key or before is not stored: the key is as the file says again, and so are its caps.
fn brought_back(mut models: Vec<EntityRow<ModelConfig>>, keys: &Set<Arc<str>>) -> Vec<EntityRow<ModelConfig>> {
    for row in models.iter_mut().filter(|row| row.standing == Standing::Deleted) {
        if row.entity.virtual_key_id.as_ref().is_some_and(|id| keys.contains(id)) {
            row.standing = Standing::Left;
        }
    }
    models
}

/// Those that hold from now on.
fn entities<T: Entity>(
    declared: Vec<DeclaredEntity<T>>,
    saved: Vec<EntityRow<T>>,
    now: Moment,
    changes: &mut Vec<Change>,
    won: &mut Won,
) -> Result<Vec<EntityRow<T>>, MergeError> {
    let mut saved: Map<Arc<str>, EntityRow<T>> = saved.into_iter().map(|row| (Arc::clone(&row.id), row)).collect();
    // Each with its place in the file, if the file says something new of it.
    let mut live: Vec<(Option<usize>, EntityRow<T>)> = Vec::new();
    for (place, declared) in declared.into_iter().enumerate() {
        let hash = entity_hash(&declared);
        let DeclaredEntity { id, entity, calendar_aligned } = declared;
        let (new, row) = match saved.remove(&id) {
            Some(row) if row.file_hash == Some(hash) && row.standing != Standing::Left => (None, row),
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
                (Some(place), row)
            }
        };
        if row.standing == Standing::Live {
            live.push((new, row));
        }
    }
    let mut rest: Vec<EntityRow<T>> = saved.into_values().filter(|row| row.standing == Standing::Live).collect();
    rest.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    for mut row in rest {
        if row.file_hash.is_some() {
            row.standing = Standing::Left;
            changes.push(T::put(row));
        } else {
            live.push((None, row));
        }
    }
    check_labels(&live)?;
    Ok(live.into_iter().map(|(_, row)| row).collect())
}

/// What the file says anew cannot be called as one is that an administrator made or renamed.
fn check_labels<T: Entity>(live: &[(Option<usize>, EntityRow<T>)]) -> Result<(), MergeError> {
    let all = live.iter().map(|(new, row)| (*new, &row.entity));
    let Some((place, declared, saved)) = newcomer(all, T::unique) else { return Ok(()) };
    let (declared, saved) = (declared.label(), saved.label());
    Err(MergeError { noun: T::NOUN, place, declared, saved, field: "name" })
}

/// Of `all`, the new ones with their places in the file: the first that shares what no two may
/// with one that is not new, and that one.
fn newcomer<'a, T, K: Eq + Hash>(
    all: impl Iterator<Item = (Option<usize>, &'a T)> + Clone,
    of: impl Fn(&'a T) -> K,
) -> Option<(usize, &'a T, &'a T)> {
    let mut new = all.clone().filter_map(|(new, one)| Some((new?, one))).peekable();
    new.peek()?;
    let stored: Map<K, &T> = all.filter(|(new, _)| new.is_none()).map(|(_, one)| (of(one), one)).collect();
    new.find_map(|(place, one)| Some((place, one, *stored.get(&of(one))?)))
}

fn keys(
    declared: impl ExactSizeIterator<Item = (DeclaredKey, FileHash)>,
    saved: Vec<StoredKey>,
    now: Moment,
    merged: &mut Merged,
    won: &mut Won,
) -> Result<(), MergeError> {
    // By their place: a map of the keys themselves would hold them twice while it is filled.
    let places: Map<Arc<str>, usize> =
        saved.iter().enumerate().map(|(place, key)| (Arc::clone(&key.row.id), place)).collect();
    let mut saved: Vec<Option<StoredKey>> = saved.into_iter().map(Some).collect();
    merged.keys.reserve_exact(declared.len());
    for (key, hash) in declared {
        let before = places.get(&key.id).and_then(|place| saved.get_mut(*place)?.take());
        merged.keys.push(match before {
            Some(key) if key.row.file_hash == Some(hash) && key.row.standing != Standing::Left => Noted::same(key),
            before => {
                if before.is_some() {
                    won.insert(OwnerKey::VirtualKey(Arc::clone(&key.id)));
                    won.extend(key.grants.iter().map(|grant| OwnerKey::Grant(Arc::clone(&grant.id))));
                }
                Noted::new(stored_key(key, hash, before.as_ref().map(|key| &*key.row), now, &mut merged.generated))
            }
        });
    }
    let mut rest: Vec<StoredKey> =
        saved.into_iter().flatten().filter(|key| key.row.standing == Standing::Live).collect();
    rest.sort_by(|a, b| (a.row.created_at, &a.row.id).cmp(&(b.row.created_at, &b.row.id)));
    let rest = rest.into_iter().map(|mut key| {
        let has_left = key.row.file_hash.is_some();
        if has_left {
            Arc::make_mut(&mut key.row).standing = Standing::Left;
        }
        Noted { row: key, has_changed: has_left }
    });
    merged.keys.extend(rest);
    // Those of the file come first, as they stand in it.
    check_clashes(&merged.keys)
}

/// No two keys have one name or one value: an administrator may have made one like that of the
/// file, or given one of the file what the file gives another.
fn check_clashes(keys: &[Noted<StoredKey>]) -> Result<(), MergeError> {
    // Two names that were both stored before are told apart by their ids, as they were.
    let rows = live(keys).map(|(place, key)| (key.has_changed.then_some(place), key.row.row.as_ref()));
    let same_name = newcomer(rows, |row| row.name.as_str()).map(|pair| (pair, "name"));
    let shared = same_name.or_else(|| Some((same_value(keys)?, "value")));
    let Some(((place, declared, saved), field)) = shared else { return Ok(()) };
    let (declared, saved) = (declared.name.clone(), saved.name.clone());
    Err(MergeError { noun: "virtual key", place, declared, saved, field })
}

/// Two keys with one value: the newer one with its place, and the other.
fn same_value(keys: &[Noted<StoredKey>]) -> Option<(usize, &KeyRow, &KeyRow)> {
    let mut known: Map<KeyHash, &KeyRow> = Map::with_capacity_and_hasher(keys.len(), Default::default());
    let of = |is_new| live(keys).rev().filter(move |(_, key)| key.has_changed == is_new);
    // Those that were stored come first: what they clash with is newer.
    of(false).chain(of(true)).find_map(|(place, key)| {
        let row = key.row.row.as_ref();
        known.insert(row.value_hash, row).map(|saved| (place, row, saved))
    })
}

/// Those that count, with their places.
fn live(keys: &[Noted<StoredKey>]) -> impl DoubleEndedIterator<Item = (usize, &Noted<StoredKey>)> + Clone {
    keys.iter().enumerate().filter(|(_, key)| key.row.row.standing == Standing::Live)
}

fn stored_key(
    key: DeclaredKey,
    file_hash: FileHash,
    before: Option<&KeyRow>,
    now: Moment,
    generated: &mut Vec<(String, String)>,
) -> StoredKey {
    let retired_hash = before.and_then(|before| before.retired_hash);
    // A value that was rotated away is not valid again because something else was edited.
    let declared = key.value.filter(|value| retired_hash != Some(value.hash));
    let retired_hash = if declared.is_some() { None } else { retired_hash };
    let value = match (declared, before) {
        (Some(declared), _) => declared,
        // The generated value of an earlier start stays valid.
        (None, Some(before)) => KeyValue { hash: before.value_hash, hint: before.value_hint.clone() },
        (None, None) => {
            let value = identity::generate();
            let known = KeyValue::of(&value);
            generated.push((key.name.clone(), value));
            known
        }
    };
    let row = KeyRow {
        id: key.id,
        name: key.name,
        description: key.description,
        is_active: key.is_active,
        value_hash: value.hash,
        value_hint: value.hint,
        membership: key.membership,
        calendar_aligned: key.calendar_aligned,
        expires_at: key.expires_at,
        retired_hash,
        file_hash: Some(file_hash),
        created_at: before.map_or(now, |row| row.created_at),
        updated_at: now,
        standing: Standing::Live,
    };
    StoredKey { row: Arc::new(row), grants: key.grants }
}

fn entity_hash<T: Entity>(declared: &DeclaredEntity<T>) -> FileHash {
    let mut parts = declared.entity.parts();
    // What was added to the file's language later counts only where it is said.
    parts.extend(declared.calendar_aligned.then_some("calendar"));
    FileHash::of(&parts)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
