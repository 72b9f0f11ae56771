//! By what a changed entity of the file is known at the next start.

use sha2::{Digest as _, Sha256};

use crate::identity;

/// The hash of an entity of `config.json`: the first half of a SHA-256, since there may be hundreds of
/// thousands, and the file's author is nobody to be on guard against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHash([u8; 16]);

impl FileHash {
    /// The hash of what the entity says, part by part.
    pub(crate) fn of(parts: &[&str]) -> FileHash {
        let mut half = [0; 16];
        half.iter_mut().zip(digest(parts)).for_each(|(half, byte)| *half = byte);
        FileHash(half)
    }

    pub(crate) fn to_hex(self) -> String {
        identity::hex(&self.0)
    }

    pub(crate) fn from_hex(text: &str) -> Option<FileHash> {
        identity::unhex(text).map(FileHash)
    }
}

/// The whole hash of what the file says in place of a document, in hexadecimal digits. There are few documents.
pub(crate) fn document_hash(parts: &[&str]) -> String {
    identity::hex(&digest(parts))
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_string());
        hash.update(":");
        hash.update(part);
    }
    hash.finalize().into()
}
