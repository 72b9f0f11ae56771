//! `/metrics`, for the administrator, or for all if `client.whitelisted_routes` says so.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use super::auth::Authorized;
use super::reply::Refused;
use crate::gateway::Gateway;
use crate::telemetry::exposition::CONTENT_TYPE;

/// Proof that whoever asks may read the metrics.
pub(crate) struct Reader;

impl FromRequestParts<Arc<Gateway>> for Reader {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Reader, Refused> {
        if !gateway.client().metrics_are_open {
            let Authorized = Authorized::from_request_parts(parts, gateway).await?;
        }
        Ok(Reader)
    }
}

/// What they are, for the description of the API.
pub(super) fn content(_: &mut SchemaGenerator) -> Value {
    let media_type = CONTENT_TYPE.split(';').next().unwrap_or_default();
    json!({ (media_type): { "schema": { "type": "string" } } })
}

pub(super) async fn read(_reader: Reader, State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.telemetry.metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
