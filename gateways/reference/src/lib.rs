//! A strict AI gateway in the shape of Bifrost: its `config.json`, its routes and
//! its bodies. `README.md` beside this crate lists each difference with its reason.
//!
//! How is a budget decided? `ledger`, pure functions. What is written to disk, and
//! when? `store::writer`. Which providers are tried, in which order? `routing`.

mod address;
mod admin;
mod administrator;
mod args;
mod books;
mod clock;
mod config;
mod connect;
mod dialect;
mod dice;
mod endpoint;
mod errors;
mod failure;
mod few;
mod finish;
mod gateway;
mod generated_keys;
mod grant;
mod healthcheck;
mod identity;
mod idle;
mod inference;
mod json;
mod keys_tried;
mod last_spent;
mod ledger;
mod limit_headers;
mod listen;
mod live;
mod logs;
mod lower_case;
mod maps;
mod money;
mod network;
mod objects;
mod openapi;
mod panics;
mod pin;
mod policy;
mod pricing;
mod pulse;
mod rates;
mod reporting;
mod retry_after;
mod routes;
mod routing;
mod sent;
mod serve;
mod server;
mod slow_body;
mod slow_hash;
mod store;
mod stream;
mod telemetry;
mod translate;
mod upload;
mod upstream;
mod usage;
mod window;
mod workers;

pub use args::{Args, Command, LogLevel, LogStyle, args_from};
pub use serve::serve;
