//! Answers with the headers that the gateway adds.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::provider_error::{self, Told};
use crate::errors::{About, Problem, Wording};
use crate::gateway::Gateway;
use crate::ledger::{Measure, MeterId};
use crate::limit_headers::LimitLeft;
use crate::routing::{Candidate, RouteError};
use crate::upstream::{Failure, Progress};

/// Who served, and what is left of the limits that the request counted against.
pub(super) fn add_headers(
    response: &mut Response,
    gateway: &Gateway,
    candidate: &Candidate,
    meters: &[MeterId],
    index: usize,
) {
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    add(HeaderName::from_static("x-bifrost-provider"), &candidate.provider.name);
    add(HeaderName::from_static("x-bifrost-resolved-model"), &candidate.model);
    if index > 0 {
        add(HeaderName::from_static("x-bifrost-fallback-index"), &index.to_string());
    }
    let now = gateway.books.now();
    for measure in [Measure::Requests, Measure::Tokens] {
        let touched = meters.iter().filter(|id| id.measure() == measure);
        if let Some(room) = gateway.books.tightest(touched, now) {
            LimitLeft::new(measure, room.limit, room.left, room.ends, now).tell(headers);
        }
    }
}

/// A request that leads nowhere.
pub(super) fn refused(error: &RouteError) -> Problem {
    let kind = match error {
        RouteError::ProviderBlocked(_) | RouteError::NoProvider => "provider_blocked",
        RouteError::ModelBlocked(_) => "model_blocked",
        RouteError::NoKey { .. } | RouteError::Pinned { .. } | RouteError::Fallback(_) | RouteError::Unresolved => {
            return Problem::bad_request(error.to_string());
        }
    };
    Problem::new(StatusCode::FORBIDDEN, kind, error.to_string())
}

/// A provider that the configuration does not let be asked for such a thing.
pub(super) fn not_asked_for(provider: &str) -> Problem {
    let message = format!("the configuration of the provider '{provider}' does not allow this kind of request");
    Problem::new(StatusCode::FORBIDDEN, "request_type_blocked", message)
}

/// A provider's failure as the caller is told: the provider's own answer where it
/// is in the caller's protocol, else its message in the caller's wording.
pub(super) fn failed(failure: &Failure, wording: Wording, about: &About) -> Response {
    let provider = &about.provider;
    let (status, kind) = failure.told();
    let problem = |message| Problem::failure(status, kind, message).render(wording, about);
    match failure {
        Failure::Unreachable(cause) => problem(format!("the provider '{provider}' cannot be reached: {cause}")),
        Failure::Reset(cause) => problem(format!(
            "the provider '{provider}' closed the connection without an answer, and may charge for the call: {cause}"
        )),
        Failure::Broken(cause) => problem(format!("the answer of the provider '{provider}' broke off: {cause}")),
        Failure::Exhausted { last } => problem(format!(
            "the provider '{provider}' refused every key that may be used, the last one with {}",
            last.as_u16()
        )),
        Failure::Timeout(Progress::Unsent) => {
            problem(format!("the provider '{provider}' could not be connected to in time"))
        }
        Failure::Timeout(Progress::Sent | Progress::Began) => {
            problem(format!("the provider '{provider}' did not answer in time, and may charge for the call"))
        }
        Failure::Status { status, content_type, retry_after, body } => {
            let mut response = match provider_error::told(body, *status, provider, wording) {
                Told::AsItIs(body) => {
                    let mut response = (*status, body).into_response();
                    if let Some(content_type) = content_type {
                        response.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
                    }
                    response
                }
                Told::Reworded { kind: word, message } => {
                    let problem = Problem::new(*status, word.unwrap_or_else(|| kind.to_owned()), message);
                    Problem { is_gateways: true, ..problem }.render(wording, about)
                }
            };
            if let Some(retry_after) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, retry_after.clone());
            }
            response
        }
    }
}
