//! What is written to disk, and when.
//!
//! 1. **Before a request goes upstream** its hold is written: the most it can cost,
//!    and the meters it touches. The request waits for that commit.
//! 2. **Before the answer is complete for the caller** (before a plain answer, before
//!    a stream's end marker) the hold is deleted and the new usage of its meters is
//!    written, in one transaction. The answer waits for that commit.
//! 3. **Before an administrator's change is confirmed** it is written.
//!
//! Whoever waits for a record writes it himself, together with all that others have handed
//! over meanwhile, so that many requests share a commit and none waits for another thread to
//! wake. What is handed over is in the order in which the ledger changed, because it is
//! handed over under the ledger's lock; therefore the last state of a meter wins.
//!
//! What was spent and could not be written is written with the next batch, or after a
//! pause. What could not be held or changed is told to whoever waits for it, and is not.
//! Where another process writes to the database, a thread of its own waits for that to end:
//! the one that serves requests goes on with those that write nothing.
//!
//! A commit hands the data to the kernel. A killed process loses nothing of that;
//! a machine that loses power may, unless `durability: power_loss` asks for a sync.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::ledger::MeterState;

use super::rows::{Batch, Change, HoldId, HoldRow};
use super::{Durability, Patience, Store, StoreError};

/// How long what is owed waits for a next batch.
const RETRY: Duration = Duration::from_secs(1);

/// The record could not be written; the cause is in the gateway's log.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the gateway could not write to its database")]
pub(crate) struct NotWritten;

enum Record {
    Hold(HoldRow, Vec<MeterState>),
    Close(HoldId, Vec<MeterState>),
    Changes(Vec<Change>),
    Ping,
}

struct Entry {
    record: Record,
    written: oneshot::Sender<bool>,
}

/// Takes records, in the order in which they are to be written.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Desk>);

struct Desk {
    queue: Mutex<Vec<Entry>>,
    /// Locked by whoever writes; it is held for the time of a commit.
    pen: Mutex<Pen>,
    durability: Durability,
    /// Whether a task is waiting to write what is owed.
    has_retry: AtomicBool,
    /// Whether a thread is waiting for another process.
    is_patient: AtomicBool,
}

/// The store, until it is closed, and what it could not be given yet.
struct Pen {
    store: Option<Box<dyn Store>>,
    batch: Batch,
    /// Who waits for the batch.
    waiting: Vec<oneshot::Sender<bool>>,
}

impl Writer {
    pub(crate) fn new(store: Box<dyn Store>, durability: Durability) -> Writer {
        Writer(Arc::new(Desk {
            queue: Mutex::default(),
            pen: Mutex::new(Pen { store: Some(store), batch: Batch::default(), waiting: Vec::new() }),
            durability,
            has_retry: AtomicBool::new(false),
            is_patient: AtomicBool::new(false),
        }))
    }

    /// A request is about to go upstream.
    pub(crate) fn hold(&self, hold: HoldRow, rolled: Vec<MeterState>) -> Written {
        self.push(Record::Hold(hold, rolled))
    }

    /// A request has its outcome.
    pub(crate) fn close(&self, id: HoldId, states: Vec<MeterState>) -> Written {
        self.push(Record::Close(id, states))
    }

    /// An administrator changed the configuration.
    pub(crate) fn changes(&self, changes: Vec<Change>) -> Written {
        self.push(Record::Changes(changes))
    }

    /// Writes what is left and closes the store. What comes later is not written.
    pub(crate) fn finish(&self) -> Result<(), StoreError> {
        let mut pen = lock(&self.0.pen);
        // Taken with the pen in hand: what another writer has left must not come too late.
        let entries = std::mem::take(&mut *lock(&self.0.queue));
        let last = pen.write(entries, Patience::Some);
        let Some(store) = pen.store.take() else { return Ok(()) };
        drop(pen);
        // Whoever came meanwhile learns that nothing is written any more.
        self.0.write_all();
        store.close().and(last)
    }

    /// Somebody asks whether the database can be written.
    pub(crate) fn ping(&self) -> Written {
        self.push(Record::Ping)
    }

    fn push(&self, record: Record) -> Written {
        let (sender, receiver) = oneshot::channel();
        lock(&self.0.queue).push(Entry { record, written: sender });
        Written { desk: Arc::clone(&self.0), receiver }
    }
}

/// A record that was handed over. It is written when somebody waits for it, or drops it, or
/// with another's.
pub(crate) struct Written {
    desk: Arc<Desk>,
    receiver: oneshot::Receiver<bool>,
}

impl Written {
    /// Waits until the record is on disk.
    pub(crate) async fn wait(mut self) -> Result<(), NotWritten> {
        // Others that are ready hand over what they have, and share the commit.
        tokio::task::yield_now().await;
        match self.receiver.try_recv() {
            Ok(true) => return Ok(()),
            Ok(false) | Err(TryRecvError::Closed) => return Err(NotWritten),
            Err(TryRecvError::Empty) => {}
        }
        let desk = Arc::clone(&self.desk);
        match desk.durability {
            Durability::Process => desk.write_all(),
            // A sync takes the disk's time, which belongs to no thread that serves requests.
            Durability::PowerLoss => drop(tokio::task::spawn_blocking(move || desk.write_all()).await),
        }
        match (&mut self.receiver).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotWritten),
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if matches!(self.receiver.try_recv(), Err(TryRecvError::Empty)) {
            self.desk.write_all();
        }
    }
}

impl Desk {
    /// Writes until nothing is left, unless somebody else is writing: he looks again when he is
    /// done, so that nothing stays.
    fn write_all(self: &Arc<Self>) {
        while self.has_entries() {
            let mut pen = match self.pen.try_lock() {
                Ok(pen) => pen,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let entries = std::mem::take(&mut *lock(&self.queue));
            match pen.write(entries, Patience::None) {
                Ok(()) => {}
                Err(StoreError::Busy(_)) => return self.write_patiently(pen),
                Err(_) => self.write_later(),
            }
        }
    }

    /// Waits for another process to end its writing, on a thread of its own.
    fn write_patiently(self: &Arc<Self>, mut pen: MutexGuard<'_, Pen>) {
        // Without a runtime the gateway is ending, and nobody is held up.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // What could not be written is in the gateway's log, and owed.
            drop(pen.write(Vec::new(), Patience::Some));
            return;
        };
        if self.is_patient.swap(true, Ordering::Relaxed) {
            return;
        }
        let desk = Arc::clone(self);
        runtime.spawn_blocking(move || {
            let mut pen = lock(&desk.pen);
            desk.is_patient.store(false, Ordering::Relaxed);
            let written = pen.write(Vec::new(), Patience::Some);
            drop(pen);
            if written.is_err() {
                desk.write_later();
            }
            desk.write_all();
        });
    }

    fn has_entries(&self) -> bool {
        !lock(&self.queue).is_empty()
    }

    /// Tries again what is owed, in case no other batch takes it along.
    fn write_later(self: &Arc<Self>) {
        // Without a runtime the gateway is ending, which is another occasion.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.has_retry.swap(true, Ordering::Relaxed) {
            return;
        }
        let desk = Arc::clone(self);
        runtime.spawn(async move {
            tokio::time::sleep(RETRY).await;
            desk.has_retry.store(false, Ordering::Relaxed);
            let mut pen = lock(&desk.pen);
            match pen.write(Vec::new(), Patience::None) {
                Err(StoreError::Busy(_)) => desk.write_patiently(pen),
                written => {
                    drop(pen);
                    if written.is_err() {
                        desk.write_later();
                    }
                }
            }
            // Whoever came meanwhile leaves it to the one who holds the pen.
            desk.write_all();
        });
    }
}

impl Pen {
    /// Writes these entries, and before them what could not be written yet. Where the store is
    /// busy, all of it stays for the next time.
    fn write(&mut self, entries: Vec<Entry>, patience: Patience) -> Result<(), StoreError> {
        for entry in entries {
            self.batch.add(entry.record);
            self.waiting.push(entry.written);
        }
        let Some(store) = &mut self.store else {
            self.waiting.clear();
            return Ok(());
        };
        let outcome = store.commit(&self.batch, patience);
        if patience == Patience::None && matches!(outcome, Err(StoreError::Busy(_))) {
            return outcome;
        }
        for waiter in self.waiting.drain(..) {
            // A caller that has left does not wait.
            let _ = waiter.send(outcome.is_ok());
        }
        let batch = std::mem::take(&mut self.batch);
        if let Err(error) = &outcome {
            tracing::error!(%error, "could not write to the database");
            self.batch = batch.owed();
        }
        outcome
    }
}

impl Batch {
    fn add(&mut self, record: Record) {
        match record {
            Record::Hold(hold, rolled) => {
                self.holds.push(hold);
                self.set_states(rolled);
            }
            Record::Close(id, states) => {
                self.closed.push(id);
                self.set_states(states);
            }
            Record::Changes(changes) => {
                for change in changes {
                    self.change(change);
                }
            }
            Record::Ping => self.is_ping = true,
        }
    }
}

/// The queue and the pen are whole after a panic: each is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::{IsKnown, Merged, MeterRow, Saved, Store};
    use super::*;

    /// Keeps what is closed, for as long as it is open.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<HoldId>>>);

    impl Store for Kept {
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
            lock(&self.0).extend(&batch.closed);
            Ok(())
        }

        fn close(self: Box<Self>) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn an_outcome_that_waits_behind_another_writer_is_written_before_the_end() {
        let kept = Kept::default();
        let writer = Writer::new(Box::new(kept.clone()), Durability::Process);
        let pen = lock(&writer.0.pen);
        let finishing = std::thread::spawn({
            let writer = writer.clone();
            move || writer.finish()
        });
        while Arc::strong_count(&writer.0) < 2 {
            std::thread::yield_now();
        }
        // It finds the pen taken, and leaves its record to whoever writes.
        drop(writer.close(HoldId(7), Vec::new()));
        drop(pen);
        finishing.join().unwrap().unwrap();
        assert_eq!(*lock(&kept.0), [HoldId(7)]);
    }
}
