//! Caps: budgets and limits, and what it takes to have them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{capability::Capability, money::Usd, period::Period};

/// A cap on spending.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The most that may be spent in one window.
    pub limit: Usd,
    /// The length of a window.
    pub reset: Period,
    /// Windows follow the calendar, in UTC: a day begins at midnight, a month on its first.
    #[serde(default, skip_serializing_if = "is_not")]
    pub calendar: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_not(flag: &bool) -> bool {
    !flag
}

/// Limits on how often, or for how many tokens, a key may call.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Calls in one window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Limit>,
    /// Tokens, in and out together, in one window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Limit>,
}

impl Limits {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }
}

/// So many in a window.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The most that passes in one window.
    pub max: u64,
    /// The length of a window.
    pub per: Period,
}

/// Somebody, or something, that can have caps.
pub(super) trait Capped {
    /// What a gateway needs for its budgets.
    const BUDGETS: Capability;
    /// What a gateway needs for its limits.
    const LIMITS: Capability;

    /// Its budgets.
    fn budgets(&self) -> &[Budget];
    /// Its limits.
    fn limits(&self) -> &Limits;
}

/// Declares somebody who can have caps: what is its own, and the two fields that all of them have. Serde could
/// flatten these two out of a struct of their own, but would lose the place of an error in them.
macro_rules! capped {
    (
        $(#[$about:meta])+
        pub struct $name:ident { $($own:tt)* }
        $(#[$about_budgets:meta])+
        budgets: $budgets:ident,
        $(#[$about_limits:meta])+
        limits: $limits:ident,
    ) => {
        $(#[$about])+
        #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            $(#[$about_budgets])+
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub budgets: Vec<Budget>,
            $(#[$about_limits])+
            #[serde(default, skip_serializing_if = "Limits::is_empty")]
            pub limits: Limits,
        }

        impl Capped for $name {
            const BUDGETS: Capability = Capability::$budgets;
            const LIMITS: Capability = Capability::$limits;

            fn budgets(&self) -> &[Budget] {
                &self.budgets
            }

            fn limits(&self) -> &Limits {
                &self.limits
            }
        }
    };
}
pub(super) use capped;
