//! Gateways in containers of this machine's Docker daemon.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use testcontainers::{
    ContainerRequest, GenericImage, ImageExt,
    bollard::{
        Docker,
        models::{HostConfig, PortBinding},
    },
    core::{Host, IntoContainerPort},
    runners::AsyncRunner,
};
use tokio::sync::OnceCell;

use super::{
    Instance, Kind, Runtime, RuntimeError, Site, Start,
    contained::ContainerInstance,
    docker,
    error::chain,
    handle::{Container, inside},
    image,
    lease::Lease,
    ready::Probe,
    worker::Worker,
};
use crate::gateway::manifest::ContainerLaunch;

/// How a container names the machine it runs on.
const HOST: &str = "host.docker.internal";

/// Tells the starts of this process apart.
static STARTS: AtomicU32 = AtomicU32::new(0);

/// Starts gateways in containers. Dropping it waits until every container of it is removed.
#[derive(Debug)]
pub struct ContainerRuntime {
    docker: Docker,
    worker: Arc<Worker>,
    run: String,
    bridge: Ipv4Addr,
    executable: Option<PathBuf>,
    own_image: OnceCell<String>,
    probe: Probe,
}

impl ContainerRuntime {
    /// Finds the daemon, and removes what runs that were killed have left with it.
    ///
    /// # Errors
    ///
    /// If no daemon answers.
    pub async fn connect(run: &str) -> Result<Self, RuntimeError> {
        let client = docker::connect().await?;
        let bridge = docker::bridge(&client).await?;
        docker::remove_orphans(&client).await?;
        let worker = Worker::start().map_err(RuntimeError::io("start a thread of", "probity"))?;
        Ok(Self {
            docker: client,
            worker: Arc::new(worker),
            run: run.to_owned(),
            bridge,
            executable: None,
            own_image: OnceCell::new(),
            probe: Probe::local()?,
        })
    }

    /// Builds the image `self` out of this executable instead of the running one: a test of cargo
    /// runs in an executable of its own.
    #[must_use]
    pub fn executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.executable = Some(path.into());
        self
    }

    /// Sees to it that an image is there; its name with its tag.
    async fn image(&self, name: &str) -> Result<String, RuntimeError> {
        if name == "self" {
            let build = async || {
                let running = std::env::current_exe();
                let path = self.executable.clone().map_or(running, Ok);
                let path = path.map_err(RuntimeError::io("find the running executable of", "probity"))?;
                image::ensure(&self.docker, &path).await
            };
            return self.own_image.get_or_try_init(build).await.cloned();
        }
        let (repository, tag) = split(name);
        let name = format!("{repository}:{tag}");
        match self.docker.inspect_image(&name).await {
            Ok(_) => return Ok(name),
            Err(error) if docker::status(&error) == Some(404) => {}
            Err(error) => return Err(RuntimeError::docker(format!("inspect image {name}"), error)),
        }
        match GenericImage::new(repository, tag).pull_image().await {
            Ok(_) => Ok(name),
            Err(error) => Err(RuntimeError::ImageMissing { image: name, reason: chain(&error) }),
        }
    }

    fn request(&self, image: &str, label: &str, site: &Site, start: &Start) -> ContainerRequest<GenericImage> {
        let (repository, tag) = split(image);
        let published = format!("{}/tcp", site.port);
        let mut request = GenericImage::new(repository, tag)
            .with_exposed_port(site.port.tcp())
            .with_host(HOST, Host::HostGateway)
            .with_label(docker::RUN, &self.run)
            .with_label(docker::START, label)
            .with_label(docker::RUNNER, docker::runner())
            .with_cmd(&start.command)
            .with_host_config_modifier(move |config: &mut HostConfig| {
                // On loopback alone, on any port that is free: the default is every address.
                let binding =
                    PortBinding { host_ip: Some(Ipv4Addr::LOCALHOST.to_string()), host_port: Some(String::new()) };
                config.publish_all_ports = Some(false);
                config.port_bindings = Some(HashMap::from([(published.clone(), Some(vec![binding]))]));
            });
        for (name, value) in &start.env {
            request = request.with_env_var(name, value);
        }
        for (name, content) in &start.files {
            request = request.with_copy_to(inside(&site.data, name), content.clone().into_bytes());
        }
        request
    }
}

#[async_trait]
impl Runtime for ContainerRuntime {
    fn kind(&self) -> Kind {
        Kind::Container
    }

    fn upstream_bind(&self) -> IpAddr {
        self.bridge.into()
    }

    async fn site(&self, container: Option<&ContainerLaunch>) -> Result<Site, RuntimeError> {
        let what = "start a gateway whose manifest says nothing of a container";
        let launch = container.ok_or(RuntimeError::Unsupported { kind: Kind::Container, what })?;
        Ok(Site {
            host: Ipv4Addr::UNSPECIFIED.to_string(),
            port: launch.port,
            data: launch.data.clone(),
            upstream_host: HOST.to_owned(),
            folder: None,
        })
    }

    async fn launch(&self, site: Site, start: Start) -> Result<Box<dyn Instance>, RuntimeError> {
        let what = "start a gateway without an image";
        let name = start.image.as_deref().ok_or(RuntimeError::Unsupported { kind: Kind::Container, what })?;
        let image = self.image(name).await?;
        let label = format!("{}-{}-{}", self.run, process::id(), STARTS.fetch_add(1, Ordering::Relaxed));
        let request = self.request(&image, &label, &site, &start);
        let since = Instant::now();
        let (lease, id) = Lease::begin(&self.worker, &self.docker, label, request, &image).await?;
        let container = Container { docker: self.docker.clone(), id };
        let probe = self.probe.clone();
        let gateway = ContainerInstance::started(container, lease, probe, site, start, since);
        Ok(Box::new(gateway.await?))
    }
}

/// An image's name and its tag (`latest` if it has none); a colon can also belong to a port.
fn split(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_colon_can_belong_to_a_tag_or_to_a_port() {
        assert_eq!(split("maximhq/bifrost:v1.5.16"), ("maximhq/bifrost", "v1.5.16"));
        assert_eq!(split("registry:5000/gateway"), ("registry:5000/gateway", "latest"));
        assert_eq!(split("registry:5000/gateway:1"), ("registry:5000/gateway", "1"));
        assert_eq!(split("gateway@sha256:0ab"), ("gateway@sha256", "0ab"));
    }
}
