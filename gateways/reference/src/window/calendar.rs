//! Where the calendar's windows meet: at midnight, on Mondays, on the first of months,
//! all in UTC. Several days, weeks or months are counted from 1970, so that `3M` are the
//! quarters of a year and `2w` the same two weeks for everybody.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::clock::Moment;

const DAY_MILLIS: i64 = 86_400_000;
/// The first Monday of 1970 was its fifth day.
const FIRST_MONDAY: i64 = 4;
const FIRST_YEAR: i64 = 1970;

/// How long a window of the calendar lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Calendar {
    Days(i64),
    /// Beginning on a Monday.
    Weeks(i64),
    /// Beginning on the first.
    Months(i64),
}

impl Calendar {
    /// When the window that `moment` belongs to began.
    pub(super) fn start(self, moment: Moment) -> Option<Moment> {
        self.boundary(moment, 0)
    }

    /// When the next window begins.
    pub(super) fn next(self, moment: Moment) -> Option<Moment> {
        self.boundary(moment, 1)
    }

    /// The beginning of the window so many after that of `moment`; none beyond the year 9999.
    fn boundary(self, moment: Moment, later: i64) -> Option<Moment> {
        let day = moment.millis().div_euclid(DAY_MILLIS);
        let on_grid = |at: i64, every: i64| (at.div_euclid(every) + later).checked_mul(every);
        match self {
            Calendar::Days(every) => of_day(on_grid(day, every)?),
            Calendar::Weeks(every) => {
                let every = every.checked_mul(7)?;
                of_day(on_grid(day - FIRST_MONDAY, every)? + FIRST_MONDAY)
            }
            Calendar::Months(every) => {
                let date = Timestamp::from_millisecond(moment.millis()).ok()?.to_zoned(TimeZone::UTC).date();
                of_month(on_grid(month_of(date), every)?)
            }
        }
    }
}

fn of_day(day: i64) -> Option<Moment> {
    day.checked_mul(DAY_MILLIS).map(Moment::from_millis)
}

/// The months since January 1970.
fn month_of(date: Date) -> i64 {
    (i64::from(date.year()) - FIRST_YEAR) * 12 + i64::from(date.month()) - 1
}

fn of_month(month: i64) -> Option<Moment> {
    let year = i16::try_from(FIRST_YEAR + month.div_euclid(12)).ok()?;
    let month = i8::try_from(month.rem_euclid(12) + 1).ok()?;
    let first = Date::new(year, month, 1).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(Moment::from_millis(first.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Moment {
        Moment::from_millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn around(calendar: Calendar, moment: &str) -> (String, String) {
        let moment = at(moment);
        (calendar.start(moment).unwrap().to_string(), calendar.next(moment).unwrap().to_string())
    }

    fn dates(start: &str, next: &str) -> (String, String) {
        (format!("{start}T00:00:00Z"), format!("{next}T00:00:00Z"))
    }

    #[test]
    fn a_window_begins_at_midnight_on_monday_on_the_first_or_on_new_years_day() {
        let moment = "2026-11-21T14:40:00Z";
        assert_eq!(around(Calendar::Days(1), moment), dates("2026-11-21", "2026-11-22"));
        assert_eq!(around(Calendar::Weeks(1), moment), dates("2026-11-16", "2026-11-23"));
        assert_eq!(around(Calendar::Months(1), moment), dates("2026-11-01", "2026-12-01"));
        assert_eq!(around(Calendar::Months(12), moment), dates("2026-01-01", "2027-01-01"));
    }

    #[test]
    fn several_months_are_those_of_the_years_grid() {
        assert_eq!(around(Calendar::Months(3), "2026-11-21T00:00:00Z"), dates("2026-10-01", "2027-01-01"));
        assert_eq!(around(Calendar::Months(6), "2026-06-30T23:59:59Z"), dates("2026-01-01", "2026-07-01"));
        assert_eq!(around(Calendar::Months(60), "2026-06-30T23:59:59Z"), dates("2025-01-01", "2030-01-01"));
    }

    #[test]
    fn the_thirty_first_and_leap_days_belong_to_their_month() {
        assert_eq!(around(Calendar::Months(1), "2026-01-31T23:59:59.999Z"), dates("2026-01-01", "2026-02-01"));
        assert_eq!(around(Calendar::Months(1), "2028-02-29T12:00:00Z"), dates("2028-02-01", "2028-03-01"));
        assert_eq!(around(Calendar::Days(1), "2028-02-29T12:00:00Z"), dates("2028-02-29", "2028-03-01"));
        assert_eq!(around(Calendar::Weeks(2), "2026-01-01T00:00:00Z"), dates("2025-12-22", "2026-01-05"));
    }

    fn calendar() -> impl Strategy<Value = Calendar> {
        prop_oneof![
            (1_i64..400).prop_map(Calendar::Days),
            (1_i64..60).prop_map(Calendar::Weeks),
            (1_i64..130).prop_map(Calendar::Months),
        ]
    }

    proptest! {
        /// Neither a gap nor an overlap: every moment lies in one window, and the next one
        /// begins where it ends.
        #[test]
        fn windows_follow_one_another(calendar in calendar(), millis in -2_000_000_000_000_i64..9_000_000_000_000) {
            let moment = Moment::from_millis(millis);
            let (start, next) = (calendar.start(moment).unwrap(), calendar.next(moment).unwrap());
            prop_assert!(start <= moment && moment < next);
            prop_assert_eq!(calendar.start(start), Some(start));
            prop_assert_eq!(calendar.start(next), Some(next));
            prop_assert_eq!(calendar.next(Moment::from_millis(next.millis() - 1)), Some(next));
        }
    }
}
