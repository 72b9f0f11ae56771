//! The mock's own routes, under `/_mock/`: reading, clearing and awaiting the ledger, and
//! changing the script. They are not in the ledger themselves.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;

use crate::ledger::{Kind, Ledger};
use crate::millis::Millis;
use crate::script::Script;
use crate::world::World;

/// Where the ledger is read and cleared.
pub(crate) const LEDGER: &str = "/_mock/ledger";
/// Where the ledger is awaited.
const AWAIT: &str = "/_mock/ledger/await";
/// Where the script is read and changed.
pub(crate) const SCRIPT: &str = "/_mock/script";

const USUAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Every control route.
pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route(LEDGER, get(read_ledger).delete(clear_ledger))
        .route(AWAIT, get(await_ledger))
        .route(SCRIPT, get(read_script).put(change_script))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    kind: Option<Kind>,
}

impl Filter {
    fn apply(&self, mut ledger: Ledger) -> Ledger {
        if let Some(kind) = self.kind {
            ledger.entries.retain(|entry| entry.kind == kind);
        }
        ledger
    }
}

async fn read_ledger(State(world): State<Arc<World>>, Query(filter): Query<Filter>) -> Json<Ledger> {
    Json(filter.apply(world.ledger()))
}

async fn clear_ledger(State(world): State<Arc<World>>) -> StatusCode {
    world.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// Calls of inference that there must be, at least.
    #[serde(default)]
    calls: usize,
    /// Whether none may still be being answered.
    #[serde(default)]
    settled: bool,
    timeout: Option<Millis>,
    kind: Option<Kind>,
}

async fn await_ledger(State(world): State<Arc<World>>, Query(wait): Query<Wait>) -> Response {
    let come = |ledger: &Ledger| ledger.inference().count() >= wait.calls && (!wait.settled || ledger.open() == 0);
    let timeout = wait.timeout.map_or(USUAL_TIMEOUT, Millis::duration);
    if world.wait_until(come, timeout).await {
        let filter = Filter { kind: wait.kind };
        return Json(filter.apply(world.ledger())).into_response();
    }
    let ledger = world.ledger();
    let message = format!(
        "after {timeout:?} there were {} calls of inference, and {} requests being answered",
        ledger.inference().count(),
        ledger.open()
    );
    refusal(StatusCode::REQUEST_TIMEOUT, &message)
}

async fn read_script(State(world): State<Arc<World>>) -> Json<Script> {
    Json(Script::clone(&world.script()))
}

async fn change_script(State(world): State<Arc<World>>, body: String) -> Response {
    let script = serde_json::from_str::<Script>(&body)
        .map_err(|error| error.to_string())
        .and_then(|script| script.validate().map(|()| script).map_err(|error| error.to_string()));
    match script {
        Ok(script) => {
            world.set_script(script);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(reason) => refusal(StatusCode::BAD_REQUEST, &reason),
    }
}

fn refusal(status: StatusCode, message: &str) -> Response {
    let body = json!({"error": {"message": message}}).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
