//! What is written to disk, and when.
//!
//! 1. **Before a request goes upstream** its hold is written: the most it can cost,
//!    and the meters it touches. The request waits for that commit.
//! 2. **Before the answer is complete for the caller** (before a plain answer, before
//!    a stream's end marker) the hold is deleted and the new usage of its meters is
//!    written, in one transaction. The answer waits for that commit.
//! 3. **Before an administrator's change is confirmed** it is written.
//!
//! One task owns the store. It takes all that has come in since its last commit
//! and writes it in one transaction, so that many requests share a commit. What
//! is handed over is in the order in which the ledger changed, because it is
//! handed over under the ledger's lock; therefore the last state of a meter wins.
//!
//! What was spent and could not be written is written with the next batch, or after a
//! pause. What could not be held or changed is told to whoever waits for it, and is not.
//!
//! A commit hands the data to the kernel. A killed process loses nothing of that;
//! a machine that loses power may, unless `durability: power_loss` asks for a sync.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::ledger::MeterState;

use super::rows::{Batch, Change, HoldId, HoldRow};
use super::{Store, StoreError};

/// The record could not be written; the cause is in the gateway's log.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the gateway could not write to its database")]
pub(crate) struct NotWritten;

enum Record {
    Hold(HoldRow, Vec<MeterState>),
    Close(HoldId, Vec<MeterState>),
    Changes(Vec<Change>),
}

struct Entry {
    record: Record,
    written: oneshot::Sender<bool>,
}

/// Hands records to the task that writes them.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::UnboundedSender<Entry>,
}

/// Resolves when a record is on disk.
pub(crate) struct Written(oneshot::Receiver<bool>);

impl Written {
    /// Waits until the record is on disk.
    pub(crate) async fn wait(self) -> Result<(), NotWritten> {
        match self.0.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotWritten),
        }
    }
}

impl Writer {
    /// Starts the writing task. It ends, and closes the store, when the last
    /// `Writer` is dropped and everything is written.
    pub(crate) fn start(store: Box<dyn Store>) -> (Writer, JoinHandle<Result<(), StoreError>>) {
        let (queue, entries) = mpsc::unbounded_channel();
        (Writer { queue }, tokio::spawn(write_all(store, entries)))
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

    fn push(&self, record: Record) -> Written {
        let (written, receiver) = oneshot::channel();
        // A closed queue drops the sender, which the receiver reports.
        drop(self.queue.send(Entry { record, written }));
        Written(receiver)
    }
}

/// How long what is owed waits for a next batch.
const RETRY: Duration = Duration::from_secs(1);

async fn write_all(mut store: Box<dyn Store>, mut entries: mpsc::UnboundedReceiver<Entry>) -> Result<(), StoreError> {
    let mut waiting = Vec::new();
    let mut owed = Batch::default();
    loop {
        let next = if owed.is_empty() {
            entries.recv().await.map(Some)
        } else {
            // Nothing came: what is owed is tried again alone.
            tokio::time::timeout(RETRY, entries.recv()).await.map_or(Some(None), |next| next.map(Some))
        };
        let Some(next) = next else { break };
        let mut batch = std::mem::take(&mut owed);
        if let Some(entry) = next {
            add(&mut batch, &mut waiting, entry);
        }
        while let Ok(entry) = entries.try_recv() {
            add(&mut batch, &mut waiting, entry);
        }
        let outcome = store.commit(&batch).await;
        if let Err(error) = &outcome {
            tracing::error!(%error, "could not write to the database");
        }
        for waiter in waiting.drain(..) {
            // A caller that has left does not wait.
            let _ = waiter.send(outcome.is_ok());
        }
        if outcome.is_err() {
            owed = batch.owed();
        }
    }
    let last = store.commit(&owed).await;
    store.close().await.and(last)
}

fn add(batch: &mut Batch, waiting: &mut Vec<oneshot::Sender<bool>>, entry: Entry) {
    match entry.record {
        Record::Hold(hold, rolled) => {
            batch.holds.push(hold);
            batch.set_states(rolled);
        }
        Record::Close(id, states) => {
            batch.closed.push(id);
            batch.set_states(states);
        }
        Record::Changes(changes) => {
            for change in changes {
                batch.change(change);
            }
        }
    }
    waiting.push(entry.written);
}
