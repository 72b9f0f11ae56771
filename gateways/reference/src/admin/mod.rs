//! The management API, for the administrator only.
//!
//! - [`auth`]: who is the administrator
//! - [`virtual_keys`]: create, read with usage, edit, delete
//! - [`config`]: client settings, while the gateway runs
//! - [`edit`]: what a change of a virtual key comes to
//! - [`logs`]: the log of requests
//! - [`metrics`]: what is counted
//! - [`pricing`]: the administrator's own prices
//! - [`reply`]: how bodies are read and answers are written
//! - [`rotation`]: new values for virtual keys
//! - [`shapes`]: bodies as Bifrost has them
//! - [`test_clock`]: time for tests, where the command line allows it

mod auth;
mod config;
mod edit;
mod logs;
mod metrics;
mod pricing;
mod reply;
mod rotation;
mod shapes;
mod test_clock;
mod virtual_keys;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};

use crate::gateway::Gateway;

/// The routes of the management API.
pub(crate) fn routes(has_test_clock: bool) -> Router<Arc<Gateway>> {
    let mut router = Router::new()
        .route("/api/governance/virtual-keys", get(virtual_keys::list).post(virtual_keys::create))
        .route(
            "/api/governance/virtual-keys/{id}",
            get(virtual_keys::read).put(virtual_keys::update).delete(virtual_keys::delete),
        )
        .route("/api/config", get(config::read).put(config::replace).patch(config::patch))
        .route("/api/governance/virtual-keys/{id}/rotate", post(rotation::one))
        .route("/api/governance/virtual-keys/rotate", post(rotation::several))
        .route("/api/logs", get(logs::list))
        .route("/api/logs/stats", get(logs::stats))
        .route("/api/logs/dropped", get(logs::dropped))
        .route("/api/logs/{id}", get(logs::read))
        .route("/api/governance/pricing-overrides", get(pricing::list).post(pricing::create))
        .route("/api/governance/pricing-overrides/{id}", put(pricing::update).delete(pricing::delete))
        .route("/api/pricing/force-sync", post(pricing::force_sync))
        .route("/metrics", get(metrics::read));
    if has_test_clock {
        router = router.route("/api/test/clock", post(test_clock::advance));
    }
    router
}
