//! Lengths of time as a configuration writes them: `30s`, `1h30m`, `0.5d`, `1M`.
//!
//! The grammar is Bifrost's: what Go reads as a duration, or one number with `d`, `w`, `M`,
//! `Q` or `Y`, which may have decimals too.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::calendar::Calendar;

const NANOS_PER_MILLI: i128 = 1_000_000;
const DAY_NANOS: i128 = 86_400_000_000_000;
/// A day and longer, with their lengths in nanoseconds. Each stands alone: `1d12h` is no duration.
const CALENDAR_UNITS: [(char, i128); 5] =
    [('d', DAY_NANOS), ('w', 7 * DAY_NANOS), ('M', 30 * DAY_NANOS), ('Q', 90 * DAY_NANOS), ('Y', 365 * DAY_NANOS)];
/// Go's units and their lengths in nanoseconds. Longer names first, so that `ms` is not read
/// as `m`. The two signs for micro are two characters.
const GO_UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", NANOS_PER_MILLI),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// More decimals than these say less than a nanosecond in any unit.
const MOST_DECIMALS: usize = 18;
/// A thousand years: what is longer is a mistake.
const LONGEST_NANOS: i128 = 1_000 * 365 * DAY_NANOS;

/// How long a window lasts. Whoever has another one of the same length can share it: there may
/// be hundreds of thousands of windows, and they have few lengths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResetDuration(Arc<Length>);

/// The text as written, its length in milliseconds, and whether the calendar says where a window
/// begins and ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Length {
    text: SmolStr,
    millis: i64,
    calendar: Option<Calendar>,
}

/// Why a text is no length of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a duration: write a positive number with ms, s, m, h, or with d, w, M (30 days), Q (90 days) or Y (365 days) alone"
)]
pub(crate) struct DurationError(String);

/// Why a window cannot follow the calendar.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` cannot follow the calendar: calendar windows are whole numbers of d, w, M, Q or Y")]
pub(crate) struct NotOnCalendar(SmolStr);

impl ResetDuration {
    /// The length in milliseconds; at least one. A month of the calendar counts 30 days here.
    pub(crate) fn millis(&self) -> i64 {
        self.0.millis
    }

    /// The length as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// Where the calendar has its boundaries, if this length follows it.
    pub(crate) fn calendar(&self) -> Option<Calendar> {
        self.0.calendar
    }

    /// Whether windows of this length follow the calendar.
    pub(crate) fn is_on_calendar(&self) -> bool {
        self.0.calendar.is_some()
    }

    /// The same length, following the calendar or not.
    pub(crate) fn aligned(self, is_aligned: bool) -> Result<ResetDuration, NotOnCalendar> {
        if is_aligned { self.on_calendar() } else { Ok(self.with(None)) }
    }

    /// The same length, following the calendar if that is asked for and can be.
    pub(crate) fn aligned_where_possible(self, is_aligned: bool) -> ResetDuration {
        let calendar = if is_aligned { calendar(self.text()) } else { None };
        self.with(calendar)
    }

    /// The same length, following the calendar.
    pub(super) fn on_calendar(self) -> Result<ResetDuration, NotOnCalendar> {
        let Some(calendar) = calendar(self.text()) else {
            return Err(NotOnCalendar(self.0.text.clone()));
        };
        Ok(self.with(Some(calendar)))
    }

    fn with(mut self, calendar: Option<Calendar>) -> ResetDuration {
        if self.0.calendar != calendar {
            Arc::make_mut(&mut self.0).calendar = calendar;
        }
        self
    }
}

impl FromStr for ResetDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        nanos(text)
            .filter(|nanos| (1..=LONGEST_NANOS).contains(nanos))
            .and_then(|nanos| i64::try_from((nanos + NANOS_PER_MILLI - 1) / NANOS_PER_MILLI).ok())
            .map(|millis| ResetDuration(Arc::new(Length { text: text.into(), millis, calendar: None })))
            .ok_or_else(|| DurationError(text.to_owned()))
    }
}

fn nanos(text: &str) -> Option<i128> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Some((number, _, length)) = in_calendar_unit(text) {
        return scaled(number, length);
    }
    let mut rest = text;
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let (unit, length) = GO_UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        rest = tail.get(unit.len()..)?;
        total = total.checked_add(scaled(number, *length)?)?;
    }
    Some(total)
}

/// A number, its unit and the unit's length, where that is a day or longer.
fn in_calendar_unit(text: &str) -> Option<(&str, char, i128)> {
    let (unit, length) = CALENDAR_UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
    Some((text.strip_suffix(unit)?, unit, length))
}

/// The windows of the calendar that a whole number of days and longer stands for.
fn calendar(text: &str) -> Option<Calendar> {
    let (number, unit, length) = in_calendar_unit(text.strip_prefix('+').unwrap_or(text))?;
    let nanos = scaled(number, length)?;
    let count = i64::try_from(nanos / length).ok().filter(|count| *count > 0 && nanos % length == 0)?;
    Some(match unit {
        'd' => Calendar::Days(count),
        'w' => Calendar::Weeks(count),
        'M' => Calendar::Months(count),
        'Q' => Calendar::Months(count.checked_mul(3)?),
        _ => Calendar::Months(count.checked_mul(12)?),
    })
}

/// `number` times `length`, where `number` may have decimals.
fn scaled(number: &str, length: i128) -> Option<i128> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + decimals.len() == 0 || whole.len() > 18 || !is_digits(whole) || !is_digits(decimals) {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(length)?;
    let decimals = decimals.get(..decimals.len().min(MOST_DECIMALS))?;
    if !decimals.is_empty() {
        let scale = 10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
        total += decimals.parse::<i128>().ok()?.checked_mul(length)? / scale;
    }
    Some(total)
}

impl fmt::Display for ResetDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for ResetDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for ResetDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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
        assert_eq!(millis("1Q"), 7_776_000_000);
        assert_eq!(millis("1Y"), 31_536_000_000);
    }

    #[test]
    fn what_go_reads_is_read_as_go_reads_it() {
        assert_eq!(millis("+1h"), 3_600_000);
        assert_eq!(millis(".5s"), 500);
        assert_eq!(millis("1.s"), 1_000);
        assert_eq!(millis("1m1m"), 120_000);
        assert_eq!(millis("2000\u{b5}s"), millis("2000\u{3bc}s"));
        assert_eq!(millis("0.33333333333333333333h"), 1_200_000);
        assert_eq!(millis("1.5M"), 3_888_000_000);
        assert_eq!(millis("+0.5w"), 302_400_000);
    }

    #[test]
    fn what_is_no_positive_duration_is_refused() {
        for text in [
            "",
            "0s",
            "-1h",
            "1",
            "h",
            "1x",
            "1d12h",
            "2h1d",
            ".s",
            "1..5h",
            "9999999999Y",
            "1 h",
            "0d",
            "-1d",
            "+",
            "d",
            "1h30d",
            "1D",
            "1d ",
            "++1d",
        ] {
            assert!(text.parse::<ResetDuration>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_error_names_the_text() {
        let error = "soon".parse::<ResetDuration>().unwrap_err().to_string();
        assert!(error.starts_with("`soon` is not a duration"), "{error}");
        let error = "36h".parse::<ResetDuration>().unwrap().on_calendar().unwrap_err().to_string();
        assert!(error.starts_with("`36h` cannot follow the calendar"), "{error}");
    }

    #[test]
    fn whole_days_and_longer_can_follow_the_calendar_and_keep_their_number() {
        let calendar = |text: &str| text.parse::<ResetDuration>().unwrap().on_calendar().ok()?.calendar();
        assert_eq!(calendar("1d"), Some(Calendar::Days(1)));
        assert_eq!(calendar("2w"), Some(Calendar::Weeks(2)));
        assert_eq!(calendar("3M"), Some(Calendar::Months(3)));
        assert_eq!(calendar("1Q"), Some(Calendar::Months(3)));
        assert_eq!(calendar("1.0Y"), Some(Calendar::Months(12)));
        for text in ["24h", "30s", "0.5d", "1.5M"] {
            assert_eq!(calendar(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_seconds_round_trip(seconds in 1_i64..1_000_000_000) {
            prop_assert_eq!(millis(&format!("{seconds}s")), seconds * 1_000);
        }

        #[test]
        fn reading_never_panics(text in "[0-9.+smhdwMQYnuµ ]{0,24}") {
            let _ = text.parse::<ResetDuration>().map(ResetDuration::on_calendar);
        }
    }
}
