//! How the routes of the management API do their work and answer.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::errors::{About, Problem, Wording};
use crate::gateway::Gateway;
use crate::store::NotWritten;

/// What a route answers.
pub(super) type Reply = Result<Response, Refused>;

/// A problem in the gateway's own wording.
pub(crate) struct Refused(Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        Refused(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.render(Wording::Native, &About::default())
    }
}

/// Runs an administrator's change, one at a time.
pub(super) async fn change<F>(gateway: Arc<Gateway>, change: impl FnOnce(Arc<Gateway>) -> F + Send + 'static) -> Reply
where
    F: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    to_the_end(async move {
        let _one_at_a_time = gateway.editing.lock().await;
        change(Arc::clone(&gateway)).await
    })
    .await
}

/// Runs a change in a task of its own: a caller that leaves does not stop it half-way.
pub(super) async fn to_the_end(change: impl Future<Output = Result<Response, Problem>> + Send + 'static) -> Reply {
    tokio::spawn(change)
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "a change ended abnormally");
            Err(Problem::failure(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "internal server error"))
        })
        .map_err(Refused)
}

pub(super) fn invalid(message: impl Into<String>) -> Problem {
    Problem::failure(StatusCode::BAD_REQUEST, "invalid_request", message)
}

pub(super) fn conflict(message: impl Into<String>) -> Problem {
    Problem::failure(StatusCode::CONFLICT, "conflict", message)
}

pub(super) fn missing(message: impl Into<String>) -> Problem {
    Problem::failure(StatusCode::NOT_FOUND, "not_found", message)
}

pub(super) fn not_written(error: NotWritten) -> Problem {
    let message = format!("{error}; nothing was changed");
    Problem::failure(StatusCode::INTERNAL_SERVER_ERROR, "not_recorded", message)
}

/// As text from the serializer: a detour through values would round money.
pub(super) fn respond(body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// That something was done.
#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Done {
    message: String,
}

/// Where nothing is left to show.
pub(super) fn done(message: impl Into<String>) -> Response {
    respond(&Done { message: message.into() })
}

/// That something was done, where Bifrost has one more word for it.
#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Succeeded {
    /// `success`.
    status: &'static str,
    message: &'static str,
}

pub(super) fn succeeded(message: &'static str) -> Response {
    respond(&Succeeded { status: "success", message })
}

/// One page of a list, and what Bifrost says of it.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) counts: Counts,
}

#[derive(Clone, Copy, Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Counts {
    count: usize,
    total_count: usize,
    limit: usize,
    offset: usize,
}

impl<T> Page<T> {
    /// All of it where no limit is given.
    pub(super) fn of(all: Vec<T>, limit: Option<usize>, offset: Option<usize>) -> Page<T> {
        let total_count = all.len();
        let (limit, offset) = (limit.unwrap_or(total_count), offset.unwrap_or(0));
        let items: Vec<T> = all.into_iter().skip(offset).take(limit).collect();
        let counts = Counts { count: items.len(), total_count, limit, offset };
        Page { items, counts }
    }
}
