//! Tests of the ledger together with a disk that fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::ledger::{Amount, BudgetAdmission, Level, Measure, Owner};
use crate::money::Usd;
use crate::store::{
    Batch, Durability, IsKnown, Merged, MeterRow, OwnerKey, Patience, Saved, Standing, Store, StoreError,
};
use crate::window::Window;

const DEADLINE: Duration = Duration::from_secs(10);

/// What a disk holds, and whether it fails.
#[derive(Default)]
struct Disk {
    fails: AtomicBool,
    /// Whether a commit takes until this is no longer so, and whether one has begun.
    is_slow: AtomicBool,
    is_busy: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    holds: HashSet<HoldId>,
    used: HashMap<MeterId, i64>,
}

struct DiskStore(Arc<Disk>);

impl Store for DiskStore {
    fn load(&mut self) -> Result<Saved, StoreError> {
        Ok(Saved::default())
    }

    fn meters(&mut self, _: IsKnown<'_>) -> Result<Vec<MeterRow>, StoreError> {
        Ok(Vec::new())
    }

    fn begin(&mut self, _: &Merged, batch: &Batch) -> Result<(), StoreError> {
        self.commit(batch, Patience::Some)
    }

    fn commit(&mut self, batch: &Batch, _: Patience) -> Result<(), StoreError> {
        if self.0.fails.load(Ordering::Relaxed) {
            return Err(StoreError::Create(PathBuf::from("disk"), std::io::Error::other("full")));
        }
        self.0.is_busy.store(true, Ordering::Relaxed);
        while self.0.is_slow.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        let mut kept = self.0.kept.lock().unwrap();
        kept.holds.extend(batch.holds.iter().map(|hold| hold.id));
        kept.holds.retain(|id| !batch.closed.contains(id));
        for change in &batch.changes {
            if let Change::PutMeter(row) = change {
                kept.used.insert(row.id.clone(), row.used.raw());
            }
        }
        kept.used.extend(batch.states.values().map(|state| (state.id.clone(), state.used.raw())));
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

fn id(name: &str) -> MeterId {
    MeterId::new(Measure::Usd, name)
}

fn claim(meter: &str) -> Claim {
    Claim { cost: Usd::from_pico(100), tokens: 1, meters: [id(meter)].into(), admission: BudgetAdmission::Reserved }
}

/// Books with the budgets `a` and `b`, and their disk.
fn books() -> (Arc<Books>, Arc<Disk>) {
    let mut ledger = Ledger::default();
    for name in ["a", "b"] {
        let meter = Meter {
            measure: Measure::Usd,
            owner: Owner { level: Level::VirtualKey, entity: "agent".into() },
            limit: Amount::from_raw(1_000),
            window: Window { start: Clock::default().now(), length: "1h".parse().unwrap() },
            used: Amount::ZERO,
            held: Amount::ZERO,
        };
        ledger.put(id(name), meter);
    }
    let disk = Arc::new(Disk::default());
    let writer = Writer::new(Box::new(DiskStore(Arc::clone(&disk))), Durability::Process);
    (Arc::new(Books::new(ledger, writer, Arc::new(Clock::default()))), disk)
}

fn spent(pico: i64) -> Spent {
    Spent { cost: Usd::from_pico(pico), tokens: 1 }
}

#[tokio::test]
async fn a_hold_that_cannot_be_written_is_taken_back() {
    let (books, disk) = books();
    disk.fails.store(true, Ordering::Relaxed);
    assert!(books.admit(claim("a")).unwrap().written().await.is_err());
    let (_, meter) = books.meters([&id("a")]).pop().unwrap();
    assert_eq!((meter.used, meter.held), (Amount::ZERO, Amount::ZERO));
}

#[tokio::test]
async fn what_was_spent_and_could_not_be_written_is_written_with_the_next_batch() {
    let (books, disk) = books();
    let held = books.admit(claim("a")).unwrap().written().await.unwrap();
    disk.fails.store(true, Ordering::Relaxed);
    assert!(held.settle(spent(70)).await.is_err());
    disk.fails.store(false, Ordering::Relaxed);
    let other = books.admit(claim("b")).unwrap().written().await.unwrap();
    other.settle(spent(30)).await.unwrap();
    let kept = disk.kept.lock().unwrap();
    assert!(kept.holds.is_empty(), "{:?}", kept.holds);
    assert_eq!((kept.used.get(&id("a")), kept.used.get(&id("b"))), (Some(&70), Some(&30)));
}

#[tokio::test]
async fn what_was_spent_outlives_an_edit_of_its_budget_that_could_not_be_written() {
    let (books, disk) = books();
    let held = books.admit(claim("a")).unwrap().written().await.unwrap();
    disk.fails.store(true, Ordering::Relaxed);
    // Both come before the writer's next turn: one batch has them.
    held.settle_behind(spent(70));
    let edit = |ledger: &Ledger| {
        let meter = ledger.get(&id("a")).unwrap();
        vec![Change::PutMeter(MeterRow {
            id: id("a"),
            owner: OwnerKey::VirtualKey("agent".into()),
            limit: Amount::from_raw(2_000),
            reset_duration: meter.window.length.clone(),
            used: meter.used,
            window_start: meter.window.start,
            file_hash: None,
            standing: Standing::Live,
        })]
    };
    assert!(books.write(edit).await.is_err());
    disk.fails.store(false, Ordering::Relaxed);
    drop(books.admit(claim("b")).unwrap().written().await.unwrap());
    assert_eq!(disk.kept.lock().unwrap().used.get(&id("a")), Some(&70));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_comes_while_the_disk_is_tried_again_is_written() {
    let (books, disk) = books();
    let held = books.admit(claim("a")).unwrap().written().await.unwrap();
    disk.fails.store(true, Ordering::Relaxed);
    assert!(held.settle(spent(70)).await.is_err());
    disk.is_busy.store(false, Ordering::Relaxed);
    disk.is_slow.store(true, Ordering::Relaxed);
    disk.fails.store(false, Ordering::Relaxed);
    // Nobody else writes: it is what was owed.
    let trying = async {
        while !disk.is_busy.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, trying).await.unwrap();
    let mut hold = Box::pin(books.admit(claim("b")).unwrap().written());
    for _ in 0..2 {
        let once = std::future::poll_fn(|context| Poll::Ready(hold.as_mut().poll(context).is_pending()));
        assert!(once.await, "it is written although the disk is busy");
    }
    disk.is_slow.store(false, Ordering::Relaxed);
    let held = tokio::time::timeout(DEADLINE, hold).await.unwrap().unwrap();
    held.release().await.unwrap();
}

#[tokio::test]
async fn a_request_that_panics_costs_what_it_holds() {
    let (books, disk) = books();
    let held = books.admit(claim("a")).unwrap().written().await.unwrap();
    let task = tokio::spawn(async move {
        let _held = held;
        panic!("it is meant to");
    });
    assert!(task.await.is_err());
    let meter = books.meter(&id("a")).unwrap();
    assert_eq!((meter.used, meter.held), (Amount::from_raw(100), Amount::ZERO));
    let kept = disk.kept.lock().unwrap();
    assert_eq!((kept.holds.len(), kept.used.get(&id("a"))), (0, Some(&100)));
}
