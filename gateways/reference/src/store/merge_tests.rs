//! Tests of what a start keeps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::super::declared::{Declared, DeclaredMeter, DeclaredMeters};
use super::super::rows::{HoldId, HoldRow, Membership, MeterRow, StoredMeter};
use super::*;
use crate::ledger::{Amount, Measure, MeterId};
use crate::money::Usd;
use crate::window::ResetDuration;

const NOW: Moment = Moment::from_millis(1_000_000);

fn key(name: &str, active: bool) -> DeclaredKey {
    DeclaredKey {
        id: name.into(),
        name: name.to_owned(),
        description: String::new(),
        is_active: active,
        value: Some(KeyValue::of(&format!("sk-{name}"))),
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
    declared_with(active, [budget(budget_id, limit)])
}

fn declared_with(active: bool, budgets: impl IntoIterator<Item = DeclaredMeter>) -> Declared {
    let mut meters = DeclaredMeters::default();
    budgets.into_iter().for_each(|budget| assert!(meters.add(budget)));
    Declared { keys: vec![key("agent", active)], meters, ..Declared::default() }
}

/// A budget with another window.
fn lasting(reset_duration: ResetDuration, budget: DeclaredMeter) -> DeclaredMeter {
    DeclaredMeter { reset_duration, ..budget }
}

/// What a store holds.
#[derive(Clone, Debug, Default)]
struct Stored {
    saved: Saved,
    meters: Vec<MeterRow>,
}

/// What a store holds after the merge, with `used` spent since.
fn stored(merged: Merged, used: i64) -> Stored {
    let rows = merged.meters.into_iter().map(|meter| *meter.row);
    let saved = Saved {
        customers: merged.customers,
        teams: merged.teams,
        models: merged.models,
        keys: merged.keys.into_iter().map(|key| key.row).collect(),
        ..Saved::default()
    };
    Stored { saved, meters: rows.map(|row| MeterRow { used: Amount::from_raw(used), ..row }).collect() }
}

fn start(declared: Declared, stored: Stored, now: Moment) -> Merged {
    try_start(declared, stored, now).unwrap()
}

fn try_start(declared: Declared, Stored { saved, meters }: Stored, now: Moment) -> Result<Merged, MergeError> {
    merge(
        declared.into(),
        saved,
        |is_known| Ok(meters.into_iter().filter(|row| !is_known(&as_stored(row))).collect()),
        now,
    )
}

fn as_stored(row: &MeterRow) -> StoredMeter<'_> {
    StoredMeter {
        id: row.id.as_str(),
        owner: row.owner.parts(),
        limit: row.limit,
        reset_duration: row.reset_duration.text(),
        is_aligned: row.reset_duration.is_on_calendar(),
        used: row.used,
        window_start: row.window_start,
        file_hash: row.file_hash,
        standing: row.standing,
    }
}

fn first_start() -> Merged {
    start(declared(true, "b", 100), Stored::default(), NOW)
}

/// The meters that count.
fn live(merged: &Merged) -> Vec<&MeterRow> {
    merged.meters.iter().map(|meter| meter.row.as_ref()).filter(|row| row.standing == Standing::Live).collect()
}

/// The first key's row, to edit it.
fn first_row(stored: &mut Stored) -> &mut KeyRow {
    Arc::make_mut(&mut stored.saved.keys.first_mut().unwrap().row)
}

fn first_meter(merged: &Merged) -> &MeterRow {
    live(merged).first().copied().unwrap()
}

#[test]
fn a_limit_raised_in_the_file_keeps_what_was_spent() {
    let merged = start(declared(true, "b", 900), stored(first_start(), 70), NOW);
    let row = first_meter(&merged);
    assert_eq!((row.limit.raw(), row.used.raw()), (900, 70));
}

#[test]
fn a_budget_whose_id_changed_keeps_what_was_spent() {
    let merged = start(declared(true, "renamed", 100), stored(first_start(), 70), NOW);
    let [new] = merged.meters.as_slice() else { panic!("{:?}", merged.meters) };
    let [Change::DeleteMeter(old)] = merged.changes.as_slice() else { panic!("{:?}", merged.changes) };
    let new = new.changed().unwrap();
    assert_eq!((old.id(), new.id.id(), new.used.raw()), ("b", "renamed", 70));
}

#[test]
fn a_budget_whose_window_changed_keeps_what_was_spent() {
    let daily = lasting("1d".parse().unwrap(), budget("daily", 100));
    let merged = start(declared_with(true, [daily.clone()]), stored(first_start(), 70), NOW);
    let [row] = live(&merged)[..] else { panic!("{:?}", merged.meters) };
    assert_eq!((row.used.raw(), row.reset_duration.text()), (70, "1d"));
    // Of two new ones nobody can say which it is.
    let weekly = lasting("1w".parse().unwrap(), budget("weekly", 100));
    let merged = start(declared_with(true, [daily, weekly]), stored(first_start(), 70), NOW);
    assert!(live(&merged).iter().all(|row| row.used == Amount::ZERO));
}

#[test]
fn a_window_that_is_shortened_or_aligned_in_the_file_keeps_what_was_spent_in_one_that_goes_on() {
    let hour = |at: i64| NOW.after(at * 3_600_000);
    let budget = |length| declared_with(true, [lasting(length, budget("b", 100))]);
    let first = start(budget("1d".parse().unwrap()), Stored::default(), NOW);
    for reset_duration in ["1h".parse().unwrap(), "1d".parse::<ResetDuration>().unwrap().aligned(true).unwrap()] {
        let before = Merged { meters: first.meters.clone(), ..Merged::default() };
        let merged = start(budget(reset_duration), stored(before, 70), hour(5));
        assert_eq!(first_meter(&merged).used.raw(), 70);
    }
    let merged = start(declared(true, "b", 100), stored(first, 70), hour(24));
    assert_eq!(first_meter(&merged).used.raw(), 0);
}

#[test]
fn an_edit_through_the_api_survives_while_the_file_is_unchanged() {
    let mut stored = stored(first_start(), 0);
    first_row(&mut stored).is_active = false;
    let merged = start(declared(true, "b", 100), stored.clone(), NOW);
    let key = merged.keys.first().unwrap();
    assert!(!key.row.row.is_active && key.changed().is_none());
    assert!(merged.changes.is_empty());
    let mut edited = declared(true, "b", 100);
    edited.keys.first_mut().unwrap().description = "edited".to_owned();
    let merged = start(edited, stored, NOW);
    assert!(merged.keys.first().unwrap().changed().unwrap().row.is_active);
}

/// A key of the file whose value was rotated through the API, and then given to another one.
#[test]
fn a_value_that_an_edit_gave_one_key_cannot_be_given_to_another_in_the_file() {
    let mut stored = stored(first_start(), 0);
    first_row(&mut stored).value_hash = KeyValue::of("sk-rotated").hash;
    let mut edited = declared(true, "b", 100);
    let other = DeclaredKey { value: Some(KeyValue::of("sk-rotated")), ..key("other", true) };
    edited.keys.insert(0, other);
    let refused = try_start(edited, stored, NOW).unwrap_err().to_string();
    let expected = "the virtual key 'other' of config.json has the same value as 'agent', which was made or edited through the API";
    assert_eq!(refused, expected);
}

#[test]
fn a_key_that_left_the_file_is_invalid_and_its_spend_is_kept_for_its_return() {
    let gone = start(Declared::default(), stored(first_start(), 70), NOW);
    assert!(live(&gone).is_empty());
    assert!(gone.keys.iter().all(|key| key.changed().unwrap().row.standing == Standing::Left));
    let back = start(declared(true, "b", 100), stored(gone, 70), NOW);
    assert_eq!(back.keys.first().unwrap().changed().unwrap().row.standing, Standing::Live);
    assert_eq!(first_meter(&back).used.raw(), 70);
}

#[test]
fn a_hold_without_an_outcome_counts_as_spent() {
    let mut stored = stored(first_start(), 10);
    stored.saved.holds.push(HoldRow {
        id: HoldId(1),
        cost: Usd::from_pico(25),
        tokens: 5,
        meters: [MeterId::new(Measure::Usd, "b")].into(),
    });
    let merged = start(declared(true, "b", 100), stored.clone(), NOW);
    assert_eq!(merged.meters.first().unwrap().changed().unwrap().used.raw(), 35);
    // It settles now: in the window of now, if its own has ended.
    let later = start(declared(true, "b", 100), stored, NOW.after(7_200_000));
    let row = first_meter(&later);
    assert_eq!((row.used.raw(), row.window_start), (25, NOW.after(7_200_000)));
}

#[test]
fn a_generated_value_stays_the_same_at_the_next_start() {
    let mut without = declared(true, "b", 100);
    without.keys.first_mut().unwrap().value = None;
    let first = start(without.clone(), Stored::default(), NOW);
    assert_eq!(first.generated.len(), 1);
    let hash = first.keys.first().unwrap().row.row.value_hash;
    let second = start(without, stored(first, 0), NOW);
    assert!(second.generated.is_empty());
    assert_eq!(second.keys.first().unwrap().row.row.value_hash, hash);
}

#[test]
fn windows_of_one_length_share_it_whoever_made_them() {
    let mut stored = stored(first_start(), 0);
    let made = MeterRow { id: MeterId::new(Measure::Usd, "made"), file_hash: None, ..stored.meters[0].clone() };
    stored.meters.push(MeterRow { reset_duration: "1h".parse().unwrap(), ..made });
    let merged = start(declared_with(true, [budget("b", 100), budget("c", 100)]), stored, NOW);
    let mut texts: Vec<_> = live(&merged).iter().map(|row| row.reset_duration.text().as_ptr()).collect();
    assert_eq!(texts.len(), 3);
    texts.dedup();
    assert_eq!(texts.len(), 1);
}

#[test]
fn what_was_deleted_with_a_key_comes_back_with_it() {
    let model = |id: &str| DeclaredEntity {
        id: id.into(),
        entity: ModelConfig {
            model_name: "mock-1".to_owned(),
            provider: None,
            virtual_key_id: (id == "own").then(|| "agent".into()),
        },
        calendar_aligned: false,
    };
    let with = |active: bool| {
        let capped = |id: &str| DeclaredMeter { owner: OwnerKey::Model(id.into()), ..budget(id, 1) };
        let declared = declared_with(active, [budget("b", 100), capped("own"), capped("other")]);
        Declared { models: vec![model("own"), model("other")], ..declared }
    };
    let first = start(with(true), Stored::default(), NOW);
    let mut deleted = stored(first, 7);
    deleted.saved.models.iter_mut().for_each(|row| row.standing = Standing::Deleted);
    deleted.meters.iter_mut().for_each(|row| row.standing = Standing::Deleted);
    let ids = |merged: &Merged| merged.models.iter().map(|row| row.id.to_string()).collect::<Vec<_>>();
    let edited = start(with(false), deleted.clone(), NOW);
    assert_eq!(ids(&edited), Vec::<String>::new(), "the key was there: its edit brings back no other deletion");
    deleted.saved.keys.iter_mut().for_each(|key| Arc::make_mut(&mut key.row).standing = Standing::Deleted);
    let unchanged = start(with(true), deleted.clone(), NOW);
    assert_eq!((ids(&unchanged), live(&unchanged).len()), (Vec::new(), 0));
    let back = start(with(false), deleted, NOW);
    assert_eq!(ids(&back), ["own"]);
    let mut meters: Vec<_> = live(&back).iter().map(|row| (row.id.id().to_owned(), row.used.raw())).collect();
    meters.sort();
    assert_eq!(meters, [("b".to_owned(), 7), ("own".to_owned(), 7)]);
}
