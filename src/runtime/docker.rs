//! The Docker daemon of this machine, and what runs leave with it.

use std::{collections::HashMap, fs, net::Ipv4Addr, path::Path, process};

use futures_util::StreamExt;
use nix::{sys::signal, unistd::Pid};
use testcontainers::{
    bollard::{
        Docker,
        errors::Error,
        query_parameters::{
            InspectNetworkOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
            WaitContainerOptionsBuilder,
        },
    },
    core::client::docker_client_instance,
};
use tokio::time::timeout;

use super::{RuntimeError, error::chain, group::KILLED_WITHIN};

/// Labels of a container: the run it belongs to, which start made it, and whose process that is.
pub(super) const RUN: &str = "probity.run";
pub(super) const START: &str = "probity.start";
pub(super) const RUNNER: &str = "probity.runner";

/// Whether a daemon answers.
///
/// # Errors
///
/// The reason why none does, in words that follow "no Docker daemon answers: ".
pub async fn available() -> Result<(), String> {
    client().await.map(|_| ())
}

/// Removes every container of a run, running or not; how many there were.
///
/// # Errors
///
/// If no daemon answers, or it does not remove them.
pub async fn sweep(run: &str) -> Result<usize, RuntimeError> {
    remove_labelled(&connect().await?, RUN, run).await
}

/// Removes every container whose runner is gone, as one that was killed leaves them; how many
/// there were.
///
/// # Errors
///
/// If no daemon answers, or it does not remove them.
pub async fn gc() -> Result<usize, RuntimeError> {
    remove_orphans(&connect().await?).await
}

/// A client that is known to reach a daemon: making one asks nothing of it.
pub(super) async fn connect() -> Result<Docker, RuntimeError> {
    client().await.map_err(|reason| RuntimeError::NoDocker { reason })
}

async fn client() -> Result<Docker, String> {
    let docker = docker_client_instance().await.map_err(|error| chain(&error))?;
    docker.ping().await.map_err(|error| chain(&error))?;
    Ok(docker)
}

/// This machine's own address on the default bridge: where containers find it under the name
/// `host.docker.internal`.
pub(super) async fn bridge(docker: &Docker) -> Result<Ipv4Addr, RuntimeError> {
    let doing = "tell the address of its bridge";
    let network = docker.inspect_network("bridge", None::<InspectNetworkOptions>).await;
    let network = network.map_err(|error| RuntimeError::docker(doing, error))?;
    let ipam = network.ipam.and_then(|ipam| ipam.config).and_then(|all| all.into_iter().next()).unwrap_or_default();
    address(ipam.gateway.as_deref(), ipam.subnet.as_deref())
        .ok_or_else(|| RuntimeError::Docker { doing: doing.to_owned(), source: "it has no IPv4 address".into() })
}

/// The gateway, or the first address of the subnet: a daemon that has just made its bridge for the
/// first time names no gateway.
fn address(gateway: Option<&str>, subnet: Option<&str>) -> Option<Ipv4Addr> {
    if let Some(gateway) = gateway.filter(|gateway| !gateway.is_empty()) {
        return gateway.parse().ok();
    }
    let base: Ipv4Addr = subnet?.split('/').next()?.parse().ok()?;
    u32::from(base).checked_add(1).map(Into::into)
}

/// Removes every container with this label, running or not; how many there were.
pub(super) async fn remove_labelled(docker: &Docker, label: &str, value: &str) -> Result<usize, RuntimeError> {
    let found = labelled(docker, format!("{label}={value}")).await?;
    for (id, _) in &found {
        remove(docker, id).await?;
    }
    Ok(found.len())
}

pub(super) async fn remove_orphans(docker: &Docker) -> Result<usize, RuntimeError> {
    let mut removed = 0;
    for (id, labels) in labelled(docker, RUN.to_owned()).await? {
        if labels.get(RUNNER).is_some_and(|runner| is_gone(runner)) {
            remove(docker, &id).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

type Labels = HashMap<String, String>;

async fn labelled(docker: &Docker, label: String) -> Result<Vec<(String, Labels)>, RuntimeError> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = docker.list_containers(Some(options)).await;
    let found = found.map_err(|error| RuntimeError::docker("list containers", error))?;
    Ok(found.into_iter().filter_map(|it| Some((it.id?, it.labels.unwrap_or_default()))).collect())
}

/// Kills and removes a container with its volumes, and returns when it is gone, whoever was first.
async fn remove(docker: &Docker, id: &str) -> Result<(), RuntimeError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let Err(error) = docker.remove_container(id, Some(options)).await else {
        return Ok(());
    };
    match status(&error) {
        Some(404) => Ok(()),
        // Somebody else is removing it.
        Some(409) => {
            let options = WaitContainerOptionsBuilder::new().condition("removed").build();
            // Whatever the answer is, there is one when the container is gone.
            let _ = timeout(KILLED_WITHIN, docker.wait_container(id, Some(options)).next()).await;
            Ok(())
        }
        _ => Err(RuntimeError::docker(format!("remove container {id}"), error)),
    }
}

/// The status with which the daemon refused.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// This process, in words that no later one has: the world of its number, the number, and when it
/// was started.
pub(super) fn runner() -> String {
    let pid = process::id();
    format!("{} {pid} {}", world(), started(pid).unwrap_or(0))
}

/// Whether the process of these words runs no more. One of another container cannot be seen from
/// here, and counts as running.
fn is_gone(runner: &str) -> bool {
    let mut words = runner.split(' ');
    let (Some(its_world), Some(pid), Some(its_start)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let (Ok(pid), Ok(its_start)) = (pid.parse::<u32>(), its_start.parse::<u64>()) else {
        return false;
    };
    if its_world != world() {
        return false;
    }
    match started(pid) {
        Some(start) => start != its_start,
        None if Path::new("/proc/self").exists() => true,
        None => i32::try_from(pid).is_ok_and(|pid| signal::kill(Pid::from_raw(pid), None).is_err()),
    }
}

/// The namespace in which this process has its number.
fn world() -> String {
    fs::read_link("/proc/self/ns/pid").map_or_else(|_| "host".to_owned(), |link| link.display().to_string())
}

/// When a process was started, in ticks since boot. Its name, which comes before, can hold anything
/// but ends with the last parenthesis.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_bridge_is_at_its_gateway_or_at_the_first_address_of_its_subnet() {
        let first = Some(Ipv4Addr::new(172, 17, 0, 1));
        assert_eq!(address(Some("172.17.0.1"), Some("172.17.0.0/16")), first);
        assert_eq!(address(Some(""), Some("172.17.0.0/16")), first);
        assert_eq!(address(None, Some("172.17.0.0/16")), first);
        assert_eq!(address(None, None), None);
    }

    #[test]
    fn this_runner_is_not_gone() {
        assert!(!is_gone(&runner()));
    }

    #[test]
    fn a_runner_is_gone_when_its_process_is() {
        let mut child = process::Command::new("true").spawn().unwrap();
        let words = format!("{} {} {}", world(), child.id(), started(child.id()).unwrap_or(0));
        child.wait().unwrap();
        assert!(is_gone(&words));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_runner_is_gone_when_its_number_belongs_to_another_process() {
        let words = format!("{} {} 1", world(), process::id());
        assert!(is_gone(&words));
    }

    #[test]
    fn a_runner_that_cannot_be_seen_from_here_is_left_alone() {
        assert!(!is_gone("pid:[1] 4194305 1"));
        assert!(!is_gone("nonsense"));
    }
}
