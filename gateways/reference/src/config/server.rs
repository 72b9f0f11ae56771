//! `server`: what the gateway bears from its callers' connections. Read once, at the start.

use std::time::Duration;

use super::file::ServerFile;
use super::load::Invalid;
use super::timeout::{self, at_most_a_day};

/// As in Bifrost.
const HEAD_BYTES: usize = 65_536;
/// What the parser needs at least.
const LEAST_HEAD_BYTES: usize = 8_192;
const MOST_HEAD_BYTES: usize = 16 << 20;
const HEAD_TIMEOUT_SECONDS: u64 = 30;
const BODY_TIMEOUT_SECONDS: u64 = 60;
const WRITE_TIMEOUT_SECONDS: u64 = 60;
const DRAIN_TIMEOUT_SECONDS: u64 = 5;
const MAX_CONNECTIONS: usize = 10_000;
/// As many as the system can have.
const MOST_CONNECTIONS: usize = 1 << 20;

/// What the gateway bears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerLimits {
    /// The most bytes of a request's head.
    pub(crate) head_bytes: usize,
    /// How long a head may take, and how long a connection may be silent between two.
    pub(crate) head_timeout: Duration,
    /// How long a request's body may take.
    pub(crate) body_timeout: Duration,
    /// How long a caller may leave an answer unread.
    pub(crate) write_timeout: Duration,
    /// How long requests on their way may take to end after a stop was asked for.
    pub(crate) drain: Duration,
    pub(crate) max_connections: usize,
}

pub(super) fn check(file: &ServerFile) -> Result<ServerLimits, Invalid> {
    let within = |field: &str, value: usize, least: usize, most: usize| {
        let problem = || Invalid::new(format!("server.{field}"), format!("must be between {least} and {most}"));
        if (least..=most).contains(&value) { Ok(value) } else { Err(problem()) }
    };
    let seconds = |field: &str, value: Option<u64>, default: u64| {
        timeout::seconds(format!("server.{field}"), value.unwrap_or(default))
    };
    // None at all is a way to stop at once.
    let drain = Duration::from_secs(file.drain_timeout_in_seconds.unwrap_or(DRAIN_TIMEOUT_SECONDS));
    Ok(ServerLimits {
        head_bytes: within(
            "read_buffer_size",
            file.read_buffer_size.unwrap_or(HEAD_BYTES),
            LEAST_HEAD_BYTES,
            MOST_HEAD_BYTES,
        )?,
        head_timeout: seconds("head_timeout_in_seconds", file.head_timeout_in_seconds, HEAD_TIMEOUT_SECONDS)?,
        body_timeout: seconds("body_timeout_in_seconds", file.body_timeout_in_seconds, BODY_TIMEOUT_SECONDS)?,
        write_timeout: seconds("write_timeout_in_seconds", file.write_timeout_in_seconds, WRITE_TIMEOUT_SECONDS)?,
        drain: at_most_a_day("server.drain_timeout_in_seconds".to_owned(), drain)?,
        max_connections: within(
            "max_connections",
            file.max_connections.unwrap_or(MAX_CONNECTIONS),
            1,
            MOST_CONNECTIONS,
        )?,
    })
}
