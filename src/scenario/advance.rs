//! How far the clock moves.

use jiff::{Timestamp, ToSpan, Unit, civil::DateTime, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::period::Period;

/// The clock moves on: the gateway's own where it can be set, and real time where it cannot.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Advance {
    /// How far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Period>,
    /// To the end of the present day, week, month or year instead, in UTC. Only a clock that can be set
    /// can be moved so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_end_of: Option<CalendarUnit>,
    /// So long before that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less: Option<Period>,
}

/// A part of the calendar.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// From midnight on.
    Day,
    /// From Monday on.
    Week,
    /// From its first day on.
    Month,
    /// From January 1 on.
    Year,
}

impl CalendarUnit {
    /// When the part that holds this moment is over.
    fn end(self, now: DateTime) -> Result<DateTime, jiff::Error> {
        let day = now.start_of_day();
        match self {
            Self::Day => day.checked_add(1.day()),
            Self::Week => day.checked_add((7 - now.weekday().to_monday_zero_offset()).days()),
            Self::Month => day.first_of_month().checked_add(1.month()),
            Self::Year => day.first_of_year().checked_add(1.year()),
        }
    }
}

impl Advance {
    /// How far to move a clock that shows `now`; whole seconds, rounded up.
    ///
    /// # Errors
    /// When it says nothing, or a time that has passed.
    pub fn period_from(&self, now: Timestamp) -> Result<Period, String> {
        let unit = match (self.by, self.to_end_of) {
            (Some(by), None) => return Ok(by),
            (None, Some(unit)) => unit,
            _ => return Err("an advance says either `by` or `to_end_of`".to_owned()),
        };
        let wrong = |error: jiff::Error| error.to_string();
        let end = unit.end(now.to_zoned(TimeZone::UTC).datetime()).map_err(wrong)?;
        let end = end.to_zoned(TimeZone::UTC).map_err(wrong)?.timestamp();
        let until = end.checked_sub(self.less.map_or(std::time::Duration::ZERO, Period::duration)).map_err(wrong)?;
        let left = until.since((Unit::Second, now)).map_err(wrong)?.get_seconds() + 1;
        u32::try_from(left)
            .ok()
            .filter(|left| *left > 0)
            .map(Period::seconds)
            .ok_or_else(|| format!("{until} has passed: it is {now}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn reached(now: &str, unit: CalendarUnit, less: &str) -> String {
        let now: Timestamp = now.parse().unwrap();
        let advance = Advance { by: None, to_end_of: Some(unit), less: less.parse().ok() };
        now.checked_add(advance.period_from(now).unwrap().duration()).unwrap().to_string()
    }

    #[test]
    fn the_end_of_a_part_of_the_calendar_is_reached_to_the_second() {
        let saturday = "2026-02-28T22:30:00Z";
        assert_eq!(reached(saturday, CalendarUnit::Day, ""), "2026-03-01T00:00:01Z");
        assert_eq!(reached(saturday, CalendarUnit::Week, ""), "2026-03-02T00:00:01Z");
        assert_eq!(reached(saturday, CalendarUnit::Month, "1h"), "2026-02-28T23:00:01Z");
        assert_eq!(reached(saturday, CalendarUnit::Year, "12h"), "2026-12-31T12:00:01Z");
    }

    #[test]
    fn a_time_that_has_passed_is_refused() {
        let now = "2026-02-28T22:30:00Z".parse().unwrap();
        let less = "2h".parse().ok();
        let advance = Advance { by: None, to_end_of: Some(CalendarUnit::Day), less };
        assert!(advance.period_from(now).is_err());
    }
}
