//! What a change of an owner's budgets and limits comes to: the meters to put and to
//! remove. Nothing is changed here but the owner's own list.

use std::collections::HashMap;

use uuid::Uuid;

use super::bodies::{BudgetBody, MetersBody};
use super::reply::invalid;
use crate::clock::Moment;
use crate::config::{ConfigId, Counter, RateLimitSpec};
use crate::errors::Problem;
use crate::ledger::{Amount, Ledger, Measure, Meter, MeterId, Owner};
use crate::money::Usd;
use crate::policy::OwnedMeter;
use crate::store::{Change, MeterRow, OwnerKey, Standing};
use crate::window::{ResetDuration, Window};

/// A meter as it will be.
struct Planned {
    owned: OwnedMeter,
    owner_key: OwnerKey,
    owner: Owner,
    limit: Amount,
    length: ResetDuration,
    /// Whether a new window begins, in which nothing is used.
    is_reset: bool,
}

impl Planned {
    /// The meter as if it were new.
    fn meter(&self, now: Moment) -> Meter {
        Meter {
            measure: self.owned.id.measure(),
            owner: self.owner.clone(),
            limit: self.limit,
            window: Window { start: now, length: self.length.clone() },
            used: Amount::ZERO,
            held: Amount::ZERO,
        }
    }

    fn row(&self, meter: Meter) -> Change {
        Change::PutMeter(MeterRow {
            id: self.owned.id.clone(),
            owner: self.owner_key.clone(),
            limit: meter.limit,
            reset_duration: meter.window.length,
            used: meter.used,
            window_start: meter.window.start,
            file_hash: self.owned.file_hash,
            standing: Standing::Live,
        })
    }
}

/// The meters that a change puts and removes.
#[derive(Default)]
pub(super) struct MeterEdits {
    put: Vec<Planned>,
    remove: Vec<(OwnedMeter, OwnerKey)>,
}

/// Whose meters are edited: the id that stays and the name that is shown.
pub(super) struct Place<'a> {
    pub(super) key: OwnerKey,
    pub(super) owner: Owner,
    /// Whether its windows follow the calendar, where they do not say so themselves.
    pub(super) calendar_aligned: bool,
    pub(super) meters: &'a mut Vec<OwnedMeter>,
}

/// A budget, or one counter of a rate limit, as a body wants it.
struct Wanted {
    measure: Measure,
    /// The id of the budget or rate limit, if the body names one.
    id: Option<ConfigId>,
    /// Which of the body's list it is: counters that are new together share an id.
    entry: usize,
    limit: Amount,
    length: ResetDuration,
}

impl MeterEdits {
    /// What to write, with the usage as it is now.
    pub(super) fn changes(&self, ledger: &Ledger, now: Moment) -> Vec<Change> {
        let put = self.put.iter().map(|planned| {
            let mut meter = ledger.edited(&planned.owned.id, planned.meter(now));
            if planned.is_reset {
                meter.reset(now);
            }
            planned.row(meter)
        });
        let removed = self.remove.iter().map(|(meter, owner)| {
            let present = ledger.get(&meter.id).filter(|_| meter.file_hash.is_some());
            match present {
                // Of the file: its next start must not bring it back.
                Some(present) => Change::PutMeter(MeterRow {
                    id: meter.id.clone(),
                    owner: owner.clone(),
                    limit: present.limit,
                    reset_duration: present.window.length.clone(),
                    used: present.used,
                    window_start: present.window.start,
                    file_hash: meter.file_hash,
                    standing: Standing::Deleted,
                }),
                None => Change::DeleteMeter(meter.id.clone()),
            }
        });
        put.chain(removed).collect()
    }

    /// Applies what was written.
    pub(super) fn apply(&self, ledger: &mut Ledger, now: Moment) {
        for (meter, _) in &self.remove {
            ledger.remove(&meter.id);
        }
        for planned in &self.put {
            ledger.edit(planned.owned.id.clone(), planned.meter(now));
            if planned.is_reset {
                ledger.reset(&planned.owned.id, now);
            }
        }
    }

    /// What is to be written once more after it was applied: what was charged to a meter
    /// between its reset on disk and that in memory.
    pub(super) fn settled(&self, ledger: &Ledger) -> Vec<Change> {
        let reset = self.put.iter().filter(|planned| planned.is_reset);
        reset.filter_map(|planned| Some(planned.row(ledger.get(&planned.owned.id)?.clone()))).collect()
    }

    /// Whether some meter begins anew.
    pub(super) fn has_resets(&self) -> bool {
        self.put.iter().any(|planned| planned.is_reset)
    }

    /// Removes every meter of an owner that goes.
    pub(super) fn remove_all(&mut self, owner: &OwnerKey, meters: &[OwnedMeter]) {
        self.remove.extend(meters.iter().map(|meter| (meter.clone(), owner.clone())));
    }

    /// Sets an owner's budgets and limits, as far as the body says something of them.
    pub(super) fn set(
        &mut self,
        place: &mut Place<'_>,
        body: MetersBody,
        ledger: &impl Fn(&MeterId) -> Option<Meter>,
    ) -> Result<(), Problem> {
        if let Some(budgets) = body.budgets {
            self.replace(place, wanted_budgets(budgets, place.calendar_aligned)?, true, ledger)?;
        }
        if let Some(limits) = body.rate_limits {
            self.replace(place, wanted_limits(limits, place.calendar_aligned)?, false, ledger)?;
        }
        if let Some(limit) = body.rate_limit {
            self.rate_limit(place, limit, ledger)?;
        }
        if body.reset_budget_usage {
            self.rest(place, None, ledger)?;
            let budgets = |planned: &&mut Planned| planned.owner_key == place.key && is_budget(&planned.owned);
            self.put.iter_mut().filter(budgets).for_each(|planned| planned.is_reset = true);
        }
        Ok(())
    }

    /// Edits every meter at a place that is not edited otherwise: refusals show the owner's
    /// name as it is now, and its windows follow the calendar or not, if that has changed.
    pub(super) fn rest(
        &mut self,
        place: &Place<'_>,
        calendar_aligned: Option<bool>,
        ledger: &impl Fn(&MeterId) -> Option<Meter>,
    ) -> Result<(), Problem> {
        for owned in place.meters.iter() {
            if self.put.iter().any(|planned| planned.owned.id == owned.id) {
                continue;
            }
            if let Some(meter) = ledger(&owned.id) {
                let length = meter.window.length;
                let length = match (calendar_aligned, meter.measure) {
                    (None, _) => length,
                    (Some(yes), Measure::Usd) => length.aligned(yes).map_err(|error| invalid(error.to_string()))?,
                    (Some(yes), _) => length.aligned_where_possible(yes),
                };
                self.plan(place, owned.clone(), meter.limit, length);
            }
        }
        Ok(())
    }

    /// Replaces the budgets at a place, or its limits. One with the same id or window is the
    /// same, and so are the only one that goes and the only one that comes.
    fn replace(
        &mut self,
        place: &mut Place<'_>,
        wanted: Vec<Wanted>,
        budgets: bool,
        ledger: &impl Fn(&MeterId) -> Option<Meter>,
    ) -> Result<(), Problem> {
        let (mut before, others): (Vec<_>, Vec<_>) =
            std::mem::take(place.meters).into_iter().partition(|meter| is_budget(meter) == budgets);
        *place.meters = others;
        let ids: Vec<String> = before.iter().map(|meter| meter.id.id().to_owned()).collect();
        let mut kept = Vec::with_capacity(wanted.len());
        for one in &wanted {
            let millis = |id: &MeterId| ledger(id).map(|meter| meter.window.length.millis());
            let is_same = |meter: &OwnedMeter| match &one.id {
                Some(id) => meter.id.id() == id.0,
                None => millis(&meter.id) == Some(one.length.millis()),
            };
            let same = before.iter().position(|meter| meter.id.measure() == one.measure && is_same(meter));
            if let (None, Some(id)) = (same, &one.id)
                && !ids.contains(&id.0)
            {
                let noun = if budgets { "budget" } else { "rate limit" };
                return Err(invalid(format!("there is no {noun} `{id}` here")));
            }
            kept.push(same.map(|at| before.remove(at)));
        }
        for measure in [Measure::Usd, Measure::Requests, Measure::Tokens] {
            let new = kept.iter_mut().zip(&wanted).filter(|(kept, one)| kept.is_none() && one.measure == measure);
            let new: Vec<_> = new.map(|(kept, _)| kept).collect();
            let gone: Vec<_> = before.iter().filter(|meter| meter.id.measure() == measure).cloned().collect();
            if let ([gone], Ok([new])) = (gone.as_slice(), <[_; 1]>::try_from(new)) {
                before.retain(|meter| meter != gone);
                *new = Some(gone.clone());
            }
        }
        let mut new_ids: HashMap<usize, String> = HashMap::new();
        for (one, kept) in wanted.into_iter().zip(kept) {
            let owned = kept.unwrap_or_else(|| new(one.measure, new_ids.entry(one.entry).or_insert_with(new_id)));
            place.meters.push(owned.clone());
            self.plan(place, owned, one.limit, one.length);
        }
        self.remove.extend(before.into_iter().map(|meter| (meter, place.key.clone())));
        Ok(())
    }

    /// Changes the limits at a place: a metric that the body does not name stays,
    /// and a body that names none removes all.
    fn rate_limit(
        &mut self,
        place: &mut Place<'_>,
        body: RateLimitSpec,
        ledger: &impl Fn(&MeterId) -> Option<Meter>,
    ) -> Result<(), Problem> {
        if body.is_empty() {
            return self.replace(place, Vec::new(), false, ledger);
        }
        let id = new_id();
        for one in wanted_limits(vec![body], place.calendar_aligned)? {
            let known: Vec<_> = place.meters.iter().filter(|meter| meter.id.measure() == one.measure).collect();
            let has_window = |meter: &&&OwnedMeter| {
                ledger(&meter.id).is_some_and(|m| m.window.length.millis() == one.length.millis())
            };
            let same = match known.as_slice() {
                [only] => Some((*only).clone()),
                several => several.iter().find(has_window).map(|meter| (**meter).clone()),
            };
            let owned = match same {
                Some(owned) => owned,
                None if known.is_empty() => {
                    let new = new(one.measure, &id);
                    place.meters.push(new.clone());
                    new
                }
                None => {
                    let problem =
                        "Invalid rate limit: there are several, and none has this window; rate_limits replaces all";
                    return Err(invalid(problem));
                }
            };
            self.plan(place, owned, one.limit, one.length);
        }
        Ok(())
    }

    fn plan(&mut self, place: &Place<'_>, owned: OwnedMeter, limit: Amount, length: ResetDuration) {
        let (owner_key, owner) = (place.key.clone(), place.owner.clone());
        self.put.push(Planned { owned, owner_key, owner, limit, length, is_reset: false });
    }
}

fn wanted_budgets(bodies: Vec<BudgetBody>, is_aligned: bool) -> Result<Vec<Wanted>, Problem> {
    let mut wanted = Vec::with_capacity(bodies.len());
    for (entry, body) in bodies.into_iter().enumerate() {
        if body.max_limit <= Usd::ZERO {
            return Err(invalid(format!("Budget max_limit must be above 0: {}", body.max_limit)));
        }
        let is_aligned = body.calendar_aligned.unwrap_or(is_aligned);
        let length = body.reset_duration.aligned(is_aligned).map_err(|error| invalid(error.to_string()))?;
        let limit = Amount::of_money(body.max_limit);
        wanted.push(Wanted { measure: Measure::Usd, id: body.id, entry, limit, length });
    }
    distinct(wanted, "budgets")
}

fn wanted_limits(specs: Vec<RateLimitSpec>, is_aligned: bool) -> Result<Vec<Wanted>, Problem> {
    let mut wanted = Vec::new();
    for (entry, spec) in specs.into_iter().enumerate() {
        let id = spec.id.clone();
        let counters = spec.counters(is_aligned).map_err(|error| invalid(format!("Invalid rate limit: {error}")))?;
        let counters = counters.into_iter();
        wanted.extend(counters.map(|Counter { measure, limit, length }| Wanted {
            measure,
            id: id.clone(),
            entry,
            limit,
            length,
        }));
    }
    distinct(wanted, "rate_limits")
}

/// Refuses two windows of one length for one metric.
fn distinct(wanted: Vec<Wanted>, what: &str) -> Result<Vec<Wanted>, Problem> {
    let is_same = |a: &Wanted, b: &Wanted| a.measure == b.measure && a.length.millis() == b.length.millis();
    let twice = wanted.iter().enumerate().find(|(at, one)| wanted.iter().take(*at).any(|other| is_same(one, other)));
    match twice {
        Some((_, one)) => Err(invalid(format!("Duplicate reset_duration in {what}: {}", one.length))),
        None => Ok(wanted),
    }
}

fn is_budget(meter: &OwnedMeter) -> bool {
    meter.id.measure() == Measure::Usd
}

/// A meter that was not there before. Its id is no other's and will not be: a request on its way
/// may hold what had been here, and the database may know what the file had here.
fn new(measure: Measure, id: &str) -> OwnedMeter {
    OwnedMeter { id: MeterId::new(measure, id), file_hash: None }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}
