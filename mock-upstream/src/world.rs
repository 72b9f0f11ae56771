//! What all requests share: the script being played and the ledger, behind one lock that is
//! never held across an await. Arrival, number and fault are settled under it at once, so
//! that the ledger's order is the order in which faults befell the calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::decide::{Decision, FaultCounts, Request, decide};
use crate::ledger::{Entry, Kind, Ledger, Outcome};
use crate::price::{charge, produced};
use crate::script::{Price, Script, Usage};
use crate::usd::Usd;

#[derive(Debug)]
pub(crate) struct World {
    started: Instant,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    script: Arc<Script>,
    counts: FaultCounts,
    ledger: Ledger,
    arrivals: u64,
}

/// A request as it came in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl World {
    pub(crate) fn new(script: Script) -> World {
        World {
            started: Instant::now(),
            state: Mutex::new(State {
                script: Arc::new(script),
                counts: FaultCounts::new(),
                ledger: Ledger::default(),
                arrivals: 0,
            }),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn script(&self) -> Arc<Script> {
        Arc::clone(&self.lock().script)
    }

    pub(crate) fn set_script(&self, script: Script) {
        let mut state = self.lock();
        state.script = Arc::new(script);
        state.counts = FaultCounts::new();
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.lock().ledger.clone()
    }

    pub(crate) fn clear(&self) {
        self.lock().ledger.entries.clear();
        self.changed.notify_waiters();
    }

    /// Looks at the ledger now, and after each change, until the condition holds.
    pub(crate) async fn wait_until(&self, mut condition: impl FnMut(&Ledger) -> bool, deadline: Duration) -> bool {
        let waiting = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if condition(&self.lock().ledger) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(deadline, waiting).await.is_ok()
    }

    /// Writes a request into the ledger and decides what happens to it.
    pub(crate) fn arrive(self: &Arc<World>, arrival: Arrival, request: Request<'_>) -> (Open, Arc<Script>, Decision) {
        let route = request.target.route;
        let mut guard = self.lock();
        let state = &mut *guard;
        let decision = decide(&state.script, &mut state.counts, request);
        state.arrivals += 1;
        let ask = request.ask.as_ref().ok();
        let provider = request.target.provider.as_ref();
        state.ledger.entries.push(Entry {
            seq: state.arrivals,
            at_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            arrived: jiff::Timestamp::now(),
            kind: if route.is_inference() { Kind::Inference } else { Kind::Housekeeping },
            provider: provider.filter(|name| state.script.providers.contains_key(*name)).cloned(),
            upstream_key: request.key.map(str::to_owned),
            route,
            method: arrival.method,
            path: arrival.path,
            model: ask.and_then(|ask| ask.model.clone()),
            headers: arrival.headers,
            body: arrival.body,
            stream: ask.is_some_and(|ask| ask.stream),
            outcome: Outcome::Open,
            status: None,
            tokens: Usage::default(),
            charged: Usd::ZERO,
        });
        let open = Open {
            world: Arc::clone(self),
            seq: state.arrivals,
            price: None,
            whole: Usage::default(),
            output: 0,
            settled: false,
        };
        let script = Arc::clone(&state.script);
        drop(guard);
        self.changed.notify_waiters();
        (open, script, decision)
    }

    fn update(&self, seq: u64, change: impl FnOnce(&mut Entry)) {
        let mut state = self.lock();
        // Entries are in order without gaps; one that was cleared away is no longer there.
        let first = state.ledger.entries.first().map_or(u64::MAX, |entry| entry.seq);
        let index = seq.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| state.ledger.entries.get_mut(index)) {
            change(entry);
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// A request that is being answered. Dropped before it is settled, it was left by its client.
#[derive(Debug)]
pub(crate) struct Open {
    world: Arc<World>,
    pub(crate) seq: u64,
    price: Option<Price>,
    /// The usage of the whole answer.
    whole: Usage,
    /// Output tokens produced so far.
    output: u64,
    settled: bool,
}

impl Open {
    /// From now on the call owes this usage, all of it: the provider has computed the answer.
    pub(crate) fn owe(&mut self, whole: Usage, price: Option<Price>) {
        (self.whole, self.price, self.output) = (whole, price, whole.output);
    }

    /// From now on the call owes the input of this usage, and the output as it is produced.
    pub(crate) fn owe_as_produced(&mut self, whole: Usage, price: Option<Price>) {
        (self.whole, self.price, self.output) = (whole, price, 0);
    }

    /// More output tokens were produced.
    pub(crate) fn produce(&mut self, tokens: u64) {
        self.output = self.output.saturating_add(tokens);
    }

    /// The answer begins with this status.
    pub(crate) fn begin(&self, status: u16) {
        self.world.update(self.seq, |entry| entry.status = Some(status));
    }

    /// Ends the answer in the ledger and charges what is owed. Only the first time counts.
    pub(crate) fn settle(&mut self, outcome: Outcome, status: Option<u16>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let tokens = produced(&self.whole, self.output);
        let charged = charge(self.price.as_ref(), &tokens);
        self.world.update(self.seq, |entry| {
            entry.outcome = outcome;
            entry.status = status.or(entry.status);
            entry.tokens = tokens;
            entry.charged = charged;
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.settle(Outcome::ClientLeft, None);
    }
}
