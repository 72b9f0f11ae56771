//! Time for tests: `POST /api/test/clock {"advance": "1h"}`. The route is there only
//! where the command line says so.

use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::InBody;
use super::auth::Authorized;
use super::reply::{Reply, invalid, respond};
use crate::clock::Moment;
use crate::gateway::Gateway;
use crate::objects::read_from_objects;
use crate::window::ResetDuration;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct Advance {
    advance: ResetDuration,
}

read_from_objects!(Advance);

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Advanced {
    now: Moment,
}

pub(super) async fn advance(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InBody(Advance { advance }): InBody<Advance>,
) -> Reply {
    gateway
        .clock
        .advance(advance.millis())
        .map_err(|last| invalid(format!("advance: the clock cannot be later than {last}")))?;
    Ok(respond(&Advanced { now: gateway.clock.now() }))
}
