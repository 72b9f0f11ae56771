//! What can go wrong when a gateway is started, stopped or cleaned up.

use std::{error::Error, io, path::PathBuf, time::Duration};

use super::Kind;

/// Why a runtime could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// There is no Docker daemon to talk to.
    #[error("no Docker daemon answers: {reason}")]
    NoDocker {
        /// What came of asking it.
        reason: String,
    },
    /// An image is neither here nor to be had.
    #[error("image {image} is not on this machine and could not be pulled: {reason}")]
    ImageMissing {
        /// Its name and tag.
        image: String,
        /// What came of pulling it.
        reason: String,
    },
    /// The image `self` could not be built.
    #[error("no image could be built out of {}: {reason}", executable.display())]
    ImageNotBuilt {
        /// The executable that it is made of.
        executable: PathBuf,
        /// What stood in the way.
        reason: String,
    },
    /// Another program took the gateway's port; another [`Site`](super::Site) may do.
    #[error("port {port} on 127.0.0.1 is in use by another program")]
    PortInUse {
        /// The port.
        port: u16,
        /// The last lines of the gateway's log.
        log: String,
    },
    /// No port is left.
    #[error("no port from {first} to {last} on 127.0.0.1 is free")]
    NoPort {
        /// The first that was tried.
        first: u16,
        /// The last that was tried.
        last: u16,
    },
    /// The gateway ended by itself before it was ready.
    #[error("the gateway ended while it was starting: {how}")]
    ExitedAtStart {
        /// `exit code 3` or `killed by signal 9`.
        how: String,
        /// The last lines of its log.
        log: String,
    },
    /// The gateway runs, but is not ready.
    #[error("the gateway did not answer 200 at {url} within {within:?}; last: {last}")]
    NeverReady {
        /// What was asked.
        url: String,
        /// How long.
        within: Duration,
        /// What came of the last time: a status or an error.
        last: String,
        /// The last lines of its log.
        log: String,
    },
    /// The gateway's executable does not exist.
    #[error(
        "there is no executable `{command}`: install it, or name another in the gateway's manifest or settings (`--set`)"
    )]
    CommandNotFound {
        /// As it was to be started.
        command: String,
    },
    /// A file, a folder or a program of this machine.
    #[error("could not {doing} {}", path.display())]
    Io {
        /// A phrase: `create the folder`.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Docker refused.
    #[error("Docker could not {doing}")]
    Docker {
        /// A phrase: `start a container of maximhq/bifrost:v1.5.16`.
        doing: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No HTTP client for the readiness probe.
    #[error("could not make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The address of an external gateway is none.
    #[error("\"{url}\" is not the address of a gateway; write one as http://127.0.0.1:8080")]
    BadUrl {
        /// As it was given.
        url: String,
    },
    /// A gateway's Python packages need a Python that is not there.
    #[error("could not install {}: {reason}", requirements.display())]
    NoPython {
        /// The requirements file.
        requirements: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A gateway's Python packages could not be installed.
    #[error("pip could not install {}: {how}", requirements.display())]
    Install {
        /// The requirements file.
        requirements: PathBuf,
        /// `exit code 1`.
        how: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// The runtime is not there, or not what a gateway needs in it.
    #[error("{why}")]
    Absent {
        /// Why not, with the last lines of what said so.
        why: String,
    },
    /// This runtime cannot do that.
    #[error("the runtime `{kind}` cannot {what}")]
    Unsupported {
        /// Which runtime.
        kind: Kind,
        /// A phrase: `stop a gateway`.
        what: &'static str,
    },
}

impl RuntimeError {
    /// The last lines that the gateway (or the installer) wrote before it failed.
    #[must_use]
    pub fn log_tail(&self) -> Option<&str> {
        match self {
            Self::PortInUse { log, .. }
            | Self::ExitedAtStart { log, .. }
            | Self::NeverReady { log, .. }
            | Self::Install { log, .. } => Some(log).filter(|log| !log.is_empty()).map(String::as_str),
            _ => None,
        }
    }

    pub(super) fn docker(doing: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Docker { doing: doing.into(), source: Box::new(source) }
    }

    /// For `map_err`: what was being done to which path.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

/// An error and what caused it, in one line; a cause that its effect already quotes is left out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_with_a_log_shows_its_end() {
        let error = RuntimeError::ExitedAtStart { how: "exit code 3".into(), log: "no such key".into() };
        assert_eq!(error.to_string(), "the gateway ended while it was starting: exit code 3");
        assert_eq!(error.log_tail(), Some("no such key"));
    }

    #[test]
    fn an_empty_log_is_no_log() {
        assert_eq!(RuntimeError::PortInUse { port: 1, log: String::new() }.log_tail(), None);
    }

    #[test]
    fn a_cause_is_named_once() {
        let cause = io::Error::new(io::ErrorKind::NotFound, "nothing there");
        let error = RuntimeError::Io { doing: "open", path: "/x".into(), source: cause };
        assert_eq!(chain(&error), "could not open /x: nothing there");
    }
}
