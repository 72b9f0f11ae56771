//! `/api/session`: a login opens a session, which a cookie or a bearer token stands for.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::read;
use super::auth::{self, COOKIE};
use super::reply::{Done, Reply, done, respond};
use super::sessions::LENGTH_SECONDS;
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::objects::read_from_objects;
use crate::routes::{Routes, get, post};

/// The most that a stranger's body may have.
const MOST_BODY_BYTES: usize = 16 << 10;

/// The routes of sessions: the only ones of the management API that are open to everyone.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/session/login", post(login).taking::<Login>().answering::<Done>())
        .route("/api/session/logout", post(logout).answering::<Done>())
        .route("/api/session/is-auth-enabled", get(is_auth_enabled).answering::<AuthState>())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
struct Login {
    username: String,
    password: String,
}

read_from_objects!(Login);

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct AuthState {
    /// Whether there is an administrator.
    is_auth_enabled: bool,
    /// Whether the request belongs to an open session.
    has_valid_token: bool,
}

async fn login(State(gateway): State<Arc<Gateway>>, extensions: Extensions, headers: HeaderMap, body: Body) -> Reply {
    let token = open(&gateway, &extensions, body).await?;
    let answer = done("Login successful");
    Ok(with_cookie(answer, &headers, &token, LENGTH_SECONDS))
}

async fn open(gateway: &Gateway, extensions: &Extensions, body: Body) -> Result<String, Problem> {
    let Some(admin) = gateway.admin.load_full() else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "management_closed", "Authentication is not enabled"));
    };
    let login: Login = read(body, MOST_BODY_BYTES).await?;
    let pair = format!("{}:{}", login.username, login.password).into_bytes();
    if !auth::guess(gateway, Arc::clone(&admin), pair, auth::address(extensions)).await? {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid username or password"));
    }
    // No change of the password may come between the check and the session.
    let _one_at_a_time = gateway.editing.lock().await;
    let is_still = gateway.admin.load_full().is_some_and(|now| Arc::ptr_eq(&now, &admin));
    let changed = || Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid username or password");
    if is_still { Ok(gateway.sessions.open(gateway.clock.now())) } else { Err(changed()) }
}

/// Ends the session that the request belongs to, if it belongs to one.
async fn logout(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    for token in auth::tokens(&headers) {
        gateway.sessions.close(token);
    }
    with_cookie(done("Logout successful"), &headers, "", 0)
}

async fn is_auth_enabled(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    respond(&AuthState {
        is_auth_enabled: gateway.admin.load().is_some(),
        has_valid_token: auth::has_session(&gateway, &headers),
    })
}

/// Sets the cookie; over TLS, which a proxy in front says, it is for TLS only.
fn with_cookie(mut response: Response, headers: &HeaderMap, token: &str, seconds: i64) -> Response {
    let is_secure =
        headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
