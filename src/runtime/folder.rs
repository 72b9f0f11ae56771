//! What this machine sets aside for a gateway's process.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    RuntimeError,
    log::{MOST, end_of},
    port::Reservation,
};

/// No database is smaller.
const ROOM: usize = 64 << 10;

/// A folder and a port that belong to one gateway.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    pub(super) port: Reservation,
}

impl Folder {
    pub(super) fn new(out: &Path) -> Result<Self, RuntimeError> {
        let port = Reservation::new()?;
        fs::create_dir_all(out).map_err(RuntimeError::io("create the folder", out))?;
        // A gateway has another working folder than the runner, so its paths must be whole.
        let out = fs::canonicalize(out).map_err(RuntimeError::io("find the folder", out))?;
        let path = tempfile::Builder::new()
            .prefix("gateway-")
            .tempdir_in(&out)
            .map_err(RuntimeError::io("create a folder in", out))?
            .keep();
        let folder = Self { path, port };
        fs::create_dir(folder.data()).map_err(RuntimeError::io("create the folder", folder.data()))?;
        Ok(folder)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Beside the data folder, not in it: that one is the gateway's own.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(super) fn write(&self, files: &[(String, String)]) -> Result<(), RuntimeError> {
        for (name, content) in files {
            let path = self.data().join(name);
            if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "it lies outside of the data folder");
                return Err(RuntimeError::Io { doing: "write the file", path, source });
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(RuntimeError::io("create the folder", parent))?;
            }
            fs::write(&path, content).map_err(RuntimeError::io("write the file", path))?;
        }
        Ok(())
    }

    /// Whether anything more can be written into it: what a gateway that did not start may have lacked.
    pub(super) fn has_room(&self) -> Result<(), RuntimeError> {
        let path = self.data().join("room");
        let written = fs::write(&path, [0; ROOM]);
        // What could not be written need not be there.
        let _ = fs::remove_file(&path);
        written.map_err(RuntimeError::io("write anything more into", self.data()))
    }

    /// The end of the gateway's log; nothing if it has none.
    pub(super) fn read_log(&self) -> String {
        read_end(&self.log()).unwrap_or_default()
    }
}

fn read_end(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let left_out = file.metadata()?.len().saturating_sub(MOST as u64);
    file.seek(SeekFrom::Start(left_out))?;
    let mut end = Vec::new();
    file.take(MOST as u64).read_to_end(&mut end)?;
    Ok(end_of(&end, left_out))
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A process that was killed a moment ago may have put one more file into a folder that
        // was just emptied.
        let deadline = Instant::now() + Duration::from_secs(1);
        while let Err(error) = fs::remove_dir_all(&self.path) {
            if error.kind() == io::ErrorKind::NotFound {
                return;
            }
            if Instant::now() >= deadline {
                tracing::warn!("could not remove {}: {error}", self.path.display());
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn of_a_log_that_is_flooded_the_end_is_read() {
        let out = tempfile::tempdir().unwrap();
        let folder = Folder::new(out.path()).unwrap();
        fs::write(folder.log(), "x".repeat(MOST) + "the end").unwrap();
        let log = folder.read_log();
        assert!(log.starts_with("(7 bytes before this are left out)\nx") && log.ends_with("xthe end"));
    }

    #[test]
    fn no_file_is_written_outside_of_the_data_folder() {
        let out = tempfile::tempdir().unwrap();
        let folder = Folder::new(out.path()).unwrap();
        for name in ["../escaped", "/tmp/escaped", "a/../../escaped"] {
            folder.write(&[(name.into(), "x".into())]).unwrap_err();
        }
        folder.write(&[("below/config.json".into(), "{}".into())]).unwrap();
        assert_eq!(fs::read_to_string(folder.data().join("below/config.json")).unwrap(), "{}");
    }
}
