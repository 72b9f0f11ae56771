//! Lengths of time as scenarios write them: `250ms`, `30s`, `5m`, `1h`, `1d`, `1w`, `1M`, `1Y`.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A whole number of one unit of time. `M` is 30 days and `Y` 365, as gateways count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    count: u32,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

const UNITS: [(&str, Unit, u64); 8] = [
    ("ms", Unit::Millisecond, 1),
    ("s", Unit::Second, 1000),
    ("m", Unit::Minute, 60_000),
    ("h", Unit::Hour, 3_600_000),
    ("d", Unit::Day, 86_400_000),
    ("w", Unit::Week, 7 * 86_400_000),
    ("M", Unit::Month, 30 * 86_400_000),
    ("Y", Unit::Year, 365 * 86_400_000),
];

/// Why a text is not a period.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "\"{0}\" is not a length of time; write a whole number above 0 and one of ms, s, m, h, d, w, M, Y, as in \"30s\""
)]
pub struct PeriodError(String);

impl Period {
    /// So many milliseconds.
    #[must_use]
    pub const fn millis(count: u32) -> Self {
        Self { count, unit: Unit::Millisecond }
    }

    /// So many seconds.
    #[must_use]
    pub const fn seconds(count: u32) -> Self {
        Self { count, unit: Unit::Second }
    }

    /// The same length as a standard duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        let millis = UNITS.iter().find(|(_, unit, _)| *unit == self.unit).map_or(1, |(_, _, millis)| *millis);
        Duration::from_millis(u64::from(self.count) * millis)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let unit = UNITS.iter().find(|(name, ..)| *name == unit).map(|(_, unit, _)| *unit);
        match (count.parse(), unit) {
            (Ok(count), Some(unit)) if count > 0 => Ok(Self { count, unit }),
            _ => Err(PeriodError(text.to_owned())),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = UNITS.iter().find(|(_, unit, _)| *unit == self.unit).map_or("ms", |(name, ..)| *name);
        write!(f, "{}{name}", self.count)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h|d|w|M|Y)$",
            "description": "A length of time: 250ms, 30s, 5m, 1h, 1d, 1w, 1M (30 days), 1Y (365 days)",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_minute_and_a_month_differ_by_case() {
        assert_eq!("1m".parse::<Period>().unwrap().duration(), Duration::from_secs(60));
        assert_eq!("1M".parse::<Period>().unwrap().duration(), Duration::from_secs(30 * 86_400));
    }

    #[test]
    fn zero_a_sign_a_fraction_and_a_foreign_unit_are_refused() {
        for text in ["0s", "-1d", "0.5h", "1Q", "", "s", "5"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(count in 1_u32.., unit in 0_usize..8) {
            let text = format!("{count}{}", UNITS[unit].0);
            prop_assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
    }
}
