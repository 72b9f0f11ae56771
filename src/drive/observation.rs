//! What the three witnesses saw of a step: all that a judgement is made from.

use std::{collections::HashMap, time::Duration};

use mock_upstream::Entry;

use super::answer::Answer;
use crate::{money::Usd, owner::Owner, scenario::expect::Book, verdict::Blame};

/// What the three witnesses saw of a step.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// What the caller saw, in the order of sending.
    pub answers: Vec<Answer>,
    /// What the ledger holds of this step: inference calls in the order of their arrival.
    pub reached: Vec<Entry>,
    /// What the ledger holds since the case began: inference calls in the order of their arrival.
    pub ledger: Vec<Entry>,
    /// Calls that the upstream was still answering when it was looked at: their cost is not known.
    pub open: usize,
    /// What the gateway itself says, where it was asked.
    pub figures: HashMap<Told, Reading>,
    /// Whether a credential of the policy stands in a header or body of a call that reached the upstream.
    pub keys_leaked: Option<String>,
    /// Whether a key of a provider, or the administrator's password, stands in an answer.
    pub keys_told: Option<String>,
    /// How long the step took.
    pub took: Duration,
    /// What kept the step from being done.
    pub problem: Option<Problem>,
    /// Why the gateway's own figures could not be asked for.
    pub unread: Option<Problem>,
}

/// What a gateway can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// What an owner of caps has spent.
    Usage(Owner),
    /// What all calls have cost by one of its other books.
    Book(Book),
}

/// A gateway's own figure.
#[derive(Clone, Debug)]
pub enum Reading {
    /// The figure.
    Figure(Usd),
    /// Why there is none.
    None(String),
}

impl Reading {
    /// What has come to a figure since it was `before`.
    #[must_use]
    pub fn since(self, before: Usd) -> Self {
        match self {
            Self::Figure(figure) => Self::Figure(figure - before),
            none @ Self::None(_) => none,
        }
    }
}

/// What kept a step from being done.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What happened, with what is needed to understand it.
    pub what: String,
    /// Who is to blame.
    pub blame: Blame,
    /// Whether the gateway is gone, so that nothing after this can be done.
    pub fatal: bool,
}
