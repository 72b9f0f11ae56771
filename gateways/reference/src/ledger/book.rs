//! The ledger: all meters, and what happens to them.

use crate::clock::Moment;
use crate::maps::{Map, Ordered};
use crate::window::Window;

use super::claim::{BudgetAdmission, Claim, Spent};
use super::meter::{Amount, Measure, Meter, MeterId, MeterState};
use super::refusal::{Breach, Refusal};

/// Every meter of the gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Side by side, since a table has room for twice as many as there are.
    meters: Ordered<MeterId, Meter>,
    /// Meters that were removed while requests on their way hold something against them, as
    /// long as they do. Of the file's the row stays on disk, and is charged for those requests;
    /// so is one that comes back meanwhile.
    gone: Map<MeterId, Meter>,
}

impl Ledger {
    /// A ledger with room for so many meters.
    pub(crate) fn with_room(meters: usize) -> Ledger {
        Ledger { meters: Ordered::with_capacity_and_hasher(meters, Default::default()), gone: Map::default() }
    }

    /// Holds the claim against all its meters, or refuses and changes nothing.
    ///
    /// Rate limits are asked before budgets, each in the claim's order. A claim on a
    /// meter that is gone is refused: nothing would limit it. Returned are the meters
    /// in which a new window began.
    pub(crate) fn admit(&mut self, claim: &Claim, now: Moment) -> Result<Vec<MeterState>, Box<Refusal>> {
        if let Some(refusal) = self.refusal(claim, now) {
            return Err(Box::new(refusal));
        }
        let mut rolled = Vec::new();
        for id in claim.meters.iter() {
            if let Some(meter) = self.meters.get_mut(id) {
                if meter.roll(now) {
                    rolled.push(meter.state(id));
                }
                meter.held = meter.held.plus(claim.amount(meter.measure));
            }
        }
        Ok(rolled)
    }

    /// Replaces the claim's hold by what was spent. Returned are the new states.
    pub(crate) fn settle(&mut self, claim: &Claim, spent: Spent, now: Moment) -> Vec<MeterState> {
        self.charge(claim, |measure| spent.amount(measure), now)
    }

    /// The same for a request that was not served: it does not count as one.
    pub(crate) fn settle_unserved(&mut self, claim: &Claim, spent: Spent, now: Moment) -> Vec<MeterState> {
        let amount = |measure| match measure {
            Measure::Requests => Amount::ZERO,
            Measure::Usd | Measure::Tokens => spent.amount(measure),
        };
        self.charge(claim, amount, now)
    }

    fn charge(&mut self, claim: &Claim, amount: impl Fn(Measure) -> Amount, now: Moment) -> Vec<MeterState> {
        let mut states = Vec::with_capacity(claim.meters.len());
        for id in claim.meters.iter() {
            if let Some(meter) = self.meters.get_mut(id).or_else(|| self.gone.get_mut(id)) {
                meter.roll(now);
                meter.held = meter.held.minus(claim.amount(id.measure()));
                meter.used = meter.used.plus(amount(meter.measure));
                states.push(meter.state(id));
            }
            self.forget(id);
        }
        states
    }

    /// Takes the claim's hold back: the request was not served and cost nothing.
    pub(crate) fn release(&mut self, claim: &Claim) {
        for id in claim.meters.iter() {
            if let Some(meter) = self.meters.get_mut(id).or_else(|| self.gone.get_mut(id)) {
                meter.held = meter.held.minus(claim.amount(id.measure()));
            }
            self.forget(id);
        }
    }

    /// Forgets a meter that is gone, unless something is still held against it.
    fn forget(&mut self, id: &MeterId) {
        if self.gone.get(id).is_some_and(|meter| meter.held == Amount::ZERO) {
            self.gone.remove(id);
        }
    }

    /// Adds a meter as it is stored.
    pub(crate) fn put(&mut self, id: MeterId, meter: Meter) {
        self.meters.insert(id, meter);
    }

    /// Adds a meter, or edits the one that is there, as [`Ledger::edited`] says.
    pub(crate) fn edit(&mut self, id: MeterId, meter: Meter) -> &Meter {
        let meter = self.edited(&id, meter);
        self.gone.remove(&id);
        self.meters.entry(id).insert_entry(meter).into_mut()
    }

    /// The meter as it will be after an edit, made when the window of `meter` begins: of
    /// limit, window or alignment. What is held stays, and so does what was used in a window
    /// that had not ended by then.
    pub(crate) fn edited(&self, id: &MeterId, mut meter: Meter) -> Meter {
        if let Some(present) = self.meters.get(id) {
            let now = meter.window.start;
            meter.used = present.used_at(now);
            meter.held = present.held;
            meter.window = present.window_at(now).edited(meter.window.length, now);
        } else {
            meter.held = self.gone.get(id).map(|gone| gone.held).unwrap_or_default();
            meter.window = Window::beginning(meter.window.length, meter.window.start);
        }
        meter
    }

    /// Begins a new window in which nothing is used. What is held stays.
    pub(crate) fn reset(&mut self, id: &MeterId, now: Moment) {
        if let Some(meter) = self.meters.get_mut(id) {
            meter.reset(now);
        }
    }

    /// Removes a meter. Requests on their way settle with the others they touch, and with
    /// this one if it comes back before.
    pub(crate) fn remove(&mut self, id: &MeterId) {
        if let Some(meter) = self.meters.swap_remove(id).filter(|meter| meter.held > Amount::ZERO) {
            self.gone.insert(id.clone(), meter);
        }
    }

    /// The meter as it stands.
    pub(crate) fn get(&self, id: &MeterId) -> Option<&Meter> {
        self.meters.get(id)
    }

    fn refusal(&self, claim: &Claim, now: Moment) -> Option<Refusal> {
        if let Some(gone) = claim.meters.iter().find(|id| !self.meters.contains_key(*id)) {
            return Some(Refusal::Gone(gone.clone()));
        }
        let limits = self.breaches(claim, false, now);
        if limits.is_empty() {
            return last(self.breaches(claim, true, now)).map(Refusal::Budget);
        }
        let (tokens, requests) = limits.into_iter().partition(|breach| breach.measure == Measure::Tokens);
        match (last(requests), last(tokens)) {
            (Some(requests), Some(tokens)) => Some(Refusal::Limits { requests, tokens }),
            (requests, tokens) => requests.or(tokens).map(Refusal::Limit),
        }
    }

    /// What refuses the claim, budgets or limits: of several owners the first, which is the
    /// widest.
    fn breaches(&self, claim: &Claim, budgets: bool, now: Moment) -> Vec<Breach> {
        let asked = claim.meters.iter().filter(|id| (id.measure() == Measure::Usd) == budgets);
        let mut breaches: Vec<Breach> = asked.filter_map(|id| self.breach(id, claim, now)).collect();
        if let Some(owner) = breaches.first().map(|breach| breach.owner.clone()) {
            breaches.retain(|breach| breach.owner == owner);
        }
        breaches
    }

    fn breach(&self, id: &MeterId, claim: &Claim, now: Moment) -> Option<Breach> {
        let meter = self.meters.get(id)?;
        let used = meter.used_at(now);
        let asked = claim.amount(meter.measure);
        let promised = used.plus(meter.held);
        let full = match (meter.measure, claim.admission) {
            (Measure::Usd, BudgetAdmission::PostPaid) => used >= meter.limit,
            (Measure::Usd, BudgetAdmission::Reserved) => used >= meter.limit || promised.plus(asked) > meter.limit,
            // The request that reaches a token limit is still served, as in Bifrost.
            (Measure::Requests | Measure::Tokens, _) => promised >= meter.limit,
        };
        full.then(|| Breach {
            measure: meter.measure,
            owner: meter.owner.clone(),
            limit: meter.limit,
            used,
            held: meter.held,
            asked,
            window: meter.window_at(now),
        })
    }
}

/// Of several that refuse, the one whose window ends last: no try can succeed before.
fn last(breaches: Vec<Breach>) -> Option<Breach> {
    breaches.into_iter().max_by_key(|breach| breach.window.ends())
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
