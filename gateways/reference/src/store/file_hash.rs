//! By what a changed entity of the file is known at the next start.

use sha2::{Digest as _, Sha256};

use crate::identity;

/// The hash of an entity of `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHash([u8; 32]);

impl FileHash {
    /// The hash of what the entity says, part by part.
    pub(crate) fn of(parts: &[&str]) -> FileHash {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_string());
            hash.update(":");
            hash.update(part);
        }
        FileHash(hash.finalize().into())
    }

    pub(crate) fn to_hex(self) -> String {
        identity::hex(&self.0)
    }

    pub(crate) fn from_hex(text: &str) -> Option<FileHash> {
        identity::unhex(text).map(FileHash)
    }
}
