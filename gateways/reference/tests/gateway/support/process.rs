//! A gateway as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::oneshot;

use super::DEADLINE;

/// How long a gateway may take to start: longer than it may take to fetch its prices.
const START: Duration = Duration::from_secs(40);

/// What `env.NAME` means in the configurations of the tests.
const VARIABLES: [(&str, &str); 7] = [
    ("UPSTREAM_KEY", "upstream-key"),
    ("OPENAI_API_KEY", "openai-key"),
    ("OPENROUTER_API_KEY", "openrouter-key"),
    ("OPENROUTER_API_KEY_SPARE", "openrouter-spare-key"),
    ("GATEWAY_VIRTUAL_KEY", "sdk-virtual-key"),
    ("GATEWAY_ADMIN_USERNAME", "admin"),
    ("GATEWAY_ADMIN_PASSWORD", "secret"),
];

/// A gateway process.
pub(crate) struct Process {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Process {
    /// Starts the gateway on a free port and waits until it says where it listens.
    pub(crate) async fn start(folder: &Path, options: &[&str]) -> Result<Process, String> {
        Process::start_with(folder, options, &[]).await
    }

    /// The same with more in its environment.
    pub(crate) async fn start_with(
        folder: &Path,
        options: &[&str],
        env: &[(&'static str, String)],
    ) -> Result<Process, String> {
        let env = env.iter().map(|(name, value)| (name, value.as_str()));
        Process::launch(command(folder, options).envs(env)).await
    }

    /// Starts a command line and waits until it says where it listens.
    pub(crate) async fn launch(command: &mut Command) -> Result<Process, String> {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, receiver) = oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            sender.send(line)
        });
        let said = tokio::time::timeout(START, receiver).await;
        let line = said.expect("the gateway says nothing").unwrap();
        match line.trim().strip_prefix("listening on http://") {
            Some(address) => Ok(Process { child, address: address.parse().unwrap() }),
            None => {
                let output = child.wait_with_output().unwrap();
                assert!(!output.status.success(), "it ended well without listening");
                Err(String::from_utf8(output.stderr).unwrap())
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and waits for the end; returns whether it ended well.
    pub(crate) async fn terminate(mut self) -> bool {
        self.signal_term();
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        tokio::time::timeout(DEADLINE, ended).await.expect("it does not end").unwrap().success()
    }

    pub(crate) fn signal_term(&self) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already needs nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The gateway's command line, with everything it reads from the environment set.
pub(crate) fn command(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probity-reference"));
    command
        .arg("-app-dir")
        .arg(folder)
        .args(["-port", "0", "-log-level", "warn"])
        .args(options)
        .envs(VARIABLES)
        .env_remove("APP_HOST")
        .env_remove("BIFROST_ENCRYPTION_KEY")
        .env_remove("BIFROST_HOST")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
