//! One process for one database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Why the database could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process has it.
    #[error("another gateway is using the database {}", .0.display())]
    Taken(PathBuf),
    /// The lock file could not be made.
    #[error("cannot lock the database {}: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

/// Holds the database until dropped; the system lets go of it also when the process is
/// killed. Two application folders may name one database, so the lock lies beside it.
#[derive(Debug)]
pub(crate) struct DatabaseLock {
    _file: File,
}

impl DatabaseLock {
    pub(crate) fn take(database: &Path) -> Result<DatabaseLock, LockError> {
        let failed = |error| LockError::Io(database.to_owned(), error);
        // A link and what it points to are one; without a file there is no link.
        let real = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
        let mut path = real.into_os_string();
        path.push(".lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(DatabaseLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(database.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
