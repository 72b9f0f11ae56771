//! Words for how a gateway promises to behave where gateways rightly differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a call is held against its budgets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Before it is made, at what it can cost at most: a cap is never overrun.
    #[default]
    Reserved,
    /// After it was answered: a cap can be overrun by the calls in flight.
    PostPaid,
}

/// What a call costs that was sent to a provider and never answered: nobody but the provider knows what it
/// computed, and what it will bill.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// What it can cost at most: a cap holds whatever the provider bills.
    #[default]
    Held,
    /// Nothing.
    Free,
}

impl Unanswered {
    /// The word for it in manifests and scenarios.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Free => "free",
        }
    }
}
