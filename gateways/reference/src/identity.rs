//! Who is asking: the virtual key of a request, found by the SHA-256 of its value.

use axum::http::{HeaderMap, HeaderName, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// The headers whose whole value is a key.
static PLAIN: [HeaderName; 4] = [
    HeaderName::from_static("x-bf-vk"),
    // That of Azure's clients.
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
];
/// For whoever has brought none.
pub(crate) const HOW_TO_BRING_ONE: &str =
    "Provide one as `Authorization: Bearer <key>`, or in x-bf-vk, x-api-key, x-goog-api-key or api-key.";
const PREFIX: &str = "sk-bf-";
/// How much of a value people may see.
const HINT_CHARS: usize = 10;

/// The SHA-256 of a key's value. The value itself is not kept.
#[expect(clippy::derived_hash_with_manual_eq, reason = "the two agree: both are of all bytes")]
#[derive(Clone, Copy, Debug, Eq, Hash)]
pub(crate) struct KeyHash([u8; 32]);

impl PartialEq for KeyHash {
    /// Takes a time that does not depend on where the two differ, also where a map compares them.
    fn eq(&self, other: &KeyHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl KeyHash {
    pub(crate) fn of(value: &str) -> KeyHash {
        KeyHash(Sha256::digest(value.as_bytes()).into())
    }

    pub(crate) fn to_hex(self) -> String {
        hex(&self.0)
    }

    pub(crate) fn from_hex(text: &str) -> Option<KeyHash> {
        unhex(text).map(KeyHash)
    }
}

/// What is kept of a key's value: enough to know it again, and to show which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) hash: KeyHash,
    pub(crate) hint: String,
}

impl KeyValue {
    pub(crate) fn of(value: &str) -> KeyValue {
        KeyValue { hash: KeyHash::of(value), hint: hint(value) }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
    let digits: Vec<u8> = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    // Digits are text.
    String::from_utf8(digits).unwrap_or_default()
}

/// The bytes of what [`hex`] gave for a hash.
pub(crate) fn unhex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; BYTES] = pairs.try_into().ok()?;
    let mut bytes = [0; BYTES];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// A new value, as Bifrost makes them.
pub(crate) fn generate() -> String {
    format!("{PREFIX}{}", Uuid::new_v4())
}

/// The beginning of a value; never more than a third of it.
pub(crate) fn hint(value: &str) -> String {
    let shown: String = value.chars().take(HINT_CHARS.min(value.chars().count() / 3)).collect();
    format!("{shown}…")
}

/// The key that a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    None,
    Key(KeyHash),
    /// Two different keys in one request.
    Conflict,
}

/// Reads the key from `x-bf-vk`, `Authorization: Bearer`, `api-key`, `x-api-key` and
/// `x-goog-api-key`. An empty header brings no key.
pub(crate) fn presented(headers: &HeaderMap) -> Presented {
    let plain = PLAIN.iter().flat_map(|name| headers.get_all(name)).map(|value| (value, false));
    let bearers = headers.get_all(header::AUTHORIZATION).iter().map(|value| (value, true));
    let mut found = Presented::None;
    for (value, is_bearer) in plain.chain(bearers) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let value = if is_bearer { bearer(&text) } else { Some(text.trim()) };
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        let hash = KeyHash::of(value);
        found = match found {
            Presented::None => Presented::Key(hash),
            Presented::Key(other) if other == hash => found,
            Presented::Key(_) | Presented::Conflict => return Presented::Conflict,
        };
    }
    found
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_literal_key_counts_in_every_header() {
        let expected = Presented::Key(KeyHash::of("sk-proxy"));
        for pair in [
            ("x-bf-vk", "sk-proxy"),
            ("authorization", "Bearer sk-proxy"),
            ("authorization", "bearer sk-proxy"),
            ("api-key", "sk-proxy"),
            ("x-api-key", "sk-proxy"),
            ("x-goog-api-key", "sk-proxy"),
        ] {
            assert_eq!(presented(&headers(&[pair])), expected, "{pair:?}");
        }
    }

    #[test]
    fn whoever_has_brought_no_key_is_told_every_header_that_may_have_one() {
        let told = HOW_TO_BRING_ONE.split_once("in ").map(|(_, names)| names.trim_end_matches('.')).unwrap();
        let told: BTreeSet<&str> = told.split(", ").flat_map(|names| names.split(" or ")).collect();
        assert_eq!(told, PLAIN.iter().map(HeaderName::as_str).collect());
    }

    #[test]
    fn the_same_key_twice_is_one_and_two_keys_conflict() {
        let same = [("x-bf-vk", "a"), ("authorization", "Bearer a")];
        assert_eq!(presented(&headers(&same)), Presented::Key(KeyHash::of("a")));
        let two = [("x-bf-vk", "a"), ("x-api-key", "b")];
        assert_eq!(presented(&headers(&two)), Presented::Conflict);
        let repeated = [("x-bf-vk", "a"), ("x-bf-vk", "b")];
        assert_eq!(presented(&headers(&repeated)), Presented::Conflict);
    }

    #[test]
    fn an_empty_header_and_another_scheme_bring_no_key() {
        for pair in [("x-bf-vk", ""), ("authorization", "Bearer "), ("authorization", "Basic YTpi"), ("api-key", "")] {
            assert_eq!(presented(&headers(&[pair])), Presented::None, "{pair:?}");
        }
    }

    #[test]
    fn hashes_that_differ_in_one_byte_are_not_the_same() {
        let hash = KeyHash::of("sk-proxy");
        assert_eq!(hash, KeyHash::of("sk-proxy"));
        for at in 0..32 {
            let mut other = hash;
            other.0[at] ^= 1;
            assert_ne!(hash, other, "byte {at}");
        }
    }

    #[test]
    fn a_hash_survives_its_hexadecimal_form() {
        let hash = KeyHash::of("sk-proxy");
        assert_eq!(KeyHash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(KeyHash::from_hex("zz"), None);
    }

    #[test]
    fn a_hint_shows_a_third_of_a_value_at_most() {
        assert_eq!(hint("sk-proxy"), "sk…");
        assert_eq!(hint("sk-bf-00000000-0000-0000-0000-000000000001"), "sk-bf-0000…");
    }
}
