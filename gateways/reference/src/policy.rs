//! The virtual keys as requests see them, and the ledger that begins with them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::grant::Grant;
use crate::identity::KeyHash;
use crate::ledger::{Amount, Ledger, Level, Meter, MeterId, Owner};
use crate::store::{KeyRow, MeterRow, OwnerKey};
use crate::window::Window;

/// A meter of an owner, with the hash of its entity in the file, if it is from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedMeter {
    pub(crate) id: MeterId,
    pub(crate) file_hash: Option<String>,
}

/// A grant with its own budgets and limits.
#[derive(Clone, Debug)]
pub(crate) struct GrantPolicy {
    pub(crate) grant: Grant,
    pub(crate) meters: Vec<OwnedMeter>,
}

/// A virtual key.
#[derive(Clone, Debug)]
pub(crate) struct VirtualKey {
    pub(crate) row: KeyRow,
    pub(crate) hash: KeyHash,
    pub(crate) grants: Vec<GrantPolicy>,
    pub(crate) meters: Vec<OwnedMeter>,
}

impl VirtualKey {
    /// The grant for a provider.
    pub(crate) fn grant(&self, provider: &str) -> Option<&GrantPolicy> {
        self.grants.iter().find(|policy| policy.grant.provider == provider)
    }

    /// Every meter that a request through `provider` touches, from the widest: of several that
    /// refuse, the widest is named, since another provider would not help against it.
    pub(crate) fn meters_for(&self, provider: &str) -> Vec<MeterId> {
        let grant = self.grant(provider).map(|policy| policy.meters.as_slice());
        let own = self.meters.iter().chain(grant.unwrap_or_default());
        own.map(|meter| meter.id.clone()).collect()
    }

    /// The name that refusals show for an owner.
    pub(crate) fn owner(&self, provider: Option<&str>) -> Owner {
        match provider {
            None => Owner { level: Level::VirtualKey, entity: self.row.name.as_str().into() },
            Some(provider) => {
                Owner { level: Level::VirtualKeyProvider, entity: format!("{}/{provider}", self.row.name).into() }
            }
        }
    }
}

/// All virtual keys, by value and by id.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    by_hash: HashMap<KeyHash, Arc<VirtualKey>>,
    by_id: indexmap::IndexMap<String, Arc<VirtualKey>>,
}

impl KeyRing {
    /// The key with this value, compared in constant time.
    pub(crate) fn find(&self, hash: &KeyHash) -> Option<Arc<VirtualKey>> {
        self.by_hash.get(hash).filter(|key| key.hash.is(hash)).cloned()
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<VirtualKey>> {
        self.by_id.get(id).cloned()
    }

    /// All keys in the order in which they were added.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<VirtualKey>> {
        self.by_id.values()
    }

    /// Adds a key or replaces the one with its id.
    pub(crate) fn put(&mut self, key: VirtualKey) {
        let key = Arc::new(key);
        if let Some(before) = self.by_id.insert(key.row.id.clone(), Arc::clone(&key)) {
            self.by_hash.remove(&before.hash);
        }
        self.by_hash.insert(key.hash, key);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(key) = self.by_id.shift_remove(id) {
            self.by_hash.remove(&key.hash);
        }
    }
}

/// A stored key that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the stored virtual key '{0}' cannot be read")]
pub(crate) struct UnreadableKey(String);

/// Builds what requests are decided by from what is stored.
pub(crate) fn build(keys: Vec<KeyRow>, meters: Vec<MeterRow>) -> Result<(KeyRing, Ledger), UnreadableKey> {
    let mut owned: HashMap<OwnerKey, Vec<MeterRow>> = HashMap::new();
    for row in meters {
        owned.entry(row.owner.clone()).or_default().push(row);
    }
    let mut ring = KeyRing::default();
    let mut ledger = Ledger::default();
    for row in keys {
        let unreadable = || UnreadableKey(row.name.clone());
        let hash = KeyHash::from_hex(&row.value_hash).ok_or_else(unreadable)?;
        let grants: Vec<Grant> = serde_json::from_str(&row.grants).map_err(|_| unreadable())?;
        let mut key = VirtualKey { row, hash, grants: Vec::new(), meters: Vec::new() };
        let mut add = |owner: Owner, rows: Option<Vec<MeterRow>>| {
            let mut rows = rows.unwrap_or_default();
            rows.sort_by(|a, b| (a.reset_duration.millis(), &a.id).cmp(&(b.reset_duration.millis(), &b.id)));
            rows.into_iter()
                .map(|row| {
                    let owned = OwnedMeter { id: row.id.clone(), file_hash: row.file_hash.clone() };
                    ledger.put(row.id.clone(), meter(row, owner.clone()));
                    owned
                })
                .collect::<Vec<_>>()
        };
        key.meters = add(key.owner(None), owned.remove(&OwnerKey::VirtualKey(key.row.id.clone())));
        for grant in grants {
            let rows = owned.remove(&OwnerKey::Grant(grant.id.clone()));
            let meters = add(key.owner(Some(&grant.provider)), rows);
            key.grants.push(GrantPolicy { grant, meters });
        }
        ring.put(key);
    }
    Ok((ring, ledger))
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
