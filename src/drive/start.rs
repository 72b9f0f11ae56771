//! What a case needs to start, how its gateway is launched, and why that can fail.

use std::path::Path;

use indexmap::IndexMap;

use super::observation::Problem;
use crate::{
    gateway::{Gateway, RenderError, render::Renderer},
    policy::Policy,
    runtime::{self, Kind, Runtime, RuntimeError},
    verdict::Blame,
};

/// What a case needs to start.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// The gateway's folder.
    pub gateway: &'a Gateway,
    /// Its version.
    pub version: &'a str,
    /// How it is started.
    pub runtime: &'a dyn Runtime,
    /// The folder of tools that were installed for it.
    pub installed: &'a str,
    /// The executable that carries the reference gateway.
    pub probity: &'a Path,
    /// From which every random choice follows.
    pub seed: u64,
    /// What the case is called, for what is made from the seed.
    pub name: &'a str,
}

/// Why a case's world could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policy cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The gateway did not start.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The mock did not start.
    #[error("the upstream could not be started: {0}")]
    Upstream(#[from] mock_upstream::StartError),
    /// The scenario's keys could not be made at a gateway that somebody else runs.
    #[error("the scenario's virtual keys could not be made: {}", .0.what)]
    Keys(Problem),
    /// The gateway is another version than the one that was asked for, or does not say which it is.
    #[error("{0}")]
    Version(String),
    /// The HTTP client cannot be made.
    #[error("an HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The gateway is not known to run in this runtime.
    #[error("{gateway} has no `launch.{runtime}` in its manifest")]
    NoLaunch {
        /// The gateway.
        gateway: String,
        /// The runtime.
        runtime: String,
    },
}

impl StartError {
    /// Who is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Runtime(error) => blame_for_runtime(error),
            Self::Keys(problem) => problem.blame,
            Self::Render(_) => Blame::Scenario,
            Self::Upstream(error) => blame_for_upstream(error),
            Self::Version(_) | Self::Client(_) | Self::NoLaunch { .. } => Blame::Environment,
        }
    }

    /// The last lines that the gateway wrote.
    #[must_use]
    pub fn log_tail(&self) -> Option<&str> {
        match self {
            Self::Runtime(error) => error.log_tail(),
            _ => None,
        }
    }

    /// The error, with the last lines that the gateway wrote.
    #[must_use]
    pub fn with_log(&self) -> String {
        let log = self.log_tail();
        let text = runtime::chain(self);
        // On lines of their own: a summary shows the first line only.
        log.map_or(text.clone(), |log| format!("{text}\nits last lines:\n{log}"))
    }
}

/// A case's world that could not be made, and what is known of it all the same.
#[derive(Debug)]
pub struct NotStarted {
    /// Why.
    pub error: StartError,
    /// The files that the gateway was to start with, without credentials.
    pub files: Vec<(String, String)>,
}

/// How the runtime starts the gateway.
pub(super) fn command(
    start: Start<'_>,
    renderer: &Renderer<'_>,
    policy: &Policy,
    files: Vec<(String, String)>,
) -> Result<runtime::Start, StartError> {
    let manifest = &start.gateway.manifest;
    let beside = minijinja::context! { policy => minijinja::value::Serde(policy.clone()) };
    let no_launch =
        || StartError::NoLaunch { gateway: manifest.name.clone(), runtime: start.runtime.kind().to_string() };
    let (words, variables, image) = match start.runtime.kind() {
        Kind::Process => {
            let launch = manifest.launch.process.as_ref().ok_or_else(no_launch)?;
            (&launch.command, &launch.env, None)
        }
        Kind::Container => {
            let launch = manifest.launch.container.as_ref().ok_or_else(no_launch)?;
            let image = renderer.text("gateway.yaml launch.container.image", &launch.image, &beside)?;
            (&launch.command, &launch.env, Some(image))
        }
        Kind::External => (&Vec::new(), &IndexMap::new(), None),
    };
    let text = |text: &String| renderer.text("gateway.yaml launch", text, &beside);
    Ok(runtime::Start {
        command: words.iter().map(text).collect::<Result<_, _>>()?,
        env: variables
            .iter()
            .map(|(name, value)| Ok((name.clone(), text(value)?)))
            .collect::<Result<_, RenderError>>()?,
        files,
        image,
        ready_path: manifest.ready.get.clone(),
        ready_within: manifest.ready.within.duration(),
        stops_within: manifest.ready.stops_within.duration(),
    })
}

/// Who is to blame for a gateway that does not start, be it for the first time or again.
pub(super) fn blame_for_runtime(error: &RuntimeError) -> Blame {
    match error {
        RuntimeError::ExitedAtStart { .. } | RuntimeError::NeverReady { .. } => Blame::Gateway,
        // Another program has its port, the disk is full, Docker is gone: nothing that it did.
        _ => Blame::Environment,
    }
}

/// Who is to blame for a mock that does not start.
#[must_use]
pub fn blame_for_upstream(error: &mock_upstream::StartError) -> Blame {
    match error {
        mock_upstream::StartError::Script(_) => Blame::Scenario,
        mock_upstream::StartError::Listen { .. } => Blame::Environment,
    }
}
