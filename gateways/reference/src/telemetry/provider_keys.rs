//! What is counted of providers' keys: whether each works, and how often another took over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::Equivalent;

use super::family::Family;
use super::labels::OTHER;
use super::record::{Attempt, SelectedKey};

/// How many sums of rotations there may be: callers choose models.
const MOST_ROTATIONS: usize = 1_000;

/// All keys that were used.
#[derive(Debug, Default)]
pub(super) struct ProviderKeys {
    up: Family<KeyLabels, AtomicBool>,
    rotations: Mutex<BTreeMap<RotationLabels, u64>>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct KeyLabels {
    provider: Arc<str>,
    key: SelectedKey,
}

/// The same without a copy, to find it by.
#[derive(Hash)]
struct KeyRef<'a> {
    provider: &'a str,
    key: &'a SelectedKey,
}

impl Equivalent<KeyLabels> for KeyRef<'_> {
    fn equivalent(&self, other: &KeyLabels) -> bool {
        (self.provider, self.key) == (&*other.provider, &other.key)
    }
}

/// Which key another took over from, of which model, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RotationLabels {
    key: KeyLabels,
    model: String,
    reason: &'static str,
}

impl KeyLabels {
    /// Name and value of each.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &str)> {
        vec![("provider", &*self.provider), ("key_id", &self.key.id), ("key_name", &self.key.name)]
    }
}

impl RotationLabels {
    /// Name and value of each.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &str)> {
        let mut pairs = self.key.pairs();
        pairs.extend([("requested_model", self.model.as_str()), ("fail_reason", self.reason)]);
        pairs
    }
}

impl ProviderKeys {
    /// Counts the tries of a provider's turn.
    pub(super) fn count(&self, attempt: &Attempt, has_served: bool) {
        for failed in &attempt.failed_tries {
            let Some(key) = &failed.key else { continue };
            if failed.is_keys_failure {
                self.set(&attempt.provider, key, false);
            }
            if let Some(reason) = failed.rotated_for {
                self.rotated(labels(&attempt.provider, key), &attempt.model, reason);
            }
        }
        if let Some(key) = attempt.key.as_ref().filter(|_| has_served && !attempt.answer_failed) {
            self.set(&attempt.provider, key, true);
        }
    }

    /// Each key, and whether it worked, by the last request with it to end.
    pub(super) fn all(&self) -> Vec<(KeyLabels, bool)> {
        self.up.all().into_iter().map(|(key, up)| (key, up.load(Ordering::Relaxed))).collect()
    }

    /// How often another key took over.
    pub(super) fn rotations(&self) -> BTreeMap<RotationLabels, u64> {
        self.rotations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, provider: &Arc<str>, key: &SelectedKey, is_up: bool) {
        let known = self.up.find(&KeyRef { provider, key });
        let new = || self.up.begin(labels(provider, key), AtomicBool::new(is_up));
        known.unwrap_or_else(|_| new()).store(is_up, Ordering::Relaxed);
    }

    fn rotated(&self, key: KeyLabels, model: &str, reason: &'static str) {
        let mut rotations = self.rotations.lock().unwrap_or_else(PoisonError::into_inner);
        let mut labels = RotationLabels { key, model: model.to_owned(), reason };
        if rotations.len() >= MOST_ROTATIONS && !rotations.contains_key(&labels) {
            OTHER.clone_into(&mut labels.model);
        }
        *rotations.entry(labels).or_default() += 1;
    }
}

fn labels(provider: &Arc<str>, key: &SelectedKey) -> KeyLabels {
    KeyLabels { provider: Arc::clone(provider), key: key.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::record::{CallRecord, FailedTry};

    fn rotated(model: &str) -> Attempt {
        let key = SelectedKey { id: "a".to_owned(), name: "a".to_owned() };
        let failed = FailedTry { key: Some(key), is_keys_failure: true, rotated_for: Some("rate_limit_error") };
        let attempts = CallRecord::sample(model).attempts;
        let attempt = attempts.into_iter().next();
        attempt.map_or_else(
            || unreachable!("a sample has one"),
            |attempt| Attempt { failed_tries: vec![failed], ..attempt },
        )
    }

    #[test]
    fn more_models_than_there_is_room_for_share_a_sum_and_nothing_is_lost() {
        let keys = ProviderKeys::default();
        let count = MOST_ROTATIONS + 50;
        (0..count).for_each(|number| keys.count(&rotated(&format!("model-{number}")), false));
        let all = keys.rotations();
        assert_eq!(all.len(), MOST_ROTATIONS + 1);
        assert_eq!(all.values().sum::<u64>(), count as u64);
        assert_eq!(keys.all().iter().map(|(_, is_up)| *is_up).collect::<Vec<_>>(), [false]);
    }
}
