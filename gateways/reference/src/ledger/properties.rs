//! Properties of the ledger over any sequence of admissions and settlements.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::clock::Moment;
use crate::money::Usd;
use crate::window::Window;

#[derive(Clone, Debug)]
enum Step {
    Admit {
        cost: i64,
        both: bool,
    },
    /// Settle the oldest open hold at this share (in percent) of its bound.
    Settle {
        percent: i64,
    },
    Release,
    Wait {
        millis: i64,
    },
    Edit {
        limit: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_i64..400, any::<bool>()).prop_map(|(cost, both)| Step::Admit { cost, both }),
        3 => (0_i64..=100).prop_map(|percent| Step::Settle { percent }),
        1 => Just(Step::Release),
        1 => (0_i64..40_000).prop_map(|millis| Step::Wait { millis }),
        1 => (500_i64..2_000).prop_map(|limit| Step::Edit { limit }),
    ]
}

fn id(text: &str) -> MeterId {
    MeterId::parse(text).unwrap()
}

fn budget(limit: i64, length: &str, level: Level) -> Meter {
    Meter {
        measure: Measure::Usd,
        owner: Owner { level, entity: "agent".into() },
        limit: Amount::from_raw(limit),
        window: Window { start: Moment::from_millis(0), length: length.parse().unwrap() },
        used: Amount::ZERO,
        held: Amount::ZERO,
    }
}

proptest! {
    /// Whatever happens, what is used and held in a window stays within the
    /// largest limit that the window knew, as long as bounds hold.
    #[test]
    fn no_history_exceeds_a_cap(steps in prop::collection::vec(step(), 1..200)) {
        let mut ledger = Ledger::default();
        ledger.put(id("budget:key"), budget(1_000, "1m", Level::VirtualKey));
        ledger.put(id("budget:provider"), budget(700, "20s", Level::VirtualKeyProvider));
        let mut now = Moment::from_millis(0);
        let mut open: Vec<Claim> = Vec::new();
        let mut largest = 1_000;
        for step in steps {
            match step {
                Step::Admit { cost, both } => {
                    let mut meters = vec![id("budget:key")];
                    if both {
                        meters.push(id("budget:provider"));
                    }
                    let claim = Claim {
                        cost: Usd::from_pico(cost),
                        tokens: 0,
                        meters: meters.into(),
                        admission: BudgetAdmission::Reserved,
                    };
                    if ledger.admit(&claim, now).is_ok() {
                        open.push(claim);
                    }
                }
                Step::Settle { percent } if !open.is_empty() => {
                    let claim = open.remove(0);
                    let cost = Usd::from_pico(claim.cost.pico() * percent / 100);
                    ledger.settle(&claim, Spent { cost, tokens: 0 }, now);
                }
                Step::Release if !open.is_empty() => ledger.release(&open.remove(0)),
                Step::Settle { .. } | Step::Release => {}
                Step::Wait { millis } => now = now.after(millis),
                Step::Edit { limit } => {
                    largest = largest.max(limit);
                    ledger.put(id("budget:key"), budget(limit, "1m", Level::VirtualKey));
                }
            }
            let key = ledger.get(&id("budget:key")).unwrap();
            prop_assert!(key.used.plus(key.held).raw() <= largest);
            let provider = ledger.get(&id("budget:provider")).unwrap();
            prop_assert!(provider.used.plus(provider.held).raw() <= 700);
            let promised: i64 = open.iter().map(|claim| claim.cost.pico()).sum();
            prop_assert_eq!(key.held.raw(), promised);
        }
    }

    /// A request limit counts every admission, in whatever order they end.
    #[test]
    fn a_request_limit_admits_exactly_its_number(limit in 1_i64..50, tries in 1_usize..100) {
        let mut ledger = Ledger::default();
        let meter = Meter { measure: Measure::Requests, ..budget(limit, "1h", Level::VirtualKey) };
        ledger.put(id("requests:r"), meter);
        let claim = Claim {
            cost: Usd::ZERO,
            tokens: 0,
            meters: [id("requests:r")].into(),
            admission: BudgetAdmission::Reserved,
        };
        let now = Moment::from_millis(0);
        let admitted = (0..tries).filter(|_| ledger.admit(&claim, now).is_ok()).count();
        prop_assert_eq!(admitted, tries.min(usize::try_from(limit).unwrap()));
    }
}
