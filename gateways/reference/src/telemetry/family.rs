//! Series by their labels. Whoever counts shares one, and begins it where there is none.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, PoisonError, RwLock};

use indexmap::{Equivalent, IndexMap};

use crate::maps::Quick;

/// Series, in the order in which they were begun.
#[derive(Debug)]
pub(super) struct Family<L, S, H = Quick>(RwLock<IndexMap<L, Arc<S>, H>>);

impl<L, S, H: Default> Default for Family<L, S, H> {
    fn default() -> Family<L, S, H> {
        Family(RwLock::default())
    }
}

impl<L: Clone + Eq + Hash, S, H: BuildHasher> Family<L, S, H> {
    /// The series with these labels; where there is none, how many others there are.
    pub(super) fn find(&self, labels: &(impl Hash + Equivalent<L>)) -> Result<Arc<S>, usize> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(labels).map(Arc::clone).ok_or(all.len())
    }

    /// The series with these labels: this one unless another has begun it meanwhile.
    pub(super) fn begin(&self, labels: L, series: S) -> Arc<S> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(labels).or_insert_with(|| Arc::new(series)))
    }

    /// Every series as it is now.
    pub(super) fn all(&self) -> Vec<(L, Arc<S>)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(labels, series)| (labels.clone(), Arc::clone(series))).collect()
    }
}
