//! Seals credentials that the management API is given: AES-256-GCM, with a key that Argon2id
//! makes from a passphrase.

use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead as _, Generate as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::slow_hash::{BadSalt, derive};

type Nonce = Array<u8, U12>;

/// What is wrong with an encrypted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    /// The stored salt cannot be used.
    #[error(transparent)]
    Salt(#[from] BadSalt),
    /// It was sealed with another key, or changed since.
    #[error(
        "the encryption key (`encryption_key`, BIFROST_ENCRYPTION_KEY) is not the one with which the database was written"
    )]
    WrongKey,
    /// There is nothing to open it with.
    #[error("the database holds encrypted values, and neither `encryption_key` nor BIFROST_ENCRYPTION_KEY is set")]
    NoKey,
    /// It could not be sealed.
    #[error("a value could not be encrypted")]
    Seal,
}

/// Seals and opens texts with a key that Argon2id makes from a passphrase.
#[derive(Clone)]
pub(crate) struct Sealer(Aes256Gcm);

impl Sealer {
    /// The sealer for a passphrase and the database's salt. Takes tens of milliseconds.
    pub(crate) fn new(passphrase: &str, salt: &str) -> Result<Sealer, SecretError> {
        let key = derive(passphrase, salt)?;
        Ok(Sealer(Aes256Gcm::new(&Key::<Aes256Gcm>::from(key))))
    }

    /// The nonce and the sealed text, in Base64.
    pub(crate) fn seal(&self, text: &str) -> Result<String, SecretError> {
        let nonce = Nonce::try_generate().map_err(|_| SecretError::Seal)?;
        let sealed = self.0.encrypt(&nonce, text.as_bytes()).map_err(|_| SecretError::Seal)?;
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// The text that was sealed.
    pub(crate) fn open(&self, sealed: &str) -> Result<String, SecretError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| SecretError::WrongKey)?;
        let (nonce, sealed) = bytes.split_first_chunk().ok_or(SecretError::WrongKey)?;
        let text = self.0.decrypt(&Nonce::from(*nonce), sealed).map_err(|_| SecretError::WrongKey)?;
        String::from_utf8(text).map_err(|_| SecretError::WrongKey)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_passphrase_or_another_salt_does_not_open() {
        let sealed = Sealer::new("one", "salt-of-the-database").unwrap().seal("sk-secret").unwrap();
        assert!(!sealed.contains("sk-secret"));
        for (passphrase, salt) in [("two", "salt-of-the-database"), ("one", "salt-of-another-one")] {
            assert_eq!(Sealer::new(passphrase, salt).unwrap().open(&sealed), Err(SecretError::WrongKey));
        }
    }

    #[test]
    fn what_is_no_sealed_text_is_an_error_and_no_panic() {
        let sealer = Sealer::new("one", "salt-of-the-database").unwrap();
        for text in ["", "!", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(sealer.open(text), Err(SecretError::WrongKey), "{text}");
        }
    }

    #[test]
    fn whatever_is_sealed_is_opened_again() {
        let sealer = Sealer::new("one", "salt-of-the-database").unwrap();
        proptest!(|(text in ".*")| {
            let sealed = sealer.seal(&text).unwrap();
            prop_assert_eq!(sealer.open(&sealed), Ok(text));
        });
    }
}
