//! What one request claims before it goes upstream, and what it spent in the end.

use std::sync::Arc;

use crate::money::Usd;

use super::meter::{Amount, Measure, MeterId};

/// How a budget admits: `client.budget_admission`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BudgetAdmission {
    /// Admit what fits even if every request on its way costs the most it can.
    #[default]
    Reserved,
    /// Bifrost's rule: admit while what was spent is below the limit.
    PostPaid,
}

/// The most that a request can cost, held against every meter that it touches.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) cost: Usd,
    pub(crate) tokens: u64,
    /// In the order in which they are checked and named.
    pub(crate) meters: Arc<[MeterId]>,
    pub(crate) admission: BudgetAdmission,
}

impl Claim {
    pub(crate) fn amount(&self, measure: Measure) -> Amount {
        amount(measure, self.cost, self.tokens)
    }
}

/// What a request cost in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) cost: Usd,
    pub(crate) tokens: u64,
}

impl Spent {
    /// The larger of each.
    pub(crate) fn max(self, other: Spent) -> Spent {
        Spent { cost: self.cost.max(other.cost), tokens: self.tokens.max(other.tokens) }
    }

    pub(crate) fn amount(self, measure: Measure) -> Amount {
        amount(measure, self.cost, self.tokens)
    }
}

fn amount(measure: Measure, cost: Usd, tokens: u64) -> Amount {
    match measure {
        Measure::Usd => Amount::of_money(cost),
        Measure::Requests => Amount::of_count(1),
        Measure::Tokens => Amount::of_count(tokens),
    }
}
