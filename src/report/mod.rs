//! Reports: the run log, the model made from it, and one file a renderer.

pub mod assemble;
pub mod event;
pub mod finding_group;
#[cfg(test)]
pub(crate) mod fixture;
pub mod json;
pub mod junit;
pub mod log;
pub mod model;
pub mod progress;
pub mod sentence;
pub mod style;
pub mod terminal;
pub mod write;
