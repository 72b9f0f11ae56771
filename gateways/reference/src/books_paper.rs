//! The ledger on paper: a few lines that say what the real one must do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use crate::window::ResetDuration;

pub(super) const TICK: i64 = 600_000;
const HOUR: i64 = 3_600_000;
/// 2028-01-30T22:00:00Z, before a short month with a leap day.
const BEGINNING: i64 = 1_832_968_800_000;

/// How long a window lasts: hours or days from its first use, or what the calendar says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Hours(i64),
    Days(i64),
    Day,
    Week,
    Month,
    Quarter,
}

impl Length {
    pub(super) fn real(self) -> ResetDuration {
        let (text, is_aligned) = match self {
            Length::Hours(hours) => (format!("{hours}h"), false),
            Length::Days(days) => (format!("{days}d"), false),
            Length::Day => ("1d".to_owned(), true),
            Length::Week => ("1w".to_owned(), true),
            Length::Month => ("1M".to_owned(), true),
            Length::Quarter => ("3M".to_owned(), true),
        };
        text.parse::<ResetDuration>().unwrap().aligned(is_aligned).unwrap()
    }

    fn start(self, now: i64) -> i64 {
        match self {
            Length::Hours(_) | Length::Days(_) => now,
            Length::Day => midnight(date(now)),
            Length::Week => midnight(monday(date(now))),
            Length::Month => midnight(date(now).first_of_month()),
            Length::Quarter => midnight(quarter(date(now))),
        }
    }

    pub(super) fn end(self, start: i64) -> i64 {
        match self {
            Length::Hours(hours) => start + hours * HOUR,
            Length::Days(days) => start + days * 24 * HOUR,
            Length::Day => midnight(date(start) + 1.day()),
            Length::Week => midnight(monday(date(start)) + 1.week()),
            Length::Month => midnight(date(start).first_of_month() + 1.month()),
            Length::Quarter => midnight(quarter(date(start)) + 3.months()),
        }
    }
}

fn date(millis: i64) -> Date {
    Timestamp::from_millisecond(millis).unwrap().to_zoned(TimeZone::UTC).date()
}

fn monday(date: Date) -> Date {
    date - date.weekday().to_monday_zero_offset().days()
}

/// The first of January, April, July or October.
fn quarter(date: Date) -> Date {
    date.first_of_month() - ((date.month() - 1) % 3).months()
}

fn midnight(date: Date) -> i64 {
    date.to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond()
}

/// A budget on paper.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) limit: i64,
    pub(super) length: Length,
    pub(super) start: i64,
    pub(super) used: i64,
}

impl Line {
    fn used_at(&self, now: i64) -> i64 {
        if now >= self.length.end(self.start) { 0 } else { self.used }
    }

    pub(super) fn roll(&mut self, now: i64) {
        if now >= self.length.end(self.start) {
            (self.start, self.used) = (self.length.start(now), 0);
        }
    }
}

/// The ledger on paper.
#[derive(Clone, Debug)]
pub(super) struct Paper {
    pub(super) now: i64,
    pub(super) lines: BTreeMap<u32, Line>,
    pub(super) next: u32,
    /// What each request on its way may cost, and whose.
    pub(super) open: Vec<(i64, Vec<u32>)>,
    /// Whether the last request that asked was let in.
    pub(super) admitted: bool,
}

impl Paper {
    pub(super) fn held(&self, id: u32) -> i64 {
        self.open.iter().filter(|(_, ids)| ids.contains(&id)).map(|(cost, _)| cost).sum()
    }

    fn admit(&mut self, cost: i64, ids: &[u32]) {
        self.admitted = ids.iter().all(|id| {
            self.lines.get(id).is_some_and(|line| {
                let used = line.used_at(self.now);
                used < line.limit && used + self.held(*id) + cost <= line.limit
            })
        });
        // A refusal changes nothing, a window that has ended among it.
        if self.admitted {
            self.charge(0, ids);
            self.open.push((cost, ids.to_vec()));
        }
    }

    fn charge(&mut self, cost: i64, ids: &[u32]) {
        for id in ids {
            if let Some(line) = self.lines.get_mut(id) {
                line.roll(self.now);
                line.used += cost;
            }
        }
    }

    fn settle(&mut self, at: usize, percent: i64) {
        let (cost, ids) = self.open.remove(at);
        self.charge(cost * percent / 100, &ids);
    }

    fn charge_all(&mut self) {
        for (cost, ids) in std::mem::take(&mut self.open) {
            self.charge(cost, &ids);
        }
    }

    fn begin(&mut self, id: u32, limit: i64, length: Length) {
        let line = Line { limit, length, start: length.start(self.now), used: 0 };
        self.lines.insert(id, line);
    }

    fn set_back(&mut self, ticks: i64) {
        self.now -= ticks * TICK;
        for line in self.lines.values_mut() {
            line.start = line.start.min(self.now);
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Admit {
        cost: i64,
        ids: Vec<u32>,
    },
    /// Ends an open request at this share (in percent) of its bound.
    Settle {
        at: usize,
        percent: i64,
    },
    Release {
        at: usize,
    },
    /// Drops an open request without a word: it counts in full.
    Abandon {
        at: usize,
    },
    Wait {
        ticks: i64,
    },
    /// Changes limit and window; a request may end between the edit's commit and its effect.
    Edit {
        id: u32,
        limit: i64,
        length: Length,
        settles: Option<usize>,
    },
    /// Empties a budget; a request may end between the reset's commit and its effect.
    Reset {
        id: u32,
        settles: Option<usize>,
    },
    Remove {
        id: u32,
    },
    /// One that was removed comes back, empty; what requests still hold against it counts.
    Return {
        id: u32,
        limit: i64,
        length: Length,
    },
    Add {
        limit: i64,
        length: Length,
    },
    /// An end in order, and a start with a clock that was set back by so much.
    Restart {
        back: i64,
    },
    /// A kill, and the same.
    Kill {
        back: i64,
    },
}

fn length() -> impl Strategy<Value = Length> {
    prop_oneof![
        2 => (1_i64..30).prop_map(Length::Hours),
        // As long as those of the calendar: an edit may change the alignment alone.
        1 => prop::sample::select(vec![1_i64, 7, 30]).prop_map(Length::Days),
        2 => prop::sample::select(vec![Length::Day, Length::Week, Length::Month, Length::Quarter]),
    ]
}

fn back() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 1 => 1_i64..300]
}

impl ReferenceStateMachine for Paper {
    type State = Paper;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Paper> {
        Just(Paper { now: BEGINNING, lines: BTreeMap::new(), next: 0, open: Vec::new(), admitted: false }).boxed()
    }

    fn transitions(paper: &Paper) -> BoxedStrategy<Step> {
        let mut steps = vec![
            (1, (100_i64..2_000, length()).prop_map(|(limit, length)| Step::Add { limit, length }).boxed()),
            (3, prop_oneof![4 => 1_i64..36, 1 => 36_i64..6_000].prop_map(|ticks| Step::Wait { ticks }).boxed()),
            (1, back().prop_map(|back| Step::Restart { back }).boxed()),
            (2, back().prop_map(|back| Step::Kill { back }).boxed()),
        ];
        let (ids, gone): (Vec<u32>, Vec<u32>) = (0..paper.next).partition(|id| paper.lines.contains_key(id));
        let open = paper.open.len();
        if !gone.is_empty() {
            let back = (prop::sample::select(gone.clone()), 50_i64..2_000, length());
            steps.push((2, back.prop_map(|(id, limit, length)| Step::Return { id, limit, length }).boxed()));
            // Who asks for one that is gone is refused.
            let cost = (1_i64..400, prop::sample::select(gone));
            steps.push((1, cost.prop_map(|(cost, id)| Step::Admit { cost, ids: vec![id] }).boxed()));
        }
        if !ids.is_empty() {
            let some = prop::sample::subsequence(ids.clone(), 1..=ids.len());
            steps.push((8, (1_i64..400, some).prop_map(|(cost, ids)| Step::Admit { cost, ids }).boxed()));
            let id = prop::sample::select(ids);
            steps.push((2, id.clone().prop_map(|id| Step::Remove { id }).boxed()));
            let settles = if open > 0 { prop::option::of(0..open).boxed() } else { Just(None).boxed() };
            let reset = (id.clone(), settles.clone());
            steps.push((1, reset.prop_map(|(id, settles)| Step::Reset { id, settles }).boxed()));
            let edit = (id, 50_i64..2_000, length(), settles);
            let edit = edit.prop_map(|(id, limit, length, settles)| Step::Edit { id, limit, length, settles });
            steps.push((3, edit.boxed()));
        }
        if open > 0 {
            steps.push((6, (0..open, 0_i64..=100).prop_map(|(at, percent)| Step::Settle { at, percent }).boxed()));
            steps.push((1, (0..open).prop_map(|at| Step::Release { at }).boxed()));
            steps.push((1, (0..open).prop_map(|at| Step::Abandon { at }).boxed()));
        }
        prop::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(paper: &Paper, step: &Step) -> bool {
        let is_open = |at: &usize| *at < paper.open.len();
        match step {
            Step::Settle { at, .. } | Step::Release { at } | Step::Abandon { at } => is_open(at),
            Step::Edit { id, settles, .. } | Step::Reset { id, settles } => {
                paper.lines.contains_key(id) && settles.as_ref().is_none_or(is_open)
            }
            Step::Remove { id } => paper.lines.contains_key(id),
            Step::Return { id, .. } => *id < paper.next && !paper.lines.contains_key(id),
            Step::Admit { .. } | Step::Wait { .. } | Step::Add { .. } | Step::Restart { .. } | Step::Kill { .. } => {
                true
            }
        }
    }

    fn apply(mut paper: Paper, step: &Step) -> Paper {
        match step {
            Step::Admit { cost, ids } => paper.admit(*cost, ids),
            Step::Settle { at, percent } => paper.settle(*at, *percent),
            Step::Release { at } => drop(paper.open.remove(*at)),
            Step::Abandon { at } => paper.settle(*at, 100),
            Step::Wait { ticks } => paper.now += ticks * TICK,
            Step::Edit { id, limit, length, settles } => {
                let now = paper.now;
                if let Some(line) = paper.lines.get_mut(id) {
                    line.roll(now);
                    (line.limit, line.length) = (*limit, *length);
                    if now >= line.length.end(line.start) {
                        line.start = line.length.start(now);
                    }
                }
                if let Some(at) = settles {
                    paper.settle(*at, 100);
                }
            }
            Step::Reset { id, settles } => {
                if let Some(at) = settles {
                    paper.settle(*at, 100);
                }
                if let Some(line) = paper.lines.get_mut(id) {
                    (line.start, line.used) = (line.length.start(paper.now), 0);
                }
            }
            Step::Remove { id } => drop(paper.lines.remove(id)),
            Step::Return { id, limit, length } => paper.begin(*id, *limit, *length),
            Step::Add { limit, length } => {
                paper.begin(paper.next, *limit, *length);
                paper.next += 1;
            }
            Step::Restart { back } => {
                paper.charge_all();
                paper.set_back(*back);
            }
            Step::Kill { back } => {
                paper.set_back(*back);
                paper.charge_all();
            }
        }
        paper
    }
}
