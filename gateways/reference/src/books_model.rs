//! A ledger on paper beside the real one: real books, real writer, real database, and any
//! history of requests, edits, resets, removals and returns, clocks, kills and restarts. They
//! must agree at every step.
//!
//! Times on paper are whole ticks. The real clock runs on between them, by far less than a tick,
//! so that both see every window end at the same step.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Instant;

use proptest::prelude::*;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use tempfile::TempDir;

use self::paper::{Length, Paper, Step, TICK};
use super::*;
use crate::ledger::{Amount, BudgetAdmission, Level, Measure, Owner};
use crate::money::Usd;
use crate::policy;
use crate::store::{Declared, Durability, IsKnown, MeterRow, OwnerKey, SqliteStore, Standing, Store as _, merge};
use crate::window::Window;

#[path = "books_paper.rs"]
mod paper;

/// Each opens several databases.
const CASES: u32 = 40;

/// The real ledger.
struct Real {
    folder: TempDir,
    books: Arc<Books>,
    clock: Arc<Clock>,
    open: Vec<Held>,
    runtime: tokio::runtime::Runtime,
    began: Instant,
}

impl Real {
    /// Starts on what is in the folder, as the gateway does.
    fn start(folder: TempDir, now: i64, began: Instant) -> Real {
        let clock = Clock::default();
        let passed = i64::try_from(began.elapsed().as_millis()).unwrap();
        clock.advance(now + passed - clock.now().millis()).unwrap();
        let clock = Arc::new(clock);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let books = runtime.block_on(open(&folder.path().join("config.db"), Arc::clone(&clock)));
        Real { folder, books, clock, open: Vec::new(), runtime, began }
    }

    fn admit(&mut self, cost: i64, ids: &[u32]) -> bool {
        let claim = Claim {
            cost: Usd::from_pico(cost),
            tokens: 0,
            meters: ids.iter().map(|id| meter_id(*id)).collect(),
            admission: BudgetAdmission::Reserved,
        };
        let Ok(admitted) = self.books.admit(claim) else { return false };
        self.open.push(self.runtime.block_on(admitted.written()).unwrap());
        true
    }

    fn settle(&mut self, at: usize, percent: i64) {
        let held = self.open.remove(at);
        let cost = Usd::from_pico(held.bound().cost.pico() * percent / 100);
        self.runtime.block_on(held.settle(Spent { cost, tokens: 0 })).unwrap();
    }

    /// Writes a budget as an administrator's edit does, and lets it hold after `meanwhile`.
    fn put(&mut self, id: u32, limit: i64, length: Length, meanwhile: impl FnOnce(&mut Real)) {
        let id = meter_id(id);
        let meter = Meter {
            measure: Measure::Usd,
            owner: Owner { level: Level::Provider, entity: "primary".into() },
            limit: Amount::from_raw(limit),
            window: Window { start: self.clock.now(), length: length.real() },
            used: Amount::ZERO,
            held: Amount::ZERO,
        };
        self.write(|ledger| put_row(&id, ledger.edited(&id, meter.clone())));
        meanwhile(self);
        self.books.apply(|ledger| {
            ledger.edit(id, meter);
        });
    }

    /// Empties a budget as an administrator does, whose reset holds after `meanwhile`.
    fn reset(&mut self, id: u32, meanwhile: impl FnOnce(&mut Real)) {
        let (id, now) = (meter_id(id), self.clock.now());
        let present = |ledger: &Ledger| ledger.get(&id).unwrap().clone();
        self.write(|ledger| {
            let mut meter = present(ledger);
            meter.reset(now);
            put_row(&id, meter)
        });
        meanwhile(self);
        self.books.apply(|ledger| ledger.reset(&id, now));
        self.write(|ledger| put_row(&id, present(ledger)));
    }

    fn write(&self, change: impl FnOnce(&Ledger) -> Change) {
        self.runtime.block_on(self.books.write(|ledger| vec![change(ledger)])).unwrap();
    }

    fn remove(&mut self, id: u32) {
        let id = meter_id(id);
        self.write(|_| Change::DeleteMeter(id.clone()));
        self.books.apply(|ledger| ledger.remove(&id));
    }

    /// What a killed process leaves behind is what the kernel has: the files as they are.
    fn kill(self, now: i64) -> Real {
        let image = TempDir::new().unwrap();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let file = file.unwrap();
            if !file.file_name().to_string_lossy().ends_with("-shm") {
                std::fs::copy(file.path(), image.path().join(file.file_name())).unwrap();
            }
        }
        let began = self.began;
        drop(self);
        Real::start(image, now, began)
    }

    fn restart(mut self, now: i64) -> Real {
        self.open.clear();
        self.books.writer.finish().unwrap();
        Real::start(self.folder, now, self.began)
    }
}

fn put_row(id: &MeterId, meter: Meter) -> Change {
    Change::PutMeter(MeterRow {
        id: id.clone(),
        owner: OwnerKey::Provider("primary".into()),
        limit: meter.limit,
        reset_duration: meter.window.length,
        used: meter.used,
        window_start: meter.window.start,
        file_hash: None,
        standing: Standing::Live,
    })
}

fn meter_id(id: u32) -> MeterId {
    MeterId::new(Measure::Usd, &id.to_string())
}

/// The books that begin with a database.
async fn open(path: &Path, clock: Arc<Clock>) -> Arc<Books> {
    let mut store = SqliteStore::open(path, Durability::Process).await.unwrap();
    let saved = store.load().unwrap();
    let closed = saved.holds.iter().map(|hold| hold.id).collect();
    let meters = |is_known: IsKnown<'_>| Ok::<_, Box<dyn std::error::Error>>(store.meters(is_known)?);
    let mut merged = merge(Declared::default().into(), saved, meters, clock.now()).unwrap();
    let changes = std::mem::take(&mut merged.changes);
    store.begin(&merged, &crate::store::Batch { closed, changes, ..Default::default() }).unwrap();
    let (_, ledger) = policy::build(&merged);
    let writer = Writer::new(Box::new(store), Durability::Process);
    Arc::new(Books::new(ledger, writer, clock))
}

impl StateMachineTest for Real {
    type SystemUnderTest = Real;
    type Reference = Paper;

    fn init_test(paper: &Paper) -> Real {
        Real::start(TempDir::new().unwrap(), paper.now, Instant::now())
    }

    fn apply(mut real: Real, paper: &Paper, step: Step) -> Real {
        match step {
            Step::Admit { cost, ids } => assert_eq!(real.admit(cost, &ids), paper.admitted),
            Step::Settle { at, percent } => real.settle(at, percent),
            Step::Release { at } => {
                let held = real.open.remove(at);
                real.runtime.block_on(held.release()).unwrap();
            }
            Step::Abandon { at } => drop(real.open.remove(at)),
            Step::Wait { ticks } => real.clock.advance(ticks * TICK).unwrap(),
            Step::Edit { id, limit, length, settles } => real.put(id, limit, length, |real| {
                if let Some(at) = settles {
                    real.settle(at, 100);
                }
            }),
            Step::Reset { id, settles } => real.reset(id, |real| {
                if let Some(at) = settles {
                    real.settle(at, 100);
                }
            }),
            Step::Remove { id } => real.remove(id),
            Step::Return { id, limit, length } => real.put(id, limit, length, |_| {}),
            Step::Add { limit, length } => real.put(paper.next - 1, limit, length, |_| {}),
            Step::Restart { .. } => real = real.restart(paper.now),
            Step::Kill { .. } => real = real.kill(paper.now),
        }
        real
    }

    fn check_invariants(real: &Real, paper: &Paper) {
        let now = real.clock.now();
        for id in 0..paper.next {
            let meter = real.books.meters([&meter_id(id)]).pop().map(|(_, meter)| meter);
            let Some(line) = paper.lines.get(&id) else {
                assert_eq!(meter, None, "the budget {id} was removed");
                continue;
            };
            let meter = meter.unwrap();
            let mut line = line.clone();
            line.roll(paper.now);
            let figures = (meter.limit.raw(), meter.used_at(now).raw(), meter.held.raw());
            assert_eq!(figures, (line.limit, line.used, paper.held(id)), "limit, used and held of {id}");
            let late = meter.window_at(now).ends().millis() - line.length.end(line.start);
            assert!((0..TICK).contains(&late), "the window of {id} ends {late} ms late");
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn the_real_ledger_agrees_with_one_on_paper(sequential 1..60 => Real);
}
