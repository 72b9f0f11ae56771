//! Properties of the ledger over any sequence of admissions, settlements and edits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::clock::Moment;
use crate::money::Usd;
use crate::window::Window;

/// The levels of a small tree, from the widest, each with its cap and window. Of keys and
/// providers there are two, so that requests share some levels and not others.
const LEVELS: [(&str, Level, i64, &str); 9] = [
    ("budget:customer", Level::Customer, 1_400, "2m"),
    ("budget:team-a", Level::Team, 900, "90s"),
    ("budget:key-a", Level::VirtualKey, 1_000, "1m"),
    ("budget:key-b", Level::VirtualKey, 1_000, "1m"),
    ("budget:model", Level::Model, 1_100, "45s"),
    ("budget:provider-1", Level::Provider, 800, "30s"),
    ("budget:provider-2", Level::Provider, 800, "30s"),
    ("budget:key-a/1", Level::VirtualKeyProvider, 700, "20s"),
    ("budget:key-a/1/model", Level::VirtualKeyModel, 650, "15s"),
];

/// Who asks, and of which provider.
#[derive(Clone, Copy, Debug)]
enum Caller {
    KeyA1,
    KeyA2,
    KeyB1,
    Nobody2,
}

impl Caller {
    /// The levels that its requests touch, from the widest.
    fn meters(self) -> &'static [&'static str] {
        match self {
            Caller::KeyA1 => &[
                "budget:customer",
                "budget:team-a",
                "budget:key-a",
                "budget:model",
                "budget:provider-1",
                "budget:key-a/1",
                "budget:key-a/1/model",
            ],
            Caller::KeyA2 => &["budget:customer", "budget:team-a", "budget:key-a", "budget:model", "budget:provider-2"],
            Caller::KeyB1 => &["budget:customer", "budget:key-b", "budget:model", "budget:provider-1"],
            Caller::Nobody2 => &["budget:model", "budget:provider-2"],
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit {
        cost: i64,
        caller: Caller,
    },
    /// Settle the oldest open hold at this share (in percent) of its bound.
    Settle {
        percent: i64,
    },
    Release,
    Wait {
        millis: i64,
    },
    /// Another limit for the level at this place.
    Edit {
        level: usize,
        limit: i64,
    },
}

fn caller() -> impl Strategy<Value = Caller> {
    prop_oneof![Just(Caller::KeyA1), Just(Caller::KeyA2), Just(Caller::KeyB1), Just(Caller::Nobody2)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_i64..300, caller()).prop_map(|(cost, caller)| Step::Admit { cost, caller }),
        3 => (0_i64..=100).prop_map(|percent| Step::Settle { percent }),
        1 => Just(Step::Release),
        1 => (0_i64..40_000).prop_map(|millis| Step::Wait { millis }),
        1 => (0..LEVELS.len(), 100_i64..2_000).prop_map(|(level, limit)| Step::Edit { level, limit }),
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

fn claim(cost: i64, meters: &[&str]) -> Claim {
    Claim {
        cost: Usd::from_pico(cost),
        tokens: 0,
        meters: meters.iter().map(|meter| id(meter)).collect(),
        admission: BudgetAdmission::Reserved,
    }
}

/// The ledger beside what a reader would note on paper.
struct Paper {
    ledger: Ledger,
    now: Moment,
    open: Vec<Claim>,
    /// The largest limit that each level has known.
    largest: HashMap<&'static str, i64>,
    /// What each level's requests cost in all windows together.
    charged: HashMap<&'static str, i64>,
    /// What each level showed as used when its window ended.
    ended: HashMap<&'static str, i64>,
}

impl Paper {
    fn new() -> Paper {
        let mut ledger = Ledger::default();
        for (name, level, limit, length) in LEVELS {
            ledger.put(id(name), budget(limit, length, level));
        }
        Paper {
            ledger,
            now: Moment::from_millis(0),
            open: Vec::new(),
            largest: LEVELS.iter().map(|(name, _, limit, _)| (*name, *limit)).collect(),
            charged: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    /// Notes what the windows that are over will no longer show.
    fn note_ends(&mut self, meters: &[MeterId]) {
        for (name, ..) in LEVELS {
            let meter = self.ledger.get(&id(name)).unwrap();
            if meters.contains(&id(name)) && meter.window.has_ended(self.now) {
                *self.ended.entry(name).or_default() += meter.used.raw();
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Admit { cost, caller } => {
                let claim = claim(cost, caller.meters());
                let before = self.ledger.clone();
                match self.ledger.clone().admit(&claim, self.now) {
                    Ok(_) => {
                        self.note_ends(&claim.meters);
                        self.ledger.admit(&claim, self.now).unwrap();
                        self.open.push(claim);
                    }
                    Err(_) => {
                        self.ledger.admit(&claim, self.now).unwrap_err();
                        for (name, ..) in LEVELS {
                            assert_eq!(before.get(&id(name)), self.ledger.get(&id(name)), "a refusal changed {name}");
                        }
                    }
                }
            }
            Step::Settle { percent } if !self.open.is_empty() => {
                let claim = self.open.remove(0);
                let cost = claim.cost.pico() * percent / 100;
                self.note_ends(&claim.meters);
                self.ledger.settle(&claim, Spent { cost: Usd::from_pico(cost), tokens: 0 }, self.now);
                for (name, ..) in LEVELS {
                    if claim.meters.contains(&id(name)) {
                        *self.charged.entry(name).or_default() += cost;
                    }
                }
            }
            Step::Release if !self.open.is_empty() => self.ledger.release(&self.open.remove(0)),
            Step::Settle { .. } | Step::Release => {}
            Step::Wait { millis } => self.now = self.now.after(millis),
            Step::Edit { level, limit } => {
                let (name, level, _, length) = *LEVELS.get(level).unwrap();
                let largest = self.largest.get_mut(name).unwrap();
                *largest = limit.max(*largest);
                self.note_ends(&[id(name)]);
                let mut meter = budget(limit, length, level);
                meter.window.start = self.now;
                self.ledger.edit(id(name), meter);
            }
        }
    }
}

proptest! {
    /// Whatever happens at any level, what is used and held in a window stays within the
    /// largest limit that the level knew, as long as bounds hold.
    #[test]
    fn no_history_exceeds_a_cap(steps in prop::collection::vec(step(), 1..200)) {
        let mut paper = Paper::new();
        for step in &steps {
            paper.take(step);
            for (name, ..) in LEVELS {
                let meter = paper.ledger.get(&id(name)).unwrap();
                let promised = meter.used.plus(meter.held).raw();
                prop_assert!(promised <= paper.largest[name], "{name} after {step:?}");
            }
        }
    }

    /// The tree's sums agree: each level has used what its requests cost, no more and no
    /// less, and holds what those on their way may cost; a refusal changes none of them.
    #[test]
    fn every_level_adds_up_to_its_requests(steps in prop::collection::vec(step(), 1..200)) {
        let mut paper = Paper::new();
        for step in &steps {
            paper.take(step);
            for (name, ..) in LEVELS {
                let meter = paper.ledger.get(&id(name)).unwrap();
                let ended = paper.ended.get(name).copied().unwrap_or_default();
                let charged = paper.charged.get(name).copied().unwrap_or_default();
                prop_assert_eq!(ended + meter.used.raw(), charged, "{} after {:?}", name, step);
                let touches = |claim: &&Claim| claim.meters.contains(&id(name));
                let promised: i64 = paper.open.iter().filter(touches).map(|claim| claim.cost.pico()).sum();
                prop_assert_eq!(meter.held.raw(), promised, "{} after {:?}", name, step);
            }
        }
    }

    /// However much requests may take at most: what each holds is given back, and no more.
    #[test]
    fn holds_of_any_size_add_up(tokens in prop::collection::vec(prop_oneof![0..1_000_u64, any::<u64>()], 1..20)) {
        let mut ledger = Ledger::default();
        ledger.put(id("tokens:t"), Meter { measure: Measure::Tokens, ..budget(i64::MAX, "1h", Level::Team) });
        let now = Moment::from_millis(0);
        let claims = tokens.into_iter().map(|tokens| Claim { tokens, ..claim(0, &["tokens:t"]) });
        let mut open: Vec<Claim> = claims.filter(|claim| ledger.admit(claim, now).is_ok()).collect();
        while let Some(claim) = open.pop() {
            ledger.release(&claim);
            let held = open.iter().map(|claim| Amount::of_count(claim.tokens)).fold(Amount::ZERO, Amount::plus);
            prop_assert_eq!(ledger.get(&id("tokens:t")).unwrap().held, held);
        }
    }

    /// A request limit counts every admission, in whatever order they end.
    #[test]
    fn a_request_limit_admits_exactly_its_number(limit in 1_i64..50, tries in 1_usize..100) {
        let mut ledger = Ledger::default();
        let meter = Meter { measure: Measure::Requests, ..budget(limit, "1h", Level::VirtualKey) };
        ledger.put(id("requests:r"), meter);
        let claim = claim(0, &["requests:r"]);
        let now = Moment::from_millis(0);
        let admitted = (0..tries).filter(|_| ledger.admit(&claim, now).is_ok()).count();
        prop_assert_eq!(admitted, tries.min(usize::try_from(limit).unwrap()));
    }

    /// Of several windows of one metric the tightest admits, and a refusal counts in none.
    #[test]
    fn several_windows_admit_what_the_tightest_admits(short in 1_i64..20, long in 1_i64..20, tries in 1_usize..60) {
        let mut ledger = Ledger::default();
        let meter = |limit, length| Meter { measure: Measure::Requests, ..budget(limit, length, Level::Team) };
        ledger.put(id("requests:short"), meter(short, "1m"));
        ledger.put(id("requests:long"), meter(long, "1h"));
        let claim = claim(0, &["requests:short", "requests:long"]);
        let mut now = Moment::from_millis(0);
        let mut admitted = 0;
        for _ in 0..tries {
            match ledger.admit(&claim, now) {
                Ok(_) => {
                    ledger.settle(&claim, Spent { cost: Usd::ZERO, tokens: 0 }, now);
                    admitted += 1;
                }
                // The next minute; all tries are within the hour.
                Err(_) => now = now.after(60_000),
            }
            prop_assert_eq!(ledger.get(&id("requests:long")).unwrap().used.raw(), admitted);
        }
        prop_assert!(admitted <= long);
    }
}
