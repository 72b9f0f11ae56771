//! How a request is admitted, held and charged: pure functions of the meters, the
//! request's claim and the time. Nothing here reads a clock, a file or a socket.
//!
//! - [`meter`]: one budget or one rate limit, and the state of its window
//! - [`claim`]: what one request may cost at most, and which meters it touches
//! - [`book`]: admit, settle, release
//! - [`refusal`]: why a claim was not admitted

mod book;
mod claim;
mod meter;
mod refusal;

#[cfg(test)]
mod properties;

pub(crate) use book::Ledger;
pub(crate) use claim::{BudgetAdmission, Claim, Spent};
pub(crate) use meter::{Amount, Level, Measure, Meter, MeterId, MeterState, Owner};
pub(crate) use refusal::{Breach, Refusal};
