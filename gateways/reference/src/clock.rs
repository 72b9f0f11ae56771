//! The gateway's clock: wall time that never runs backwards while the process
//! lives, and that a test may push forward.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// A point in time, in whole milliseconds since 1970 (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    /// The moment so many milliseconds after 1970.
    pub(crate) const fn from_millis(millis: i64) -> Moment {
        Moment(millis)
    }

    /// Milliseconds since 1970.
    pub(crate) const fn millis(self) -> i64 {
        self.0
    }

    /// The moment `millis` later.
    pub(crate) fn after(self, millis: i64) -> Moment {
        Moment(self.0.saturating_add(millis))
    }

    /// Whole seconds from `now` until this moment, rounded up; at least one, so
    /// that a caller who waits that long is not refused again.
    pub(crate) fn seconds_from(self, now: Moment) -> u64 {
        let millis = self.0.saturating_sub(now.0).max(1);
        millis.unsigned_abs().div_ceil(1_000)
    }
}

impl fmt::Display for Moment {
    /// RFC 3339, UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => f.write_str("never"),
        }
    }
}

/// Tells the time. One for a gateway.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Milliseconds that tests have added.
    advanced: AtomicI64,
    /// The latest time told, so that a wall clock set back cannot reopen a window.
    latest: AtomicI64,
}

impl Clock {
    /// The present moment.
    pub(crate) fn now(&self) -> Moment {
        let wall = Timestamp::now().as_millisecond();
        let now = wall.saturating_add(self.advanced.load(Ordering::Relaxed));
        let before = self.latest.fetch_max(now, Ordering::Relaxed);
        Moment(now.max(before))
    }

    /// Moves the clock forward by `millis`. Only the test clock's route does this.
    pub(crate) fn advance(&self, millis: i64) {
        self.advanced.fetch_add(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_until_a_moment_is_rounded_up_to_whole_seconds() {
        let now = Moment::from_millis(10_000);
        assert_eq!(Moment::from_millis(10_001).seconds_from(now), 1);
        assert_eq!(Moment::from_millis(11_001).seconds_from(now), 2);
        assert_eq!(Moment::from_millis(9_000).seconds_from(now), 1);
    }

    #[test]
    fn an_advanced_clock_is_ahead_by_what_was_added() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(3_600_000);
        assert!(clock.now() >= before.after(3_600_000));
    }
}
