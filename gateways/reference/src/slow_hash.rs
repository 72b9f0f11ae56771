//! Hashes of passwords at rest.

use argon2::Argon2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// A hash that takes long to try a guess against: Argon2id over a salt of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlowHash {
    salt: String,
    /// In Base64.
    hash: String,
}

impl SlowHash {
    pub(crate) fn of(text: &str) -> Result<SlowHash, BadSalt> {
        let salt = new_salt();
        let hash = STANDARD.encode(derive(text, &salt)?);
        Ok(SlowHash { salt, hash })
    }

    /// Whether it is the hash of this text. Takes tens of milliseconds.
    pub(crate) fn is(&self, text: &str) -> bool {
        let known = STANDARD.decode(&self.hash).unwrap_or_default();
        derive(text, &self.salt).is_ok_and(|hash| hash.as_slice().ct_eq(&known).into())
    }
}

/// A salt of its own for each hash.
pub(crate) fn new_salt() -> String {
    Uuid::new_v4().simple().to_string()
}

pub(crate) fn derive(text: &str, salt: &str) -> Result<[u8; 32], BadSalt> {
    let mut hash = [0; 32];
    Argon2::default().hash_password_into(text.as_bytes(), salt.as_bytes(), &mut hash).map_err(|_| BadSalt)?;
    Ok(hash)
}

/// The stored salt is too short or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a salt in the database cannot be used")]
pub(crate) struct BadSalt;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other_is() {
        let hash = SlowHash::of("pass:word").unwrap();
        assert!(hash.is("pass:word"));
        assert!(!hash.is("pass:wore"));
        assert_ne!(hash, SlowHash::of("pass:word").unwrap(), "each has its own salt");
    }
}
