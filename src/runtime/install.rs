//! What is installed once into a folder of its own, by whichever run is first.

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
    group::Group,
    log::{TAIL, last_lines},
};

/// How long an installation may take, or that of another run which is waited for.
const INSTALLED_WITHIN: Duration = Duration::from_secs(20 * 60);

/// Between two looks at a lock that another run holds: a file's lock cannot be awaited.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Written last: a folder without it is not complete.
const COMPLETE: &str = "complete";

/// What is installed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The file that names the packages.
    pub file: &'a Path,
    /// What the folder's name begins with.
    pub name: &'a str,
    /// What its `--version` says of the program that will run them: another one has another folder.
    pub version: &'a str,
}

/// The folder `<folders>/<name>-<hash>`, which `install` fills on first use; what an earlier try
/// left in it is removed before. Two runs at once fill it once. `progress` is told, in one line,
/// before something takes long.
///
/// # Errors
///
/// If a file or folder cannot be read or made, and whatever `install` says.
pub async fn once<E: From<RuntimeError>>(
    wanted: Wanted<'_>,
    folders: &Path,
    progress: impl Fn(&str) + Send + Sync,
    install: impl AsyncFnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    let packages = fs::read(wanted.file).map_err(RuntimeError::io("read", wanted.file))?;
    fs::create_dir_all(folders).map_err(RuntimeError::io("create the folder", folders))?;
    let folders = fs::canonicalize(folders).map_err(RuntimeError::io("find the folder", folders))?;
    let name = format!("{}-{:016x}", wanted.name, hash(&packages, wanted.version));
    let folder = folders.join(&name);
    if folder.join(COMPLETE).exists() {
        return Ok(folder);
    }
    let _lock = lock(&folders.join(format!("{name}.lock")), &progress).await?;
    if folder.join(COMPLETE).exists() {
        return Ok(folder);
    }
    progress(&format!("installing {} into {} (once)", wanted.file.display(), folder.display()));
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(RuntimeError::io("remove the incomplete", &folder)(error).into());
        }
        _ => {}
    }
    install(&folder).await?;
    let marker = folder.join(COMPLETE);
    fs::write(&marker, wanted.version).map_err(RuntimeError::io("write", marker))?;
    Ok(folder)
}

fn hash(packages: &[u8], version: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (packages, version).hash(&mut hasher);
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

/// Runs a program that installs into a folder to its end: how that was, and its last lines. What
/// it started ends with it.
///
/// # Errors
///
/// If it cannot be started, or does not end in time.
pub async fn run(mut command: Command, folder: &Path) -> Result<(ExitStatus, String), RuntimeError> {
    let failed = RuntimeError::io("install into", folder);
    let (status, text) = match logged(&mut command).await {
        Ok(ended) => ended,
        Err(error) => return Err(failed(error)),
    };
    Ok((status, last_lines(&String::from_utf8_lossy(&text), TAIL)))
}

async fn logged(command: &mut Command) -> io::Result<(ExitStatus, Vec<u8>)> {
    // A file rather than a pipe: nobody has to read it lest the program stop.
    let log = tempfile::NamedTempFile::new()?;
    let out = log.reopen()?;
    let err = out.try_clone()?;
    let mut group = Group::spawn(command.stdin(Stdio::null()).stdout(out).stderr(err))?;
    let status = tokio::time::timeout(INSTALLED_WITHIN, group.wait()).await??;
    Ok((status, fs::read(log.path())?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Mutex;

    use super::*;

    #[test]
    fn other_packages_or_another_version_are_another_folder() {
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
