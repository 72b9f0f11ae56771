//! Choices by weight, which follow from a seed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Weight;

/// Random numbers that follow from a seed: the same seed and the same order of
/// requests give the same choices.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(AtomicU64::new(seed))
    }

    /// The next number (`SplitMix64`).
    pub(crate) fn roll(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Chooses an index by weight. Where nothing weighs anything: the first.
pub(crate) fn choose(weights: &[Weight], dice: u64) -> usize {
    let total = weights.iter().fold(0_u64, |sum, weight| sum.saturating_add(weight.millionths()));
    if total == 0 {
        return 0;
    }
    let mut left = dice % total;
    for (index, weight) in weights.iter().enumerate() {
        match left.checked_sub(weight.millionths()) {
            Some(rest) => left = rest,
            None => return index,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_choice_is_one_of_those_that_weigh_something(
            weights in prop::collection::vec(0_u32..5, 1..6),
            dice in any::<u64>(),
        ) {
            let parsed: Vec<Weight> =
                weights.iter().map(|weight| serde_json::from_str(&weight.to_string()).unwrap()).collect();
            let chosen = choose(&parsed, dice);
            prop_assert!(chosen < weights.len());
            prop_assert!(weights[chosen] > 0 || weights.iter().all(|weight| *weight == 0));
        }

        #[test]
        fn the_same_seed_gives_the_same_numbers(seed in any::<u64>()) {
            let (one, two) = (Dice::new(seed), Dice::new(seed));
            prop_assert_eq!([one.roll(), one.roll()], [two.roll(), two.roll()]);
        }
    }
}
