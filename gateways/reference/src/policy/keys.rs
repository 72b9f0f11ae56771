//! The virtual keys, by value and by id.

use std::sync::Arc;

use super::levels::OwnedMeter;
use crate::grant::Grant;
use crate::identity::KeyHash;
use crate::ledger::{Level, Owner};
use crate::maps::{Map, Ordered};
use crate::store::KeyRow;

/// A grant with its own budgets and limits.
#[derive(Clone, Debug)]
pub(crate) struct GrantPolicy {
    pub(crate) grant: Grant,
    pub(crate) meters: Vec<OwnedMeter>,
}

/// A virtual key.
#[derive(Clone, Debug)]
pub(crate) struct VirtualKey {
    pub(crate) row: Arc<KeyRow>,
    pub(crate) grants: Vec<GrantPolicy>,
    pub(crate) meters: Vec<OwnedMeter>,
}

impl VirtualKey {
    /// The grant for a provider.
    pub(crate) fn grant(&self, provider: &str) -> Option<&GrantPolicy> {
        self.grants.iter().find(|policy| policy.grant.provider.as_ref() == provider)
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
    by_hash: Map<KeyHash, Arc<VirtualKey>>,
    by_id: Ordered<Arc<str>, Arc<VirtualKey>>,
}

impl KeyRing {
    /// The key with this value. Hashes compare in constant time.
    pub(crate) fn find(&self, hash: &KeyHash) -> Option<Arc<VirtualKey>> {
        self.by_hash.get(hash).cloned()
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<VirtualKey>> {
        self.by_id.get(id).cloned()
    }

    /// Makes room for so many more keys.
    pub(super) fn reserve(&mut self, more: usize) {
        self.by_hash.reserve(more);
        self.by_id.reserve_exact(more);
    }

    /// All keys in the order in which they were added.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<VirtualKey>> {
        self.by_id.values()
    }

    /// Adds a key or replaces the one with its id.
    pub(crate) fn put(&mut self, key: VirtualKey) {
        let key = Arc::new(key);
        if let Some(before) = self.by_id.insert(Arc::clone(&key.row.id), Arc::clone(&key)) {
            self.by_hash.remove(&before.row.value_hash);
        }
        self.by_hash.insert(key.row.value_hash, key);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(key) = self.by_id.shift_remove(id) {
            self.by_hash.remove(&key.row.value_hash);
        }
    }
}
