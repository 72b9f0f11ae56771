//! Mock model providers with exact prices, scripted faults and a ledger of every request.
//!
//! A [`Script`] says which providers and models there are, what each answer uses and costs, and
//! what goes wrong. An [`Upstream`] plays it and keeps the [`Ledger`]: the truth of a run.

mod answer;
mod ask;
mod breakage;
mod call;
pub mod cli;
mod connection;
mod control;
mod decide;
mod fault;
mod ledger;
mod millis;
mod play;
mod price;
mod route;
mod script;
mod sheets;
mod upstream;
mod usd;
mod validate;
mod world;
mod write;

pub use cli::{ServeError, serve_forever};
pub use fault::{Fault, FaultRule};
pub use ledger::{Entry, Kind, Ledger, Outcome};
pub use millis::{Millis, ParseMillisError};
pub use route::Route;
pub use script::{Latency, LongPrice, Model, Price, Provider, Said, Script, Stop, ToolCall, Usage, UsageAt};
pub use sheets::{model_parameters_bifrost, price_sheet_bifrost, price_sheet_litellm};
pub use upstream::{StartError, Upstream};
pub use usd::{ParseUsdError, Usd};
pub use validate::ScriptError;
