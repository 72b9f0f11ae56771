//! What each model cost last, for requests whose output nothing else bounds.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use crate::ledger::Spent;
use crate::lower_case::lower_case;
use crate::money::Usd;
use crate::pricing::Unbounded;

/// The names of models are the callers' to choose: the one that was set longest ago is forgotten.
const MOST_MODELS: usize = 1_024;

/// What one answer of each model cost last.
#[derive(Debug, Default)]
pub(crate) struct LastSpent(Mutex<IndexMap<(Arc<str>, String), Spent>>);

impl LastSpent {
    /// What so many answers cost if each costs what one cost last.
    pub(crate) fn get(&self, model: &Unbounded) -> Option<Spent> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = known.get(&key(model))?;
        Some(Spent { cost: one.cost.times(model.answers), tokens: one.tokens.saturating_mul(model.answers) })
    }

    /// Remembers what the answers cost.
    pub(crate) fn set(&self, model: &Unbounded, spent: Spent) {
        let answers = model.answers.max(1);
        let pico = spent.cost.pico().unsigned_abs().div_ceil(answers);
        let one = Spent {
            cost: Usd::from_pico(i64::try_from(pico).unwrap_or(i64::MAX)),
            tokens: spent.tokens.div_ceil(answers),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.shift_remove(&key(model));
        if known.len() >= MOST_MODELS {
            known.shift_remove_index(0);
        }
        known.insert(key(model), one);
    }
}

/// Another case of a name's letters is no new model: it would be held as one each time.
fn key(model: &Unbounded) -> (Arc<str>, String) {
    (Arc::clone(&model.provider), lower_case(&model.model).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, answers: u64) -> Unbounded {
        Unbounded { provider: "primary".into(), model: name.to_owned(), answers }
    }

    fn spent(pico: i64, tokens: u64) -> Spent {
        Spent { cost: Usd::from_pico(pico), tokens }
    }

    #[test]
    fn so_many_answers_cost_as_often_what_one_cost() {
        let last = LastSpent::default();
        last.set(&model("m", 2), spent(101, 11));
        assert_eq!(last.get(&model("m", 1)), Some(spent(51, 6)));
        assert_eq!(last.get(&model("m", 10)), Some(spent(510, 60)));
        assert_eq!(last.get(&model("other", 1)), None);
    }

    #[test]
    fn a_model_is_the_same_in_whatever_case_it_is_written() {
        let last = LastSpent::default();
        last.set(&model("Fast", 1), spent(7, 7));
        assert_eq!(last.get(&model("fAST", 1)), Some(spent(7, 7)));
    }

    #[test]
    fn of_very_many_models_the_latest_are_remembered() {
        let last = LastSpent::default();
        last.set(&model("kept", 1), spent(1, 1));
        for number in 1..MOST_MODELS {
            last.set(&model(&number.to_string(), 1), spent(1, 1));
        }
        last.set(&model("kept", 1), spent(2, 1));
        last.set(&model("new", 1), spent(1, 1));
        assert_eq!(last.get(&model("1", 1)), None);
        assert_eq!(last.get(&model("kept", 1)), Some(spent(2, 1)));
    }
}
