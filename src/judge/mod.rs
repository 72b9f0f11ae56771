//! Expectations, ledger arithmetic, verdicts, facts. Nothing here talks to a gateway.

mod answers;
mod money;
mod said;
mod step;

pub use money::{ledger_charged, satisfied};
pub use step::{Judging, facts, judge};
