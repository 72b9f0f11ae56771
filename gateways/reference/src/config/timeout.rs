//! How long a setting may say that something takes. What is waited for longer than a day is not
//! waited for; and a clock cannot tell every moment that a number of seconds could name.

use std::time::Duration;

use super::load::Invalid;

const LONGEST: Duration = Duration::from_secs(86_400);

/// So many seconds, for the setting `at`; at least one.
pub(super) fn seconds(at: String, seconds: u64) -> Result<Duration, Invalid> {
    match seconds {
        0 => Err(Invalid::new(at, "must be at least one second")),
        seconds => at_most_a_day(at, Duration::from_secs(seconds)),
    }
}

/// The duration of the setting `at`.
pub(super) fn at_most_a_day(at: String, duration: Duration) -> Result<Duration, Invalid> {
    if duration > LONGEST { Err(Invalid::new(at, "must be at most a day (86400 seconds)")) } else { Ok(duration) }
}
