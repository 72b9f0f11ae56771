//! The administrator: whose name and password open the management API.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::Admin;
use crate::slow_hash::{BadSalt, SlowHash};

/// A password as an administrator left it in the database: never itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredPassword {
    /// The environment variable that has it.
    Env(String),
    Argon2id(SlowHash),
}

/// The administrator as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredAdmin {
    /// As it was written, perhaps `env.NAME`.
    pub(crate) admin_username: String,
    pub(crate) admin_password: StoredPassword,
}

/// The administrator.
pub(crate) struct Administrator {
    username: String,
    password: Password,
}

enum Password {
    /// From the configuration, or from a variable.
    Plain(String),
    /// The SHA-256 of the password is known once it was given: from then on a request costs
    /// no slow hash.
    Hashed { slow: SlowHash, known: OnceLock<[u8; 32]> },
}

/// Why a stored administrator cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdministratorError {
    /// A variable is not set or empty.
    #[error("external reference env.{0} resolved to an empty value")]
    Variable(String),
}

impl Administrator {
    pub(crate) fn of_file(admin: &Admin) -> Administrator {
        Administrator { username: admin.username.clone(), password: Password::Plain(admin.password.clone()) }
    }

    /// The stored administrator, with `lookup` for variables.
    pub(crate) fn of_stored(
        stored: &StoredAdmin,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Administrator, AdministratorError> {
        let value = |name: &str| {
            lookup(name).filter(|value| !value.is_empty()).ok_or_else(|| AdministratorError::Variable(name.to_owned()))
        };
        let username = match stored.admin_username.strip_prefix("env.") {
            Some(name) => value(name)?,
            None => stored.admin_username.clone(),
        };
        let password = match &stored.admin_password {
            StoredPassword::Env(name) => Password::Plain(value(name)?),
            StoredPassword::Argon2id(slow) => Password::Hashed { slow: slow.clone(), known: OnceLock::new() },
        };
        Ok(Administrator { username, password })
    }

    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    /// The password in the form in which it may be stored. Slow.
    pub(crate) fn stored_password(&self) -> Result<StoredPassword, BadSalt> {
        Ok(StoredPassword::Argon2id(match &self.password {
            Password::Plain(password) => SlowHash::of(password)?,
            Password::Hashed { slow, .. } => slow.clone(),
        }))
    }

    /// Whether `name:password` are known to be the administrator's without a slow hash.
    pub(crate) fn is_known(&self, pair: &[u8]) -> bool {
        self.compare(pair, |password| match &self.password {
            Password::Plain(expected) => sha256(password).ct_eq(&sha256(expected.as_bytes())).into(),
            Password::Hashed { known, .. } => known.get().is_some_and(|known| known.ct_eq(&sha256(password)).into()),
        })
    }

    /// Whether `name:password` are the administrator's. It takes the same time wherever they
    /// differ, and a long time while a stored password has not been given yet.
    pub(crate) fn is(&self, pair: &[u8]) -> bool {
        let Password::Hashed { slow, known } = &self.password else { return self.is_known(pair) };
        self.is_known(pair)
            || self.compare(pair, |password| {
                let is_right = std::str::from_utf8(password).is_ok_and(|password| slow.is(password));
                // Another request may have been first.
                let _ = !is_right || known.set(sha256(password)).is_ok();
                is_right
            })
    }

    /// Compares the name, and the password as `is_right` says: both, whatever the other says.
    fn compare(&self, pair: &[u8], is_right: impl FnOnce(&[u8]) -> bool) -> bool {
        // The name may have a colon in it.
        let (name, rest) = pair.split_at_checked(self.username.len()).unwrap_or((b"", b""));
        let name_is_right = name.ct_eq(self.username.as_bytes()) & rest.first().copied().unwrap_or(0).ct_eq(&b':');
        bool::from(name_is_right) & is_right(rest.get(1..).unwrap_or_default())
    }
}

fn sha256(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// What the file says about the administrator, as one text to make a slow hash of.
pub(crate) fn mark(admin: Option<&Admin>) -> String {
    admin.map_or_else(String::new, |admin| format!("{}:{}{}", admin.username.len(), admin.username, admin.password))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    fn stored() -> Administrator {
        let slow = SlowHash::of("pass:word").unwrap();
        let stored =
            StoredAdmin { admin_username: "ad:min".to_owned(), admin_password: StoredPassword::Argon2id(slow) };
        Administrator::of_stored(&stored, none).unwrap()
    }

    #[test]
    fn a_pair_is_right_as_a_whole_or_not_at_all() {
        let file = Administrator::of_file(&Admin { username: "ad:min".to_owned(), password: "pass:word".to_owned() });
        for admin in [file, stored()] {
            for _ in 0..2 {
                assert!(admin.is(b"ad:min:pass:word"));
                for wrong in ["", ":", "ad:min", "ad:min:", "ad:min:pass", "ad:minxpass:word", "bd:min:pass:word"] {
                    assert!(!admin.is(wrong.as_bytes()), "{wrong}");
                }
            }
        }
    }

    #[test]
    fn a_variable_is_read_and_an_empty_one_is_named() {
        let by_variable = StoredAdmin {
            admin_username: "env.NAME".to_owned(),
            admin_password: StoredPassword::Env("PASSWORD".to_owned()),
        };
        let lookup = |name: &str| Some(if name == "NAME" { "root" } else { "toor" }.to_owned());
        assert!(Administrator::of_stored(&by_variable, lookup).unwrap().is(b"root:toor"));
        let error = Administrator::of_stored(&by_variable, none).err().unwrap();
        assert_eq!(error.to_string(), "external reference env.NAME resolved to an empty value");
    }
}
