//! What each gateway's folder makes of a policy, of operations on it, and of refusals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod dialects;
mod folders;
mod operations;
mod policies;
