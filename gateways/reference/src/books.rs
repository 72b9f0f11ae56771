//! The ledger together with the disk: every change of the one reaches the other, in
//! the same order, and a request waits where [`crate::store`]'s writer says it must.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::{Clock, Moment};
use crate::ledger::{Amount, Claim, Ledger, Meter, MeterId, Refusal, Spent};
use crate::pulse::Pulse;
use crate::store::{Change, Company, HoldId, HoldRow, NotWritten, Writer, Written};

/// Learns what a hold was settled at, at that moment.
pub(crate) trait Bill: Send + Sync {
    /// So much was charged.
    fn charged(&self, spent: Spent);
}

/// The ledger, its clock and its writer.
pub(crate) struct Books {
    ledger: Mutex<Ledger>,
    writer: Writer,
    clock: Arc<Clock>,
    last_hold: AtomicI64,
    /// How many requests are on their way.
    open: AtomicUsize,
    pulse: Pulse,
}

impl Books {
    pub(crate) fn new(ledger: Ledger, writer: Writer, clock: Arc<Clock>) -> Books {
        let (last_hold, open) = (AtomicI64::new(0), AtomicUsize::new(0));
        Books { ledger: Mutex::new(ledger), writer, clock, last_hold, open, pulse: Pulse::default() }
    }

    /// Admits a claim and hands its hold to the writer.
    pub(crate) fn admit(self: &Arc<Self>, claim: Claim) -> Result<Admitted, Box<Refusal>> {
        // Nothing to hold against: nothing to write.
        let id = (!claim.meters.is_empty()).then(|| HoldId(self.last_hold.fetch_add(1, Ordering::Relaxed) + 1));
        let mut ledger = self.ledger();
        let rolled = ledger.admit(&claim, self.clock.now())?;
        let written = id.map(|id| {
            let row = HoldRow { id, cost: claim.cost, tokens: claim.tokens, meters: Arc::clone(&claim.meters) };
            self.writer.hold(row, rolled)
        });
        drop(ledger);
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted { held: Held { books: Arc::clone(self), claim, id, open: true, bill: None }, written })
    }

    /// Writes an administrator's change, with the figures of this very moment. It is
    /// applied afterwards, so that one that cannot be written changes nothing.
    pub(crate) async fn write(&self, changes: impl FnOnce(&Ledger) -> Vec<Change>) -> Result<(), NotWritten> {
        let written = {
            let ledger = self.ledger();
            self.writer.changes(changes(&ledger))
        };
        written.wait(Company::Others).await
    }

    /// Whether the database can be written, by a commit of nothing that is at most a second old.
    pub(crate) async fn ping(&self) -> Result<(), NotWritten> {
        let writer = self.writer.clone();
        self.pulse.felt(Instant::now(), async move || writer.ping().wait(Company::Others).await).await
    }

    /// Applies a change that was written.
    pub(crate) fn apply(&self, apply: impl FnOnce(&mut Ledger)) {
        apply(&mut self.ledger());
    }

    /// The meter as it stands.
    pub(crate) fn meter(&self, id: &MeterId) -> Option<Meter> {
        self.ledger().get(id).cloned()
    }

    /// The meters as they stand, without those that are gone.
    pub(crate) fn meters<'a>(&self, ids: impl IntoIterator<Item = &'a MeterId>) -> Vec<(MeterId, Meter)> {
        let ledger = self.ledger();
        ids.into_iter().filter_map(|id| Some((id.clone(), ledger.get(id)?.clone()))).collect()
    }

    /// Of some meters, what is left of the one that runs out first.
    pub(crate) fn tightest<'a>(&self, ids: impl Iterator<Item = &'a MeterId>, now: Moment) -> Option<Room> {
        let ledger = self.ledger();
        let left = |meter: &Meter| meter.limit.minus(meter.used_at(now).plus(meter.held));
        let (left, meter) =
            ids.filter_map(|id| ledger.get(id)).map(|meter| (left(meter), meter)).min_by_key(|of| of.0)?;
        Some(Room { limit: meter.limit, left, ends: meter.window_at(now).ends() })
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Waits for the record of a request that is one of `own` on their way.
    async fn wait(&self, written: Option<Written>, own: usize) -> Result<(), NotWritten> {
        let Some(written) = written else { return Ok(()) };
        let is_alone = self.open.load(Ordering::Relaxed) <= own;
        written.wait(if is_alone { Company::None } else { Company::Others }).await
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // The ledger's functions cannot panic half-way, so a poisoned one is whole.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left of a meter.
pub(crate) struct Room {
    pub(crate) limit: Amount,
    pub(crate) left: Amount,
    /// When its window does.
    pub(crate) ends: Moment,
}

/// A request that is admitted. It may go upstream when its hold is written.
pub(crate) struct Admitted {
    held: Held,
    written: Option<Written>,
}

impl Admitted {
    /// Whatever is charged for it will be told to `bill`.
    pub(crate) fn billed_to(mut self, bill: Arc<dyn Bill>) -> Admitted {
        self.held.bill = Some(bill);
        self
    }

    /// Waits until the hold is on disk. One that cannot be written is taken back.
    pub(crate) async fn written(mut self) -> Result<Held, NotWritten> {
        if let Err(error) = self.held.books.wait(self.written.take(), 1).await {
            // What is not on disk need not be deleted there.
            self.held.id = None;
            drop(self.held.end(Outcome::Free));
            return Err(error);
        }
        Ok(self.held)
    }
}

/// A hold. One that is dropped without an outcome counts as spent in full.
pub(crate) struct Held {
    books: Arc<Books>,
    claim: Claim,
    id: Option<HoldId>,
    open: bool,
    bill: Option<Arc<dyn Bill>>,
}

impl Held {
    /// What is held.
    pub(crate) fn bound(&self) -> Spent {
        Spent { cost: self.claim.cost, tokens: self.claim.tokens }
    }

    /// The hold becomes what was spent. Waits until that is on disk.
    pub(crate) async fn settle(mut self, spent: Spent) -> Result<(), NotWritten> {
        let written = self.end(Outcome::Served(spent));
        self.books.wait(written, 0).await
    }

    /// The same for a call that served nobody: it costs, and does not count as a request.
    pub(crate) async fn settle_unserved(mut self, spent: Spent) -> Result<(), NotWritten> {
        let written = self.end(Outcome::Unserved(spent));
        self.books.wait(written, 0).await
    }

    /// The same without waiting, for a stream of which a caller has had something.
    pub(crate) fn settle_behind(mut self, spent: Spent) {
        drop(self.end(Outcome::Served(spent)));
    }

    /// The same for a stream that served nobody.
    pub(crate) fn settle_unserved_behind(mut self, spent: Spent) {
        drop(self.end(Outcome::Unserved(spent)));
    }

    /// The request was not served and cost nothing.
    pub(crate) async fn release(mut self) -> Result<(), NotWritten> {
        let written = self.end(Outcome::Free);
        self.books.wait(written, 0).await
    }

    fn end(&mut self, outcome: Outcome) -> Option<Written> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        self.books.open.fetch_sub(1, Ordering::Relaxed);
        let mut ledger = self.books.ledger();
        let now = self.books.clock.now();
        let (states, spent) = match outcome {
            Outcome::Served(spent) => (ledger.settle(&self.claim, spent, now), Some(spent)),
            Outcome::Unserved(spent) => (ledger.settle_unserved(&self.claim, spent, now), Some(spent)),
            Outcome::Free => {
                ledger.release(&self.claim);
                (Vec::new(), None)
            }
        };
        let written = self.id.map(|id| self.books.writer.close(id, states));
        drop(ledger);
        if let (Some(bill), Some(spent)) = (&self.bill, spent) {
            bill.charged(spent);
        }
        written
    }
}

/// What came of what was held.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It was served, or may have been, and cost so much.
    Served(Spent),
    /// It served nobody, and cost so much.
    Unserved(Spent),
    /// It was not served and cost nothing.
    Free,
}

impl Drop for Held {
    fn drop(&mut self) {
        let bound = self.bound();
        drop(self.end(Outcome::Served(bound)));
    }
}

#[cfg(test)]
#[path = "books_model.rs"]
mod model;
#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
