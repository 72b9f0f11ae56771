//! The ledger together with the disk: every change of the one reaches the other, in
//! the same order, and a request waits where [`crate::store`]'s writer says it must.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Moment};
use crate::ledger::{Claim, Ledger, Meter, MeterId, Refusal, Spent};
use crate::store::{Change, HoldId, HoldRow, NotWritten, Writer, Written};

/// Why nothing could be held for a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// A budget or a limit stands in the way.
    #[error("refused by a budget or a limit")]
    Refused(Box<Refusal>),
    /// The hold could not be written, so the request must not go upstream.
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

/// The ledger, its clock and its writer.
pub(crate) struct Books {
    ledger: Mutex<Ledger>,
    writer: Writer,
    clock: Arc<Clock>,
    last_hold: AtomicI64,
}

impl Books {
    pub(crate) fn new(ledger: Ledger, writer: Writer, clock: Arc<Clock>) -> Books {
        Books { ledger: Mutex::new(ledger), writer, clock, last_hold: AtomicI64::new(0) }
    }

    /// Admits a claim and writes its hold; after this the request may go upstream.
    pub(crate) async fn hold(self: &Arc<Self>, claim: Claim) -> Result<Held, HoldError> {
        // Nothing to hold against: nothing to write.
        let id = (!claim.meters.is_empty()).then(|| HoldId(self.last_hold.fetch_add(1, Ordering::Relaxed) + 1));
        let mut written = None;
        {
            let mut ledger = self.ledger();
            let rolled = ledger.admit(&claim, self.clock.now()).map_err(HoldError::Refused)?;
            if let Some(id) = id {
                let row = HoldRow { id, cost: claim.cost, tokens: claim.tokens, meters: Arc::clone(&claim.meters) };
                written = Some(self.writer.hold(row, rolled));
            }
        }
        let mut held = Held { books: Arc::clone(self), claim, id, open: true };
        if let Some(written) = written
            && let Err(error) = written.wait().await
        {
            drop(held.end(None));
            return Err(error.into());
        }
        Ok(held)
    }

    /// Writes an administrator's change, with the figures of this very moment. It is
    /// applied afterwards, so that one that cannot be written changes nothing.
    pub(crate) async fn write(&self, changes: impl FnOnce(&Ledger) -> Vec<Change>) -> Result<(), NotWritten> {
        let written = {
            let ledger = self.ledger();
            self.writer.changes(changes(&ledger))
        };
        written.wait().await
    }

    /// Applies a change that was written.
    pub(crate) fn apply(&self, apply: impl FnOnce(&mut Ledger)) {
        apply(&mut self.ledger());
    }

    /// The meters as they stand, without those that are gone.
    pub(crate) fn meters<'a>(&self, ids: impl IntoIterator<Item = &'a MeterId>) -> Vec<(MeterId, Meter)> {
        let ledger = self.ledger();
        ids.into_iter().filter_map(|id| Some((id.clone(), ledger.get(id)?.clone()))).collect()
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // The ledger's functions cannot panic half-way, so a poisoned one is whole.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hold. One that is dropped without an outcome counts as spent in full.
pub(crate) struct Held {
    books: Arc<Books>,
    claim: Claim,
    id: Option<HoldId>,
    open: bool,
}

impl Held {
    /// What is held.
    pub(crate) fn bound(&self) -> Spent {
        Spent { cost: self.claim.cost, tokens: self.claim.tokens }
    }

    /// The hold becomes what was spent. Waits until that is on disk.
    pub(crate) async fn settle(mut self, spent: Spent) -> Result<(), NotWritten> {
        wait(self.end(Some(spent))).await
    }

    /// The same without waiting, for a caller that has left.
    pub(crate) fn settle_behind(mut self, spent: Spent) {
        drop(self.end(Some(spent)));
    }

    /// The request was not served and cost nothing.
    pub(crate) async fn release(mut self) -> Result<(), NotWritten> {
        wait(self.end(None)).await
    }

    fn end(&mut self, spent: Option<Spent>) -> Option<Written> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let mut ledger = self.books.ledger();
        let states = match spent {
            Some(spent) => ledger.settle(&self.claim, spent, self.books.clock.now()),
            None => {
                ledger.release(&self.claim);
                Vec::new()
            }
        };
        self.id.map(|id| self.books.writer.close(id, states))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bound = self.bound();
        drop(self.end(Some(bound)));
    }
}

async fn wait(written: Option<Written>) -> Result<(), NotWritten> {
    match written {
        Some(written) => written.wait().await,
        None => Ok(()),
    }
}
