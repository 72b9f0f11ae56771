//! One window, and when the next begins.

use super::length::ResetDuration;
use crate::clock::Moment;

/// A stretch of time with a beginning and a length. The next one begins at the first use
/// after the end of this one, or where the calendar has its boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// When this window began.
    pub(crate) start: Moment,
    /// How long it lasts, and whether the calendar says so.
    pub(crate) length: ResetDuration,
}

impl Window {
    /// The window that `now` belongs to, where none was before.
    pub(crate) fn beginning(length: ResetDuration, now: Moment) -> Window {
        let start = length.calendar().and_then(|calendar| calendar.start(now)).unwrap_or(now);
        Window { start, length }
    }

    /// The first moment that no longer belongs to this window.
    pub(crate) fn ends(&self) -> Moment {
        let boundary = self.length.calendar().and_then(|calendar| calendar.next(self.start));
        boundary.unwrap_or_else(|| self.start.after(self.length.millis()))
    }

    /// Whether `now` lies behind this window's end.
    pub(crate) fn has_ended(&self, now: Moment) -> bool {
        now >= self.ends()
    }

    /// This window with another length, seen at `now`. It is still the same one, with what was
    /// used in it: an edit does not end a window that had not ended.
    pub(crate) fn edited(&self, length: ResetDuration, now: Moment) -> Window {
        let kept = Window { start: self.start, length };
        if kept.has_ended(now) { Window::beginning(kept.length, now) } else { kept }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Moment {
        Moment::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn length(text: &str, aligned: bool) -> ResetDuration {
        let length: ResetDuration = text.parse().unwrap();
        if aligned { length.on_calendar().unwrap() } else { length }
    }

    #[test]
    fn a_window_ends_exactly_its_length_after_its_start() {
        let window = Window { start: Moment::from_millis(1_000), length: length("1s", false) };
        assert!(!window.has_ended(Moment::from_millis(1_999)));
        assert!(window.has_ended(Moment::from_millis(2_000)));
    }

    #[test]
    fn a_calendar_month_ends_on_the_first_however_many_days_it_has() {
        for (now, end) in [
            ("2026-01-31T10:00:00Z", "2026-02-01T00:00:00Z"),
            ("2026-02-28T10:00:00Z", "2026-03-01T00:00:00Z"),
            ("2028-02-29T10:00:00Z", "2028-03-01T00:00:00Z"),
            ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ] {
            let window = Window::beginning(length("1M", true), at(now));
            assert_eq!(window.ends(), at(end), "{now}");
            assert!(!window.has_ended(Moment::from_millis(at(end).millis() - 1)), "{now}");
        }
    }

    #[test]
    fn an_edit_does_not_end_a_window() {
        let now = at("2026-11-21T12:00:00Z");
        let daily = Window { start: at("2026-11-21T01:00:00Z"), length: length("1d", false) };
        let hourly = daily.edited(length("1h", false), now);
        assert_eq!((hourly.start, hourly.ends()), (now, now.after(3_600_000)));
        let aligned = daily.edited(length("1M", true), now);
        assert_eq!((aligned.start, aligned.ends()), (daily.start, at("2026-12-01T00:00:00Z")));
        let old = Window { start: at("2026-10-25T00:00:00Z"), length: length("30d", false) };
        let aligned = old.edited(length("1M", true), now);
        assert_eq!((aligned.start, aligned.ends()), (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z")));
    }

    proptest! {
        #[test]
        fn a_window_that_begins_holds_its_moment(
            number in 1_u32..40,
            unit in prop::sample::select(vec!["s", "m", "h", "d", "w", "M", "Q", "Y"]),
            aligned in any::<bool>(),
            millis in 0_i64..4_000_000_000_000,
        ) {
            let parsed: ResetDuration = format!("{number}{unit}").parse().unwrap();
            let length = if aligned { parsed.clone().on_calendar().unwrap_or(parsed) } else { parsed };
            let now = Moment::from_millis(millis);
            let window = Window::beginning(length, now);
            prop_assert!(window.start <= now && !window.has_ended(now));
            prop_assert!(window.has_ended(window.ends()));
        }
    }
}
