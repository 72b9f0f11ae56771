//! A gateway as a process of this machine.

use std::{
    env, fs, io,
    net::{IpAddr, Ipv4Addr},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{process::Command, time::timeout};

use super::{
    Instance, Kind, Runtime, RuntimeError, Site, Start, Stopped,
    api::millis,
    folder::Folder,
    group::{Group, KILLED_WITHIN, how},
    log::{TAIL, last_lines},
    memory, port,
    ready::{NotReady, Probe},
};
use crate::{gateway::manifest::ContainerLaunch, scenario::step::Signal};

/// What a gateway inherits from the runner's environment.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LANG"];

/// Starts gateways as processes of this machine.
#[derive(Debug)]
pub struct ProcessRuntime {
    out: PathBuf,
    probe: Probe,
}

impl ProcessRuntime {
    /// A runtime that keeps its gateways' folders below the output folder while they live.
    ///
    /// # Errors
    ///
    /// If there is no HTTP client to be had.
    pub fn new(out: impl Into<PathBuf>) -> Result<Self, RuntimeError> {
        Ok(Self { out: out.into(), probe: Probe::local()? })
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn upstream_bind(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    async fn site(&self, _container: Option<&ContainerLaunch>) -> Result<Site, RuntimeError> {
        let folder = Folder::new(&self.out)?;
        Ok(Site {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: folder.port.port(),
            data: folder.data().display().to_string(),
            upstream_host: Ipv4Addr::LOCALHOST.to_string(),
            folder: Some(folder),
        })
    }

    async fn launch(&self, site: Site, start: Start) -> Result<Box<dyn Instance>, RuntimeError> {
        let what = "start a gateway on another runtime's site";
        let folder = site.folder.ok_or(RuntimeError::Unsupported { kind: Kind::Process, what })?;
        let program = executable(start.command.first().map_or("", String::as_str))?;
        folder.write(&start.files)?;
        let mut instance = ProcessInstance {
            group: None,
            last: None,
            ready: Duration::ZERO,
            peak: None,
            probe: self.probe.clone(),
            program,
            start,
            folder,
        };
        instance.begin().await?;
        Ok(Box::new(instance))
    }
}

/// A gateway's process. The order of the fields is that in which they are dropped: the processes
/// before their folder.
#[derive(Debug)]
struct ProcessInstance {
    group: Option<Group>,
    last: Option<ExitStatus>,
    ready: Duration,
    peak: Option<u64>,
    probe: Probe,
    program: PathBuf,
    start: Start,
    folder: Folder,
}

impl ProcessInstance {
    async fn begin(&mut self) -> Result<(), RuntimeError> {
        let port = self.folder.port.port();
        if !port::is_freed(port).await {
            return Err(RuntimeError::PortInUse { port, log: String::new() });
        }
        let url = format!("{}{}", self.base_url(), self.start.ready_path);
        let mut command = self.command()?;
        let since = Instant::now();
        let group = Group::spawn(&mut command).map_err(RuntimeError::io("start", &self.program))?;
        let group = self.group.insert(group);
        let end = async { group.wait().await.map_or_else(|error| error.to_string(), how) };
        let outcome = self.probe.wait(&url, self.start.ready_within, end).await;
        self.ready = since.elapsed();
        outcome.map_err(|reason| {
            self.group = None;
            self.not_ready(reason, url)
        })
    }

    fn command(&self) -> Result<Command, RuntimeError> {
        let path = self.folder.log();
        let log = fs::OpenOptions::new().create(true).append(true).open(&path);
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(RuntimeError::io("open the log", path))?;
        let mut command = Command::new(&self.program);
        command
            .args(self.start.command.iter().skip(1))
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| Some((*name, env::var_os(name)?))))
            .envs(self.start.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.data())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        Ok(command)
    }

    fn not_ready(&self, reason: NotReady, url: String) -> RuntimeError {
        if let Err(full) = self.folder.has_room() {
            return full;
        }
        let log = last_lines(&self.folder.read_log(), TAIL);
        let port = self.folder.port.port();
        match reason {
            NotReady::Ended(_) if says_port_in_use(&log) || !port::is_free(port) => {
                RuntimeError::PortInUse { port, log }
            }
            NotReady::Ended(how) => RuntimeError::ExitedAtStart { how, log },
            NotReady::Late(last) => RuntimeError::NeverReady { url, within: self.start.ready_within, last, log },
        }
    }

    /// Signals the group and waits for its end; whether it had to be killed after all.
    async fn end(&self, group: &mut Group, signal: Signal) -> io::Result<(ExitStatus, bool)> {
        if let Some(status) = group.try_wait()? {
            return Ok((status, false));
        }
        if signal == Signal::Term {
            group.terminate()?;
            if let Ok(status) = timeout(self.start.stops_within, group.wait()).await {
                return Ok((status?, false));
            }
        }
        group.kill()?;
        let status = timeout(KILLED_WITHIN, group.wait()).await??;
        Ok((status, signal == Signal::Term))
    }
}

#[async_trait]
impl Instance for ProcessInstance {
    fn base_url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.folder.port.port())
    }

    async fn stop(&mut self, signal: Signal) -> Result<Stopped, RuntimeError> {
        self.peak = self.peak_memory_kib().await;
        let since = Instant::now();
        let mut forced = false;
        // If this future is dropped, so is the group, which kills it.
        if let Some(mut group) = self.group.take() {
            let ended = self.end(&mut group, signal).await;
            let (status, killed) = ended.map_err(RuntimeError::io("stop", &self.program))?;
            self.last = Some(status);
            forced = killed;
        }
        Ok(Stopped {
            code: self.last.and_then(|status| status.code()),
            signal: self.last.and_then(|status| status.signal()),
            millis: millis(since.elapsed()),
            forced,
        })
    }

    async fn start_again(&mut self, files: Vec<(String, String)>) -> Result<(), RuntimeError> {
        self.peak = self.peak_memory_kib().await;
        self.group = None;
        self.folder.write(&files)?;
        self.begin().await
    }

    async fn exited(&mut self) -> Option<String> {
        let status = self.group.as_mut()?.try_wait().ok()??;
        Some(how(status))
    }

    async fn log(&self) -> String {
        self.folder.read_log()
    }

    async fn ready_millis(&self) -> u64 {
        millis(self.ready)
    }

    async fn peak_memory_kib(&self) -> Option<u64> {
        let now = self.group.as_ref().and_then(|group| memory::peak_kib_of_group(group.pid()));
        now.max(self.peak)
    }

    async fn discard(mut self: Box<Self>) {
        if let Err(error) = self.stop(Signal::Term).await {
            tracing::warn!("{error}");
        }
    }
}

/// The executable file that a command means: a path of the runner's working folder, or a name that
/// is searched for in `PATH`.
fn executable(command: &str) -> Result<PathBuf, RuntimeError> {
    let is_program =
        |path: &Path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    let found = if command.contains('/') {
        fs::canonicalize(command).ok().filter(|path| is_program(path)).map(|_| command.into())
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|folder| folder.join(command)).find(|path| is_program(path))
    };
    // Not canonical: a virtual environment's `python` knows itself by the link it is called by.
    found
        .and_then(|path| std::path::absolute(path).ok())
        .ok_or_else(|| RuntimeError::CommandNotFound { command: command.to_owned() })
}

/// Whether a gateway that ended says that it could not listen.
fn says_port_in_use(log: &str) -> bool {
    let log = log.to_lowercase();
    ["address already in use", "address in use", "eaddrinuse"].iter().any(|words| log.contains(words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_name_is_searched_for_and_a_path_is_taken() {
        assert!(executable("sh").unwrap().is_absolute());
        assert_eq!(executable("/bin/sh").unwrap(), Path::new("/bin/sh"));
    }

    #[test]
    fn a_command_that_does_not_exist_is_named() {
        for command in ["no-such-gateway", "./no/such/gateway", "/etc/passwd", ""] {
            let error = executable(command).unwrap_err();
            assert!(matches!(&error, RuntimeError::CommandNotFound { command: it } if it == command), "{error}");
        }
    }

    #[test]
    fn a_taken_port_is_told_in_the_words_of_several_languages() {
        assert!(says_port_in_use("Error: Address already in use (os error 98)"));
        assert!(says_port_in_use("listen EADDRINUSE: 127.0.0.1:8080"));
        assert!(says_port_in_use("listen tcp 127.0.0.1:8080: bind: address already in use"));
        assert!(!says_port_in_use("budget already in use"));
    }
}
