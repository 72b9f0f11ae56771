//! What requests are decided by, from what is stored.

use std::sync::Arc;

use super::Policy;
use super::keys::{GrantPolicy, VirtualKey};
use super::levels::{CustomerPolicy, Limited, OwnedMeter, TeamPolicy};
use crate::ledger::{Amount, Ledger, Level, Meter, Owner};
use crate::maps::Map;
use crate::store::{Entity, EntityRow, Merged, MeterRow, Noted, NotedMeter, OwnerKey, Standing, StoredKey};
use crate::window::Window;

/// Builds the policy and the ledger that begin with what is stored. A meter whose owner is
/// gone limits nothing and stays in the store for the day it comes back.
pub(crate) fn build(merged: &Merged) -> (Policy, Ledger) {
    let ledger = Ledger::with_room(merged.meters.len());
    let mut builder = Builder { owned: Owned::of(&merged.meters), ledger };
    let mut policy = Policy::default();
    for row in &merged.customers {
        policy.levels.put_customer(builder.limited(row, CustomerPolicy::owner));
    }
    for row in &merged.teams {
        policy.levels.put_team(builder.limited(row, TeamPolicy::owner));
    }
    policy.keys.reserve(merged.keys.len());
    for Noted { row: key, .. } in &merged.keys {
        if key.row.standing == Standing::Live {
            policy.keys.put(builder.key(key));
        }
    }
    for row in &merged.models {
        let key = row.entity.virtual_key_id.as_ref().and_then(|id| policy.keys.get(id));
        let name = key.as_ref().map(|key| key.row.name.as_str());
        policy.levels.put_model(builder.limited(row, |model| model.owner(name)));
    }
    builder.providers(&mut policy);
    (policy, builder.ledger)
}

/// The meters of each owner. One list has them all: there may be hundreds of thousands, and most
/// owners have a few.
struct Owned<'a> {
    rows: &'a [NotedMeter],
    /// For each of them, where the one before it of the same owner is.
    before: Vec<Option<usize>>,
    /// Where each owner's last one is.
    last: Map<&'a OwnerKey, usize>,
}

impl<'a> Owned<'a> {
    fn of(rows: &'a [NotedMeter]) -> Owned<'a> {
        let mut last = Map::default();
        let mut before = |(at, Noted { row, .. }): (usize, &'a NotedMeter)| {
            if row.standing == Standing::Live { last.insert(&row.owner, at) } else { None }
        };
        let before = rows.iter().enumerate().map(&mut before).collect();
        Owned { rows, before, last }
    }

    /// An owner's meters, the shortest windows first.
    fn take(&mut self, owner: &OwnerKey) -> Vec<&'a MeterRow> {
        let mut rows = Vec::new();
        let mut next = self.last.remove(owner);
        while let Some((at, meter)) = next.and_then(|at| Some((at, self.rows.get(at)?))) {
            rows.push(meter.row.as_ref());
            next = self.before.get(at).copied().flatten();
        }
        rows.sort_unstable_by(|a, b| (a.reset_duration.millis(), &a.id).cmp(&(b.reset_duration.millis(), &b.id)));
        rows
    }
}

struct Builder<'a> {
    owned: Owned<'a>,
    ledger: Ledger,
}

impl Builder<'_> {
    fn limited<T: Entity>(&mut self, row: &EntityRow<T>, owner: impl Fn(&Limited<T>) -> Owner) -> Limited<T> {
        let key = T::owner(Arc::clone(&row.id));
        let mut limited = Limited { row: row.clone(), meters: Vec::new() };
        limited.meters = self.meters(&key, || owner(&limited));
        limited
    }

    fn key(&mut self, StoredKey { row, grants }: &StoredKey) -> VirtualKey {
        let mut key = VirtualKey { row: Arc::clone(row), grants: Vec::with_capacity(grants.len()), meters: Vec::new() };
        key.meters = self.meters(&OwnerKey::VirtualKey(Arc::clone(&key.row.id)), || key.owner(None));
        for grant in grants {
            let owner = || key.owner(Some(&grant.provider));
            let meters = self.meters(&OwnerKey::Grant(Arc::clone(&grant.id)), owner);
            key.grants.push(GrantPolicy { grant: grant.clone(), meters });
        }
        key
    }

    fn providers(&mut self, policy: &mut Policy) {
        let names: Vec<Arc<str>> = self.owned.last.keys().filter_map(|owner| provider(owner)).collect();
        for name in names {
            let owner = || Owner { level: Level::Provider, entity: Arc::clone(&name) };
            let meters = self.meters(&OwnerKey::Provider(Arc::clone(&name)), owner);
            policy.levels.put_provider(name, meters);
        }
    }

    /// Puts the meters of an owner into the ledger.
    fn meters(&mut self, key: &OwnerKey, owner: impl FnOnce() -> Owner) -> Vec<OwnedMeter> {
        let rows = self.owned.take(key);
        if rows.is_empty() {
            return Vec::new();
        }
        let owner = owner();
        let mut meters = Vec::with_capacity(rows.len());
        for row in rows {
            meters.push(OwnedMeter { id: row.id.clone(), file_hash: row.file_hash });
            self.ledger.put(row.id.clone(), meter(row, owner.clone()));
        }
        meters
    }
}

fn provider(owner: &OwnerKey) -> Option<Arc<str>> {
    match owner {
        OwnerKey::Provider(name) => Some(Arc::clone(name)),
        _ => None,
    }
}

fn meter(row: &MeterRow, owner: Owner) -> Meter {
    Meter {
        measure: row.id.measure(),
        owner,
        limit: row.limit,
        window: Window { start: row.window_start, length: row.reset_duration.clone() },
        used: row.used,
        held: Amount::ZERO,
    }
}
