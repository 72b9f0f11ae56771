//! Durations as a script writes them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// A duration in whole milliseconds, written `50ms` or `2s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

/// A text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{found}` is not a duration: one is written as \"50ms\" or \"2s\"")]
pub struct ParseMillisError {
    found: String,
}

impl Millis {
    /// The same time as the standard library has it.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0ms"),
            whole if whole.is_multiple_of(1000) => write!(f, "{}s", whole / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl FromStr for Millis {
    type Err = ParseMillisError;

    fn from_str(text: &str) -> Result<Millis, ParseMillisError> {
        let (digits, unit) = match text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (text.strip_suffix('s').unwrap_or(""), 1000),
        };
        // `parse` alone would take "+5".
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok()?.checked_mul(unit))
            .flatten()
            .map(Millis)
            .ok_or_else(|| ParseMillisError { found: text.to_owned() })
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Millis {
    fn schema_name() -> Cow<'static, str> {
        "Millis".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration",
            "pattern": "^[0-9]+(ms|s)$",
            "examples": ["50ms", "2s"],
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "ms", "s", "+5ms", "-1s", "1.5s", "5 ms", "99999999999999999999s"] {
            let error = text.parse::<Millis>().unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` is not a duration: one is written as \"50ms\" or \"2s\""));
        }
    }

    proptest! {
        #[test]
        fn a_duration_survives_writing_and_reading(ms in 0u64..10_000_000) {
            prop_assert_eq!(Millis(ms).to_string().parse::<Millis>().unwrap(), Millis(ms));
            prop_assert_eq!(format!("{ms}s").parse::<Millis>().unwrap(), Millis(ms * 1000));
        }
    }
}
