//! A rate limit, as the file and the management API write it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::types::ConfigId;
use crate::ledger::{Amount, Measure};
use crate::objects::read_from_objects;
use crate::window::{NotOnCalendar, ResetDuration};

/// A rate limit, in the list of all or inside its owner.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct RateLimitSpec {
    pub(crate) id: Option<ConfigId>,
    pub(crate) request_max_limit: Option<u64>,
    pub(crate) request_reset_duration: Option<ResetDuration>,
    pub(crate) token_max_limit: Option<u64>,
    pub(crate) token_reset_duration: Option<ResetDuration>,
    /// Wins over that of the owner, which holds where a window has a place in the calendar.
    pub(crate) calendar_aligned: Option<bool>,
}

read_from_objects!(RateLimitSpec);

/// One of the two counters of a rate limit.
pub(crate) struct Counter {
    pub(crate) measure: Measure,
    pub(crate) limit: Amount,
    pub(crate) length: ResetDuration,
}

/// Why a rate limit makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RateLimitError {
    #[error("it has no limit")]
    Empty,
    #[error("`{0}_max_limit` and `{0}_reset_duration` belong together")]
    Unpaired(&'static str),
    #[error("{0}_max_limit must be above 0")]
    Zero(&'static str),
    #[error("{0}_max_limit must be at most {max}", max = i64::MAX)]
    TooLarge(&'static str),
    #[error("{0}_reset_duration: {1}")]
    NotOnCalendar(&'static str, NotOnCalendar),
}

impl RateLimitSpec {
    /// Whether it limits nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.request_max_limit.is_none()
            && self.request_reset_duration.is_none()
            && self.token_max_limit.is_none()
            && self.token_reset_duration.is_none()
    }

    /// Its counters. A limit needs its window, and a window its limit. `owner_aligned` is whether
    /// the owner's windows follow the calendar: a minute has no place there, and a limit by the
    /// minute may stand beside budgets by the month.
    pub(crate) fn counters(self, owner_aligned: bool) -> Result<Vec<Counter>, RateLimitError> {
        let mut counters = Vec::new();
        for (measure, word, limit, length) in [
            (Measure::Requests, "request", self.request_max_limit, self.request_reset_duration),
            (Measure::Tokens, "token", self.token_max_limit, self.token_reset_duration),
        ] {
            let (limit, length) = match (limit, length) {
                (None, None) => continue,
                (Some(limit), Some(length)) => (limit, length),
                _ => return Err(RateLimitError::Unpaired(word)),
            };
            if limit == 0 {
                return Err(RateLimitError::Zero(word));
            }
            if i64::try_from(limit).is_err() {
                return Err(RateLimitError::TooLarge(word));
            }
            let length = match self.calendar_aligned {
                Some(own) => length.aligned(own).map_err(|error| RateLimitError::NotOnCalendar(word, error))?,
                None => length.aligned_where_possible(owner_aligned),
            };
            counters.push(Counter { measure, limit: Amount::of_count(limit), length });
        }
        if counters.is_empty() { Err(RateLimitError::Empty) } else { Ok(counters) }
    }
}
