//! Tests of what happens to a ledger, one thing after the other.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::super::meter::{Level, Owner};
use super::*;
use crate::money::Usd;

const START: Moment = Moment::from_millis(1_000_000);

fn meter(measure: Measure, level: Level, limit: i64) -> Meter {
    Meter {
        measure,
        owner: Owner { level, entity: "agent".into() },
        limit: Amount::from_raw(limit),
        window: Window { start: START, length: "1m".parse().unwrap() },
        used: Amount::ZERO,
        held: Amount::ZERO,
    }
}

fn ledger(meters: &[(&str, Meter)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (id, meter) in meters {
        ledger.put(MeterId::parse(id).unwrap(), meter.clone());
    }
    ledger
}

fn claim(cost: i64, meters: &[&str]) -> Claim {
    Claim {
        cost: Usd::from_pico(cost),
        tokens: 10,
        meters: meters.iter().map(|id| MeterId::parse(id).unwrap()).collect(),
        admission: BudgetAdmission::Reserved,
    }
}

fn spent(cost: i64) -> Spent {
    Spent { cost: Usd::from_pico(cost), tokens: 10 }
}

fn used(ledger: &Ledger, id: &str) -> i64 {
    ledger.get(&MeterId::parse(id).unwrap()).unwrap().used.raw()
}

#[test]
fn a_windows_end_is_work_for_the_meter_that_is_used_next_and_for_no_other() {
    let names: Vec<String> = (0..100).map(|number| format!("budget:{number}")).collect();
    let meters: Vec<_> =
        names.iter().map(|name| (name.as_str(), meter(Measure::Usd, Level::VirtualKey, 1_000))).collect();
    let mut ledger = ledger(&meters);
    let later = START.after(3_600_000);
    let began = ledger.admit(&claim(1, &["budget:7"]), later).unwrap();
    assert_eq!(began.iter().map(|state| state.id.as_str()).collect::<Vec<_>>(), ["budget:7"]);
    let untouched = names.iter().filter(|name| ledger.meters[name.as_str()].window.start == START).count();
    assert_eq!(untouched, 99);
}

#[test]
fn a_budget_admits_exactly_what_fits_and_then_refuses() {
    let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 500))]);
    let claim = claim(125, &["budget:b"]);
    for _ in 0..4 {
        ledger.admit(&claim, START).unwrap();
        ledger.settle(&claim, spent(125), START);
    }
    let Refusal::Budget(breach) = *ledger.admit(&claim, START).unwrap_err() else {
        panic!("the fifth call was refused by no budget");
    };
    assert!(breach.is_spent());
    assert_eq!(used(&ledger, "budget:b"), 500);
}

#[test]
fn what_is_held_counts_until_it_is_released() {
    let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 200))]);
    let claim = claim(125, &["budget:b"]);
    ledger.admit(&claim, START).unwrap();
    assert!(ledger.admit(&claim, START).is_err());
    ledger.release(&claim);
    assert!(ledger.admit(&claim, START).is_ok());
}

#[test]
fn a_claim_on_a_meter_that_is_gone_is_refused_and_holds_nothing() {
    let mut ledger = ledger(&[("budget:kept", meter(Measure::Usd, Level::VirtualKey, 200))]);
    let claim = claim(125, &["budget:kept", "budget:gone"]);
    let refusal = *ledger.admit(&claim, START).unwrap_err();
    assert_eq!(refusal, Refusal::Gone(MeterId::parse("budget:gone").unwrap()));
    assert_eq!(ledger.get(&MeterId::parse("budget:kept").unwrap()).unwrap().held, Amount::ZERO);
}

#[test]
fn a_meter_that_comes_back_meanwhile_knows_what_is_held_against_it() {
    let id = MeterId::parse("budget:b").unwrap();
    let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 200))]);
    let (old, new) = (claim(125, &["budget:b"]), claim(75, &["budget:b"]));
    ledger.admit(&old, START).unwrap();
    ledger.remove(&id);
    let back = ledger.edit(id, meter(Measure::Usd, Level::VirtualKey, 200));
    assert_eq!((back.used.raw(), back.held.raw()), (0, 125));
    ledger.admit(&new, START).unwrap();
    ledger.settle(&old, spent(125), START);
    assert!(ledger.admit(&new, START).is_err(), "what the new one holds was lost");
}

#[test]
fn what_ends_while_its_meter_is_gone_is_no_longer_held_when_it_comes_back() {
    let id = MeterId::parse("budget:b").unwrap();
    let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 200))]);
    let [settled, released, open] = [50, 60, 70].map(|cost| claim(cost, &["budget:b"]));
    for claim in [&settled, &released, &open] {
        ledger.admit(claim, START).unwrap();
    }
    ledger.remove(&id);
    ledger.settle(&settled, spent(50), START);
    ledger.release(&released);
    let back = ledger.edit(id, meter(Measure::Usd, Level::VirtualKey, 200));
    assert_eq!((back.used.raw(), back.held.raw()), (0, 70));
}

#[test]
fn a_request_that_was_not_served_costs_and_counts_as_none() {
    let mut ledger = ledger(&[
        ("budget:b", meter(Measure::Usd, Level::VirtualKey, 500)),
        ("requests:r", meter(Measure::Requests, Level::VirtualKey, 1)),
        ("tokens:r", meter(Measure::Tokens, Level::VirtualKey, 100)),
    ]);
    let claim = claim(125, &["budget:b", "requests:r", "tokens:r"]);
    ledger.admit(&claim, START).unwrap();
    ledger.settle_unserved(&claim, spent(125), START);
    let figures = ["budget:b", "requests:r", "tokens:r"].map(|id| used(&ledger, id));
    assert_eq!(figures, [125, 0, 10]);
    ledger.admit(&claim, START).unwrap();
}

#[test]
fn a_refusal_by_one_level_holds_nothing_at_another() {
    let mut ledger = ledger(&[
        ("budget:wide", meter(Measure::Usd, Level::VirtualKey, 1_000)),
        ("budget:tight", meter(Measure::Usd, Level::VirtualKeyProvider, 100)),
    ]);
    assert!(ledger.admit(&claim(125, &["budget:wide", "budget:tight"]), START).is_err());
    let wide = ledger.get(&MeterId::parse("budget:wide").unwrap()).unwrap();
    assert_eq!(wide.held, Amount::ZERO);
}

#[test]
fn post_paid_admits_while_the_limit_is_not_spent() {
    let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 100))]);
    let claim = Claim { admission: BudgetAdmission::PostPaid, ..claim(125, &["budget:b"]) };
    ledger.admit(&claim, START).unwrap();
    ledger.admit(&claim, START).unwrap();
    ledger.settle(&claim, spent(125), START);
    assert!(ledger.admit(&claim, START).is_err());
}

#[test]
fn a_limit_that_is_reached_is_told_before_a_budget() {
    let mut ledger = ledger(&[
        ("budget:b", meter(Measure::Usd, Level::VirtualKey, 100)),
        ("requests:r", meter(Measure::Requests, Level::VirtualKey, 1)),
    ]);
    let claim = claim(100, &["budget:b", "requests:r"]);
    ledger.admit(&claim, START).unwrap();
    ledger.settle(&claim, spent(100), START);
    assert!(matches!(*ledger.admit(&claim, START).unwrap_err(), Refusal::Limit(_)));
}

#[test]
fn both_limits_of_one_owner_are_named_together() {
    let mut ledger = ledger(&[
        ("requests:r", meter(Measure::Requests, Level::VirtualKey, 1)),
        ("tokens:r", meter(Measure::Tokens, Level::VirtualKey, 10)),
    ]);
    let claim = claim(0, &["requests:r", "tokens:r"]);
    ledger.admit(&claim, START).unwrap();
    ledger.settle(&claim, spent(0), START);
    let refusal = *ledger.admit(&claim, START).unwrap_err();
    assert!(matches!(refusal, Refusal::Limits { .. }));
}

#[test]
fn a_new_window_begins_at_the_first_use_after_the_end() {
    let mut ledger = ledger(&[("requests:r", meter(Measure::Requests, Level::VirtualKey, 1))]);
    let claim = claim(0, &["requests:r"]);
    ledger.admit(&claim, START).unwrap();
    ledger.settle(&claim, spent(0), START);
    assert!(ledger.admit(&claim, START.after(59_999)).is_err());
    let later = START.after(90_000);
    let rolled = ledger.admit(&claim, later).unwrap();
    assert_eq!(rolled.first().unwrap().window_start, later);
}

#[test]
fn a_hold_from_the_last_window_is_charged_to_the_one_in_which_it_settles() {
    let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 500))]);
    let claim = claim(125, &["budget:b"]);
    ledger.admit(&claim, START).unwrap();
    ledger.admit(&claim, START).unwrap();
    ledger.settle(&claim, spent(125), START);
    ledger.settle(&claim, spent(100), START.after(61_000));
    assert_eq!(used(&ledger, "budget:b"), 100);
}

#[test]
fn an_edited_limit_keeps_what_was_used_and_held() {
    let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 250))]);
    let claim = claim(125, &["budget:b"]);
    ledger.admit(&claim, START).unwrap();
    ledger.settle(&claim, spent(125), START);
    ledger.admit(&claim, START).unwrap();
    let raised = ledger.edit(MeterId::parse("budget:b").unwrap(), meter(Measure::Usd, Level::VirtualKey, 375));
    assert_eq!((raised.used.raw(), raised.held.raw()), (125, 125));
}
