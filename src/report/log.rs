//! The run log on disk: one event a line, written as it happens, read back as a whole.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    event::{Event, FORMAT},
    write::WriteError,
};

/// The run log's name in the output folder.
pub const FILE: &str = "run.ndjson";

/// Writes a run log. It is locked for as long as the writer lives, so that two runs cannot mix.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
}

impl LogWriter {
    /// Begins `<out>/run.ndjson`, in place of one that is there. Done before anything is started, so
    /// that a folder that cannot be written costs nobody a run.
    ///
    /// # Errors
    /// When the folder or the file cannot be made, or when another run is writing to it.
    pub fn create(out: &Path) -> Result<Self, WriteError> {
        fs::create_dir_all(out).map_err(WriteError::refused(out))?;
        let path = out.join(FILE);
        // Not truncated by opening: the log of a run that still goes on must survive this attempt.
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(WriteError::refused(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WriteError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(WriteError::Refused { path, source }),
        }
        file.set_len(0).map_err(WriteError::refused(&path))?;
        Ok(Self { path, file })
    }

    /// Where the log is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an event. The line is in the system's hands when this returns: if probity is killed
    /// then, it is not lost.
    ///
    /// # Errors
    /// When the file cannot be written any more.
    pub fn append(&mut self, event: &Event) -> Result<(), WriteError> {
        let refused = |source| WriteError::Refused { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(event).map_err(|error| refused(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(refused)
    }
}

/// A run log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read at all.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is no JSON.
    #[error("{}:{line}: this line of the run log is not JSON: {source}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A line is JSON, but not an event.
    #[error("{}:{line}: this line of the run log is not an event: {source}", path.display())]
    NotEvent {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A newer probity wrote it.
    #[error(
        "{} has format {format}, and this probity reads up to {FORMAT}; read it with the probity that wrote it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format of the log.
        format: u64,
    },
    /// The first line is not the head of a run.
    #[error("{} is no run log: its first line is not the event `run_started`", path.display())]
    NoHead {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a run log. One without a foot is no error: the report made from it says that it is
/// incomplete. Neither is a last line that was cut while it was written.
///
/// # Errors
/// When the file cannot be read, has no head, was written by a newer probity, or holds a line that is
/// no event.
pub fn read_log(path: &Path) -> Result<Vec<Event>, LogError> {
    let text = fs::read_to_string(path).map_err(|source| LogError::Unreadable { path: path.to_owned(), source })?;
    let mut events = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let value: Value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(_) if !line.ends_with('\n') && index > 0 => break,
            Err(source) => return Err(LogError::NotJson { path: path.to_owned(), line: index + 1, source }),
        };
        if index == 0 {
            check_head(path, &value)?;
        }
        let event = serde_json::from_value(value);
        events.push(event.map_err(|source| LogError::NotEvent { path: path.to_owned(), line: index + 1, source })?);
    }
    if events.is_empty() {
        return Err(LogError::NoHead { path: path.to_owned() });
    }
    Ok(events)
}

/// The format is looked at before the rest: of a newer one nothing else is known.
fn check_head(path: &Path, head: &Value) -> Result<(), LogError> {
    let is_head = head.get("event").and_then(Value::as_str) == Some("run_started");
    match head.get("format").and_then(Value::as_u64) {
        Some(format) if is_head && format > u64::from(FORMAT) => Err(LogError::Newer { path: path.to_owned(), format }),
        Some(_) if is_head => Ok(()),
        _ => Err(LogError::NoHead { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::{exit::Exit, report::fixture};

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn head() -> String {
        serde_json::to_string(&fixture::conforming()[0]).unwrap()
    }

    fn fails(text: &str) -> String {
        let (folder, path) = written(text);
        read_log(&path).unwrap_err().to_string().replace(&folder.path().display().to_string(), "out")
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(&folder.path().join("a/b")).unwrap();
        let events = fixture::mixed();
        events.iter().for_each(|event| log.append(event).unwrap());
        assert_eq!(read_log(log.path()).unwrap(), events);
    }

    #[test]
    fn each_event_is_readable_as_soon_as_it_is_appended() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(folder.path()).unwrap();
        for (index, event) in fixture::conforming().iter().enumerate() {
            log.append(event).unwrap();
            assert_eq!(read_log(log.path()).unwrap().len(), index + 1);
        }
    }

    #[test]
    fn a_new_run_replaces_the_log_of_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = LogWriter::create(folder.path()).unwrap();
        fixture::mixed().iter().for_each(|event| first.append(event).unwrap());
        drop(first);
        let mut second = LogWriter::create(folder.path()).unwrap();
        second.append(&fixture::conforming()[0]).unwrap();
        assert_eq!(read_log(second.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_second_run_in_the_same_folder_is_refused_and_leaves_the_log_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = LogWriter::create(folder.path()).unwrap();
        first.append(&fixture::conforming()[0]).unwrap();
        let error = LogWriter::create(folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("another run is writing to "), "{error}");
        assert_eq!(error.exit(), Exit::Unwritable);
        assert_eq!(read_log(first.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = LogWriter::create(&file.join("out")).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot write {}/out: ", file.display())), "{error}");
    }

    #[test]
    fn a_line_that_is_no_json_is_named_by_its_number() {
        let message = fails(&format!("{}\nnonsense\n{}\n", head(), head()));
        assert!(message.starts_with("out/run.ndjson:2: this line of the run log is not JSON: "), "{message}");
    }

    #[test]
    fn a_line_that_is_no_event_is_named_by_its_number() {
        let message = fails(&format!("{}\n{{\"event\":\"party\"}}\n", head()));
        assert!(message.starts_with("out/run.ndjson:2: this line of the run log is not an event: "), "{message}");
    }

    #[test]
    fn a_newer_format_is_refused_whatever_else_it_holds() {
        assert_eq!(
            fails("{\"event\":\"run_started\",\"format\":2,\"mood\":\"fine\"}\n"),
            "out/run.ndjson has format 2, and this probity reads up to 1; read it with the probity that wrote it"
        );
    }

    #[test]
    fn a_file_without_a_head_is_no_run_log() {
        let message = "out/run.ndjson is no run log: its first line is not the event `run_started`";
        assert_eq!(fails(""), message);
        assert_eq!(fails("{}\n"), message);
        let foot = serde_json::to_string(fixture::conforming().last().unwrap()).unwrap();
        assert_eq!(fails(&format!("{foot}\n{}\n", head())), message);
    }

    #[test]
    fn a_last_line_that_was_cut_while_it_was_written_is_left_out() {
        let (_folder, path) = written(&format!("{}\n{{\"event\":\"target_sta", head()));
        assert_eq!(read_log(&path).unwrap().len(), 1);
    }
}
