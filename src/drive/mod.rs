//! Steps: calls, bursts, streams, restarts, clock. What is done and seen, without a judgement.

mod admin;
pub mod answer;
mod calls;
pub mod observation;
mod restart;
mod secrets;
mod send;
pub mod sse;
mod steps;
mod world;

pub use answer::Outgoing;
pub use secrets::Secrets;
pub use send::{Size, body, client, send};
pub use steps::{Driver, Patience};
pub use world::{CaseWorld, Start, StartError, complete_key, completed_script, sheet};
