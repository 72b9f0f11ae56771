//! How many requests are on their way.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::RequestType;

/// How many requests of each kind are on their way.
#[derive(Debug, Default)]
pub(super) struct Active([AtomicU64; RequestType::ALL.len()]);

impl Active {
    pub(super) fn begun(&self, kind: RequestType) {
        self.of(kind).for_each(|count| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// One that has begun has ended.
    pub(super) fn ended(&self, kind: RequestType) {
        self.of(kind).for_each(|count| {
            count.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Each kind, and how many there are of it.
    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        let counts = RequestType::ALL.iter().zip(&self.0);
        counts.map(|(kind, count)| (kind.word(), count.load(Ordering::Relaxed))).collect()
    }

    fn of(&self, kind: RequestType) -> impl Iterator<Item = &AtomicU64> {
        let counts = RequestType::ALL.iter().zip(&self.0);
        counts.filter(move |(counted, _)| **counted == kind).map(|(_, count)| count)
    }
}
