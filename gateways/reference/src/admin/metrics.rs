//! `/metrics`, for the administrator or whoever `client.whitelisted_routes` lets in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::auth::Authorized;
use crate::gateway::Gateway;
use crate::telemetry::exposition::CONTENT_TYPE;

pub(super) async fn read(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.telemetry.metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
