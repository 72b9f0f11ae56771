//! The management API, for the administrator only.
//!
//! - [`asked`]: what a request says in path, query and body
//! - [`auth`]: who is the administrator
//! - [`virtual_keys`]: create, read with usage, edit, delete
//! - [`quota`]: what a virtual key has left, for its holder
//! - [`entities`]: customers, teams and model configurations
//! - [`kinds`]: what each of these has of its own
//! - [`provider_limits`]: budgets and limits of providers
//! - [`flat`]: all budgets and limits in one list
//! - [`meter_edits`]: what a change of an owner's budgets and limits comes to
//! - [`key_edits`]: what a change of a virtual key comes to
//! - [`commit`]: how a change takes effect
//! - [`bodies`], [`views`]: requests and answers as Bifrost has them
//! - [`config`]: client settings, while the gateway runs
//! - [`credentials`]: the administrator, while the gateway runs
//! - [`logs`]: the log of requests
//! - [`metrics`]: what is counted
//! - [`pricing`]: the administrator's own prices
//! - [`login`]: sessions open and end
//! - [`provider_keys`]: credentials for providers
//! - [`providers`]: providers, while the gateway runs
//! - [`reply`]: how changes are made and answers are written
//! - [`rotation`]: new values for virtual keys
//! - [`sessions`]: which are open, and the brake on guesses
//! - [`test_clock`]: time for tests, where the command line allows it

mod asked;
mod auth;
mod bodies;
mod commit;
mod config;
mod credentials;
mod entities;
mod flat;
mod key_edits;
mod kinds;
mod login;
mod logs;
mod meter_edits;
mod metrics;
mod pricing;
mod provider_keys;
mod provider_limits;
mod providers;
mod quota;
mod reply;
mod rotation;
mod sessions;
mod test_clock;
mod views;
mod virtual_keys;

use self::bodies::{KeyBody, ProviderBody};
use self::kinds::Kind;
use self::reply::{Done, Succeeded};
use crate::routes::{Routes, get, post};
use crate::store::{Customer, ModelConfig, Team};

pub(crate) use sessions::{Guesses, Sessions};

/// The routes of the management API.
pub(crate) fn routes(has_test_clock: bool) -> Routes {
    let mut router = login::routes()
        .merge(providers::routes())
        .route(
            "/api/governance/virtual-keys",
            get(virtual_keys::list)
                .asking::<virtual_keys::Filter>()
                .answering::<virtual_keys::Listed>()
                .post(virtual_keys::create)
                .taking::<KeyBody>()
                .answering::<virtual_keys::Changed>(),
        )
        .route(
            "/api/governance/virtual-keys/{id}",
            get(virtual_keys::read)
                .answering::<virtual_keys::One>()
                .put(virtual_keys::update)
                .taking::<KeyBody>()
                .answering::<virtual_keys::Changed>()
                .delete(virtual_keys::delete)
                .answering::<Done>(),
        )
        .route("/api/governance/virtual-keys/quota", get(quota::read).answering::<quota::Quota>())
        .merge(of_kind::<Customer>("/api/governance/customers"))
        .merge(of_kind::<Team>("/api/governance/teams"))
        .merge(of_kind::<ModelConfig>("/api/governance/model-configs"))
        .route("/api/governance/providers", get(provider_limits::list).answering::<provider_limits::Listed>())
        .route(
            "/api/governance/providers/{name}",
            get(provider_limits::read)
                .answering::<provider_limits::One>()
                .put(provider_limits::update)
                .taking::<ProviderBody>()
                .answering::<provider_limits::Changed>()
                .delete(provider_limits::delete)
                .answering::<Done>(),
        )
        .route("/api/governance/budgets", get(flat::budgets).answering::<flat::Budgets>())
        .route("/api/governance/rate-limits", get(flat::rate_limits).answering::<flat::RateLimits>())
        .route(
            "/api/config",
            get(config::read)
                .answering::<config::ConfigView>()
                .put(config::replace)
                .taking::<config::ConfigBody>()
                .answering::<Succeeded>()
                .patch(config::patch)
                .taking::<config::ConfigBody>()
                .answering::<Succeeded>(),
        )
        .route("/api/governance/virtual-keys/{id}/rotate", post(rotation::one).answering::<virtual_keys::Changed>())
        .route(
            "/api/governance/virtual-keys/rotate",
            post(rotation::several).taking::<rotation::Several>().answering::<rotation::Rotated>(),
        )
        .merge(logs::routes())
        .merge(pricing::routes())
        .route("/metrics", get(metrics::read).answering_what(metrics::content));
    if has_test_clock {
        router = router.route(
            "/api/test/clock",
            post(test_clock::advance).taking::<test_clock::Advance>().answering::<test_clock::Advanced>(),
        );
    }
    router
}

/// The routes of one kind of entity.
fn of_kind<T: Kind>(path: &str) -> Routes {
    let list = get(entities::list::<T>)
        .asking::<entities::Filter>()
        .answering_what(entities::several::<T>)
        .post(entities::create::<T>)
        .taking::<T::Body>()
        .answering_what(entities::changed::<T>);
    let one = get(entities::read::<T>)
        .answering_what(entities::one::<T>)
        .put(entities::update::<T>)
        .taking::<T::Body>()
        .answering_what(entities::changed::<T>)
        .delete(entities::delete::<T>)
        .answering::<Done>();
    Routes::new().route(path, list).route(&format!("{path}/{{id}}"), one)
}
