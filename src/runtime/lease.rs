//! The guard of a container: from before it is created until it is gone.

use std::sync::Arc;

use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, bollard::Docker, runners::AsyncRunner};
use tokio::sync::Mutex;

use super::{
    RuntimeError,
    docker::{START, remove_labelled},
    worker::Worker,
};

type Slot = Arc<Mutex<Option<ContainerAsync<GenericImage>>>>;

/// A container that is there, or about to be. Dropping it removes the container, also one that is
/// only being created.
#[derive(Debug)]
pub(super) struct Lease {
    worker: Arc<Worker>,
    docker: Docker,
    /// The value of the label [`START`].
    label: String,
    /// Locked while the container is created, so that its removal waits for that.
    slot: Slot,
    released: bool,
}

impl Lease {
    /// Creates and starts the container; with it comes its identifier. The request carries the
    /// label [`START`] with this value.
    pub(super) async fn begin(
        worker: &Arc<Worker>,
        docker: &Docker,
        label: String,
        request: ContainerRequest<GenericImage>,
        image: &str,
    ) -> Result<(Self, String), RuntimeError> {
        let slot = Slot::default();
        let lease = Self {
            worker: Arc::clone(worker),
            docker: docker.clone(),
            label,
            slot: Arc::clone(&slot),
            released: false,
        };
        let mut place = Arc::clone(&slot).lock_owned().await;
        let started = lease.worker.submit(async move {
            let container = request.start().await?;
            let id = container.id().to_owned();
            *place = Some(container);
            Ok::<_, testcontainers::TestcontainersError>(id)
        });
        let doing = || format!("start a container of {image}");
        match started.await {
            Ok(Ok(id)) => Ok((lease, id)),
            Ok(Err(error)) => {
                let error = RuntimeError::docker(doing(), error);
                lease.release().await;
                Err(error)
            }
            Err(lost) => Err(RuntimeError::docker(doing(), lost)),
        }
    }

    /// Removes the container and returns when it is gone.
    pub(super) async fn release(mut self) {
        self.released = true;
        // An error was told by the worker.
        let _ = self.worker.submit(self.removal()).await;
    }

    fn removal(&self) -> impl Future<Output = ()> + Send + 'static {
        let (docker, label, slot) = (self.docker.clone(), self.label.clone(), Arc::clone(&self.slot));
        async move {
            if let Some(container) = slot.lock().await.take()
                && container.rm().await.is_ok()
            {
                return;
            }
            // One that was created and could not be started has no handle, but its label.
            if let Err(error) = remove_labelled(&docker, START, &label).await {
                tracing::warn!("{error}; `probity gc` removes what is left of this run");
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.released {
            drop(self.worker.submit(self.removal()));
        }
    }
}
