//! Who asks.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::clock::Moment;
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::identity::{self, KeyHash, Presented};
use crate::policy::{KeyRing, VirtualKey};

/// The virtual key of a request; `None` where it brings none and needs none. What every request
/// of inference must bring is asked for first.
pub(crate) fn identify(gateway: &Gateway, headers: &HeaderMap) -> Result<Option<Arc<VirtualKey>>, Problem> {
    require(&gateway.client().required_headers, headers)?;
    match identity::presented(headers) {
        Presented::Conflict => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "virtual_key_conflict",
            "two different virtual keys in one request",
        )),
        Presented::None if gateway.client().key_is_mandatory => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "virtual_key_required",
            format!("virtual key is required. {}", identity::HOW_TO_BRING_ONE),
        )),
        Presented::None => Ok(None),
        Presented::Key(hash) => current(&gateway.policy().keys, &hash, gateway.books.now()).map(Some),
    }
}

/// The same once more, for a request that brought `key` before: what it brings is not read anew.
pub(super) fn identify_again(
    gateway: &Gateway,
    headers: &HeaderMap,
    key: Option<Arc<VirtualKey>>,
) -> Result<Option<Arc<VirtualKey>>, Problem> {
    let Some(key) = key else { return identify(gateway, headers) };
    require(&gateway.client().required_headers, headers)?;
    current(&gateway.policy().keys, &key.row.value_hash, gateway.books.now()).map(Some)
}

/// Refuses a request that lacks a required header. An empty one says nothing, and is none.
fn require(required: &[HeaderName], headers: &HeaderMap) -> Result<(), Problem> {
    let is_there = |name: &&HeaderName| headers.get(*name).is_some_and(|value| !value.is_empty());
    let missing: Vec<&str> = required.iter().filter(|name| !is_there(name)).map(HeaderName::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("missing required headers: {}", missing.join(", "));
    Err(Problem::new(StatusCode::BAD_REQUEST, "missing_required_headers", message))
}

/// The key with this value as it is now, if it is there, active and not expired.
pub(super) fn current(keys: &KeyRing, hash: &KeyHash, now: Moment) -> Result<Arc<VirtualKey>, Problem> {
    let blocked = |message: &str| Problem::new(StatusCode::FORBIDDEN, "virtual_key_blocked", message);
    match keys.find(hash) {
        None => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "virtual_key_not_found",
            "virtual key not found. The provided virtual key does not exist or has been revoked.",
        )),
        Some(key) if !key.row.is_active => Err(blocked("Virtual key is inactive")),
        Some(key) if key.row.expires_at.is_some_and(|end| end <= now) => Err(blocked("Virtual key has expired")),
        Some(key) => Ok(key),
    }
}
