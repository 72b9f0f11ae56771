//! What goes wrong, and how it is worded in the caller's own protocol.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::clock::Moment;
use crate::ledger::{Breach, Level, Measure, Owner, Refusal};
use crate::limit_headers::LimitLeft;

/// Whose error bodies the caller expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wording {
    /// Bifrost's own, which the OpenAI clients read.
    Native,
    Anthropic,
    Gemini,
}

/// A failure that a caller is told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// The governance type, like `budget_exceeded`.
    pub(crate) kind: Cow<'static, str>,
    pub(crate) message: String,
    /// Whether the gateway itself is at fault, as far as the caller is concerned.
    pub(crate) is_gateways: bool,
    /// Machine-readable fields that stand beside the message.
    pub(crate) fields: Vec<(&'static str, Value)>,
    /// Seconds after which a try can succeed.
    pub(crate) retry_after: Option<u64>,
    /// The limits that refused.
    pub(crate) limits: Vec<LimitLeft>,
}

/// What the request was about, for `extra_fields`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) request_type: &'static str,
    pub(crate) provider: String,
    pub(crate) model: String,
}

impl Problem {
    /// A refusal that is due to the request.
    pub(crate) fn new(status: StatusCode, kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Problem {
        Problem {
            status,
            kind: kind.into(),
            message: message.into(),
            is_gateways: false,
            fields: Vec::new(),
            retry_after: None,
            limits: Vec::new(),
        }
    }

    /// A request that cannot be understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Problem {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid_request", message);
        Problem { is_gateways: true, ..problem }
    }

    /// The gateway or a provider failed.
    pub(crate) fn failure(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Problem {
        Problem { is_gateways: true, ..Problem::new(status, kind, message) }
    }

    /// A refusal by a budget or a limit, with every figure as a field.
    pub(crate) fn from_refusal(refusal: &Refusal, now: Moment) -> Problem {
        let (status, kind, message, breach) = match refusal {
            Refusal::Budget(breach) => {
                (StatusCode::PAYMENT_REQUIRED, "budget_exceeded", budget_message(breach), breach)
            }
            Refusal::Limit(breach) => {
                let kind = match breach.measure {
                    Measure::Tokens => "token_limited",
                    Measure::Requests | Measure::Usd => "request_limited",
                };
                (StatusCode::TOO_MANY_REQUESTS, kind, limit_message(&[breach]), breach)
            }
            Refusal::Limits { requests, tokens } => {
                // The one that ends later decides when a try can succeed.
                let last = if tokens.window.ends() > requests.window.ends() { tokens } else { requests };
                (StatusCode::TOO_MANY_REQUESTS, "rate_limited", limit_message(&[tokens, requests]), last)
            }
            Refusal::Gone(_) => {
                let message = "a budget or limit was removed while the request was on its way; try again";
                let problem = Problem::failure(StatusCode::SERVICE_UNAVAILABLE, "limits_changed", message);
                return Problem { retry_after: Some(1), ..problem };
            }
        };
        let mut problem = Problem::new(status, kind, message);
        problem.fields = breach_fields(breach);
        problem.limits = limits(refusal).map(|breach| LimitLeft::of_breach(breach, now)).collect();
        if status == StatusCode::TOO_MANY_REQUESTS {
            problem.retry_after = Some(breach.window.ends().seconds_from(now));
        }
        problem
    }

    /// The answer in the caller's wording.
    pub(crate) fn render(&self, wording: Wording, about: &About) -> Response {
        let body = match wording {
            Wording::Native => self.native(about),
            Wording::Anthropic => self.anthropic(),
            Wording::Gemini => gemini_error(self.status.as_u16(), &self.kind, &self.message, &self.fields),
        };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        self.limits.iter().for_each(|limit| limit.tell(response.headers_mut()));
        response
    }

    /// Bifrost's body. The type and the code stand in `error` too, where clients look.
    pub(crate) fn native(&self, about: &About) -> Value {
        let mut error = self.error_fields();
        error.insert("type".to_owned(), json!(self.kind));
        let mut extra = Map::new();
        for (name, value) in [
            ("request_type", about.request_type),
            ("provider", about.provider.as_str()),
            ("original_model_requested", about.model.as_str()),
        ] {
            if !value.is_empty() {
                extra.insert(name.to_owned(), json!(value));
            }
        }
        json!({
            "type": self.kind,
            "is_bifrost_error": self.is_gateways,
            "status_code": self.status.as_u16(),
            "error": error,
            "extra_fields": extra,
        })
    }

    /// Anthropic's body, with the governance type as `code`.
    pub(crate) fn anthropic(&self) -> Value {
        let mut error = self.error_fields();
        error.insert("type".to_owned(), json!(anthropic_type(self.status)));
        json!({ "type": "error", "error": error })
    }

    fn error_fields(&self) -> Map<String, Value> {
        let mut error = Map::new();
        error.insert("type".to_owned(), Value::Null);
        error.insert("code".to_owned(), json!(self.kind));
        error.insert("message".to_owned(), json!(self.message));
        error.extend(self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        error
    }
}

/// Gemini's body: the status as Google's word for it, and the governance type with its
/// figures in a detail, as texts.
pub(crate) fn gemini_error(status: u16, kind: &str, message: &str, fields: &[(&'static str, Value)]) -> Value {
    let texts = fields.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        ((*name).to_owned(), Value::String(text))
    });
    let metadata: Map<String, Value> = texts.collect();
    json!({
        "error": {
            "code": status,
            "message": message,
            "status": gemini_status(status),
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": kind,
                "domain": "gateway",
                "metadata": metadata,
            }],
        },
    })
}

/// Google's word for an error of this HTTP status. It has none for 402: its own billing is
/// a condition that is not met.
fn gemini_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        400..=498 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

/// Anthropic's name for an error of this status.
pub(crate) fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The limits that refused, where no budget did.
fn limits(refusal: &Refusal) -> impl Iterator<Item = &Breach> {
    let (one, other) = match refusal {
        Refusal::Limit(breach) => (Some(breach), None),
        Refusal::Limits { requests, tokens } => (Some(requests), Some(tokens)),
        Refusal::Budget(_) | Refusal::Gone(_) => (None, None),
    };
    one.into_iter().chain(other)
}

fn breach_fields(breach: &Breach) -> Vec<(&'static str, Value)> {
    let show = |amount| json!(breach.measure.show(amount));
    let mut fields = Vec::new();
    let mut add = |name: &'static str, value: Value| fields.push((name, value));
    add("scope", json!(breach.owner.level.word()));
    add("entity", json!(breach.owner.entity.as_ref()));
    match breach.measure {
        Measure::Usd => {}
        Measure::Requests | Measure::Tokens => {
            add("metric", json!(breach.measure.word()));
        }
    }
    add("limit", show(breach.limit));
    add("usage", show(breach.used));
    add("held", show(breach.held));
    if breach.measure == Measure::Usd {
        add("requested", show(breach.asked));
    }
    add("reset_duration", json!(breach.window.length.text()));
    add("resets_at", json!(breach.window.ends().to_string()));
    fields
}

/// How Bifrost begins a refusal by a budget or by a limit of this level.
fn prefixes(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::VirtualKey | Level::VirtualKeyProvider => ("Budget exceeded", "Rate limit check failed"),
        Level::Customer => ("Budget exceeded", "Customer-level rate limit exceeded"),
        Level::Team => ("Budget exceeded", "Team-level rate limit exceeded"),
        Level::Provider => ("Provider-level budget exceeded", "Provider-level rate limit check failed"),
        Level::Model => ("Model-level budget exceeded", "Model-level rate limit check failed"),
        Level::VirtualKeyModel => (
            "Model-level budget exceeded (virtual key scope)",
            "Model-level rate limit check failed (virtual key scope)",
        ),
    }
}

/// What Bifrost calls the owner of a budget that is spent.
fn budget_owner(owner: &Owner) -> &str {
    match owner.level {
        Level::VirtualKey => "VK",
        Level::Team => "Team",
        Level::Customer => "Customer",
        // Behind the key's name; a provider's own has no slash.
        Level::VirtualKeyProvider => owner.entity.rsplit('/').next().unwrap_or_default(),
        Level::Provider | Level::Model | Level::VirtualKeyModel => &owner.entity,
    }
}

fn budget_message(breach: &Breach) -> String {
    let show = |amount| breach.measure.show(amount);
    let limit = show(breach.limit);
    let (prefix, _) = prefixes(breach.owner.level);
    let whose = format!("({}, resets {})", breach.owner, breach.window.ends());
    if breach.is_spent() {
        let (owner, used) = (budget_owner(&breach.owner), show(breach.used));
        return format!("{prefix}: {owner} budget exceeded: {used} >= {limit} dollars {whose}");
    }
    let asked = show(breach.asked);
    if breach.asked > breach.limit {
        return format!(
            "{prefix}: this request alone can cost {asked} dollars, more than the whole budget of {limit} dollars {whose}; a lower max_tokens lowers what it can cost"
        );
    }
    format!(
        "{prefix}: {} dollars spent, {} held for requests on their way and {asked} for this one are more than {limit} dollars {whose}",
        show(breach.used),
        show(breach.held),
    )
}

fn limit_message(breaches: &[&Breach]) -> String {
    let parts: Vec<String> = breaches
        .iter()
        .map(|breach| {
            let word = match breach.measure {
                Measure::Tokens => "token",
                Measure::Requests | Measure::Usd => "request",
            };
            let taken = breach.used.plus(breach.held);
            format!(
                "{word} limit exceeded ({}/{}, resets every {})",
                breach.measure.show(taken),
                breach.measure.show(breach.limit),
                breach.window.length,
            )
        })
        .collect();
    let Some(owner) = breaches.first().map(|breach| &breach.owner) else {
        return String::new();
    };
    let (_, prefix) = prefixes(owner.level);
    format!("{prefix}: rate limit violated for {owner}: [{}]", parts.join(", "))
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
