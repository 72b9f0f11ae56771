//! One process for one application folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "probity-reference.lock";

/// Why the application folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process has it.
    #[error("another gateway is using the application folder {}", .0.display())]
    Taken(PathBuf),
    /// The lock file could not be made.
    #[error("cannot lock the application folder {}: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

/// Holds the application folder until dropped; the system lets go of it also when
/// the process is killed.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(crate) fn take(app_dir: &Path) -> Result<FolderLock, LockError> {
        let failed = |error| LockError::Io(app_dir.to_owned(), error);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(app_dir.join(LOCK_FILE))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(app_dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
