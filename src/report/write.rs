//! Writing reports: every way in which it can go wrong is one error.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::exit::Exit;

/// A report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file or folder refuses.
    #[error("cannot write {}: {source}", path.display())]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The standard output refuses.
    #[error("cannot write to the standard output: {0}")]
    Output(#[source] io::Error),
    /// Another run writes to the same folder at this moment.
    #[error("another run is writing to {}; wait for it, or give this run a folder of its own", path.display())]
    InUse {
        /// The run log that is locked.
        path: PathBuf,
    },
}

impl WriteError {
    /// How a command ends that could not write.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::Unwritable
    }

    pub(super) fn refused(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Refused { path: path.to_owned(), source }
    }
}

/// Writes a whole report file, and the folders above it.
///
/// # Errors
/// When a folder or the file cannot be made or written.
pub fn write_file(path: &Path, text: &str) -> Result<(), WriteError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(WriteError::refused(folder))?;
    }
    fs::write(path, text).map_err(WriteError::refused(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_report_brings_its_folders_along() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports/junit.xml");
        write_file(&path, "<testsuites/>").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "<testsuites/>");
    }

    #[test]
    fn a_file_where_a_folder_should_be_is_named_and_ends_with_the_code_for_unwritable_reports() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = write_file(&file.join("report.json"), "{}").unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot write {}: ", file.display())), "{error}");
        assert_eq!(error.exit(), Exit::Unwritable);
    }
}
