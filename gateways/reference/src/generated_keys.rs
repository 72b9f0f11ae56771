//! Values that were generated for virtual keys of the file: shown once, in a file that only its
//! owner can read. The database keeps their hashes.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

const FILE: &str = "generated-keys.json";

/// The values could not be added to the file.
#[derive(Debug, thiserror::Error)]
#[error("cannot write generated keys to {}: {}", .0.display(), .1)]
pub(crate) struct GeneratedKeysError(PathBuf, io::Error);

/// Adds names and values to the file in `folder`. What stands there stays: nothing else has those
/// values. The file is replaced as a whole, so that a process that is killed leaves one or the other.
pub(crate) fn add(folder: &Path, generated: &[(String, String)]) -> Result<(), GeneratedKeysError> {
    if generated.is_empty() {
        return Ok(());
    }
    let path = folder.join(FILE);
    replace(&path, generated).map_err(|error| GeneratedKeysError(path.clone(), error))?;
    tracing::info!(path = %path.display(), "values were generated for virtual keys");
    Ok(())
}

fn replace(path: &Path, generated: &[(String, String)]) -> io::Result<()> {
    let mut values = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(error),
    };
    values.extend(generated.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
    let new = path.with_extension("json.new");
    // One that a killed process left may have another mode.
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
    writeln!(file, "{:#}", Value::Object(values))?;
    file.sync_all()?;
    std::fs::rename(new, path)
}
