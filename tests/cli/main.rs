//! The command line, as its users meet it: what the real executable prints, how it ends, and that
//! it leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bad_gateways;
mod bad_input;
mod external;
mod interrupts;
mod outputs;
mod sandbox;
mod secrets;
mod serve;
mod shared;
mod transcripts;
