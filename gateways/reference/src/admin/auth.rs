//! Who is the administrator: HTTP Basic, the same pair as a bearer token, or a session as a
//! bearer token or a cookie.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reply::Refused;
use crate::administrator::Administrator;
use crate::errors::Problem;
use crate::gateway::Gateway;

/// The cookie with a session's token.
pub(super) const COOKIE: &str = "token";

/// Proof that the administrator asks.
pub(crate) struct Authorized;

impl FromRequestParts<Arc<Gateway>> for Authorized {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Authorized, Refused> {
        Ok(prove(gateway, &parts.headers, address(&parts.extensions)).await?)
    }
}

async fn prove(gateway: &Arc<Gateway>, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Authorized, Problem> {
    let Some(admin) = gateway.admin.load_full() else {
        return Err(closed());
    };
    if has_session(gateway, headers) {
        return Ok(Authorized);
    }
    let unauthorized = || Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized");
    let pair = pair(headers).ok_or_else(unauthorized)?;
    if guess(gateway, admin, pair, address).await? { Ok(Authorized) } else { Err(unauthorized()) }
}

/// There is no administrator.
pub(super) fn closed() -> Problem {
    let message = "The management API is closed: config.json has no enabled auth_config";
    Problem::new(StatusCode::FORBIDDEN, "management_closed", message)
}

/// Whether `name:password` are the administrator's. Who guesses too often has to wait.
pub(super) async fn guess(
    gateway: &Gateway,
    admin: Arc<Administrator>,
    pair: Vec<u8>,
    address: Option<IpAddr>,
) -> Result<bool, Problem> {
    let may_try = || match gateway.guesses.wait(address, gateway.clock.now()) {
        None => Ok(()),
        Some(seconds) => {
            let message = format!("too many wrong passwords; try again in {seconds} s");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message);
            Err(Problem { retry_after: Some(seconds), ..problem })
        }
    };
    may_try()?;
    if admin.is_known(&pair) {
        return Ok(true);
    }
    // Many at once would all be tried before the first of them is counted.
    let _turn = gateway.guesses.turn().await;
    may_try()?;
    // It may take long, and must not hold up other requests.
    let is_right = tokio::task::spawn_blocking(move || admin.is(&pair)).await.unwrap_or(false);
    if !is_right {
        gateway.guesses.failed(address, gateway.clock.now());
    }
    Ok(is_right)
}

/// Whether the request belongs to an open session.
pub(super) fn has_session(gateway: &Gateway, headers: &HeaderMap) -> bool {
    let now = gateway.clock.now();
    tokens(headers).iter().any(|token| gateway.sessions.is_open(token, now))
}

/// What may be a session's token: of a bearer, and of the cookie.
pub(super) fn tokens(headers: &HeaderMap) -> Vec<&str> {
    let bearer = credentials(headers).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = cookies.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    let cookies = cookies.filter(|(name, _)| *name == COOKIE).map(|(_, token)| token);
    bearer.map(|(_, token)| token).into_iter().chain(cookies).collect()
}

/// `name:password`, from Basic or a bearer.
fn pair(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, token) = credentials(headers)?;
    let is_known = ["basic", "bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let pair = STANDARD.decode(token).ok().filter(|_| is_known)?;
    pair.contains(&b':').then_some(pair)
}

fn credentials(headers: &HeaderMap) -> Option<(&str, &str)> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    Some((scheme, token.trim()))
}

/// Where a request comes from.
pub(super) fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn basic_and_bearer_carry_the_same_pair() {
        let text = STANDARD.encode("admin:pass:word");
        for scheme in ["Basic", "basic", "Bearer"] {
            let headers = headers(header::AUTHORIZATION, &format!("{scheme} {text}"));
            assert_eq!(pair(&headers).unwrap(), b"admin:pass:word");
        }
    }

    #[test]
    fn anything_else_is_no_pair() {
        let text = STANDARD.encode("admin");
        for value in [format!("Basic {text}"), "Basic !".to_owned(), "Basic".to_owned(), "Bearer sk-proxy".to_owned()] {
            assert_eq!(pair(&headers(header::AUTHORIZATION, &value)), None, "{value}");
        }
    }

    #[test]
    fn a_sessions_token_is_a_bearer_or_a_cookie() {
        assert_eq!(tokens(&headers(header::AUTHORIZATION, "Bearer abc")), ["abc"]);
        assert_eq!(tokens(&headers(header::COOKIE, "theme=dark; token=abc; other=1")), ["abc"]);
        assert!(tokens(&headers(header::AUTHORIZATION, "Basic abc")).is_empty());
        assert!(tokens(&headers(header::COOKIE, "mytoken=abc")).is_empty());
    }
}
