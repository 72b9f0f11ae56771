//! A container, as the daemon knows it.

use std::io;

use futures_util::StreamExt;
use testcontainers::bollard::{
    Docker, body_full,
    errors::Error as DockerError,
    models::ContainerInspectResponse,
    query_parameters::{
        InspectContainerOptions, KillContainerOptionsBuilder, LogsOptionsBuilder, StartContainerOptions,
        UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
    },
};

use super::{
    RuntimeError,
    api::how,
    docker,
    error::chain,
    log::{MOST, end_of},
};

/// A container that exists, as the daemon knows it.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) docker: Docker,
    pub(super) id: String,
}

impl Container {
    fn error(&self, doing: &str) -> impl FnOnce(DockerError) -> RuntimeError {
        let doing = format!("{doing} container {}", self.id.get(..12).unwrap_or(&self.id));
        move |error| RuntimeError::docker(doing, error)
    }

    pub(super) async fn inspect(&self) -> Result<ContainerInspectResponse, RuntimeError> {
        let found = self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        found.map_err(self.error("inspect"))
    }

    /// Starts it again, with all files that it holds.
    pub(super) async fn start(&self) -> Result<(), RuntimeError> {
        let started = self.docker.start_container(&self.id, None::<StartContainerOptions>).await;
        started.map_err(self.error("start again"))
    }

    /// Sends a signal to its first process; one that does not run is no error.
    pub(super) async fn signal(&self, name: &str) -> Result<(), RuntimeError> {
        let options = KillContainerOptionsBuilder::new().signal(name).build();
        match self.docker.kill_container(&self.id, Some(options)).await {
            Err(error) if docker::status(&error) != Some(409) => Err(self.error("signal")(error)),
            _ => Ok(()),
        }
    }

    /// Waits until it does not run; its exit status.
    pub(super) async fn end(&self) -> Result<i64, RuntimeError> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        match self.docker.wait_container(&self.id, Some(options)).next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(DockerError::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(self.error("wait for")(error)),
            None => self.inspect().await.map(|found| found.state.and_then(|state| state.exit_code).unwrap_or(0)),
        }
    }

    /// Puts files into it, running or not.
    pub(super) async fn write(&self, data: &str, files: &[(String, String)]) -> Result<(), RuntimeError> {
        let archive = archive(data, files).map_err(RuntimeError::io("pack files for", data))?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let sent = self.docker.upload_to_container(&self.id, Some(options), body_full(archive.into())).await;
        sent.map_err(self.error("write files into"))
    }

    /// The end of what was written in all its lives; it can be read until the container is removed.
    pub(super) async fn log(&self) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
        let mut frames = self.docker.logs(&self.id, Some(options));
        let (mut log, mut left_out) = (Vec::new(), 0);
        while let Some(frame) = frames.next().await {
            // Not at each frame: what stays is moved.
            if log.len() > 2 * MOST {
                left_out += log.drain(..log.len() - MOST).len() as u64;
            }
            match frame {
                Ok(frame) => log.extend_from_slice(&frame.into_bytes()),
                Err(error) => log.extend_from_slice(format!("\n(the log ends here: {})\n", chain(&error)).as_bytes()),
            }
        }
        left_out += log.drain(..log.len().saturating_sub(MOST)).len() as u64;
        end_of(&log, left_out)
    }
}

/// The path of a file of the data folder.
pub(super) fn inside(data: &str, name: &str) -> String {
    format!("{}/{name}", data.trim_end_matches('/'))
}

fn archive(data: &str, files: &[(String, String)]) -> io::Result<Vec<u8>> {
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
pub(super) fn published(found: &ContainerInspectResponse, port: u16) -> Option<u16> {
    let ports = found.network_settings.as_ref()?.ports.as_ref()?;
    let bindings = ports.get(&format!("{port}/tcp"))?.as_ref()?;
    bindings.iter().find_map(|binding| binding.host_port.as_ref()?.parse().ok())
}

/// What an exit status says: a code, or the signal that it stands for.
pub(super) fn meaning(status: i64) -> (Option<i32>, Option<i32>) {
    match i32::try_from(status).unwrap_or(i32::MAX) {
        status @ 129..=159 => (None, Some(status - 128)),
        status => (Some(status), None),
    }
}

/// The words for an exit status.
pub(super) fn ended(status: i64) -> String {
    let (code, signal) = meaning(status);
    how(code, signal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

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
