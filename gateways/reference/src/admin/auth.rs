//! Who is the administrator: HTTP Basic, or the same pair as a bearer token.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

use crate::config::Admin;
use crate::errors::{About, Problem, Wording};
use crate::gateway::Gateway;

/// Proof that the administrator asks, or that the route is open to all.
pub(crate) struct Authorized;

impl FromRequestParts<Arc<Gateway>> for Authorized {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Authorized, Response> {
        if gateway.client().is_open_to_all(parts.uri.path()) {
            return Ok(Authorized);
        }
        let problem = match gateway.admin.load().as_deref() {
            None => Problem::new(
                StatusCode::FORBIDDEN,
                "management_closed",
                "The management API is closed: config.json has no enabled auth_config",
            ),
            Some(admin) if is_admin(admin, &parts.headers) => return Ok(Authorized),
            Some(_) => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized"),
        };
        Err(problem.render(Wording::Native, &About::default()))
    }
}

fn is_admin(admin: &Admin, headers: &HeaderMap) -> bool {
    let Some((scheme, token)) = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().split_once(' '))
    else {
        return false;
    };
    if !["basic", "bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return false;
    }
    let Ok(pair) = STANDARD.decode(token.trim()) else {
        return false;
    };
    let expected = format!("{}:{}", admin.username, admin.password);
    // Hashes are of one length, so that the comparison takes one time.
    Sha256::digest(pair).ct_eq(&Sha256::digest(expected)).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn allows(value: &str) -> bool {
        let admin = Admin { username: "admin".to_owned(), password: "pass:word".to_owned() };
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        is_admin(&admin, &headers)
    }

    #[test]
    fn basic_and_bearer_carry_the_same_pair() {
        let pair = STANDARD.encode("admin:pass:word");
        assert!(allows(&format!("Basic {pair}")));
        assert!(allows(&format!("Bearer {pair}")));
    }

    #[test]
    fn anything_else_is_not_the_administrator() {
        let wrong = STANDARD.encode("admin:pass");
        for value in [format!("Basic {wrong}"), "Basic !".to_owned(), "Basic".to_owned(), "Bearer sk-proxy".to_owned()]
        {
            assert!(!allows(&value), "{value}");
        }
    }
}
