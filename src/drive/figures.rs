//! The gateway's own figures: asked for until they are as expected, and counted from the case's begin.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use mock_upstream::Entry;

use super::{
    admin::AdminClient,
    driver::Driver,
    observation::{Problem, Reading, Told},
    shared::Before,
};
use crate::{
    money::Usd,
    period::Period,
    scenario::{CheckKind, Expect, Scenario, range::Amount},
    verdict::Blame,
};

/// How long a gateway that promises nothing may take to show its own figure.
const GRACE: Duration = Duration::from_millis(500);

/// Whether a gateway's figure is good enough to stop asking for it.
pub type Patience<'a> = &'a (dyn Fn(Amount, &Reading, &[Entry]) -> bool + Sync);

/// Every figure that is expected of a step, and how much it is to be.
fn expected(expect: &Expect) -> impl Iterator<Item = (Told, Amount)> {
    let usage = expect.usage.iter().map(|(owner, amount)| (Told::Usage(owner.clone()), *amount));
    usage.chain(expect.books.iter().map(|(book, amount)| (Told::Book(*book), *amount)))
}

impl Driver<'_> {
    /// Notes every figure that a scenario will ask for as it is now.
    ///
    /// # Errors
    /// When the gateway does not say one of them.
    pub(super) async fn note_before(&mut self, scenario: &Scenario) -> Result<(), Problem> {
        let mut before = Before::new();
        for (told, _) in scenario.steps.iter().flat_map(|step| expected(&step.expect)) {
            if self.tells(&told) {
                let now = stated(self.read(&told).await?)?;
                before.insert(told, now);
            }
        }
        self.before = before;
        Ok(())
    }

    /// Whether the gateway can be asked for a figure.
    fn tells(&self, told: &Told) -> bool {
        let check = match told {
            Told::Usage(owner) => CheckKind::Usage(owner.clone()),
            Told::Book(book) => CheckKind::Book(*book),
        };
        self.start.gateway.lacks_for_check(&check).is_none()
    }

    async fn read(&self, told: &Told) -> Result<Reading, Problem> {
        let admin = AdminClient { client: &self.client, gateway: self.start.gateway };
        match told {
            Told::Usage(owner) => admin.usage(&self.world, owner).await,
            Told::Book(book) => admin.book(&self.world, *book).await,
        }
    }

    /// The gateway's own figures that a step expects, where it has them.
    pub(super) async fn figures(
        &self,
        expect: &Expect,
        patience: Patience<'_>,
    ) -> Result<HashMap<Told, Reading>, Problem> {
        let mut figures = HashMap::new();
        for (told, amount) in expected(expect).filter(|(told, _)| self.tells(told)) {
            let before = self.before.get(&told).copied().unwrap_or(Usd::ZERO);
            let read = || async { Ok(self.read(&told).await?.since(before)) };
            let reading = self.patiently(amount, patience, read).await?;
            figures.insert(told, reading);
        }
        Ok(figures)
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
