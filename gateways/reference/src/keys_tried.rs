//! Which of a provider's keys serves a call next, and after which pause.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::{Provider, ProviderKey, Weight};
use crate::dice::{Dice, choose};
use crate::failure::{Failure, Remedy};

/// A pause is between four and six fifths of what it would be, so that callers that failed
/// together do not come back together.
const LEAST_PER_MILLE: u64 = 800;
const SPREAD_PER_MILLE: u64 = 401;

/// The keys of one call that did not serve it.
#[derive(Default)]
pub(crate) struct KeysTried<'a> {
    /// Refused, and not asked again.
    refused: HashSet<&'a str>,
    /// Busy, and asked again when no other is left.
    busy: HashSet<&'a str>,
    /// What each that wants to be left alone said last; without a key, what the provider said.
    said: HashMap<Option<&'a str>, Said>,
}

/// A failure that says how long a key wants to be left alone.
struct Said {
    failure: Failure,
    at: Instant,
    told: Duration,
}

impl Said {
    /// How long it has to be left alone from now on.
    fn left(&self) -> Duration {
        self.told.saturating_sub(self.at.elapsed())
    }
}

/// A key to ask next.
pub(crate) struct Next<'a> {
    pub(crate) key: &'a ProviderKey,
    /// Whether it was busy just now.
    pub(crate) was_busy: bool,
}

/// Why there is no key to ask next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// None is left that was not refused.
    Refused,
    /// Those that are left want to be left alone for longer than can be waited.
    Busy,
}

impl<'a> KeysTried<'a> {
    /// Notes how a try failed, with a key or with none.
    pub(crate) fn failed(&mut self, key: Option<&'a ProviderKey>, failure: &Failure, remedy: Remedy) {
        let id = key.map(|key| key.id.as_str());
        // Its last word counts, also where that says nothing.
        self.said.remove(&id);
        if let Some(told) = failure.retry_after(Timestamp::now()) {
            self.said.insert(id, Said { failure: failure.clone(), at: Instant::now(), told });
        }
        match remedy {
            Remedy::Rotate => self.refused.extend(id),
            Remedy::RotateAndWait => self.busy.extend(id),
            Remedy::Wait => {}
        }
    }

    /// How long this key, or the provider without one, has to be left alone.
    pub(crate) fn wait(&self, key: Option<&ProviderKey>) -> Duration {
        self.said.get(&key.map(|key| key.id.as_str())).map(Said::left).unwrap_or_default()
    }

    /// One of `keys` by weight that has to be left alone for `longest` at most: of those not tried
    /// yet, else of the busy ones that may be asked soonest.
    pub(crate) fn next(&mut self, keys: &[&'a ProviderKey], longest: Duration, dice: &Dice) -> Result<Next<'a>, NoKey> {
        let mut left: Vec<(Duration, &ProviderKey)> =
            self.not_refused(keys).map(|key| (self.wait(Some(key)), key)).collect();
        if left.is_empty() {
            return Err(NoKey::Refused);
        }
        left.retain(|(wait, _)| *wait <= longest);
        let is_fresh = |key: &&ProviderKey| !self.busy.contains(key.id.as_str());
        let mut best: Vec<&ProviderKey> = left.iter().map(|(_, key)| *key).filter(is_fresh).collect();
        let was_busy = best.is_empty();
        if was_busy {
            self.busy.clear();
            let soonest = left.iter().map(|(wait, _)| *wait).min();
            best = left.into_iter().filter(|(wait, _)| Some(*wait) == soonest).map(|(_, key)| key).collect();
        }
        let key = by_weight(&best, dice).ok_or(NoKey::Busy)?;
        Ok(Next { key, was_busy })
    }

    /// Where each of `keys` that was not refused has said how long it wants to be left alone: what
    /// the one said that may be asked first.
    pub(crate) fn first_free(&self, keys: &[&'a ProviderKey]) -> Option<&Failure> {
        let said = self.not_refused(keys).map(|key| self.said.get(&Some(key.id.as_str())));
        let said: Option<Vec<&Said>> = said.collect();
        said?.into_iter().min_by_key(|said| said.left()).map(|said| &said.failure)
    }

    fn not_refused(&self, keys: &[&'a ProviderKey]) -> impl Iterator<Item = &'a ProviderKey> {
        keys.iter().copied().filter(|key| !self.refused.contains(key.id.as_str()))
    }
}

fn by_weight<'a>(keys: &[&'a ProviderKey], dice: &Dice) -> Option<&'a ProviderKey> {
    if let [only] = keys {
        return Some(only);
    }
    let weights: Vec<Weight> = keys.iter().map(|key| key.weight).collect();
    keys.get(choose(&weights, dice.roll())).copied()
}

/// The pauses between tries: each twice the last, with a spread, up to the provider's most.
pub(crate) struct Pauses {
    next: Duration,
    most: Duration,
}

impl Pauses {
    pub(crate) fn of(provider: &Provider) -> Pauses {
        Pauses { next: provider.backoff_initial, most: provider.backoff_max }
    }

    pub(crate) fn next(&mut self, dice: &Dice) -> Duration {
        let pause = self.next.min(self.most);
        self.next = pause.saturating_mul(2);
        let per_mille = LEAST_PER_MILLE + dice.roll() % SPREAD_PER_MILLE;
        let micros = pause.as_micros().saturating_mul(u128::from(per_mille)) / 1_000;
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::provider_tests::{key, provider};
    use axum::http::{HeaderValue, StatusCode};
    use bytes::Bytes;
    use proptest::prelude::*;

    /// A refusal that says how many seconds its key wants to be left alone.
    fn busy_for(seconds: Option<u64>) -> Failure {
        let retry_after = seconds.map(HeaderValue::from);
        let (status, body) = (StatusCode::TOO_MANY_REQUESTS, Bytes::new());
        Failure::Status { status, content_type: None, retry_after, body }
    }

    #[test]
    fn a_busy_key_is_asked_again_when_no_other_is_left_and_a_refused_one_never() {
        let (a, b) = (key("a"), key("b"));
        let keys = [&a, &b];
        let dice = Dice::new(1);
        let mut tried = KeysTried::default();
        tried.failed(Some(keys[0]), &busy_for(None), Remedy::RotateAndWait);
        let next = tried.next(&keys, Duration::ZERO, &dice).unwrap();
        assert_eq!((next.key.id.as_str(), next.was_busy), ("b", false));
        tried.failed(Some(keys[1]), &busy_for(None), Remedy::Rotate);
        let next = tried.next(&keys, Duration::ZERO, &dice).unwrap();
        assert_eq!((next.key.id.as_str(), next.was_busy), ("a", true));
        tried.failed(Some(keys[0]), &busy_for(None), Remedy::Rotate);
        assert_eq!(tried.next(&keys, Duration::MAX, &dice).err(), Some(NoKey::Refused));
    }

    #[test]
    fn a_key_that_wants_to_be_left_alone_for_too_long_is_passed_over_until_it_says_otherwise() {
        let (a, b) = (key("a"), key("b"));
        let keys = [&a, &b];
        let dice = Dice::new(1);
        let mut tried = KeysTried::default();
        let longest = Duration::from_secs(5);
        tried.failed(Some(keys[0]), &busy_for(Some(3)), Remedy::RotateAndWait);
        assert!(tried.first_free(&keys).is_none(), "the other one has said nothing");
        tried.failed(Some(keys[1]), &busy_for(Some(u64::MAX)), Remedy::RotateAndWait);
        for _ in 0..9 {
            let next = tried.next(&keys, longest, &dice).unwrap();
            assert_eq!((next.key.id.as_str(), next.was_busy), ("a", true));
            tried.busy.insert("a");
        }
        let told = |tried: &KeysTried<'_>| tried.first_free(&keys)?.retry_after(Timestamp::UNIX_EPOCH);
        assert_eq!(told(&tried), Some(Duration::from_secs(3)));
        assert_eq!(tried.next(&keys, Duration::from_secs(1), &dice).err(), Some(NoKey::Busy));
        tried.failed(Some(keys[0]), &busy_for(None), Remedy::Wait);
        assert_eq!((tried.wait(Some(keys[0])), told(&tried)), (Duration::ZERO, None));
    }

    proptest! {
        #[test]
        fn pauses_double_within_their_spread_and_never_exceed_the_most(
            seed in any::<u64>(), initial in 1_u64..10_000, most in 1_u64..60_000,
        ) {
            let (initial, most) = (Duration::from_millis(initial), Duration::from_millis(most));
            let provider = Provider { backoff_initial: initial, backoff_max: most, ..provider("p", vec![]) };
            let (dice, same) = (Dice::new(seed), Dice::new(seed));
            let (mut pauses, mut again) = (Pauses::of(&provider), Pauses::of(&provider));
            for doubling in 0..8 {
                let pause = pauses.next(&dice);
                let plain = initial.saturating_mul(1 << doubling).min(most);
                prop_assert!(pause >= plain.saturating_mul(4) / 5 && pause <= (plain.saturating_mul(6) / 5).min(most));
                prop_assert_eq!(pause, again.next(&same));
            }
        }
    }
}
