//! A program and everything it starts, ended together.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tokio::process::{Child, Command};

/// How long a killed process may take to be gone.
pub(super) const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// A process and its process group. Dropping it kills all of them.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
    id: Pid,
    /// The first process is gone, and what it left behind was killed.
    over: bool,
}

impl Group {
    /// Starts the command as the first process of a group of its own.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("it ended before its process number was known"))?;
        Ok(Self { child, id, over: false })
    }

    /// The number of the first process.
    pub(super) fn pid(&self) -> u32 {
        self.id.as_raw().unsigned_abs()
    }

    /// Waits for the first process to end, then kills what it left behind. May be cancelled.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.finish();
        Ok(status)
    }

    /// As [`Self::wait`], but only if it has ended already.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.finish();
        }
        Ok(status)
    }

    /// Asks the first process to end; the others are its own affair.
    pub(super) fn terminate(&self) -> io::Result<()> {
        if self.over {
            return Ok(());
        }
        gone_is_fine(kill(self.id, Signal::SIGTERM))
    }

    /// Kills all of them.
    pub(super) fn kill(&self) -> io::Result<()> {
        if self.over {
            return Ok(());
        }
        gone_is_fine(killpg(self.id, Signal::SIGKILL))
    }

    /// The group's number can belong to a stranger once all its processes are gone, so it is
    /// signalled for the last time right after the first process ended.
    fn finish(&mut self) {
        // Nothing is to be done about a process that may not be signalled.
        let _ = self.kill();
        self.over = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let _ = self.kill();
        // A process that was killed still holds its files and its port for a moment.
        let deadline = Instant::now() + Duration::from_secs(1);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn gone_is_fine(outcome: nix::Result<()>) -> io::Result<()> {
    match outcome {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The words for how a process ended.
pub(super) fn how(status: ExitStatus) -> String {
    super::api::how(status.code(), status.signal())
}
