//! Time for tests: `POST /api/test/clock {"advance": "1h"}`. The route is there only
//! where the command line says so.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::auth::Authorized;
use crate::errors::{About, Problem, Wording};
use crate::gateway::Gateway;
use crate::window::ResetDuration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: ResetDuration,
}

pub(super) async fn advance(_admin: Authorized, State(gateway): State<Arc<Gateway>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Advance>(&body) {
        Ok(advance) => {
            gateway.clock.advance(advance.advance.millis());
            Json(json!({ "now": gateway.clock.now().to_string() })).into_response()
        }
        Err(error) => Problem::bad_request(error.to_string()).render(Wording::Native, &About::default()),
    }
}
