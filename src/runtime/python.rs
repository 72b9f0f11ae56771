//! A gateway's Python packages, in a virtual environment of their own.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    RuntimeError,
    group::{Group, how},
    log::{TAIL, last_lines},
};

/// How long an installation may take, or that of another run which is waited for.
const INSTALLED_WITHIN: Duration = Duration::from_secs(20 * 60);

/// Between two looks at a lock that another run holds: a file's lock cannot be awaited.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Written last: an environment without it is not complete.
const COMPLETE: &str = "complete";

/// The virtual environment `<venvs>/<name>-<hash>` with what the requirements file names, made on
/// first use; `name` is that of the folder which holds the file. Two runs at once make it once.
/// `progress` is told, in one line, before something takes long.
///
/// # Errors
///
/// If there is no Python, if it cannot make virtual environments, or if a package cannot be had.
pub async fn ensure(
    requirements: &Path,
    venvs: &Path,
    progress: impl Fn(&str) + Send + Sync,
) -> Result<PathBuf, RuntimeError> {
    ensure_with("python3", requirements, venvs, progress).await
}

async fn ensure_with(
    python: &str,
    requirements: &Path,
    venvs: &Path,
    progress: impl Fn(&str) + Send + Sync,
) -> Result<PathBuf, RuntimeError> {
    let wanted = fs::read(requirements).map_err(RuntimeError::io("read", requirements))?;
    let version = version(python, requirements).await?;
    fs::create_dir_all(venvs).map_err(RuntimeError::io("create the folder", venvs))?;
    let venvs = fs::canonicalize(venvs).map_err(RuntimeError::io("find the folder", venvs))?;
    let name = format!("{}-{:016x}", name(requirements), hash(&wanted, &version));
    let venv = venvs.join(&name);
    if venv.join(COMPLETE).exists() {
        return Ok(venv);
    }
    let _lock = lock(&venvs.join(format!("{name}.lock")), &progress).await?;
    if venv.join(COMPLETE).exists() {
        return Ok(venv);
    }
    progress(&format!("installing {} into {} (once)", requirements.display(), venv.display()));
    install(python, requirements, &venv).await?;
    let marker = venv.join(COMPLETE);
    fs::write(&marker, &version).map_err(RuntimeError::io("write", marker))?;
    Ok(venv)
}

/// What `--version` answers: an environment of another Python is another environment.
async fn version(python: &str, requirements: &Path) -> Result<String, RuntimeError> {
    let asked = Command::new(python).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await;
    let reason = match asked {
        Ok(output) if output.status.success() => {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            format!("`{python} --version` ended with {}: {}", how(output.status), last_lines(&words, 1))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("there is no `{python}` in PATH; install Python 3 with its module venv")
        }
        Err(error) => format!("`{python}` cannot be run: {error}"),
    };
    Err(RuntimeError::NoPython { requirements: requirements.to_owned(), reason })
}

/// The folder of a gateway has its name.
fn name(requirements: &Path) -> String {
    let folder = fs::canonicalize(requirements).ok();
    let folder = folder.as_deref().and_then(Path::parent).and_then(Path::file_name);
    folder.map_or_else(|| "python".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn hash(requirements: &[u8], version: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (requirements, version).hash(&mut hasher);
    hasher.finish()
}

/// Holds the lock until the file is dropped, and also if this process is killed. Polls, since a
/// wait inside the system could not be cancelled.
async fn lock(path: &Path, progress: &impl Fn(&str)) -> Result<fs::File, RuntimeError> {
    let failed = |source| RuntimeError::Io { doing: "lock", path: path.to_owned(), source };
    let file = fs::File::create(path).map_err(failed)?;
    let deadline = Instant::now() + INSTALLED_WITHIN;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
            Err(fs::TryLockError::WouldBlock) => {}
        }
        if !told {
            progress(&format!("waiting for another run, which holds {}", path.display()));
            told = true;
        }
        sleep(LOCK_PAUSE).await;
    }
}

async fn install(python: &str, requirements: &Path, venv: &Path) -> Result<(), RuntimeError> {
    match fs::remove_dir_all(venv) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(RuntimeError::io("remove the incomplete", venv)(error));
        }
        _ => {}
    }
    let mut make = Command::new(python);
    make.args(["-m", "venv"]).arg(venv);
    let (status, log) = run(make, venv).await?;
    if !status.success() {
        let reason = format!("`{python} -m venv` ended with {}:\n{log}", how(status));
        return Err(RuntimeError::NoPython { requirements: requirements.to_owned(), reason });
    }
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "-r"]);
    pip.arg(requirements);
    let (status, log) = run(pip, venv).await?;
    if !status.success() {
        return Err(RuntimeError::Install { requirements: requirements.to_owned(), how: how(status), log });
    }
    Ok(())
}

/// Runs a program to its end: how that was, and its last lines. What it started ends with it.
async fn run(mut command: Command, venv: &Path) -> Result<(ExitStatus, String), RuntimeError> {
    let failed = |source| RuntimeError::Io { doing: "make the virtual environment", path: venv.to_owned(), source };
    // A file rather than a pipe: nobody has to read it lest the program stop.
    let log = tempfile::NamedTempFile::new().map_err(failed)?;
    let out = log.reopen().map_err(failed)?;
    let err = out.try_clone().map_err(failed)?;
    let mut group = Group::spawn(command.stdin(Stdio::null()).stdout(out).stderr(err)).map_err(failed)?;
    let status = match tokio::time::timeout(INSTALLED_WITHIN, group.wait()).await {
        Ok(status) => status.map_err(failed)?,
        Err(late) => return Err(failed(late.into())),
    };
    let text = fs::read(log.path()).map_err(failed)?;
    Ok((status, last_lines(&String::from_utf8_lossy(&text), TAIL)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Mutex;

    use super::*;

    /// A gateway's folder whose requirements file says this, and a folder for environments.
    fn folders(requirements: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let gateway = folder.path().join("some-gateway");
        fs::create_dir(&gateway).unwrap();
        let file = gateway.join("requirements.txt");
        fs::write(&file, requirements).unwrap();
        let venvs = folder.path().join("out/venv");
        (folder, file, venvs)
    }

    #[tokio::test]
    async fn without_a_python_it_says_so_and_what_to_do() {
        let (_folder, file, venvs) = folders("");
        let error = ensure_with("no-such-python", &file, &venvs, |_| {}).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RuntimeError::NoPython { .. }), "{text}");
        assert!(
            text.ends_with("there is no `no-such-python` in PATH; install Python 3 with its module venv"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_missing_requirements_file_is_named() {
        let (_folder, file, venvs) = folders("");
        let missing = file.with_file_name("missing.txt");
        let error = ensure(&missing, &venvs, |_| {}).await.unwrap_err();
        assert!(error.to_string().ends_with("missing.txt"), "{error}");
    }

    #[test]
    fn other_requirements_or_another_python_are_another_environment() {
        let one = hash(b"litellm==1.0", "Python 3.11.7");
        assert_eq!(one, hash(b"litellm==1.0", "Python 3.11.7"));
        assert_ne!(one, hash(b"litellm==1.1", "Python 3.11.7"));
        assert_ne!(one, hash(b"litellm==1.0", "Python 3.12.0"));
    }

    #[tokio::test]
    async fn a_lock_that_another_holds_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock(&path, &|_: &str| {}).await.unwrap();
        let told = Mutex::new(Vec::new());
        let held = Mutex::new(Some(held));
        // The one who waits says so first; only then is the lock given up.
        let progress = |line: &str| {
            told.lock().unwrap().push(line.to_owned());
            held.lock().unwrap().take();
        };
        lock(&path, &progress).await.unwrap();
        let told = told.into_inner().unwrap();
        assert_eq!(told, [format!("waiting for another run, which holds {}", path.display())]);
    }
}
