//! Steps: calls, bursts, streams, restarts, clock. What is done and seen, without a judgement.

mod admin;
pub mod answer;
mod calls;
mod made_keys;
pub mod observation;
mod restart;
mod secrets;
mod send;
pub mod sse;
mod steps;
mod world;

pub use answer::Outgoing;
pub use restart::edited;
pub use secrets::Secrets;
pub use send::{Size, body, client, send};
pub use steps::{Driver, Patience};
pub use world::{CaseWorld, NotStarted, Start, StartError, complete_key, complete_routes, completed_script, sheet};
