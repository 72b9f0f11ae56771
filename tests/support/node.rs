//! Tests that need npm packages, which are installed on first use.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use libtest_mimic::{Failed, Trial};
use probity::runtime::{
    RuntimeError,
    install::{self, Wanted},
};
use tokio::process::Command;

use super::{
    installed::{self, Missing},
    wait,
};

/// A test that needs what a lock file of the repository names. It is given the folder with
/// `node_modules`; where that cannot be had, the test is not run, and says why.
pub fn trial(name: &str, lock: &'static str, test: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static) -> Trial {
    installed::trial(name, lock, make, test)
}

fn make(lock: &Path) -> Result<PathBuf, Missing> {
    wait(async {
        let version = version().await?;
        let wanted = Wanted { file: lock, name: "ai_sdk", version: &version };
        let tell = |line: &str| eprintln!("{line}");
        install::once(wanted, &installed::below_target("npm"), tell, async |folder| npm_ci(lock, folder).await).await
    })
}

async fn version() -> Result<String, Missing> {
    match Command::new("node").arg("--version").output().await {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => Err(Missing(format!("`node --version` ended with {}", output.status))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Missing("there is no `node` in PATH; install Node.js 20 or newer with npm".to_owned()))
        }
        Err(error) => Err(Missing(format!("`node` cannot be run: {error}"))),
    }
}

/// The packages as the lock file has them, and nothing of what they would run at their installation.
async fn npm_ci(lock: &Path, folder: &Path) -> Result<(), Missing> {
    let failed = |source| RuntimeError::Io { doing: "prepare the folder", path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(lock.with_file_name(name), folder.join(name)).map_err(failed)?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]);
    let (status, log) = install::run(npm, folder).await?;
    if status.success() {
        return Ok(());
    }
    // The last line only names npm's own log.
    let why = log.lines().find(|line| line.starts_with("npm error")).unwrap_or_default();
    Err(Missing::with_log(&format!("npm could not install {} ({status})", lock.display()), why))
}
