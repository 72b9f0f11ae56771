//! A run: plans targets × scenarios × cases, drives each case, has it judged, and tells the run log.

mod case;
mod control;
mod engine;
mod evidence;
mod external;
mod interrupt;
pub mod plan;
mod renderable;
mod smoke;

pub use engine::{Outcome, RunError, run, run_until};
pub use interrupt::Interrupt;
pub use plan::{Plan, PlanError, Target};
pub use renderable::Unrenderable;
