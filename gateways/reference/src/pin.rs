//! The provider key that a caller pins with `x-bf-api-key` (a name) or `x-bf-api-key-id`.

use axum::http::{HeaderMap, HeaderName};

use crate::config::ProviderKey;

static NAME: HeaderName = HeaderName::from_static("x-bf-api-key");
static ID: HeaderName = HeaderName::from_static("x-bf-api-key-id");

/// What a request says of the provider key to use. Without a header: any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pin {
    name: Option<String>,
    id: Option<String>,
}

/// A header that stands there twice with two values, or that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the header {0} does not name one provider key")]
pub(crate) struct PinError(HeaderName);

impl Pin {
    /// Reads the two headers.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Pin, PinError> {
        Ok(Pin { name: one(headers, &NAME)?, id: one(headers, &ID)? })
    }

    /// Whether no key is pinned.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_none() && self.id.is_none()
    }

    /// Whether this key may be used.
    pub(crate) fn admits(&self, key: &ProviderKey) -> bool {
        self.name.as_ref().is_none_or(|name| *name == key.name) && self.id.as_ref().is_none_or(|id| *id == key.id)
    }

    /// What the caller named, for messages.
    pub(crate) fn shown(&self) -> String {
        let parts: Vec<&str> = [&self.name, &self.id].into_iter().flatten().map(String::as_str).collect();
        parts.join(" / ")
    }
}

fn one(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, PinError> {
    let error = || PinError(name.clone());
    let mut found: Option<String> = None;
    for value in headers.get_all(name) {
        let value = value.to_str().map_err(|_| error())?.trim();
        if value.is_empty() || found.as_ref().is_some_and(|other| other != value) {
            return Err(error());
        }
        found = Some(value.to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use axum::http::HeaderValue;

    fn pin(values: &[(&'static str, &'static str)]) -> Result<Pin, PinError> {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Pin::of(&headers)
    }

    #[test]
    fn one_key_is_pinned_by_name_by_id_or_by_both() {
        assert!(pin(&[]).unwrap().is_empty());
        assert_eq!(pin(&[("x-bf-api-key", "a"), ("x-bf-api-key", "a")]).unwrap().shown(), "a");
        assert_eq!(pin(&[("x-bf-api-key", "a"), ("x-bf-api-key-id", "1")]).unwrap().shown(), "a / 1");
    }

    #[test]
    fn two_names_or_an_empty_one_pin_nothing_and_are_refused() {
        assert!(pin(&[("x-bf-api-key", "a"), ("x-bf-api-key", "b")]).is_err());
        assert!(pin(&[("x-bf-api-key-id", " ")]).is_err());
    }
}
