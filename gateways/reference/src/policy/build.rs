//! What requests are decided by, from what is stored.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::Policy;
use super::keys::{GrantPolicy, VirtualKey};
use super::levels::{CustomerPolicy, Limited, OwnedMeter, TeamPolicy};
use crate::ledger::{Amount, Ledger, Level, Meter, Owner};
use crate::store::{Entity, EntityRow, Merged, MeterRow, OwnerKey, StoredKey};
use crate::window::Window;

/// Builds the policy and the ledger that begin with what is stored. A meter whose owner is
/// gone limits nothing and stays in the store for the day it comes back.
pub(crate) fn build(merged: Merged) -> (Policy, Ledger) {
    let mut builder = Builder { owned: Owned::of(merged.meters), ledger: Ledger::default() };
    let mut policy = Policy::default();
    for row in merged.customers {
        policy.levels.put_customer(builder.limited(row, CustomerPolicy::owner));
    }
    for row in merged.teams {
        policy.levels.put_team(builder.limited(row, TeamPolicy::owner));
    }
    for key in merged.keys {
        policy.keys.put(builder.key(key));
    }
    for row in merged.models {
        let key = row.entity.virtual_key_id.as_ref().and_then(|id| policy.keys.get(id));
        let name = key.as_ref().map(|key| key.row.name.as_str());
        policy.levels.put_model(builder.limited(row, |model| model.owner(name)));
    }
    builder.providers(&mut policy);
    (policy, builder.ledger)
}

/// The meters of each owner, the shortest windows first. One list has them all: there may be
/// hundreds of thousands, and most owners have a few.
struct Owned {
    rows: Vec<Option<MeterRow>>,
    ranges: HashMap<OwnerKey, Range<usize>>,
}

impl Owned {
    fn of(mut rows: Vec<MeterRow>) -> Owned {
        let order = |row: &MeterRow| row.reset_duration.millis();
        rows.sort_unstable_by(|a, b| (&a.owner, order(a), &a.id).cmp(&(&b.owner, order(b), &b.id)));
        let mut ranges = HashMap::new();
        let mut end = 0;
        for run in rows.chunk_by(|a, b| a.owner == b.owner) {
            let start = end;
            end += run.len();
            ranges.extend(run.first().map(|row| (row.owner.clone(), start..end)));
        }
        Owned { rows: rows.into_iter().map(Some).collect(), ranges }
    }

    fn take(&mut self, owner: &OwnerKey) -> impl ExactSizeIterator<Item = Option<MeterRow>> {
        let range = self.ranges.remove(owner).unwrap_or_default();
        self.rows.get_mut(range).unwrap_or_default().iter_mut().map(Option::take)
    }
}

struct Builder {
    owned: Owned,
    ledger: Ledger,
}

impl Builder {
    fn limited<T: Entity>(&mut self, row: EntityRow<T>, owner: impl Fn(&Limited<T>) -> Owner) -> Limited<T> {
        let key = T::owner(Arc::clone(&row.id));
        let mut limited = Limited { row, meters: Vec::new() };
        limited.meters = self.meters(&key, &owner(&limited));
        limited
    }

    fn key(&mut self, StoredKey { row, grants }: StoredKey) -> VirtualKey {
        let mut key = VirtualKey { row, grants: Vec::with_capacity(grants.len()), meters: Vec::new() };
        key.meters = self.meters(&OwnerKey::VirtualKey(Arc::clone(&key.row.id)), &key.owner(None));
        for grant in grants {
            let owner = key.owner(Some(&grant.provider));
            let meters = self.meters(&OwnerKey::Grant(Arc::clone(&grant.id)), &owner);
            key.grants.push(GrantPolicy { grant, meters });
        }
        key
    }

    fn providers(&mut self, policy: &mut Policy) {
        let names: Vec<Arc<str>> = self.owned.ranges.keys().filter_map(provider).collect();
        for name in names {
            let owner = Owner { level: Level::Provider, entity: Arc::clone(&name) };
            let meters = self.meters(&OwnerKey::Provider(Arc::clone(&name)), &owner);
            policy.levels.put_provider(name, meters);
        }
    }

    /// Puts the meters of an owner into the ledger.
    fn meters(&mut self, key: &OwnerKey, owner: &Owner) -> Vec<OwnedMeter> {
        let rows = self.owned.take(key);
        let mut meters = Vec::with_capacity(rows.len());
        for row in rows.flatten() {
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

fn meter(row: MeterRow, owner: Owner) -> Meter {
    Meter {
        measure: row.id.measure(),
        owner,
        limit: row.limit,
        window: Window { start: row.window_start, length: row.reset_duration },
        used: row.used,
        held: Amount::ZERO,
    }
}
