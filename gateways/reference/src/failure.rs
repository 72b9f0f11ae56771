//! Why a provider did not answer with success, and what can help.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::errors::anthropic_type;
use crate::json::Tree;
use crate::retry_after;

/// How the types and codes of errors begin that refuse what was asked: Anthropic's and OpenAI's.
const REFUSALS: [&str; 6] =
    ["invalid_", "image_", "unsupported_", "not_found_error", "request_too_large", "context_length_exceeded"];
/// What words have in them that begin so and are of the key: OpenAI's and Moonshot's.
const OF_THE_KEY: [&str; 2] = ["api_key", "authentication"];

/// Why a provider did not answer with success.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Nothing was sent: no connection could be made.
    Unreachable(String),
    /// The request was sent, and the connection ended before the answer's head.
    Reset(String),
    /// The time was over.
    Timeout(Progress),
    /// The answer began with success and then broke off.
    Broken(String),
    /// The provider refused every key that may be used, the last one with this status.
    Exhausted { last: StatusCode },
    /// The provider refused or failed; its keys are not in the body.
    Status { status: StatusCode, content_type: Option<HeaderValue>, retry_after: Option<HeaderValue>, body: Bytes },
}

/// How far a call had come when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing was sent: no connection was made.
    Unsent,
    /// The request was sent; the answer had no head yet.
    Sent,
    /// The answer had begun with success.
    Began,
}

/// What to do with the key before another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The same key after a pause.
    Wait,
    /// Another key at once: this one stays refused.
    Rotate,
    /// Another key after a pause: this one is busy, and may recover.
    RotateAndWait,
}

impl Failure {
    /// An error that came with a status of success, as OpenRouter's do: its `code` says the
    /// status that it should have had. `body` is without the provider's keys.
    pub(crate) fn inside(answer: &Value, body: Bytes) -> Failure {
        let content_type = Some(HeaderValue::from_static("application/json"));
        let status = error_in(answer).and_then(said_status).unwrap_or(StatusCode::BAD_GATEWAY);
        Failure::Status { status, content_type, retry_after: None, body }
    }

    /// Whether the provider had begun to answer with success, and may charge.
    pub(crate) fn had_begun(&self) -> bool {
        matches!(self, Failure::Broken(_) | Failure::Timeout(Progress::Began))
    }

    /// Whether the provider was sent the request and said nothing: it may have computed the
    /// answer, and charge for it.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self, Failure::Reset(_) | Failure::Timeout(Progress::Sent))
    }

    /// The status and the kind of failure that a caller is told.
    pub(crate) fn told(&self) -> (StatusCode, &'static str) {
        match self {
            Failure::Unreachable(_) => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
            Failure::Reset(_) => (StatusCode::BAD_GATEWAY, "upstream_reset"),
            Failure::Broken(_) => (StatusCode::BAD_GATEWAY, "upstream_broken"),
            Failure::Exhausted { .. } => (StatusCode::BAD_GATEWAY, "upstream_credentials_exhausted"),
            Failure::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
            Failure::Status { status, .. } => (*status, "upstream_error"),
        }
    }

    /// The word in `x-gateway-attempts`.
    pub(crate) fn word(&self) -> String {
        match self {
            Failure::Unreachable(_) => "unreachable".to_owned(),
            Failure::Reset(_) => "reset".to_owned(),
            Failure::Timeout(_) => "timeout".to_owned(),
            Failure::Broken(_) => "broken".to_owned(),
            Failure::Exhausted { .. } => "credentials_exhausted".to_owned(),
            Failure::Status { status, .. } => status.as_u16().to_string(),
        }
    }

    /// How long the provider wants to be left alone, if it says so.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        match self {
            Failure::Status { retry_after: header, body, .. } => retry_after::told(header.as_ref(), body, now),
            _ => None,
        }
    }

    /// Whether it may be due to the key that it was asked with: not where the provider refuses what
    /// was asked.
    pub(crate) fn may_be_the_keys(&self) -> bool {
        match self {
            Failure::Status { status, .. } => may_be_the_keys(*status),
            _ => true,
        }
    }

    /// Why another key has to take over, in Bifrost's words, which are Anthropic's, if one has to.
    pub(crate) fn rotates_for(&self) -> Option<&'static str> {
        match (self, self.remedy()?) {
            (Failure::Status { status, .. }, Remedy::Rotate | Remedy::RotateAndWait) => Some(anthropic_type(*status)),
            _ => None,
        }
    }

    /// What can help; `None`: do not try again.
    pub(crate) fn remedy(&self) -> Option<Remedy> {
        match self {
            Failure::Unreachable(_) | Failure::Reset(_) => Some(Remedy::Wait),
            Failure::Timeout(_) | Failure::Broken(_) | Failure::Exhausted { .. } => None,
            Failure::Status { status, .. } => remedy(*status),
        }
    }
}

fn remedy(status: StatusCode) -> Option<Remedy> {
    match status.as_u16() {
        500 | 502 | 503 | 504 => Some(Remedy::Wait),
        401..=403 => Some(Remedy::Rotate),
        429 => Some(Remedy::RotateAndWait),
        _ => None,
    }
}

fn may_be_the_keys(status: StatusCode) -> bool {
    remedy(status).is_some() || status.is_server_error()
}

/// The error in an answer or an event, if it has one.
pub(crate) fn error_in<T: Tree>(body: &T) -> Option<&T> {
    body.get("error").filter(|error| !error.is_null())
}

/// Whether an error that came with a status of success, or in a stream, refuses what was asked: by the
/// status that it should have had, else by its words.
pub(crate) fn refuses_request(error: &Value) -> bool {
    let words = ["type", "code"].map(|name| error.get(name).and_then(Value::as_str).unwrap_or_default());
    let refuses = |word: &str| REFUSALS.iter().any(|beginning| word.starts_with(beginning));
    let is_of_the_key = |word: &str| OF_THE_KEY.iter().any(|part| word.contains(part));
    match said_status(error) {
        Some(status) => !may_be_the_keys(status),
        None => words.into_iter().any(refuses) && !words.into_iter().any(is_of_the_key),
    }
}

/// The status that an error should have had.
fn said_status(error: &Value) -> Option<StatusCode> {
    let status = StatusCode::from_u16(u16::try_from(error.get("code")?.as_u64()?).ok()?).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_refuses_the_request_by_its_status_or_else_by_its_words() {
        for (error, refuses) in [
            (json!({"code": 400}), true),
            (json!({"code": 404, "status": "NOT_FOUND"}), true),
            (json!({"code": 401, "type": "invalid_request_error"}), false),
            (json!({"code": 429}), false),
            (json!({"code": 503, "status": "UNAVAILABLE"}), false),
            (json!({"type": "invalid_request_error"}), true),
            (json!({"type": "invalid_request_error", "code": "invalid_api_key"}), false),
            (json!({"type": "invalid_authentication_error"}), false),
            (json!({"type": "error", "code": "image_parse_error"}), true),
            (json!({"code": "rate_limit_exceeded"}), false),
            (json!({"type": "overloaded_error"}), false),
            (json!("invalid_request_error"), false),
        ] {
            assert_eq!(refuses_request(&error), refuses, "{error}");
        }
    }
}
