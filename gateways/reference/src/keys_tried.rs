//! Which of a provider's keys serves a call next, and after which pause.

use std::collections::HashSet;
use std::time::Duration;

use crate::config::{Provider, ProviderKey, Weight};
use crate::dice::{Dice, choose};

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
}

/// A key to ask next.
pub(crate) struct Next<'a> {
    pub(crate) key: &'a ProviderKey,
    /// Whether it was busy just now.
    pub(crate) was_busy: bool,
}

impl<'a> KeysTried<'a> {
    pub(crate) fn refused(&mut self, key: &'a ProviderKey) {
        self.refused.insert(&key.id);
    }

    pub(crate) fn busy(&mut self, key: &'a ProviderKey) {
        self.busy.insert(&key.id);
    }

    /// One of `keys` by weight: of those not tried yet, else of the busy ones.
    pub(crate) fn next(&mut self, keys: impl Iterator<Item = &'a ProviderKey>, dice: &Dice) -> Option<Next<'a>> {
        let left: Vec<&ProviderKey> = keys.filter(|key| !self.refused.contains(key.id.as_str())).collect();
        let fresh: Vec<&ProviderKey> =
            left.iter().filter(|key| !self.busy.contains(key.id.as_str())).copied().collect();
        let was_busy = fresh.is_empty();
        if was_busy {
            self.busy.clear();
        }
        let key = by_weight(if was_busy { &left } else { &fresh }, dice)?;
        Some(Next { key, was_busy })
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
    use proptest::prelude::*;

    #[test]
    fn a_busy_key_is_asked_again_when_no_other_is_left_and_a_refused_one_never() {
        let keys = [key("a"), key("b")];
        let dice = Dice::new(1);
        let mut tried = KeysTried::default();
        tried.busy(&keys[0]);
        let next = tried.next(keys.iter(), &dice).unwrap();
        assert_eq!((next.key.id.as_str(), next.was_busy), ("b", false));
        tried.refused(&keys[1]);
        let next = tried.next(keys.iter(), &dice).unwrap();
        assert_eq!((next.key.id.as_str(), next.was_busy), ("a", true));
        tried.refused(&keys[0]);
        assert!(tried.next(keys.iter(), &dice).is_none());
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
