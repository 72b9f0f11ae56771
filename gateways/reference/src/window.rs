//! Lengths of time as a configuration writes them (`30s`, `1h30m`, `1d`, `1M`),
//! and the fixed windows that budgets and rate limits count in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Moment;

const NANOS_PER_MILLI: i128 = 1_000_000;
/// The units of the grammar and their length in nanoseconds. Longer names first,
/// so that `ms` is not read as `m`.
const UNITS: [(&str, i128); 11] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", NANOS_PER_MILLI),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 7 * 86_400_000_000_000),
    ("M", 30 * 86_400_000_000_000),
    ("Y", 365 * 86_400_000_000_000),
];
/// A thousand years: what is longer is a mistake.
const LONGEST_NANOS: i128 = 1_000 * 365 * 86_400_000_000_000;

/// How long a window lasts: the text as written, and its length in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResetDuration {
    text: Arc<str>,
    millis: i64,
}

/// Why a text is no length of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a duration: write a positive number with ms, s, m, h, d, w, M (30 days) or Y (365 days)")]
pub(crate) struct DurationError(String);

impl ResetDuration {
    /// The length in milliseconds; at least one.
    pub(crate) fn millis(&self) -> i64 {
        self.millis
    }

    /// The length as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl FromStr for ResetDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        nanos(text)
            .filter(|nanos| (1..=LONGEST_NANOS).contains(nanos))
            .and_then(|nanos| i64::try_from((nanos + NANOS_PER_MILLI - 1) / NANOS_PER_MILLI).ok())
            .map(|millis| ResetDuration { text: text.into(), millis })
            .ok_or_else(|| DurationError(text.to_owned()))
    }
}

fn nanos(text: &str) -> Option<i128> {
    let mut rest = text;
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let (unit, length) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        // A day and longer stand alone, as in Bifrost: `1d12h` is no duration.
        let calendar = matches!(*unit, "d" | "w" | "M" | "Y");
        rest = tail.get(unit.len()..)?;
        if calendar && (total != 0 || !rest.is_empty()) {
            return None;
        }
        total = total.checked_add(scaled(number, *length)?)?;
    }
    Some(total)
}

/// `number` times `length`, where `number` may have a fraction.
fn scaled(number: &str, length: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 || whole.len() > 18 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(length)?;
    if !fraction.is_empty() {
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        total += fraction.parse::<i128>().ok()?.checked_mul(length)? / scale;
    }
    Some(total)
}

impl fmt::Display for ResetDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for ResetDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ResetDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A stretch of time with a beginning and a length. The next one begins at the
/// first use after the end of this one, not on a fixed grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// When this window began.
    pub start: Moment,
    /// How long it lasts.
    pub length: ResetDuration,
}

impl Window {
    /// The first moment that no longer belongs to this window.
    pub(crate) fn ends(&self) -> Moment {
        self.start.after(self.length.millis)
    }

    /// Whether `now` lies behind this window's end.
    pub(crate) fn has_ended(&self, now: Moment) -> bool {
        now >= self.ends()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn millis(text: &str) -> i64 {
        text.parse::<ResetDuration>().unwrap().millis()
    }

    #[test]
    fn every_unit_of_the_grammar_has_its_length() {
        assert_eq!(millis("1500ms"), 1_500);
        assert_eq!(millis("30s"), 30_000);
        assert_eq!(millis("5m"), 300_000);
        assert_eq!(millis("1h30m"), 5_400_000);
        assert_eq!(millis("1.5h"), 5_400_000);
        assert_eq!(millis("0.5d"), 43_200_000);
        assert_eq!(millis("1w"), 604_800_000);
        assert_eq!(millis("1M"), 2_592_000_000);
        assert_eq!(millis("1Y"), 31_536_000_000);
    }

    #[test]
    fn what_is_no_positive_duration_is_refused() {
        for text in ["", "0s", "-1h", "1", "h", "1x", "1d12h", "2h1d", ".s", "1..5h", "9999999999Y", "1 h"] {
            assert!(text.parse::<ResetDuration>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_window_ends_exactly_its_length_after_its_start() {
        let window = Window { start: Moment::from_millis(1_000), length: "1s".parse().unwrap() };
        assert!(!window.has_ended(Moment::from_millis(1_999)));
        assert!(window.has_ended(Moment::from_millis(2_000)));
    }

    proptest! {
        #[test]
        fn whole_seconds_round_trip(seconds in 1_i64..1_000_000_000) {
            prop_assert_eq!(millis(&format!("{seconds}s")), seconds * 1_000);
        }

        #[test]
        fn reading_never_panics(text in "[0-9.smhdwMYnuµ ]{0,24}") {
            let _ = text.parse::<ResetDuration>();
        }
    }
}
