//! Who asks, what for, and which providers are tried.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::attempt::{self, AttemptError};
use super::request::{Request, Route};
use crate::errors::{About, Problem};
use crate::gateway::Gateway;
use crate::identity::{self, Presented};
use crate::policy::VirtualKey;
use crate::routing::{self, Candidate, RouteError};

const ATTEMPTS: HeaderName = HeaderName::from_static("x-gateway-attempts");

/// Serves a request. Who asks is settled before a byte of the body is looked at.
pub(crate) async fn handle(gateway: Arc<Gateway>, route: Route, headers: HeaderMap, body: Body) -> Response {
    let about = About { request_type: route.request_type().word(), ..About::default() };
    let key = match identify(&gateway, &headers) {
        Ok(key) => key,
        Err(problem) => return problem.render(route.wording(), &about),
    };
    let request = match read(&gateway, route, body).await {
        Ok(request) => request,
        Err(problem) => return problem.render(route.wording(), &about),
    };
    // A task of its own: a caller that leaves does not stop a call that a provider
    // may charge for, and what it cost is still written down.
    let inflight = gateway.inflight.enter();
    let task = tokio::spawn(async move {
        let response = run(&gateway, request, key, headers).await;
        drop(inflight);
        response
    });
    match task.await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a request ended abnormally");
            Problem::failure(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "internal server error")
                .render(route.wording(), &about)
        }
    }
}

/// The virtual key of a request; `None` where it brings none and needs none.
pub(crate) fn identify(gateway: &Gateway, headers: &HeaderMap) -> Result<Option<Arc<VirtualKey>>, Problem> {
    match identity::presented(headers) {
        Presented::Conflict => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "virtual_key_conflict",
            "two different virtual keys in one request",
        )),
        Presented::None if gateway.client.key_is_mandatory => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "virtual_key_required",
            "virtual key is required. Provide a virtual key via the x-bf-vk header.",
        )),
        Presented::None => Ok(None),
        Presented::Key(hash) => match gateway.keys().find(&hash) {
            None => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "virtual_key_not_found",
                "virtual key not found. The provided virtual key does not exist or has been revoked.",
            )),
            Some(key) if !key.row.is_active => {
                Err(Problem::new(StatusCode::FORBIDDEN, "virtual_key_blocked", "Virtual key is inactive"))
            }
            Some(key) => Ok(Some(key)),
        },
    }
}

async fn read(gateway: &Gateway, route: Route, body: Body) -> Result<Request, Problem> {
    let limit = gateway.client.max_body_bytes;
    let bytes = axum::body::to_bytes(body, limit).await.map_err(|_| {
        let message = format!("the request's body is incomplete or larger than {} MB", limit >> 20);
        Problem::failure(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    })?;
    Request::parse(route, &bytes)
}

/// Tries the providers in their order; the first that serves is the answer. If
/// none does, the first one's error is.
async fn run(gateway: &Arc<Gateway>, request: Request, key: Option<Arc<VirtualKey>>, headers: HeaderMap) -> Response {
    let dice = gateway.dice.roll();
    let plan = routing::plan(&request.model, &request.fallbacks, key.as_deref(), &gateway.providers, dice);
    let mut tried = Vec::new();
    let mut first_error: Option<(AttemptError, About)> = None;
    let targets = std::iter::once(plan.first).chain(plan.fallbacks.into_iter().map(Ok));
    for (index, target) in targets.enumerate() {
        let (outcome, about) = match target {
            Err(error) => {
                let about = about(&request, None);
                (Err(AttemptError::Refused(refused(&error))), about)
            }
            Ok(candidate) => {
                let about = about(&request, Some(&candidate));
                let provider = Arc::clone(&candidate.provider.name);
                let outcome = attempt::attempt(gateway, &request, key.as_ref(), candidate, &headers, index).await;
                if let Err(error) = &outcome {
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
    let (error, about) =
        first_error.unwrap_or_else(|| (AttemptError::Refused(refused(&RouteError::Unresolved)), about(&request, None)));
    with_attempts(error.render(request.route.wording(), &about), &tried)
}

fn about(request: &Request, candidate: Option<&Candidate>) -> About {
    About {
        request_type: request.route.request_type().word(),
        provider: candidate.map(|candidate| candidate.provider.name.to_string()).unwrap_or_default(),
        model: candidate.map_or_else(|| request.model.clone(), |candidate| candidate.model.clone()),
    }
}

fn refused(error: &RouteError) -> Problem {
    let kind = match error {
        RouteError::ProviderBlocked(_) | RouteError::NoProvider => "provider_blocked",
        RouteError::ModelBlocked(_) => "model_blocked",
        RouteError::NoKey { .. } | RouteError::Unresolved => {
            return Problem::bad_request(error.to_string());
        }
    };
    Problem::new(StatusCode::FORBIDDEN, kind, error.to_string())
}

fn with_attempts(mut response: Response, tried: &[String]) -> Response {
    if !tried.is_empty()
        && let Ok(value) = HeaderValue::from_str(&tried.join(","))
    {
        response.headers_mut().insert(ATTEMPTS, value);
    }
    response
}
