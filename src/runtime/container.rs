//! A gateway in a container of this machine's Docker daemon.

use std::{
    collections::HashMap,
    future::pending,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::StreamExt;
use testcontainers::{
    ContainerRequest, GenericImage, ImageExt,
    bollard::{
        Docker, body_full,
        errors::Error as DockerError,
        models::{ContainerInspectResponse, HostConfig, PortBinding},
        query_parameters::{
            InspectContainerOptions, KillContainerOptionsBuilder, LogsOptionsBuilder, StartContainerOptions,
            UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
        },
    },
    core::{Host, IntoContainerPort},
    runners::AsyncRunner,
};
use tokio::{sync::OnceCell, time::timeout};

use super::{
    Instance, Kind, Runtime, RuntimeError, Site, Start, Stopped,
    api::{how, millis},
    docker,
    error::chain,
    group::KILLED_WITHIN,
    image,
    lease::Lease,
    log::{TAIL, last_lines},
    memory,
    ready::{NotReady, Probe},
    worker::Worker,
};
use crate::{gateway::manifest::ContainerLaunch, scenario::step::Signal};

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
                let binding = PortBinding {
                    host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
                    host_port: Some(String::new()),
                };
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
        let mut instance = ContainerInstance {
            container: Container { docker: self.docker.clone(), id },
            lease,
            probe: self.probe.clone(),
            port: site.port,
            data: site.data,
            start,
            published: 0,
            running: true,
            ready: Duration::ZERO,
            peak: None,
        };
        match instance.become_ready(since).await {
            Ok(()) => Ok(Box::new(instance)),
            Err(error) => {
                instance.lease.release().await;
                Err(error)
            }
        }
    }
}

/// A container that exists, as the daemon knows it.
#[derive(Debug)]
struct Container {
    docker: Docker,
    id: String,
}

impl Container {
    fn error(&self, doing: &str) -> impl FnOnce(DockerError) -> RuntimeError {
        let doing = format!("{doing} container {}", self.id.get(..12).unwrap_or(&self.id));
        move |error| RuntimeError::docker(doing, error)
    }

    async fn inspect(&self) -> Result<ContainerInspectResponse, RuntimeError> {
        let found = self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        found.map_err(self.error("inspect"))
    }

    /// Sends a signal to its first process; one that does not run is no error.
    async fn signal(&self, name: &str) -> Result<(), RuntimeError> {
        let options = KillContainerOptionsBuilder::new().signal(name).build();
        match self.docker.kill_container(&self.id, Some(options)).await {
            Err(error) if docker::status(&error) != Some(409) => Err(self.error("signal")(error)),
            _ => Ok(()),
        }
    }

    /// Waits until it does not run; its exit status.
    async fn end(&self) -> Result<i64, RuntimeError> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        match self.docker.wait_container(&self.id, Some(options)).next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(DockerError::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(self.error("wait for")(error)),
            None => self.inspect().await.map(|found| found.state.and_then(|state| state.exit_code).unwrap_or(0)),
        }
    }

    /// Puts files into it, running or not.
    async fn write(&self, data: &str, files: &[(String, String)]) -> Result<(), RuntimeError> {
        let archive = archive(data, files).map_err(RuntimeError::io("pack files for", data))?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let sent = self.docker.upload_to_container(&self.id, Some(options), body_full(archive.into())).await;
        sent.map_err(self.error("write files into"))
    }

    /// All that was written in all its lives; it can be read until the container is removed.
    async fn log(&self) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
        let mut frames = self.docker.logs(&self.id, Some(options));
        let mut log = Vec::new();
        while let Some(frame) = frames.next().await {
            match frame {
                Ok(frame) => log.extend_from_slice(&frame.into_bytes()),
                Err(error) => log.extend_from_slice(format!("\n(the log ends here: {})\n", chain(&error)).as_bytes()),
            }
        }
        String::from_utf8_lossy(&log).into_owned()
    }
}

/// A gateway's container.
#[derive(Debug)]
struct ContainerInstance {
    container: Container,
    lease: Lease,
    probe: Probe,
    /// Inside.
    port: u16,
    data: String,
    start: Start,
    /// On this machine; another after each start.
    published: u16,
    /// Nobody has stopped it.
    running: bool,
    ready: Duration,
    peak: Option<u64>,
}

impl ContainerInstance {
    async fn become_ready(&mut self, since: Instant) -> Result<(), RuntimeError> {
        let found = self.container.inspect().await?;
        if let Some(port) = published(&found, self.port) {
            self.published = port;
        } else {
            // A container that has ended already has no ports.
            let deadline = Duration::from_secs(1);
            let outcome = timeout(deadline, self.container.end()).await;
            let reason = match outcome {
                Ok(status) => NotReady::Ended(ended(status?)),
                Err(_) => NotReady::Late(format!("port {} is not published", self.port)),
            };
            return Err(self.not_ready(reason).await);
        }
        let url = self.ready_url();
        let end = async {
            match self.container.end().await {
                Ok(status) => ended(status),
                // Whether it lives is not known: then the deadline decides.
                Err(_) => pending().await,
            }
        };
        let outcome = self.probe.wait(&url, self.start.ready_within, end).await;
        self.ready = since.elapsed();
        match outcome {
            Ok(()) => Ok(()),
            Err(reason) => Err(self.not_ready(reason).await),
        }
    }

    async fn not_ready(&self, reason: NotReady) -> RuntimeError {
        let log = last_lines(&self.container.log().await, TAIL);
        match reason {
            NotReady::Ended(how) => RuntimeError::ExitedAtStart { how, log },
            NotReady::Late(last) => {
                RuntimeError::NeverReady { url: self.ready_url(), within: self.start.ready_within, last, log }
            }
        }
    }

    fn ready_url(&self) -> String {
        format!("{}{}", self.base_url(), self.start.ready_path)
    }

    /// Signals it and waits for its end: its exit status, and whether it had to be killed after all.
    async fn end(&self, signal: Signal) -> Result<(i64, bool), RuntimeError> {
        if signal == Signal::Term {
            self.container.signal("SIGTERM").await?;
            if let Ok(status) = timeout(self.start.stops_within, self.container.end()).await {
                return Ok((status?, false));
            }
        }
        self.container.signal("SIGKILL").await?;
        match timeout(KILLED_WITHIN, self.container.end()).await {
            Ok(status) => Ok((status?, signal == Signal::Term)),
            Err(late) => Err(RuntimeError::docker(format!("kill container {}", self.container.id), late)),
        }
    }
}

#[async_trait]
impl Instance for ContainerInstance {
    fn base_url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.published)
    }

    async fn stop(&mut self, signal: Signal) -> Result<Stopped, RuntimeError> {
        self.peak = self.peak_memory_kib().await;
        let since = Instant::now();
        self.running = false;
        let (status, forced) = self.end(signal).await?;
        let (code, signal) = meaning(status);
        Ok(Stopped { code, signal, millis: millis(since.elapsed()), forced })
    }

    async fn start_again(&mut self, files: Vec<(String, String)>) -> Result<(), RuntimeError> {
        if self.running {
            self.stop(Signal::Kill).await?;
        }
        if !files.is_empty() {
            self.container.write(&self.data, &files).await?;
        }
        let since = Instant::now();
        let started = self.container.docker.start_container(&self.container.id, None::<StartContainerOptions>).await;
        started.map_err(self.container.error("start again"))?;
        self.running = true;
        let outcome = self.become_ready(since).await;
        if outcome.is_err() {
            // It counts as stopped, whatever it does: nobody can call it.
            self.running = false;
            self.container.signal("SIGKILL").await?;
        }
        outcome
    }

    async fn exited(&mut self) -> Option<String> {
        if !self.running {
            return None;
        }
        let state = self.container.inspect().await.ok()?.state?;
        if state.running == Some(true) {
            return None;
        }
        Some(ended(state.exit_code.unwrap_or(0)))
    }

    async fn log(&self) -> String {
        self.container.log().await
    }

    async fn ready_millis(&self) -> u64 {
        millis(self.ready)
    }

    async fn peak_memory_kib(&self) -> Option<u64> {
        let pid = async {
            let state = self.container.inspect().await.ok()?.state?;
            u32::try_from(state.pid?).ok().filter(|pid| *pid > 0)
        };
        let now = pid.await.and_then(|pid| memory::peak_kib_in(&self.container.id, pid));
        now.max(self.peak)
    }

    async fn discard(mut self: Box<Self>) {
        if let Err(error) = self.stop(Signal::Term).await {
            tracing::warn!("{}", chain(&error));
        }
        self.lease.release().await;
    }
}

/// An image's name and its tag (`latest` if it has none); a colon can also belong to a port.
fn split(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

fn inside(data: &str, name: &str) -> String {
    format!("{}/{name}", data.trim_end_matches('/'))
}

fn archive(data: &str, files: &[(String, String)]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, inside(data, name).trim_start_matches('/'), content.as_bytes())?;
    }
    archive.into_inner()
}

/// The port of this machine under which a port of the container is reached.
fn published(found: &ContainerInspectResponse, port: u16) -> Option<u16> {
    let ports = found.network_settings.as_ref()?.ports.as_ref()?;
    let bindings = ports.get(&format!("{port}/tcp"))?.as_ref()?;
    bindings.iter().find_map(|binding| binding.host_port.as_ref()?.parse().ok())
}

/// What an exit status says: a code, or the signal that it stands for.
fn meaning(status: i64) -> (Option<i32>, Option<i32>) {
    match i32::try_from(status).unwrap_or(i32::MAX) {
        status @ 129..=159 => (None, Some(status - 128)),
        status => (Some(status), None),
    }
}

fn ended(status: i64) -> String {
    let (code, signal) = meaning(status);
    how(code, signal)
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

    #[test]
    fn an_exit_status_above_128_is_a_signal() {
        assert_eq!(ended(137), "killed by signal 9");
        assert_eq!(ended(143), "killed by signal 15");
        assert_eq!(ended(3), "exit code 3");
        assert_eq!(ended(255), "exit code 255");
    }

    #[test]
    fn a_file_lies_in_the_data_folder() {
        assert_eq!(inside("/app/data/", "config.json"), "/app/data/config.json");
        let archive = archive("/data", &[("below/config.json".into(), "{}".into())]).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("data/below/config.json"));
    }
}
