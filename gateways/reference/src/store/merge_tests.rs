//! Tests of what a start keeps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::super::rows::{HoldId, HoldRow};
use super::*;
use crate::ledger::Measure;
use crate::money::Usd;
use crate::window::ResetDuration;

const NOW: Moment = Moment::from_millis(1_000_000);

fn key(name: &str, active: bool) -> DeclaredKey {
    DeclaredKey {
        id: name.into(),
        name: name.to_owned(),
        description: String::new(),
        is_active: active,
        value: Some(format!("sk-{name}")),
        membership: Membership::None,
        grants: Vec::new(),
        calendar_aligned: false,
        expires_at: None,
    }
}

fn budget(id: &str, limit: i64) -> DeclaredMeter {
    DeclaredMeter {
        id: MeterId::new(Measure::Usd, id),
        owner: OwnerKey::VirtualKey("agent".into()),
        limit: Amount::from_raw(limit),
        reset_duration: "1h".parse().unwrap(),
    }
}

fn declared(active: bool, budget_id: &str, limit: i64) -> Declared {
    Declared { keys: vec![key("agent", active)], meters: vec![budget(budget_id, limit)], ..Declared::default() }
}

/// What a store holds after the merge, with `used` spent since.
fn saved(merged: Merged, used: i64) -> Saved {
    let meters = merged.meters.into_iter().map(|row| MeterRow { used: Amount::from_raw(used), ..row }).collect();
    Saved {
        customers: merged.customers,
        teams: merged.teams,
        models: merged.models,
        keys: merged.keys,
        meters,
        ..Saved::default()
    }
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
    stored.keys.first_mut().unwrap().row.is_active = false;
    let merged = merge(declared(true, "b", 100), stored.clone(), NOW).unwrap();
    assert!(!merged.keys.first().unwrap().row.is_active);
    assert!(merged.changes.is_empty());
    let mut edited = declared(true, "b", 100);
    edited.keys.first_mut().unwrap().description = "edited".to_owned();
    let merged = merge(edited, stored, NOW).unwrap();
    assert!(merged.keys.first().unwrap().row.is_active);
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
    let hash = first.keys.first().unwrap().row.value_hash;
    let second = merge(without, saved(first, 0), NOW).unwrap();
    assert!(second.generated.is_empty());
    assert_eq!(second.keys.first().unwrap().row.value_hash, hash);
}
