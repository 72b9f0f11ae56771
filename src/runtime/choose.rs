//! Which runtime the gateways of a run live in.

use std::{path::PathBuf, sync::Arc};

use super::{ContainerRuntime, Kind, ProcessRuntime, Runtime, RuntimeError, docker};

/// What a runtime must know of the run that it works for.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The run's identifier, which its containers carry as a label.
    pub run: String,
    /// The output folder, below which processes have their folders while they live.
    pub out: PathBuf,
    /// The executable that the image `self` is built out of; the running one if absent.
    pub executable: Option<PathBuf>,
}

/// The runtime that is forced, or else containers where a daemon answers and processes where none
/// does; with it, one line that says which and why.
///
/// # Errors
///
/// If the runtime that is forced is not there. `external` cannot be chosen: it needs an address.
pub async fn choose(forced: Option<Kind>, setup: &Setup) -> Result<(Arc<dyn Runtime>, String), RuntimeError> {
    let (kind, why) = match forced {
        Some(kind) => (kind, "as asked for".to_owned()),
        None => match docker::available().await {
            Ok(()) => (Kind::Container, "a Docker daemon answers".to_owned()),
            Err(reason) => (Kind::Process, format!("no Docker daemon answers: {reason}")),
        },
    };
    let runtime: Arc<dyn Runtime> = match kind {
        Kind::Process => Arc::new(ProcessRuntime::new(&setup.out)?),
        Kind::Container => {
            let runtime = ContainerRuntime::connect(&setup.run).await?;
            match &setup.executable {
                Some(path) => Arc::new(runtime.executable(path)),
                None => Arc::new(runtime),
            }
        }
        Kind::External => {
            return Err(RuntimeError::Unsupported { kind, what: "be used without a gateway's address" });
        }
    };
    Ok((runtime, format!("runtime: {kind} ({why})")))
}
