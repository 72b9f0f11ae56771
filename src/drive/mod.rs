//! Steps: calls, bursts, streams, restarts, clock. What is done and seen, without a judgement.

mod admin;
pub mod answer;
mod begin;
mod calls;
mod complete;
mod credentials;
mod driver;
mod figures;
mod made_keys;
pub mod observation;
mod prices;
mod restart;
mod secrets;
mod send;
mod shared;
pub mod sse;
mod start;
mod steps;
mod world;

pub use answer::Outgoing;
pub use complete::{complete_key, complete_routes, completed_script, with_models_of};
pub use credentials::tells_its_key;
pub use driver::Driver;
pub use figures::Patience;
pub use prices::sheet;
pub use restart::edited;
pub use secrets::Secrets;
pub use send::{Size, body, client, method, send};
pub use shared::Asked;
pub use start::{NotStarted, Start, StartError, blame_for_upstream};
pub use world::CaseWorld;
