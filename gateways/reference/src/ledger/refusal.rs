//! Why a claim was not admitted.

use crate::window::Window;

use super::meter::{Amount, Measure, MeterId, Owner};

/// One meter that stood in the way, as it was at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) measure: Measure,
    pub(crate) owner: Owner,
    pub(crate) limit: Amount,
    pub(crate) used: Amount,
    pub(crate) held: Amount,
    /// What the refused request would have held.
    pub(crate) asked: Amount,
    pub(crate) window: Window,
}

impl Breach {
    /// Whether the limit was reached by what was spent, not by what is held.
    pub(crate) fn is_spent(&self) -> bool {
        self.used >= self.limit
    }
}

/// Why a claim was not admitted. Nothing was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A budget would be exceeded.
    Budget(Breach),
    /// A request or a token limit is reached.
    Limit(Breach),
    /// The request limit and the token limit of one owner are both reached.
    Limits { requests: Breach, tokens: Breach },
    /// An administrator removed this budget or limit meanwhile.
    Gone(MeterId),
}
