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
//!
//! A commit hands the data to the kernel. A killed process loses nothing of that;
//! a machine that loses power may, unless `durability: power_loss` asks for a sync.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::ledger::MeterState;

use super::rows::{Batch, Change, HoldId, HoldRow};
use super::{Durability, Store, StoreError};

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
}

/// The store, until it is closed, and what it could not be given yet.
struct Pen {
    store: Option<Box<dyn Store>>,
    owed: Batch,
}

impl Writer {
    pub(crate) fn new(store: Box<dyn Store>, durability: Durability) -> Writer {
        let pen = Mutex::new(Pen { store: Some(store), owed: Batch::default() });
        let has_retry = AtomicBool::new(false);
        Writer(Arc::new(Desk { queue: Mutex::new(Vec::new()), pen, durability, has_retry }))
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
        self.0.write_all();
        let mut pen = lock(&self.0.pen);
        let Some(mut store) = pen.store.take() else { return Ok(()) };
        let last = store.commit(&std::mem::take(&mut pen.owed));
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
            if pen.write(entries).is_err() {
                self.write_later();
            }
        }
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
            let again = lock(&desk.pen).write(Vec::new());
            if again.is_err() {
                desk.write_later();
            }
            // Whoever came meanwhile leaves it to the one who holds the pen.
            desk.write_all();
        });
    }
}

impl Pen {
    fn write(&mut self, entries: Vec<Entry>) -> Result<(), NotWritten> {
        let mut batch = std::mem::take(&mut self.owed);
        let mut waiting = Vec::with_capacity(entries.len());
        for entry in entries {
            batch.add(entry.record);
            waiting.push(entry.written);
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        let outcome = store.commit(&batch).map_err(|error| {
            tracing::error!(%error, "could not write to the database");
            NotWritten
        });
        for waiter in waiting {
            // A caller that has left does not wait.
            let _ = waiter.send(outcome.is_ok());
        }
        if outcome.is_err() {
            self.owed = batch.owed();
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
