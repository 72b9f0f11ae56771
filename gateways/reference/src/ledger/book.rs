//! The ledger: all meters, and what happens to them.

use std::collections::HashMap;

use crate::clock::Moment;
use crate::window::Window;

use super::claim::{BudgetAdmission, Claim, Spent};
use super::meter::{Amount, Measure, Meter, MeterId, MeterState};
use super::refusal::{Breach, Refusal};

/// Every meter of the gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Boxed, since a table has room for twice as many as there are.
    meters: HashMap<MeterId, Box<Meter>>,
    /// What requests on their way hold against meters that were removed. One that comes back
    /// meanwhile will be charged for them.
    gone: HashMap<MeterId, Amount>,
}

impl Ledger {
    /// A ledger with room for so many meters.
    pub(crate) fn with_room(meters: usize) -> Ledger {
        Ledger { meters: HashMap::with_capacity(meters), gone: HashMap::new() }
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
            let hold = claim.amount(id.measure());
            match self.meters.get_mut(id) {
                Some(meter) => {
                    meter.roll(now);
                    meter.held = meter.held.minus(hold);
                    meter.used = meter.used.plus(amount(meter.measure));
                    states.push(meter.state(id));
                }
                None => self.let_go(id, hold),
            }
        }
        states
    }

    /// Takes the claim's hold back: the request was not served and cost nothing.
    pub(crate) fn release(&mut self, claim: &Claim) {
        for id in claim.meters.iter() {
            let hold = claim.amount(id.measure());
            match self.meters.get_mut(id) {
                Some(meter) => meter.held = meter.held.minus(hold),
                None => self.let_go(id, hold),
            }
        }
    }

    /// Takes back what is held against a meter that is gone.
    fn let_go(&mut self, id: &MeterId, hold: Amount) {
        if let Some(held) = self.gone.get_mut(id) {
            *held = held.minus(hold);
            if *held == Amount::ZERO {
                self.gone.remove(id);
            }
        }
    }

    /// Adds a meter as it is stored.
    pub(crate) fn put(&mut self, id: MeterId, meter: Meter) {
        self.meters.insert(id, Box::new(meter));
    }

    /// Adds a meter, or edits the one that is there, as [`Ledger::edited`] says.
    pub(crate) fn edit(&mut self, id: MeterId, meter: Meter) -> &Meter {
        let meter = self.edited(&id, meter);
        self.gone.remove(&id);
        self.meters.entry(id).insert_entry(Box::new(meter)).into_mut()
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
            meter.held = self.gone.get(id).copied().unwrap_or_default();
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
        let meter = self.meters.remove(id);
        if let Some(held) = meter.map(|meter| meter.held).filter(|held| *held > Amount::ZERO) {
            self.gone.insert(id.clone(), held);
        }
    }

    /// The meter as it stands.
    pub(crate) fn get(&self, id: &MeterId) -> Option<&Meter> {
        self.meters.get(id).map(AsRef::as_ref)
    }

    fn refusal(&self, claim: &Claim, now: Moment) -> Option<Refusal> {
        if let Some(gone) = claim.meters.iter().find(|id| !self.meters.contains_key(id)) {
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::super::meter::{Level, Owner};
    use super::*;
    use crate::money::Usd;

    const START: Moment = Moment::from_millis(1_000_000);

    fn meter(measure: Measure, level: Level, limit: i64) -> Meter {
        Meter {
            measure,
            owner: Owner { level, entity: "agent".into() },
            limit: Amount::from_raw(limit),
            window: Window { start: START, length: "1m".parse().unwrap() },
            used: Amount::ZERO,
            held: Amount::ZERO,
        }
    }

    fn ledger(meters: &[(&str, Meter)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (id, meter) in meters {
            ledger.put(MeterId::parse(id).unwrap(), meter.clone());
        }
        ledger
    }

    fn claim(cost: i64, meters: &[&str]) -> Claim {
        Claim {
            cost: Usd::from_pico(cost),
            tokens: 10,
            meters: meters.iter().map(|id| MeterId::parse(id).unwrap()).collect(),
            admission: BudgetAdmission::Reserved,
        }
    }

    fn spent(cost: i64) -> Spent {
        Spent { cost: Usd::from_pico(cost), tokens: 10 }
    }

    fn used(ledger: &Ledger, id: &str) -> i64 {
        ledger.get(&MeterId::parse(id).unwrap()).unwrap().used.raw()
    }

    #[test]
    fn a_budget_admits_exactly_what_fits_and_then_refuses() {
        let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 500))]);
        let claim = claim(125, &["budget:b"]);
        for _ in 0..4 {
            ledger.admit(&claim, START).unwrap();
            ledger.settle(&claim, spent(125), START);
        }
        let Refusal::Budget(breach) = *ledger.admit(&claim, START).unwrap_err() else {
            panic!("the fifth call was refused by no budget");
        };
        assert!(breach.is_spent());
        assert_eq!(used(&ledger, "budget:b"), 500);
    }

    #[test]
    fn what_is_held_counts_until_it_is_released() {
        let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 200))]);
        let claim = claim(125, &["budget:b"]);
        ledger.admit(&claim, START).unwrap();
        assert!(ledger.admit(&claim, START).is_err());
        ledger.release(&claim);
        assert!(ledger.admit(&claim, START).is_ok());
    }

    #[test]
    fn a_claim_on_a_meter_that_is_gone_is_refused_and_holds_nothing() {
        let mut ledger = ledger(&[("budget:kept", meter(Measure::Usd, Level::VirtualKey, 200))]);
        let claim = claim(125, &["budget:kept", "budget:gone"]);
        let refusal = *ledger.admit(&claim, START).unwrap_err();
        assert_eq!(refusal, Refusal::Gone(MeterId::parse("budget:gone").unwrap()));
        assert_eq!(ledger.get(&MeterId::parse("budget:kept").unwrap()).unwrap().held, Amount::ZERO);
    }

    #[test]
    fn a_meter_that_comes_back_meanwhile_knows_what_is_held_against_it() {
        let id = MeterId::parse("budget:b").unwrap();
        let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 200))]);
        let (old, new) = (claim(125, &["budget:b"]), claim(75, &["budget:b"]));
        ledger.admit(&old, START).unwrap();
        ledger.remove(&id);
        let back = ledger.edit(id, meter(Measure::Usd, Level::VirtualKey, 200));
        assert_eq!((back.used.raw(), back.held.raw()), (0, 125));
        ledger.admit(&new, START).unwrap();
        ledger.settle(&old, spent(125), START);
        assert!(ledger.admit(&new, START).is_err(), "what the new one holds was lost");
    }

    #[test]
    fn what_ends_while_its_meter_is_gone_is_no_longer_held_when_it_comes_back() {
        let id = MeterId::parse("budget:b").unwrap();
        let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 200))]);
        let [settled, released, open] = [50, 60, 70].map(|cost| claim(cost, &["budget:b"]));
        for claim in [&settled, &released, &open] {
            ledger.admit(claim, START).unwrap();
        }
        ledger.remove(&id);
        ledger.settle(&settled, spent(50), START);
        ledger.release(&released);
        let back = ledger.edit(id, meter(Measure::Usd, Level::VirtualKey, 200));
        assert_eq!((back.used.raw(), back.held.raw()), (0, 70));
    }

    #[test]
    fn a_request_that_was_not_served_costs_and_counts_as_none() {
        let mut ledger = ledger(&[
            ("budget:b", meter(Measure::Usd, Level::VirtualKey, 500)),
            ("requests:r", meter(Measure::Requests, Level::VirtualKey, 1)),
            ("tokens:r", meter(Measure::Tokens, Level::VirtualKey, 100)),
        ]);
        let claim = claim(125, &["budget:b", "requests:r", "tokens:r"]);
        ledger.admit(&claim, START).unwrap();
        ledger.settle_unserved(&claim, spent(125), START);
        let figures = ["budget:b", "requests:r", "tokens:r"].map(|id| used(&ledger, id));
        assert_eq!(figures, [125, 0, 10]);
        ledger.admit(&claim, START).unwrap();
    }

    #[test]
    fn a_refusal_by_one_level_holds_nothing_at_another() {
        let mut ledger = ledger(&[
            ("budget:wide", meter(Measure::Usd, Level::VirtualKey, 1_000)),
            ("budget:tight", meter(Measure::Usd, Level::VirtualKeyProvider, 100)),
        ]);
        assert!(ledger.admit(&claim(125, &["budget:wide", "budget:tight"]), START).is_err());
        let wide = ledger.get(&MeterId::parse("budget:wide").unwrap()).unwrap();
        assert_eq!(wide.held, Amount::ZERO);
    }

    #[test]
    fn post_paid_admits_while_the_limit_is_not_spent() {
        let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 100))]);
        let claim = Claim { admission: BudgetAdmission::PostPaid, ..claim(125, &["budget:b"]) };
        ledger.admit(&claim, START).unwrap();
        ledger.admit(&claim, START).unwrap();
        ledger.settle(&claim, spent(125), START);
        assert!(ledger.admit(&claim, START).is_err());
    }

    #[test]
    fn both_limits_of_one_owner_are_named_together() {
        let mut ledger = ledger(&[
            ("requests:r", meter(Measure::Requests, Level::VirtualKey, 1)),
            ("tokens:r", meter(Measure::Tokens, Level::VirtualKey, 10)),
        ]);
        let claim = claim(0, &["requests:r", "tokens:r"]);
        ledger.admit(&claim, START).unwrap();
        ledger.settle(&claim, spent(0), START);
        let refusal = *ledger.admit(&claim, START).unwrap_err();
        assert!(matches!(refusal, Refusal::Limits { .. }));
    }

    #[test]
    fn a_new_window_begins_at_the_first_use_after_the_end() {
        let mut ledger = ledger(&[("requests:r", meter(Measure::Requests, Level::VirtualKey, 1))]);
        let claim = claim(0, &["requests:r"]);
        ledger.admit(&claim, START).unwrap();
        ledger.settle(&claim, spent(0), START);
        assert!(ledger.admit(&claim, START.after(59_999)).is_err());
        let later = START.after(90_000);
        let rolled = ledger.admit(&claim, later).unwrap();
        assert_eq!(rolled.first().unwrap().window_start, later);
    }

    #[test]
    fn a_hold_from_the_last_window_is_charged_to_the_one_in_which_it_settles() {
        let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 500))]);
        let claim = claim(125, &["budget:b"]);
        ledger.admit(&claim, START).unwrap();
        ledger.settle(&claim, spent(100), START.after(61_000));
        assert_eq!(used(&ledger, "budget:b"), 100);
    }

    #[test]
    fn an_edited_limit_keeps_what_was_used_and_held() {
        let mut ledger = ledger(&[("budget:b", meter(Measure::Usd, Level::VirtualKey, 250))]);
        let claim = claim(125, &["budget:b"]);
        ledger.admit(&claim, START).unwrap();
        ledger.settle(&claim, spent(125), START);
        ledger.admit(&claim, START).unwrap();
        let raised = ledger.edit(MeterId::parse("budget:b").unwrap(), meter(Measure::Usd, Level::VirtualKey, 375));
        assert_eq!((raised.used.raw(), raised.held.raw()), (125, 125));
    }
}
