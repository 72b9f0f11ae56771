//! What every runtime offers, and the words for it.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RuntimeError, folder::Folder};
use crate::{gateway::manifest::ContainerLaunch, scenario::step::Signal};

/// The runtimes there are.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A process of this machine.
    Process,
    /// A container of this machine's Docker daemon.
    Container,
    /// A gateway that somebody else runs.
    External,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Process => "process",
            Self::Container => "container",
            Self::External => "external",
        })
    }
}

/// Why a text is not a runtime.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a runtime; write process, container or external")]
pub struct ParseKindError(String);

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, ParseKindError> {
        match text {
            "process" => Ok(Self::Process),
            "container" => Ok(Self::Container),
            "external" => Ok(Self::External),
            other => Err(ParseKindError(other.to_owned())),
        }
    }
}

/// Where a gateway will live: known before its files are rendered, since they name it.
#[derive(Debug)]
pub struct Site {
    /// The address that the gateway listens on: 127.0.0.1, or 0.0.0.0 inside a container.
    pub host: String,
    /// The port that the gateway listens on.
    pub port: u16,
    /// Its data folder, as the gateway sees it.
    pub data: String,
    /// How the gateway names the machine that the mock runs on.
    pub upstream_host: String,
    /// What this machine set aside for it; a container and an external gateway need nothing.
    pub(super) folder: Option<Folder>,
}

/// How a gateway is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// Command and arguments. In a container: arguments alone, the image's own if empty.
    pub command: Vec<String>,
    /// Environment: all there is in a container; a process also has `PATH`, `HOME`, `TMPDIR` and
    /// `LANG` of the runner.
    pub env: Vec<(String, String)>,
    /// Name in the data folder, and content.
    pub files: Vec<(String, String)>,
    /// The container's image; `self` is built from scratch out of the running executable.
    pub image: Option<String>,
    /// A path that answers 200 from the moment that the gateway is ready.
    pub ready_path: String,
    /// How long that may take.
    pub ready_within: Duration,
    /// How long it may take to stop when it is asked to; it is killed after that.
    pub stops_within: Duration,
}

/// How a gateway ended when it was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it. Docker tells 128 + n alone, which is read as signal n.
    pub signal: Option<i32>,
    /// Milliseconds from the signal to the end.
    pub millis: u64,
    /// It did not end within the time it has, and was killed.
    pub forced: bool,
}

/// The credentials of a management API that somebody else has set up.
#[derive(Clone)]
pub struct Login {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// A place where gateways can be started.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Which one it is.
    fn kind(&self) -> Kind;

    /// The address that a mock must listen on so that gateways reach it.
    fn upstream_bind(&self) -> IpAddr;

    /// The port that a mock must listen on; 0 takes any that is free.
    fn upstream_port(&self) -> u16 {
        0
    }

    /// The credentials of the gateway's management API, where they are given and not made.
    fn login(&self) -> Option<&Login> {
        None
    }

    /// Sets a place aside. A container's is described by the manifest.
    ///
    /// # Errors
    ///
    /// If there is no port or no folder to be had, or the manifest knows no container.
    async fn site(&self, container: Option<&ContainerLaunch>) -> Result<Site, RuntimeError>;

    /// Starts a gateway and returns when it is ready. Nothing is left of one that does not get
    /// ready, nor of one whose start is cancelled.
    ///
    /// # Errors
    ///
    /// If it cannot be started, ends at once, or is not ready in time.
    async fn launch(&self, site: Site, start: Start) -> Result<Box<dyn Instance>, RuntimeError>;
}

/// A gateway that was started. Dropping it kills it and removes what belongs to it.
#[async_trait]
pub trait Instance: Send + Sync {
    /// Where it is called: `http://127.0.0.1:20017`. In a container it is another after each start.
    fn base_url(&self) -> String;

    /// Stops it and returns when it is down. One that is down already is left as it is.
    ///
    /// # Errors
    ///
    /// If it cannot be signalled, or does not even end when killed.
    async fn stop(&mut self, signal: Signal) -> Result<Stopped, RuntimeError>;

    /// Starts it again on the same data, after these files were rewritten, and returns when it is
    /// ready. Without files, those there are stay. One that still runs is killed first.
    ///
    /// # Errors
    ///
    /// As [`Runtime::launch`].
    async fn start_again(&mut self, files: Vec<(String, String)>) -> Result<(), RuntimeError>;

    /// How it ended, if it is not running though nobody stopped it: `exit code 3`,
    /// `killed by signal 9`.
    async fn exited(&mut self) -> Option<String>;

    /// What it wrote to its standard output and error since its first start.
    async fn log(&self) -> String;

    /// Milliseconds from its last start until it was ready.
    async fn ready_millis(&self) -> u64;

    /// The most memory it has held, in KiB: where it has several processes, that of the one which has held the
    /// most, and of the first one alone in a container. Nothing where that cannot be known.
    async fn peak_memory_kib(&self) -> Option<u64>;

    /// Ends it, and removes everything that belongs to it. A process is asked to stop first, and killed if it
    /// does not: it may have something of its own to clean up.
    async fn discard(self: Box<Self>);
}

/// The words for an end: `exit code 3`, `killed by signal 9`.
pub(super) fn how(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (_, Some(signal)) => format!("killed by signal {signal}"),
        (Some(code), None) => format!("exit code {code}"),
        (None, None) => "for no known reason".to_owned(),
    }
}

/// A time in whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_runtime_is_written_as_it_is_read() {
        for kind in [Kind::Process, Kind::Container, Kind::External] {
            assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
        }
    }

    #[test]
    fn an_unknown_runtime_is_refused_with_those_there_are() {
        let error = "docker".parse::<Kind>().unwrap_err();
        assert_eq!(error.to_string(), "\"docker\" is not a runtime; write process, container or external");
    }
}
