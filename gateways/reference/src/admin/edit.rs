//! What a change of a virtual key comes to: the key as it will be, and the meters to
//! put and to remove. Nothing is changed here.

use std::sync::Arc;

use indexmap::IndexMap;
use uuid::Uuid;

use super::reply::invalid;
use super::shapes::{BudgetBody, GrantBody, RateLimitBody};
use crate::clock::Moment;
use crate::config::{AllowList, Provider};
use crate::errors::Problem;
use crate::grant::Grant;
use crate::ledger::{Amount, Ledger, Measure, Meter, MeterId, Owner};
use crate::money::Usd;
use crate::policy::{GrantPolicy, OwnedMeter, VirtualKey};
use crate::store::{Change, MeterRow, OwnerKey, Standing};
use crate::window::{ResetDuration, Window};

/// A meter as it will be.
struct Planned {
    owned: OwnedMeter,
    owner_key: OwnerKey,
    owner: Owner,
    limit: Amount,
    length: ResetDuration,
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
}

/// The meters that a change puts and removes.
#[derive(Default)]
pub(super) struct MeterEdits {
    put: Vec<Planned>,
    remove: Vec<(OwnedMeter, OwnerKey)>,
}

/// Whose meters are edited: the id that stays and the name that is shown.
struct Place<'a> {
    key: OwnerKey,
    owner: Owner,
    /// Whether its windows follow the calendar, where they do not say so themselves.
    calendar_aligned: bool,
    meters: &'a mut Vec<OwnedMeter>,
}

impl MeterEdits {
    /// What to write, with the usage as it is now.
    pub(super) fn changes(&self, ledger: &Ledger, now: Moment) -> Vec<Change> {
        let put = self.put.iter().map(|planned| {
            let meter = ledger.edited(&planned.owned.id, planned.meter(now));
            Change::PutMeter(MeterRow {
                id: planned.owned.id.clone(),
                owner: planned.owner_key.clone(),
                limit: meter.limit,
                reset_duration: meter.window.length,
                used: meter.used,
                window_start: meter.window.start,
                file_hash: planned.owned.file_hash,
                standing: Standing::Live,
            })
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
    pub(super) fn apply(self, ledger: &mut Ledger, now: Moment) {
        for (meter, _) in self.remove {
            ledger.remove(&meter.id);
        }
        for planned in self.put {
            let meter = planned.meter(now);
            ledger.put(planned.owned.id, meter);
        }
    }

    /// Removes every meter of a key.
    pub(super) fn remove_all(key: &VirtualKey) -> MeterEdits {
        let mut edits = MeterEdits::default();
        let owner = OwnerKey::VirtualKey(key.row.id.clone());
        edits.remove.extend(key.meters.iter().map(|meter| (meter.clone(), owner.clone())));
        for policy in &key.grants {
            edits.remove_grant(policy);
        }
        edits
    }

    fn remove_grant(&mut self, policy: &GrantPolicy) {
        let owner = OwnerKey::Grant(policy.grant.id.clone());
        self.remove.extend(policy.meters.iter().map(|meter| (meter.clone(), owner.clone())));
    }

    /// Replaces the budgets at a place. One with the same id or window is the same, and so
    /// are the only one that goes and the only one that comes.
    fn budgets(
        &mut self,
        place: &mut Place<'_>,
        bodies: Vec<BudgetBody>,
        lengths: impl Fn(&MeterId) -> Option<ResetDuration>,
    ) -> Result<(), Problem> {
        let is_budget = |meter: &OwnedMeter| meter.id.measure() == Measure::Usd;
        let mut before: Vec<OwnedMeter> = place.meters.iter().filter(|meter| is_budget(meter)).cloned().collect();
        place.meters.retain(|meter| !is_budget(meter));
        let mut seen = Vec::new();
        let mut kept = Vec::new();
        for body in &bodies {
            let length = &body.reset_duration;
            if body.max_limit <= Usd::ZERO {
                return Err(invalid(format!("Budget max_limit must be above 0: {}", body.max_limit)));
            }
            if seen.contains(&length.millis()) {
                return Err(invalid(format!("Duplicate reset_duration in budgets: {length}")));
            }
            seen.push(length.millis());
            let same = before.iter().position(|meter| match &body.id {
                Some(id) => meter.id.id() == id,
                None => lengths(&meter.id).is_some_and(|known| known.millis() == length.millis()),
            });
            kept.push(match (same, &body.id) {
                (Some(at), _) => Some(before.remove(at)),
                (None, Some(id)) => return Err(invalid(format!("there is no budget `{id}` here"))),
                (None, None) => None,
            });
        }
        let is_the_only_one = before.len() == 1 && kept.iter().filter(|kept| kept.is_none()).count() == 1;
        for (body, kept) in bodies.into_iter().zip(kept) {
            let only = || if is_the_only_one { before.pop() } else { None };
            let owned = kept.or_else(only).unwrap_or_else(|| new_meter(Measure::Usd));
            place.meters.push(owned.clone());
            let is_aligned = body.calendar_aligned.unwrap_or(place.calendar_aligned);
            let length = body.reset_duration.aligned(is_aligned).map_err(|error| invalid(error.to_string()))?;
            self.put.push(planned(place, owned, Amount::of_money(body.max_limit), length));
        }
        self.remove.extend(before.into_iter().map(|meter| (meter, place.key.clone())));
        Ok(())
    }

    /// Changes the limits at a place: a metric that the body does not name stays,
    /// and a body that names none removes all.
    fn rate_limit(&mut self, place: &mut Place<'_>, body: RateLimitBody) -> Result<(), Problem> {
        let metrics = [
            (Measure::Requests, "request", body.request_max_limit, body.request_reset_duration),
            (Measure::Tokens, "token", body.token_max_limit, body.token_reset_duration),
        ];
        if metrics.iter().all(|(_, _, limit, length)| limit.is_none() && length.is_none()) {
            let (limits, budgets) =
                std::mem::take(place.meters).into_iter().partition(|meter| meter.id.measure() != Measure::Usd);
            *place.meters = budgets;
            let limits: Vec<OwnedMeter> = limits;
            self.remove.extend(limits.into_iter().map(|meter| (meter, place.key.clone())));
            return Ok(());
        }
        let of_limit = |meter: &&OwnedMeter| meter.id.measure() != Measure::Usd;
        let id = place.meters.iter().find(of_limit).map_or_else(new_id, |meter| meter.id.id().to_owned());
        for (measure, word, limit, length) in metrics {
            let (limit, length) = match (limit, length) {
                (None, None) => continue,
                (Some(0), _) => {
                    return Err(invalid(format!("Invalid rate limit: {word}_max_limit must be above 0")));
                }
                (Some(limit), Some(length)) => (limit, length),
                _ => {
                    let problem =
                        format!("Invalid rate limit: {word}_max_limit and {word}_reset_duration belong together");
                    return Err(invalid(problem));
                }
            };
            let known = place.meters.iter().find(|meter| meter.id.measure() == measure).cloned();
            let owned = known.unwrap_or_else(|| {
                let new = OwnedMeter { id: MeterId::new(measure, &id), file_hash: None };
                place.meters.push(new.clone());
                new
            });
            let length = length.aligned_where_possible(place.calendar_aligned);
            self.put.push(planned(place, owned, Amount::of_count(limit), length));
        }
        Ok(())
    }

    /// Sets a key's own budgets and limits, as far as they are given.
    pub(super) fn key_meters(
        &mut self,
        key: &mut VirtualKey,
        budgets: Option<Vec<BudgetBody>>,
        rate_limit: Option<RateLimitBody>,
        lengths: impl Fn(&MeterId) -> Option<ResetDuration>,
    ) -> Result<(), Problem> {
        let mut place = Place {
            key: OwnerKey::VirtualKey(key.row.id.clone()),
            owner: key.owner(None),
            calendar_aligned: key.row.calendar_aligned,
            meters: &mut key.meters,
        };
        if let Some(budgets) = budgets {
            self.budgets(&mut place, budgets, lengths)?;
        }
        rate_limit.map_or(Ok(()), |body| self.rate_limit(&mut place, body))
    }

    /// Replaces a key's grants. A provider that stays keeps its id, and its budgets
    /// and limits unless the body says otherwise.
    pub(super) fn grants(
        &mut self,
        key: &mut VirtualKey,
        bodies: Vec<GrantBody>,
        providers: &IndexMap<Arc<str>, Arc<Provider>>,
        lengths: impl Fn(&MeterId) -> Option<ResetDuration>,
    ) -> Result<(), Problem> {
        let mut before = std::mem::take(&mut key.grants);
        for body in bodies {
            let provider = check_grant(&body, providers)?;
            if key.grants.iter().any(|policy| policy.grant.provider == provider) {
                return Err(invalid(format!("Duplicate provider in provider_configs: {}", body.provider)));
            }
            let same = before.iter().position(|policy| policy.grant.provider == provider);
            let (id, mut meters) = match same {
                Some(at) => {
                    let policy = before.remove(at);
                    (policy.grant.id, policy.meters)
                }
                None => (format!("{}/{provider}", key.row.id).into(), Vec::new()),
            };
            if body.id.as_ref().is_some_and(|given| **given != *id) {
                return Err(invalid(format!("the provider configuration of '{}' has another id", body.provider)));
            }
            let mut place = Place {
                key: OwnerKey::Grant(id.clone()),
                owner: key.owner(Some(&provider)),
                calendar_aligned: key.row.calendar_aligned,
                meters: &mut meters,
            };
            if let Some(budgets) = body.budgets {
                self.budgets(&mut place, budgets, &lengths)?;
            }
            if let Some(rate_limit) = body.rate_limit {
                self.rate_limit(&mut place, rate_limit)?;
            }
            let grant = Grant {
                id,
                provider,
                weight: body.weight,
                allowed_models: body.allowed_models.unwrap_or(AllowList::NONE),
                blacklisted_models: body.blacklisted_models,
                key_ids: body.key_ids.unwrap_or(AllowList::All),
            };
            key.grants.push(GrantPolicy { grant, meters });
        }
        for policy in before {
            self.remove_grant(&policy);
        }
        Ok(())
    }

    /// Edits every meter of the key that is not edited otherwise: refusals show the owner's
    /// name as it is now, and its windows follow the calendar or not, if that has changed.
    pub(super) fn rest(
        &mut self,
        key: &VirtualKey,
        ledger: &[(MeterId, Meter)],
        calendar_aligned: Option<bool>,
    ) -> Result<(), Problem> {
        let places = std::iter::once((OwnerKey::VirtualKey(key.row.id.clone()), key.owner(None), &key.meters)).chain(
            key.grants.iter().map(|policy| {
                let owner = key.owner(Some(&policy.grant.provider));
                (OwnerKey::Grant(policy.grant.id.clone()), owner, &policy.meters)
            }),
        );
        for (owner_key, owner, meters) in places {
            for owned in meters {
                if self.put.iter().any(|planned| planned.owned.id == owned.id) {
                    continue;
                }
                if let Some((_, meter)) = ledger.iter().find(|(id, _)| *id == owned.id) {
                    let length = meter.window.length.clone();
                    let length = match (calendar_aligned, meter.measure) {
                        (None, _) => length,
                        (Some(yes), Measure::Usd) => length.aligned(yes).map_err(|error| invalid(error.to_string()))?,
                        (Some(yes), _) => length.aligned_where_possible(yes),
                    };
                    self.put.push(Planned {
                        owned: owned.clone(),
                        owner_key: owner_key.clone(),
                        owner: owner.clone(),
                        limit: meter.limit,
                        length,
                    });
                }
            }
        }
        Ok(())
    }
}

/// The provider's name, if it is there and has the keys that the body names.
fn check_grant(body: &GrantBody, providers: &IndexMap<Arc<str>, Arc<Provider>>) -> Result<Arc<str>, Problem> {
    let provider = providers
        .get(body.provider.as_str())
        .ok_or_else(|| invalid(format!("there is no provider '{}'", body.provider)))?;
    let known = |name: &String| provider.keys.iter().any(|key| key.id == *name || key.name == *name);
    let names = body.key_ids.as_ref().and_then(AllowList::names).unwrap_or_default();
    match names.iter().find(|name| !known(name)) {
        Some(unknown) => Err(invalid(format!("the provider '{}' has no key '{unknown}'", body.provider))),
        None => Ok(Arc::clone(&provider.name)),
    }
}

fn planned(place: &Place<'_>, owned: OwnedMeter, limit: Amount, length: ResetDuration) -> Planned {
    Planned { owned, owner_key: place.key.clone(), owner: place.owner.clone(), limit, length }
}

fn new_meter(measure: Measure) -> OwnedMeter {
    OwnedMeter { id: MeterId::new(measure, &new_id()), file_hash: None }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}
