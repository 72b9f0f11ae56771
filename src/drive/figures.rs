//! The gateway's own figures: asked for until they are as expected, and counted from the case's begin.

use std::time::{Duration, Instant};

use indexmap::IndexMap;
use mock_upstream::Entry;

use super::{
    admin::AdminClient,
    driver::Driver,
    observation::{Problem, Reading},
    shared::Before,
};
use crate::{
    money::Usd,
    owner::Owner,
    period::Period,
    scenario::{CheckKind, Scenario, expect::Book, range::Amount},
    verdict::Blame,
};

/// How long a gateway that promises nothing may take to show its own figure.
const GRACE: Duration = Duration::from_millis(500);

/// Whether a gateway's figure is good enough to stop asking for it.
pub type Patience<'a> = &'a (dyn Fn(Amount, &Reading, &[Entry]) -> bool + Sync);

impl Driver<'_> {
    /// Notes every figure that a scenario will ask for as it is now.
    ///
    /// # Errors
    /// When the gateway does not say one of them.
    pub(super) async fn note_before(&mut self, scenario: &Scenario) -> Result<(), Problem> {
        let admin = AdminClient { client: &self.client, gateway: self.start.gateway };
        let mut before = Before::default();
        for expect in scenario.steps.iter().map(|step| &step.expect) {
            for owner in expect.usage.keys().filter(|owner| self.tells(&CheckKind::Usage((*owner).clone()))) {
                before.usage.insert(owner.clone(), stated(admin.usage(&self.world, owner).await?)?);
            }
            for book in expect.books.keys().filter(|book| self.tells(&CheckKind::Book(**book))) {
                before.books.insert(*book, stated(admin.book(&self.world, *book).await?)?);
            }
        }
        self.before = before;
        Ok(())
    }

    /// Whether the gateway can be asked for a figure.
    fn tells(&self, check: &CheckKind) -> bool {
        self.start.gateway.lacks_for_check(check).is_none()
    }

    /// The gateway's own figures, where it has them.
    pub(super) async fn usage(
        &self,
        expected: &IndexMap<Owner, Amount>,
        patience: Patience<'_>,
    ) -> Result<IndexMap<Owner, Reading>, Problem> {
        let admin = AdminClient { client: &self.client, gateway: self.start.gateway };
        let mut readings = IndexMap::new();
        for (owner, amount) in expected {
            if self.tells(&CheckKind::Usage(owner.clone())) {
                let before = self.before.usage.get(owner).copied().unwrap_or(Usd::ZERO);
                let read = || async { Ok(admin.usage(&self.world, owner).await?.since(before)) };
                let reading = self.patiently(*amount, patience, read).await?;
                readings.insert(owner.clone(), reading);
            }
        }
        Ok(readings)
    }

    /// What its other books say, where it has them.
    pub(super) async fn books(
        &self,
        expected: &IndexMap<Book, Amount>,
        patience: Patience<'_>,
    ) -> Result<IndexMap<Book, Reading>, Problem> {
        let admin = AdminClient { client: &self.client, gateway: self.start.gateway };
        let mut readings = IndexMap::new();
        for (book, amount) in expected {
            if self.tells(&CheckKind::Book(*book)) {
                let before = self.before.books.get(book).copied().unwrap_or(Usd::ZERO);
                let read = || async { Ok(admin.book(&self.world, *book).await?.since(before)) };
                let reading = self.patiently(*amount, patience, read).await?;
                readings.insert(*book, reading);
            }
        }
        Ok(readings)
    }

    /// A figure, asked for until it is as expected or the gateway's promise is over.
    async fn patiently<F: Future<Output = Result<Reading, Problem>>>(
        &self,
        amount: Amount,
        patience: Patience<'_>,
        read: impl Fn() -> F,
    ) -> Result<Reading, Problem> {
        let ledger = self.ledger();
        let promised = self.start.gateway.manifest.promises.usage_within.map_or(GRACE, Period::duration);
        let deadline = Instant::now() + promised;
        let mut fits = 0;
        // The figure appears at some time within the promise; it can only be asked for. One that
        // fits must still fit at the next look: what is booked twice comes late.
        let mut ask = tokio::time::interval(Duration::from_millis(50));
        loop {
            ask.tick().await;
            let reading = read().await?;
            fits = if patience(amount, &reading, &ledger) { fits + 1 } else { 0 };
            if fits == 2 || Instant::now() >= deadline {
                return Ok(reading);
            }
        }
    }
}

fn stated(reading: Reading) -> Result<Usd, Problem> {
    match reading {
        Reading::Figure(figure) => Ok(figure),
        Reading::None(what) => Err(Problem { what, blame: Blame::Gateway, fatal: false }),
    }
}
