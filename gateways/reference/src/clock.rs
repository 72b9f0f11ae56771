//! The gateway's clock: wall time that never runs backwards while the process lives, and
//! never stands still, and that a test may push forward.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// 8000-01-01. The longest window that begins before ends where RFC 3339 can still tell it.
const LAST: Moment = Moment(190_288_396_800_000);

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

    /// Reads RFC 3339.
    pub(crate) fn parse(text: &str) -> Option<Moment> {
        text.parse::<Timestamp>().ok().map(|timestamp| Moment(timestamp.as_millisecond()))
    }

    /// The moment `millis` later.
    pub(crate) fn after(self, millis: i64) -> Moment {
        Moment(self.0.saturating_add(millis))
    }

    /// How long it is until another moment; nothing where that is over.
    pub(crate) fn until(self, other: Moment) -> Duration {
        Duration::from_millis(other.0.saturating_sub(self.0).try_into().unwrap_or_default())
    }

    /// Whole seconds from `now` until this moment, rounded up; at least one, so
    /// that a caller who waits that long is not refused again.
    pub(crate) fn seconds_from(self, now: Moment) -> u64 {
        let millis = self.0.saturating_sub(now.0).max(1);
        millis.unsigned_abs().div_ceil(1_000)
    }
}

impl fmt::Display for Moment {
    /// RFC 3339, UTC. Beyond the year 9999, where neither the clock nor the end of a window comes,
    /// it has no word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => f.write_str("never"),
        }
    }
}

impl Serialize for Moment {
    /// As it is displayed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Tells the time. One for a gateway.
///
/// It follows the wall clock forward. A wall clock that is set back is not followed: it would
/// make windows late, and open them twice. Time then runs on from what was told last, at the
/// pace of the monotonic clock, until the wall clock has caught up or the gateway starts again.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    /// The most by which the wall clock was ahead of the milliseconds since `began`.
    lead: AtomicI64,
    /// Milliseconds that tests have added.
    advanced: AtomicI64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { began: Instant::now(), lead: AtomicI64::new(i64::MIN), advanced: AtomicI64::new(0) }
    }
}

impl Clock {
    /// The present moment.
    pub(crate) fn now(&self) -> Moment {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.told(Timestamp::now().as_millisecond(), elapsed)
    }

    /// The moment at so much wall time, so many milliseconds after the clock was made.
    fn told(&self, wall: i64, elapsed: i64) -> Moment {
        let lead = wall.saturating_sub(elapsed);
        let most = self.lead.fetch_max(lead, Ordering::Relaxed).max(lead);
        let advanced = self.advanced.load(Ordering::Relaxed);
        Moment(elapsed.saturating_add(most).saturating_add(advanced))
    }

    /// Moves the clock forward by `millis`, unless it were then later than the moment in the error.
    /// Only the test clock's route does this.
    pub(crate) fn advance(&self, millis: i64) -> Result<(), Moment> {
        if self.now().after(millis) > LAST {
            return Err(LAST);
        }
        self.advanced.fetch_add(millis, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

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
        clock.advance(3_600_000).unwrap();
        assert!(clock.now() >= before.after(3_600_000));
    }

    #[test]
    fn a_clock_is_not_advanced_to_where_the_end_of_a_window_is_no_date() {
        let clock = Clock::default();
        assert_eq!(LAST.to_string(), "8000-01-01T00:00:00Z");
        let before = clock.now();
        assert_eq!(clock.advance(LAST.millis()), Err(LAST));
        assert!(clock.now() < before.after(3_600_000));
        clock.advance(LAST.millis() - clock.now().millis() - 3_600_000).unwrap();
        for length in ["1000Y", "12166M", "365000d"] {
            let length: crate::window::ResetDuration = length.parse().unwrap();
            for length in [length.clone(), length.aligned(true).unwrap()] {
                let end = crate::window::Window::beginning(length, clock.now()).ends();
                assert_ne!(end.to_string(), "never");
            }
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_back_neither_takes_time_back_nor_stops_it() {
        let clock = Clock::default();
        assert_eq!(clock.told(10_000, 0).millis(), 10_000);
        assert_eq!(clock.told(10_500, 500).millis(), 10_500);
        // Set back by five seconds.
        assert_eq!(clock.told(5_600, 600).millis(), 10_600);
        assert_eq!(clock.told(6_000, 1_000).millis(), 11_000);
        // Set forward beyond what was told.
        assert_eq!(clock.told(20_000, 1_100).millis(), 20_000);
    }

    proptest! {
        #[test]
        fn time_never_runs_backwards(steps in prop::collection::vec((-10_000_i64..10_000, 0_i64..1_000), 1..50)) {
            let clock = Clock::default();
            let (mut wall, mut elapsed, mut last) = (1_000_000, 0, Moment::from_millis(0));
            for (jump, passed) in steps {
                (wall, elapsed) = (wall + jump + passed, elapsed + passed);
                let now = clock.told(wall, elapsed);
                prop_assert!(now >= last);
                prop_assert!(now.millis() >= wall);
                last = now;
            }
        }
    }
}
