//! `x-ratelimit-*`: what is left of a limit, under the names that OpenAI gives it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Moment;
use crate::ledger::{Amount, Breach, Measure};

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// How much a limit is, how much of it is left, and in how many seconds there is more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LimitLeft {
    measure: Measure,
    limit: Amount,
    left: Amount,
    seconds: u64,
}

impl LimitLeft {
    /// A limit whose window ends at `ends`.
    pub(crate) fn new(measure: Measure, limit: Amount, left: Amount, ends: Moment, now: Moment) -> LimitLeft {
        LimitLeft { measure, limit, left, seconds: ends.seconds_from(now) }
    }

    /// The limit that refused.
    pub(crate) fn of_breach(breach: &Breach, now: Moment) -> LimitLeft {
        let left = breach.limit.minus(breach.used.plus(breach.held));
        LimitLeft::new(breach.measure, breach.limit, left, breach.window.ends(), now)
    }

    /// Adds its headers. A budget has none.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let [limit, remaining, reset] = match self.measure {
            Measure::Usd => return,
            Measure::Requests => REQUESTS,
            Measure::Tokens => TOKENS,
        };
        headers.insert(limit, HeaderValue::from(self.limit.raw()));
        headers.insert(remaining, HeaderValue::from(self.left.raw()));
        if let Ok(reset_in) = HeaderValue::try_from(format!("{}s", self.seconds)) {
            headers.insert(reset, reset_in);
        }
    }
}
