//! The management API, for the administrator only.
//!
//! - [`auth`]: who is the administrator
//! - [`virtual_keys`]: create, read with usage, edit, delete
//! - [`shapes`]: bodies as Bifrost has them
//! - [`test_clock`]: time for tests, where the command line allows it

mod auth;
mod test_clock;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;

use crate::gateway::Gateway;

/// The routes of the management API.
pub(crate) fn routes(has_test_clock: bool) -> Router<Arc<Gateway>> {
    let mut router = Router::new();
    if has_test_clock {
        router = router.route("/api/test/clock", post(test_clock::advance));
    }
    router
}
