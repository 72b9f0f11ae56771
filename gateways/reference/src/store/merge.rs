//! Which wins at a start, `config.json` or the database.
//!
//! An entity of the file that changed since it was last read (its hash says so)
//! wins over the database; one that did not leaves the administrators' edits be, a
//! deletion among them. Entities made through the API stay. What has left the file
//! no longer counts (a key is not valid), but what was spent is kept for the day it
//! comes back. Usage is never touched.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::declared::{Declared, DeclaredKey, DeclaredMeter};
use super::pairs::{self, SavedMeter};
use super::rows::{Change, HoldRow, KeyRow, MeterRow, Saved, Standing};
use crate::clock::Moment;
use crate::grant::Grant;
use crate::identity::{self, KeyHash};
use crate::ledger::{Amount, MeterId};
use crate::window::Window;

/// The configuration that holds from now on, and what has to be written for it.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) meters: Vec<MeterRow>,
    pub(crate) changes: Vec<Change>,
    /// Name and value of each key whose value was generated just now.
    pub(crate) generated: Vec<(String, String)>,
}

/// Two keys that cannot both be valid.
#[derive(Debug, thiserror::Error)]
#[error(
    "the virtual key '{declared}' of config.json has the same {field} as '{saved}', which was made through the API"
)]
pub(crate) struct MergeError {
    declared: String,
    saved: String,
    field: &'static str,
}

/// Brings the file and the database together.
pub(crate) fn merge(declared: Declared, saved: Saved, now: Moment) -> Result<Merged, MergeError> {
    let mut merged = Merged::default();
    keys(declared.keys, saved.keys, now, &mut merged)?;
    meters(declared.meters, recovered(saved.meters, &saved.holds, now), now, &mut merged);
    Ok(merged)
}

fn keys(declared: Vec<DeclaredKey>, saved: Vec<KeyRow>, now: Moment, merged: &mut Merged) -> Result<(), MergeError> {
    let mut saved: HashMap<String, KeyRow> = saved.into_iter().map(|row| (row.id.clone(), row)).collect();
    for key in declared {
        let hash = key_hash(&key);
        let row = match saved.remove(&key.id) {
            Some(row) if row.file_hash.as_ref() == Some(&hash) && row.standing != Standing::Left => row,
            before => {
                let row = key_row(key, hash, before, now, &mut merged.generated);
                merged.changes.push(Change::PutKey(row.clone()));
                row
            }
        };
        if row.standing == Standing::Live {
            merged.keys.push(row);
        }
    }
    let mut rest: Vec<KeyRow> = saved.into_values().collect();
    rest.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let names: HashMap<String, String> = merged.keys.iter().map(|row| (row.name.clone(), row.name.clone())).collect();
    let values: HashMap<String, String> =
        merged.keys.iter().map(|row| (row.value_hash.clone(), row.name.clone())).collect();
    for mut row in rest {
        if row.standing != Standing::Live {
            continue;
        }
        if row.file_hash.is_some() {
            row.standing = Standing::Left;
            merged.changes.push(Change::PutKey(row));
            continue;
        }
        for (field, clash) in [("name", names.get(&row.name)), ("value", values.get(&row.value_hash))] {
            if let Some(declared) = clash {
                return Err(MergeError { declared: declared.clone(), saved: row.name, field });
            }
        }
        merged.keys.push(row);
    }
    Ok(())
}

fn key_row(
    key: DeclaredKey,
    file_hash: String,
    before: Option<KeyRow>,
    now: Moment,
    generated: &mut Vec<(String, String)>,
) -> KeyRow {
    let retired_hash = before.as_ref().and_then(|before| before.retired_hash.clone());
    let declared = key.value.as_deref().map(|value| (KeyHash::of(value).to_hex(), identity::hint(value)));
    // A value that was rotated away is not valid again because something else was edited.
    let declared = declared.filter(|(hash, _)| retired_hash.as_ref() != Some(hash));
    let retired_hash = if declared.is_some() { None } else { retired_hash };
    let (value_hash, value_hint) = match (declared, &before) {
        (Some(declared), _) => declared,
        // The generated value of an earlier start stays valid.
        (None, Some(before)) => (before.value_hash.clone(), before.value_hint.clone()),
        (None, None) => {
            let value = identity::generate();
            generated.push((key.name.clone(), value.clone()));
            (KeyHash::of(&value).to_hex(), identity::hint(&value))
        }
    };
    KeyRow {
        id: key.id,
        name: key.name,
        description: key.description,
        is_active: key.is_active,
        value_hash,
        value_hint,
        grants: grants_json(&key.grants),
        calendar_aligned: key.calendar_aligned,
        expires_at: key.expires_at,
        retired_hash,
        file_hash: Some(file_hash),
        created_at: before.map_or(now, |row| row.created_at),
        updated_at: now,
        standing: Standing::Live,
    }
}

fn meters(declared: Vec<DeclaredMeter>, saved: Vec<SavedMeter>, now: Moment, merged: &mut Merged) {
    let (pairs, rest) = pairs::of(declared, saved);
    for (meter, before) in pairs {
        let hash = meter_hash(&meter);
        let renamed = before.as_ref().map(|(row, _)| row.id.clone()).filter(|old| *old != meter.id);
        let is_renamed = renamed.is_some();
        merged.changes.extend(renamed.map(Change::DeleteMeter));
        let (row, changed) = match before {
            Some((row, charged))
                if !is_renamed && row.file_hash.as_ref() == Some(&hash) && row.standing != Standing::Left =>
            {
                (row, charged)
            }
            before => (meter_row(meter, hash, before.map(|(row, _)| row), now), true),
        };
        if changed {
            merged.changes.push(Change::PutMeter(row.clone()));
        }
        if row.standing == Standing::Live {
            merged.meters.push(row);
        }
    }
    for (mut row, mut changed) in rest {
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

fn meter_row(meter: DeclaredMeter, hash: String, before: Option<MeterRow>, now: Moment) -> MeterRow {
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

/// The grants as a store keeps them.
pub(crate) fn grants_json(grants: &[Grant]) -> String {
    serde_json::to_string(grants).unwrap_or_else(|_| "[]".to_owned())
}

fn key_hash(key: &DeclaredKey) -> String {
    let value = key.value.as_deref().map_or_else(String::new, |value| KeyHash::of(value).to_hex());
    let active = if key.is_active { "active" } else { "inactive" };
    let grants = grants_json(&key.grants);
    let mut parts = vec![key.name.as_str(), &key.description, active, &value, &grants];
    // What was added to the file's language later counts only where it is said.
    parts.extend(key.calendar_aligned.then_some("calendar"));
    let expiry = key.expires_at.map(|moment| moment.to_string());
    parts.extend(expiry.as_deref());
    file_hash(&parts)
}

fn meter_hash(meter: &DeclaredMeter) -> String {
    let (level, owner) = meter.owner.parts();
    let limit = meter.limit.raw().to_string();
    let mut parts = vec![level, owner, &limit, meter.reset_duration.text()];
    parts.extend(meter.reset_duration.is_on_calendar().then_some("calendar"));
    file_hash(&parts)
}

/// A hash by which a changed entity of the file is known at the next start.
pub(crate) fn file_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_string());
        hash.update(":");
        hash.update(part);
    }
    identity::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::super::rows::{HoldId, HoldRow, OwnerKey};
    use super::*;
    use crate::ledger::Measure;
    use crate::money::Usd;
    use crate::window::ResetDuration;

    const NOW: Moment = Moment::from_millis(1_000_000);

    fn key(name: &str, active: bool) -> DeclaredKey {
        DeclaredKey {
            id: name.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            is_active: active,
            value: Some(format!("sk-{name}")),
            grants: Vec::new(),
            calendar_aligned: false,
            expires_at: None,
        }
    }

    fn budget(id: &str, limit: i64) -> DeclaredMeter {
        DeclaredMeter {
            id: MeterId::new(Measure::Usd, id),
            owner: OwnerKey::VirtualKey("agent".to_owned()),
            limit: Amount::from_raw(limit),
            reset_duration: "1h".parse().unwrap(),
        }
    }

    fn declared(active: bool, budget_id: &str, limit: i64) -> Declared {
        Declared { keys: vec![key("agent", active)], meters: vec![budget(budget_id, limit)] }
    }

    /// What a store holds after the merge, with `used` spent since.
    fn saved(merged: Merged, used: i64) -> Saved {
        let meters = merged.meters.into_iter().map(|row| MeterRow { used: Amount::from_raw(used), ..row }).collect();
        Saved { keys: merged.keys, meters, ..Saved::default() }
    }

    fn first_start() -> Merged {
        merge(declared(true, "b", 100), Saved::default(), NOW).unwrap()
    }

    #[test]
    fn a_limit_raised_in_the_file_keeps_what_was_spent() {
        let merged = merge(declared(true, "b", 900), saved(first_start(), 70), NOW).unwrap();
        let row = merged.meters.first().unwrap();
        assert_eq!((row.limit.raw(), row.used.raw()), (900, 70));
    }

    #[test]
    fn a_budget_whose_id_changed_keeps_what_was_spent() {
        let merged = merge(declared(true, "renamed", 100), saved(first_start(), 70), NOW).unwrap();
        assert_eq!(merged.meters.len(), 1);
        assert_eq!(merged.meters.first().unwrap().used.raw(), 70);
        let [Change::DeleteMeter(old), Change::PutMeter(new)] = merged.changes.as_slice() else {
            panic!("{:?}", merged.changes)
        };
        assert_eq!((old.id(), new.id.id(), new.used.raw()), ("b", "renamed", 70));
    }

    #[test]
    fn a_budget_whose_window_changed_keeps_what_was_spent() {
        let mut edited = declared(true, "hourly", 100);
        edited.meters.first_mut().unwrap().reset_duration = "1d".parse().unwrap();
        let merged = merge(edited.clone(), saved(first_start(), 70), NOW).unwrap();
        let [row] = merged.meters.as_slice() else { panic!("{:?}", merged.meters) };
        assert_eq!((row.used.raw(), row.reset_duration.text()), (70, "1d"));
        // Of two new ones nobody can say which it is.
        let mut other = budget("other", 100);
        other.reset_duration = "1w".parse().unwrap();
        edited.meters.push(other);
        let merged = merge(edited, saved(first_start(), 70), NOW).unwrap();
        assert!(merged.meters.iter().all(|row| row.used == Amount::ZERO));
    }

    #[test]
    fn a_window_that_is_shortened_or_aligned_in_the_file_keeps_what_was_spent_in_one_that_goes_on() {
        let hour = |at: i64| NOW.after(at * 3_600_000);
        let mut daily = declared(true, "b", 100);
        daily.meters.first_mut().unwrap().reset_duration = "1d".parse().unwrap();
        let start = merge(daily.clone(), Saved::default(), NOW).unwrap();
        for reset_duration in ["1h".parse().unwrap(), "1d".parse::<ResetDuration>().unwrap().aligned(true).unwrap()] {
            let mut edited = daily.clone();
            edited.meters.first_mut().unwrap().reset_duration = reset_duration;
            let first = Merged { meters: start.meters.clone(), ..Merged::default() };
            let merged = merge(edited, saved(first, 70), hour(5)).unwrap();
            assert_eq!(merged.meters.first().unwrap().used.raw(), 70);
        }
        let merged = merge(declared(true, "b", 100), saved(start, 70), hour(24)).unwrap();
        assert_eq!(merged.meters.first().unwrap().used.raw(), 0);
    }

    #[test]
    fn an_edit_through_the_api_survives_while_the_file_is_unchanged() {
        let mut stored = saved(first_start(), 0);
        stored.keys.first_mut().unwrap().is_active = false;
        let merged = merge(declared(true, "b", 100), stored.clone(), NOW).unwrap();
        assert!(!merged.keys.first().unwrap().is_active);
        assert!(merged.changes.is_empty());
        let mut edited = declared(true, "b", 100);
        edited.keys.first_mut().unwrap().description = "edited".to_owned();
        let merged = merge(edited, stored, NOW).unwrap();
        assert!(merged.keys.first().unwrap().is_active);
    }

    #[test]
    fn a_key_that_left_the_file_is_invalid_and_its_spend_is_kept_for_its_return() {
        let gone = merge(Declared::default(), saved(first_start(), 70), NOW).unwrap();
        assert!(gone.keys.is_empty() && gone.meters.is_empty());
        let mut store = Saved::default();
        for change in gone.changes {
            match change {
                Change::PutKey(row) => store.keys.push(row),
                Change::PutMeter(row) => store.meters.push(row),
                _ => {}
            }
        }
        let back = merge(declared(true, "b", 100), store, NOW).unwrap();
        assert_eq!(back.keys.len(), 1);
        assert_eq!(back.meters.first().unwrap().used.raw(), 70);
    }

    #[test]
    fn a_hold_without_an_outcome_counts_as_spent() {
        let mut stored = saved(first_start(), 10);
        stored.holds.push(HoldRow {
            id: HoldId(1),
            cost: Usd::from_pico(25),
            tokens: 5,
            meters: [MeterId::new(Measure::Usd, "b")].into(),
        });
        let merged = merge(declared(true, "b", 100), stored.clone(), NOW).unwrap();
        assert_eq!(merged.meters.first().unwrap().used.raw(), 35);
        assert!(matches!(merged.changes.as_slice(), [Change::PutMeter(_)]));
        // It settles now: in the window of now, if its own has ended.
        let later = merge(declared(true, "b", 100), stored, NOW.after(7_200_000)).unwrap();
        let row = later.meters.first().unwrap();
        assert_eq!((row.used.raw(), row.window_start), (25, NOW.after(7_200_000)));
    }

    #[test]
    fn a_generated_value_stays_the_same_at_the_next_start() {
        let mut without = declared(true, "b", 100);
        without.keys.first_mut().unwrap().value = None;
        let first = merge(without.clone(), Saved::default(), NOW).unwrap();
        assert_eq!(first.generated.len(), 1);
        let hash = first.keys.first().unwrap().value_hash.clone();
        let second = merge(without, saved(first, 0), NOW).unwrap();
        assert!(second.generated.is_empty());
        assert_eq!(second.keys.first().unwrap().value_hash, hash);
    }
}
