//! Time for tests: `POST /api/test/clock {"advance": "1h"}`. The route is there only
//! where the command line says so.

use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::asked::InBody;
use super::auth::Authorized;
use super::reply::{Reply, respond};
use crate::gateway::Gateway;
use crate::window::ResetDuration;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    advance: ResetDuration,
}

pub(super) async fn advance(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InBody(Advance { advance }): InBody<Advance>,
) -> Reply {
    gateway.clock.advance(advance.millis());
    Ok(respond(&json!({ "now": gateway.clock.now().to_string() })))
}
