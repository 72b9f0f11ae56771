//! The running gateway: everything that a request needs, in one place.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use crate::admin::{Guesses, Sessions};
use crate::administrator::Administrator;
use crate::books::Books;
use crate::clock::Clock;
use crate::config::{Client, Pricing, Providers, WrittenProviders};
use crate::dice::Dice;
use crate::last_spent::LastSpent;
use crate::live::{FileMarks, Sealer};
use crate::logs::Logs;
use crate::policy::Policy;
use crate::pricing::{Catalog, Overrides, PricingError, Sheet};
use crate::telemetry::Telemetry;
use crate::upstream::Upstream;

/// The running gateway.
pub(crate) struct Gateway {
    pub(crate) client: ArcSwap<Client>,
    pub(crate) providers: ArcSwap<Providers>,
    /// The same as they were written.
    pub(crate) written: ArcSwap<WrittenProviders>,
    /// Without one no credential can be stored.
    pub(crate) sealer: Option<Sealer>,
    /// Without one the management API is closed.
    pub(crate) admin: ArcSwapOption<Administrator>,
    pub(crate) sessions: Sessions,
    pub(crate) guesses: Guesses,
    /// By which a change that is stored says what it was made against.
    pub(crate) file: FileMarks,
    pub(crate) books: Arc<Books>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) dice: Dice,
    pub(crate) upstream: Upstream,
    pub(crate) inflight: Inflight,
    /// Whether `/api/test/clock` is there.
    pub(crate) has_test_clock: bool,
    pub(crate) policy: RwLock<Policy>,
    pub(crate) catalog: RwLock<Arc<Catalog>>,
    /// Where the sheet comes from, to read it again.
    pub(crate) sheet_source: Pricing,
    pub(crate) last_spent: LastSpent,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) logs: Option<Logs>,
    /// One administrator's change at a time, from its check to its confirmation.
    pub(crate) editing: tokio::sync::Mutex<()>,
}

impl Gateway {
    /// The client settings as they are now.
    pub(crate) fn client(&self) -> Arc<Client> {
        self.client.load_full()
    }

    /// The providers as they are now; a request keeps those that it began with.
    pub(crate) fn providers(&self) -> Arc<Providers> {
        self.providers.load_full()
    }

    /// Keys and levels as they are now.
    pub(crate) fn policy(&self) -> RwLockReadGuard<'_, Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys and levels, to change them.
    pub(crate) fn policy_mut(&self) -> RwLockWriteGuard<'_, Policy> {
        self.policy.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The prices as they are now; a request keeps them until it is settled.
    pub(crate) fn prices(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the price sheet again. Where that fails, prices stay as they are.
    pub(crate) async fn read_sheet(&self) -> Result<(), PricingError> {
        let sheet = Arc::new(Sheet::load(&self.sheet_source).await?);
        self.set_prices(|now| Catalog { sheet, overrides: Arc::clone(&now.overrides) });
        Ok(())
    }

    /// An administrator changed the overrides.
    pub(crate) fn set_overrides(&self, overrides: Overrides) {
        self.set_prices(|now| Catalog { sheet: Arc::clone(&now.sheet), overrides: Arc::new(overrides) });
    }

    fn set_prices(&self, change: impl FnOnce(&Catalog) -> Catalog) {
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        *catalog = Arc::new(change(&catalog));
    }
}

/// Counts the requests on their way, so that a stop can wait for them.
#[derive(Debug)]
pub(crate) struct Inflight(watch::Sender<usize>);

/// One request on its way.
#[derive(Debug)]
pub(crate) struct InflightGuard(watch::Sender<usize>);

impl Inflight {
    pub(crate) fn new() -> Inflight {
        Inflight(watch::Sender::new(0))
    }

    pub(crate) fn enter(&self) -> InflightGuard {
        self.0.send_modify(|count| *count += 1);
        InflightGuard(self.0.clone())
    }

    /// Waits until no request is on its way.
    pub(crate) async fn none(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for InflightGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
