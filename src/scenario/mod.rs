//! Scenarios: policy + upstream script + steps + expectations, each proving one requirement.

pub mod admin;
pub mod advance;
pub mod call;
pub mod case;
pub mod check;
pub mod expect;
mod lint;
pub mod load;
pub mod range;
pub mod reason;
pub mod requirement;
pub mod says;
pub(crate) mod script;
pub mod step;

pub use case::{Case, CaseContext, Eval};
pub use check::{CheckId, CheckKind};
pub use expect::Expect;
pub use load::{Catalogue, Entry};
pub use step::{Action, Scenario, Step};
