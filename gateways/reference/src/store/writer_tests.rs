//! Tests of who writes what was handed over, and on which thread.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use super::super::{IsKnown, Merged, MeterRow, Saved, Store};
use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// A store whose commits do what a test says.
struct Does<F>(F);

impl<F: FnMut(&Batch, Patience) -> Result<(), StoreError> + Send + 'static> Store for Does<F> {
    fn load(&mut self) -> Result<Saved, StoreError> {
        Ok(Saved::default())
    }

    fn meters(&mut self, _: IsKnown<'_>) -> Result<Vec<MeterRow>, StoreError> {
        Ok(Vec::new())
    }

    fn begin(&mut self, _: &Merged, batch: &Batch) -> Result<(), StoreError> {
        (self.0)(batch, Patience::Some)
    }

    fn commit(&mut self, batch: &Batch, patience: Patience) -> Result<(), StoreError> {
        (self.0)(batch, patience)
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What was closed, and by which threads.
type Closed = Arc<Mutex<Vec<(HoldId, ThreadId)>>>;

/// A writer that keeps what is closed, and what it keeps.
fn keeping(durability: Durability) -> (Writer, Closed) {
    let closed = Closed::default();
    let kept = Arc::clone(&closed);
    let commit = move |batch: &Batch, _| {
        lock(&kept).extend(batch.closed.iter().map(|id| (*id, thread::current().id())));
        Ok(())
    };
    (Writer::new(Box::new(Does(commit)), durability), closed)
}

async fn until(condition: impl Fn() -> bool) {
    let asking = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.unwrap();
}

#[test]
fn an_outcome_that_waits_behind_another_writer_is_written_before_the_end() {
    let (writer, closed) = keeping(Durability::Process);
    let pen = lock(&writer.0.pen);
    let finishing = thread::spawn({
        let writer = writer.clone();
        move || writer.finish()
    });
    while Arc::strong_count(&writer.0) < 2 {
        thread::yield_now();
    }
    // It finds the pen taken, and leaves its record to whoever writes.
    drop(writer.close(HoldId(7), Vec::new()));
    drop(pen);
    finishing.join().unwrap().unwrap();
    assert_eq!(lock(&closed)[0].0, HoldId(7));
}

#[tokio::test]
async fn what_is_owed_is_tried_again_on_no_thread_that_serves_while_another_process_writes() {
    let busy = || StoreError::Busy(PathBuf::from("config.db"));
    let (release, released) = mpsc::channel();
    let mut commits = 0;
    let store = Does(move |_: &Batch, patience| {
        commits += 1;
        match (commits, patience) {
            (1, _) => Err(StoreError::Create(PathBuf::from("config.db"), std::io::Error::other("full"))),
            (2, Patience::None) => Err(busy()),
            // The other process ends when it is told to, which takes the test's thread.
            (3, Patience::Some) => released.recv_timeout(Duration::from_secs(5)).map_err(|_| busy()),
            _ => Ok(()),
        }
    });
    let writer = Writer::new(Box::new(store), Durability::Process);
    writer.close(HoldId(1), Vec::new()).wait(Company::Others).await.unwrap_err();
    assert!(writer.0.has_retry.load(Ordering::SeqCst));
    let waiting: Vec<_> =
        (2..5).map(|id| tokio::spawn(writer.close(HoldId(id), Vec::new()).wait(Company::Others))).collect();
    // The pause is over, and the pen is with the one who waits for the other process.
    until(|| !writer.0.has_retry.load(Ordering::SeqCst)).await;
    tokio::task::yield_now().await;
    release.send(()).unwrap();
    for written in waiting {
        tokio::time::timeout(DEADLINE, written).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn who_serves_requests_writes_a_few_rounds_for_others_and_nothing_is_left() {
    const ENTRIES: i64 = 1_000;
    let serving = thread::current().id();
    let writer = Arc::new(std::sync::OnceLock::<Writer>::new());
    let (handed, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let by = Arc::new(Mutex::new(Vec::new()));
    // While anything is written, another hands something over.
    let others = (Arc::clone(&writer), Arc::clone(&by));
    let mut next = 1;
    let store = Does(move |batch: &Batch, _| {
        let (writer, by) = &others;
        lock(by).extend(batch.closed.iter().map(|_| thread::current().id()));
        if next < ENTRIES {
            next += 1;
            handed.send(writer.get().unwrap().close(HoldId(next), Vec::new())).unwrap();
        }
        Ok(())
    });
    let writer = writer.get_or_init(|| Writer::new(Box::new(store), Durability::Process));
    writer.close(HoldId(1), Vec::new()).wait(Company::Others).await.unwrap();
    for _ in 1..ENTRIES {
        let mut written = waiting.recv().await.unwrap();
        // Nobody else writes it: whoever waits here only looks.
        tokio::time::timeout(DEADLINE, &mut written.receiver).await.unwrap().unwrap();
    }
    let by = lock(&by);
    assert_eq!(by.len(), usize::try_from(ENTRIES).unwrap());
    assert_eq!(by.iter().filter(|thread| **thread == serving).count(), ROUNDS);
}

#[test]
fn of_many_threads_none_waits_for_a_record_that_nobody_writes() {
    const THREADS: i64 = 8;
    const RECORDS: i64 = 500;
    for durability in [Durability::Process, Durability::PowerLoss] {
        let (writer, closed) = keeping(durability);
        let serve = |number: i64| {
            let writer = writer.clone();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            move || {
                runtime.block_on(async {
                    for record in 0..RECORDS {
                        let id = |copy| HoldId((number * RECORDS + record) * 3 + copy);
                        drop(writer.close(id(0), Vec::new()));
                        let both = [writer.close(id(1), Vec::new()), writer.close(id(2), Vec::new())];
                        let both =
                            futures_util::future::try_join_all(both.map(|written| written.wait(Company::Others)));
                        tokio::time::timeout(DEADLINE, both).await.unwrap().unwrap();
                    }
                    until(|| !writer.0.has_entries()).await;
                });
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|number| thread::spawn(serve(number))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let closed = lock(&closed);
        let ids: HashSet<_> = closed.iter().map(|(id, _)| id.0).collect();
        let all = usize::try_from(THREADS * RECORDS * 3).unwrap();
        assert_eq!((closed.len(), ids.len()), (all, all), "{durability:?}");
    }
}

#[tokio::test]
async fn a_sync_for_a_record_that_is_dropped_takes_no_thread_that_serves() {
    let (writer, closed) = keeping(Durability::PowerLoss);
    drop(writer.close(HoldId(7), Vec::new()));
    until(|| !lock(&closed).is_empty()).await;
    let (id, thread) = lock(&closed)[0];
    assert_eq!(id, HoldId(7));
    assert_ne!(thread, thread::current().id());
}
