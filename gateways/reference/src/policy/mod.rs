//! Who may use what, and which budgets and limits a request touches, as it is now.
//!
//! - [`keys`]: the virtual keys, by value and by id
//! - [`levels`]: customers, teams, providers and models with their budgets and limits
//! - [`chain`]: every meter that a request touches, from the widest
//! - [`build`]: all of it from what is stored

mod build;
mod chain;
mod keys;
mod levels;

pub(crate) use build::build;
pub(crate) use chain::Members;
pub(crate) use keys::{GrantPolicy, KeyRing, VirtualKey};
pub(crate) use levels::{CustomerPolicy, Levels, Limited, OwnedMeter, TeamPolicy};

/// What requests are decided by.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(crate) keys: KeyRing,
    pub(crate) levels: Levels,
}
