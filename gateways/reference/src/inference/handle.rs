//! Who asks, what for, and which providers are tried.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::task::JoinError;

use super::attempt::{self, AttemptError};
use super::request::Request;
use super::route::{Asked, Route};
use super::{answer, caller, count};
use crate::errors::{About, Problem};
use crate::gateway::Gateway;
use crate::idle;
use crate::pin::Pin;
use crate::policy::VirtualKey;
use crate::routing::{self, Candidate, RouteError};
use crate::slow_body;
use crate::telemetry::Notes;
use crate::upload::Upload;

const ATTEMPTS: HeaderName = HeaderName::from_static("x-gateway-attempts");

/// Serves a request. Who asks is settled before a byte of the body is looked at, and
/// once more when all of it is there: the key may have been edited meanwhile.
pub(crate) async fn handle(
    gateway: Arc<Gateway>,
    asked: impl Into<Asked>,
    mut headers: HeaderMap,
    body: Body,
) -> Response {
    let asked = asked.into();
    if asked.is_count {
        return count::count(&gateway, asked, &headers, body).await;
    }
    let route = asked.route;
    let about = About { request_type: route.request_type().word(), ..About::default() };
    let logging = gateway.client().logging;
    let notes = Notes::begin(
        &gateway.telemetry,
        logging,
        gateway.clock.now(),
        route.path(),
        route.request_type(),
        &mut headers,
    );
    let (request, key) = match read(&gateway, asked, &headers, body, &notes).await {
        Ok(read) => read,
        Err(problem) => {
            notes.failed(problem.status, problem.kind.clone());
            return problem.render(route.wording(), &about);
        }
    };
    // A task of its own: a caller that leaves does not stop a call that a provider
    // may charge for, and what it cost is still written down.
    let inflight = gateway.inflight.enter();
    let noted = Arc::clone(&notes);
    let task = idle::spawn(async move {
        let response = run(&gateway, request, key, headers, &noted).await;
        drop(inflight);
        response
    });
    task.await.unwrap_or_else(|error| {
        let problem = broken(&error);
        notes.failed(problem.status, problem.kind.clone());
        problem.render(route.wording(), &about)
    })
}

/// A request whose task panicked. What it held is charged.
fn broken(error: &JoinError) -> Problem {
    // Its text has the panic's message, which may quote the request.
    tracing::error!(panicked = error.is_panic(), "a request ended abnormally");
    Problem::failure(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "internal server error")
}

type Read = (Request, Option<Arc<VirtualKey>>);

async fn read(
    gateway: &Gateway,
    asked: Asked,
    headers: &HeaderMap,
    body: Body,
    notes: &Notes,
) -> Result<Read, Problem> {
    let key = caller::identify(gateway, headers)?;
    notes.identified(key.as_ref());
    let (bytes, key) = read_body(gateway, headers, key, body).await?;
    let (request, text) = match asked.route {
        // A file is no text to keep.
        Route::Transcriptions => {
            let upload = Upload::read(headers, bytes).await.map_err(|error| Problem::bad_request(error.to_string()))?;
            (Request::of_upload(asked, upload)?, Bytes::new())
        }
        _ => (Request::parse(asked, &bytes)?, bytes),
    };
    notes.asked(&request.model, request.is_stream, &text);
    Ok((request, key))
}

/// The whole body, and the virtual key as it is when all of it is there.
pub(super) async fn read_body(
    gateway: &Gateway,
    headers: &HeaderMap,
    key: Option<Arc<VirtualKey>>,
    body: Body,
) -> Result<(Bytes, Option<Arc<VirtualKey>>), Problem> {
    let bytes = slow_body::whole(body, gateway.client().max_body_bytes).await?;
    Ok((bytes, caller::identify_again(gateway, headers, key)?))
}

/// Tries the providers in their order; the first that serves is the answer. If
/// none does, the first one's error is.
async fn run(
    gateway: &Arc<Gateway>,
    request: Request,
    key: Option<Arc<VirtualKey>>,
    headers: HeaderMap,
    notes: &Arc<Notes>,
) -> Response {
    let pin = match Pin::of(&headers) {
        Ok(pin) => pin,
        Err(error) => {
            let problem = Problem::bad_request(error.to_string());
            notes.failed(problem.status, problem.kind.clone());
            return problem.render(request.route.wording(), &about(&request, None));
        }
    };
    let dice = gateway.dice.roll();
    let plan = routing::plan(&request.model, &request.fallbacks, key.as_deref(), &pin, &gateway.providers(), dice);
    let mut tried = Vec::new();
    let mut first_error: Option<(AttemptError, About)> = None;
    let targets = std::iter::once(plan.first).chain(plan.fallbacks.into_iter().map(Ok));
    for (index, target) in targets.enumerate() {
        let (outcome, about) = match target {
            Err(error) => {
                let about = about(&request, None);
                (Err(AttemptError::Refused(answer::refused(&error))), about)
            }
            Ok(candidate) => {
                let about = about(&request, Some(&candidate));
                let provider = Arc::clone(&candidate.provider.name);
                notes.attempt(&provider, &candidate.model, index);
                let outcome =
                    attempt::attempt(gateway, &request, key.as_deref(), candidate, &headers, index, notes).await;
                if let Err(error) = &outcome {
                    notes.attempt_failed(error.word(), error.told().0);
                    tried.push(format!("{provider}:{}", error.word()));
                }
                (outcome, about)
            }
        };
        match outcome {
            Ok(response) => return with_attempts(response, &tried),
            Err(error) => {
                first_error.get_or_insert((error, about));
            }
        }
    }
    let (error, about) = first_error
        .unwrap_or_else(|| (AttemptError::Refused(answer::refused(&RouteError::Unresolved)), about(&request, None)));
    let (status, kind) = error.told();
    notes.failed(status, kind);
    with_attempts(error.render(request.route.wording(), &about), &tried)
}

fn about(request: &Request, candidate: Option<&Candidate>) -> About {
    About {
        request_type: request.route.request_type().word(),
        provider: candidate.map(|candidate| candidate.provider.name.to_string()).unwrap_or_default(),
        model: candidate.map_or_else(|| request.model.clone(), |candidate| candidate.model.clone()),
    }
}

fn with_attempts(mut response: Response, tried: &[String]) -> Response {
    if !tried.is_empty()
        && let Ok(value) = HeaderValue::from_str(&tried.join(","))
    {
        response.headers_mut().insert(ATTEMPTS, value);
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::errors::Wording;

    #[tokio::test]
    async fn a_panic_is_500_in_each_protocol_and_does_not_quote_the_request() {
        let error = tokio::spawn(async { panic!("a canary {}", "sang") }).await.unwrap_err();
        for (wording, expected) in [
            (Wording::Native, r#""type":"internal_error""#),
            (Wording::Anthropic, r#""type":"api_error""#),
            (Wording::Gemini, r#""status":"INTERNAL""#),
        ] {
            let response = broken(&error).render(wording, &About::default());
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(body.contains(expected) && !body.contains("canary"), "{body}");
        }
    }
}
