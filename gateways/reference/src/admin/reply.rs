//! How bodies are read and answers are written, for every route of the management API.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::{About, Problem, Wording};
use crate::store::NotWritten;

/// Reads a body strictly: an unknown field is an error that names it.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let inner = error.inner();
        if inner.is_data() { invalid(format!("{}: {inner}", error.path())) } else { invalid("Invalid JSON") }
    })?;
    json.end().map_err(|_| invalid("Invalid JSON"))?;
    Ok(parsed)
}

/// Reads a query string strictly: an unknown field is an error that names it.
pub(super) fn filter<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Problem> {
    let uri = format!("/?{}", query.unwrap_or_default());
    let uri = uri.parse().map_err(|_| invalid("Invalid query"))?;
    axum::extract::Query::try_from_uri(&uri).map(|query| query.0).map_err(|error| invalid(error.body_text()))
}

/// Runs a change in a task of its own: a caller that leaves does not stop it half-way.
pub(super) async fn to_the_end(change: impl Future<Output = Result<Response, Problem>> + Send + 'static) -> Response {
    match tokio::spawn(change).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => refuse(&problem),
        Err(error) => {
            tracing::error!(%error, "a change ended abnormally");
            refuse(&Problem::failure(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "internal server error"))
        }
    }
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

pub(super) fn refuse(problem: &Problem) -> Response {
    problem.render(Wording::Native, &About::default())
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
