//! One finished request, as every sink gets it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::trace::Trace;
use crate::clock::Moment;
use crate::config::{ProviderKey, RequestType};
use crate::money::Usd;
use crate::policy::{CustomerPolicy, TeamPolicy, VirtualKey};
use crate::usage::Usage;

/// A finished request. What it cost is what its holds were settled at, so that every
/// sink and every budget have the same figure.
pub(crate) struct CallRecord {
    /// Ordered by time, so that a database adds it at its end.
    pub(crate) id: Uuid,
    /// The caller's own `x-request-id`.
    pub(crate) request_id: Option<String>,
    pub(crate) started_at: Moment,
    /// The route without its prefix, like `/v1/chat/completions`.
    pub(crate) route: &'static str,
    pub(crate) kind: RequestType,
    pub(crate) is_stream: bool,
    /// As the caller wrote it; empty where the body was not read.
    pub(crate) model_asked: String,
    pub(crate) key: Option<Arc<VirtualKey>>,
    /// The key's team and customer when a provider's turn was admitted.
    pub(crate) team: Option<Arc<TeamPolicy>>,
    pub(crate) customer: Option<Arc<CustomerPolicy>>,
    /// The providers whose turn it was, in their order.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) outcome: Outcome,
    /// From the request's arrival to its outcome.
    pub(crate) latency: Duration,
    /// From the request's arrival to a stream's first event.
    pub(crate) first_chunk: Option<Duration>,
    /// Why the model stopped, in its provider's words.
    pub(crate) finish_reasons: Vec<String>,
    /// Only where traces are sent.
    pub(super) trace: Option<Trace>,
    /// Only where the configuration says so.
    pub(crate) content: Option<Content>,
}

/// One provider's turn.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) provider: Arc<str>,
    /// The model as the provider knows it.
    pub(crate) model: String,
    /// 0 for the first choice, else the number of the fallback.
    pub(crate) index: usize,
    /// Which of the provider's keys served.
    pub(crate) key: Option<SelectedKey>,
    /// From the call to its outcome; nothing where the provider was not called.
    pub(crate) latency: Option<Duration>,
    pub(crate) failure: Option<AttemptFailure>,
    /// What was charged for it, whether it served or not.
    pub(crate) cost: Usd,
    /// What the provider said that it used, if it did.
    pub(crate) usage: Option<Usage>,
    /// How often it was called again.
    pub(crate) retries: u32,
    /// The calls that failed, in their order.
    pub(crate) failed_tries: Vec<FailedTry>,
    /// Whether what began with success was an error, or broke off.
    pub(crate) answer_failed: bool,
}

/// A call to a provider that failed.
#[derive(Clone, Debug)]
pub(crate) struct FailedTry {
    /// Which of its keys it was made with.
    pub(crate) key: Option<SelectedKey>,
    /// Whether the failure may be due to that key.
    pub(crate) is_keys_failure: bool,
    /// Why another key took over, where one did, in Bifrost's words.
    pub(crate) rotated_for: Option<&'static str>,
}

/// Token counts. `cached` and `cache_write` are parts of `input`, `reasoning` of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) reasoning: u64,
}

/// A key of a provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SelectedKey {
    pub(crate) id: String,
    pub(crate) name: String,
}

impl SelectedKey {
    pub(super) fn of(key: &ProviderKey) -> SelectedKey {
        SelectedKey { id: key.id.clone(), name: key.name.clone() }
    }
}

/// Why a provider did not serve.
#[derive(Clone, Debug)]
pub(crate) struct AttemptFailure {
    /// The word in `x-gateway-attempts`.
    pub(crate) word: String,
    /// What the caller would be told, were it the only one.
    pub(crate) status: u16,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole answer was there.
    Served,
    /// Refused by the gateway, failed by the provider, or broken off.
    Failed {
        /// What the caller was answered; of a broken stream, what it would have been.
        status: u16,
        /// The governance type, or what went wrong.
        kind: Cow<'static, str>,
    },
}

impl Outcome {
    /// The caller left before the end.
    pub(crate) const fn left() -> Outcome {
        Outcome::Failed { status: 499, kind: Cow::Borrowed("client_closed_request") }
    }

    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Outcome::Served => 200,
            Outcome::Failed { status, .. } => *status,
        }
    }

    /// Bifrost's word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Outcome::Served => "success",
            Outcome::Failed { .. } => "error",
        }
    }

    /// The governance type, or what went wrong.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Outcome::Served => None,
            Outcome::Failed { kind, .. } => Some(kind),
        }
    }
}

/// What was asked and answered, as it was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) input: Bytes,
    pub(crate) output: Vec<u8>,
}

/// An id and a name.
pub(crate) type Named<'a> = (&'a str, &'a str);

impl CallRecord {
    /// Who asked.
    pub(crate) fn key(&self) -> Option<Named<'_>> {
        self.key.as_ref().map(|key| (&*key.row.id, key.row.name.as_str()))
    }

    /// The key's team.
    pub(crate) fn team(&self) -> Option<Named<'_>> {
        self.team.as_ref().map(|team| (&*team.row.id, team.row.entity.name.as_str()))
    }

    /// The key's customer, or the team's.
    pub(crate) fn customer(&self) -> Option<Named<'_>> {
        self.customer.as_ref().map(|customer| (&*customer.row.id, customer.row.entity.name.as_str()))
    }

    /// The attempt of the provider that served, else the first one's, whose error is the answer.
    pub(crate) fn deciding_attempt(&self) -> Option<&Attempt> {
        match self.attempts.last() {
            Some(last) if last.failure.is_none() => Some(last),
            _ => self.attempts.first(),
        }
    }

    /// Why the model stopped, as one text.
    pub(crate) fn stop_reason(&self) -> Option<String> {
        (!self.finish_reasons.is_empty()).then(|| self.finish_reasons.join(","))
    }

    /// What the request was charged, failed attempts among it.
    pub(crate) fn cost(&self) -> Usd {
        self.attempts.iter().fold(Usd::ZERO, |sum, attempt| sum.plus(attempt.cost))
    }

    /// What the providers said that they used, summed like the cost.
    pub(crate) fn tokens(&self) -> Tokens {
        let mut sum = Tokens::default();
        for usage in self.attempts.iter().filter_map(|attempt| attempt.usage) {
            sum.input = sum.input.saturating_add(usage.input);
            sum.output = sum.output.saturating_add(usage.output);
            sum.cached = sum.cached.saturating_add(usage.cached);
            sum.cache_write = sum.cache_write.saturating_add(usage.cache_write);
            sum.reasoning = sum.reasoning.saturating_add(usage.reasoning);
        }
        sum
    }
}

#[cfg(test)]
impl CallRecord {
    /// One that was served by `primary` at the cost of a pico-dollar.
    pub(crate) fn sample(model: &str) -> CallRecord {
        let attempt = Attempt {
            provider: "primary".into(),
            model: model.to_owned(),
            index: 0,
            key: None,
            latency: Some(Duration::ZERO),
            failure: None,
            cost: Usd::from_pico(1),
            usage: None,
            retries: 0,
            failed_tries: Vec::new(),
            answer_failed: false,
        };
        CallRecord {
            id: Uuid::nil(),
            request_id: None,
            started_at: Moment::from_millis(0),
            route: "/v1/chat/completions",
            kind: RequestType::ChatCompletion,
            is_stream: false,
            model_asked: model.to_owned(),
            key: None,
            team: None,
            customer: None,
            attempts: vec![attempt],
            outcome: Outcome::Served,
            latency: Duration::ZERO,
            first_chunk: None,
            finish_reasons: Vec::new(),
            trace: None,
            content: None,
        }
    }
}
