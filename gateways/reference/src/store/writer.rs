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
//! wake. Where others hand over more and more while he writes, a thread of its own goes on for him.
//! What is handed over is in the order in which the ledger changed, because it is
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
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::ledger::MeterState;

use super::mutex::{lock, lock_at_once};
use super::rows::{Batch, Change, HoldId, HoldRow};
use super::{Durability, Patience, Store, StoreError};

/// How long what is owed waits for a next batch.
const RETRY: Duration = Duration::from_secs(1);
/// How many commits in a row a thread makes that serves requests. One is the rule, and the others'
/// entries come with the second.
const ROUNDS: usize = 8;

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

/// Whether others may have something to write too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    Others,
    /// Nobody else is on the way: to let others go first would only cost time.
    None,
}

/// A record that was handed over. It is written when somebody waits for it, or drops it, or
/// with another's.
pub(crate) struct Written {
    desk: Arc<Desk>,
    receiver: oneshot::Receiver<bool>,
}

impl Written {
    /// Waits until the record is on disk.
    pub(crate) async fn wait(mut self, company: Company) -> Result<(), NotWritten> {
        if company == Company::Others {
            // Those that are ready hand over what they have, and share the commit.
            tokio::task::yield_now().await;
        }
        match self.receiver.try_recv() {
            Ok(true) => return Ok(()),
            Ok(false) | Err(TryRecvError::Closed) => return Err(NotWritten),
            Err(TryRecvError::Empty) => {}
        }
        self.desk.write();
        match (&mut self.receiver).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotWritten),
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if matches!(self.receiver.try_recv(), Err(TryRecvError::Empty)) {
            self.desk.write();
        }
    }
}

/// Whoever has handed an entry over calls [`Desk::write`] afterwards, and whoever has had the pen
/// looks at the queue after he has laid it down, or has let another look. An entry that comes while
/// the pen is taken is therefore seen by the one who has it, and one that comes later finds it free.
///
/// Tasks and threads are a runtime's: one that ends may drop what it has not begun. Then the gateway
/// ends, and [`Writer::finish`] writes what is left.
impl Desk {
    /// Writes on the thread whose work that is.
    fn write(self: &Arc<Self>) {
        match self.durability {
            Durability::Process => self.write_some(),
            // A sync takes the disk's time, which belongs to no thread that serves requests.
            Durability::PowerLoss => self.write_aside(),
        }
    }

    /// Writes a few rounds, which is nearly always all there is. Whoever serves requests does not
    /// write for others without end: what is left then is for a thread that serves none.
    fn write_some(self: &Arc<Self>) {
        for _ in 0..ROUNDS {
            if !self.write_once() {
                return;
            }
        }
        // The pen is laid down: what has come before that nobody else may have seen.
        if self.has_entries() {
            self.write_aside();
        }
    }

    /// Writes all on a thread that serves no requests.
    fn write_aside(self: &Arc<Self>) {
        let desk = Arc::clone(self);
        aside(move || desk.write_all());
    }

    /// Writes until nothing is left, or somebody else is writing.
    fn write_all(self: &Arc<Self>) {
        while self.write_once() {}
    }

    /// Writes what is there, unless somebody else is writing: he looks again when he is done.
    /// Tells whether to look again.
    fn write_once(self: &Arc<Self>) -> bool {
        if !self.has_entries() {
            return false;
        }
        let Some(mut pen) = lock_at_once(&self.pen) else { return false };
        let entries = std::mem::take(&mut *lock(&self.queue));
        let written = pen.write(entries, Patience::None);
        drop(pen);
        match written {
            Ok(()) => {}
            Err(StoreError::Busy(_)) => {
                self.write_patiently();
                return false;
            }
            Err(_) => self.write_later(),
        }
        true
    }

    /// Writes what the pen has, and then all, on a thread of its own: another process may take its
    /// time to end its writing. One such thread waits for the pen, and has yet to write all that
    /// was given to the pen before.
    fn write_patiently(self: &Arc<Self>) {
        if self.is_patient.swap(true, Ordering::SeqCst) {
            return;
        }
        let desk = Arc::clone(self);
        aside(move || {
            let mut pen = lock(&desk.pen);
            desk.is_patient.store(false, Ordering::SeqCst);
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
        if self.has_retry.swap(true, Ordering::SeqCst) {
            return;
        }
        let desk = Arc::clone(self);
        runtime.spawn(async move {
            tokio::time::sleep(RETRY).await;
            desk.has_retry.store(false, Ordering::SeqCst);
            // Not here: whoever has the pen may wait for another process.
            desk.write_patiently();
        });
    }
}

/// Does what may take the disk's time on a thread that serves no requests.
fn aside(work: impl FnOnce() + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        // The gateway is ending, and nobody is held up.
        Err(_) => work(),
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

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
