//! probity: a conformance and enforcement test suite for AI gateways.

pub mod capability;
pub mod cli;
pub mod config;
pub mod document;
pub mod drive;
pub mod exit;
pub mod gateway;
pub mod interpolate;
pub mod judge;
pub mod money;
pub mod owner;
pub mod period;
pub mod policy;
mod process_status;
pub mod promise;
pub mod report;
pub mod run;
pub mod runtime;
pub mod scenario;
pub mod verdict;
