//! Calls to providers: which of its keys, how often, how long.

use std::collections::HashSet;
use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::Url;

use crate::address;
use crate::config::{AllowList, Provider, ProviderKey, Weight};
use crate::dice::{Dice, choose};
use crate::endpoint::Endpoint;
use crate::pin::Pin;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The pieces of an answer's body.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, reqwest::Error>>;

/// One request to a provider.
pub(crate) struct Call<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) endpoint: Endpoint,
    /// As the caller calls it.
    pub(crate) model: &'a str,
    pub(crate) body: Bytes,
    pub(crate) is_stream: bool,
    /// The caller's headers.
    pub(crate) headers: &'a HeaderMap,
    /// Which of the provider's keys the virtual key may use.
    pub(crate) key_ids: Option<&'a AllowList>,
    /// Which one the caller pins.
    pub(crate) pin: &'a Pin,
}

/// A provider's answer of success.
pub(crate) enum Answer {
    Whole {
        content_type: Option<HeaderValue>,
        body: Bytes,
    },
    /// The first piece has arrived.
    Stream {
        first: Bytes,
        rest: Pieces,
    },
}

/// Why a provider did not answer with success.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// No connection could be made.
    Unreachable(String),
    /// The connection ended before the answer's head.
    Reset(String),
    /// Nothing came in time.
    Timeout { began: bool },
    /// The answer began with success and then broke off.
    Broken(String),
    /// The provider refused or failed; its keys are not in the body.
    Status { status: StatusCode, content_type: Option<HeaderValue>, retry_after: Option<HeaderValue>, body: Bytes },
}

impl Failure {
    /// Whether the provider had begun to answer with success, and may charge.
    pub(crate) fn had_begun(&self) -> bool {
        matches!(self, Failure::Broken(_) | Failure::Timeout { began: true })
    }

    /// The status and the kind of failure that a caller is told.
    pub(crate) fn told(&self) -> (StatusCode, &'static str) {
        match self {
            Failure::Unreachable(_) => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
            Failure::Reset(_) => (StatusCode::BAD_GATEWAY, "upstream_reset"),
            Failure::Broken(_) => (StatusCode::BAD_GATEWAY, "upstream_broken"),
            Failure::Timeout { .. } => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
            Failure::Status { status, .. } => (*status, "upstream_error"),
        }
    }

    /// The word in `x-gateway-attempts`.
    pub(crate) fn word(&self) -> String {
        match self {
            Failure::Unreachable(_) => "unreachable".to_owned(),
            Failure::Reset(_) => "reset".to_owned(),
            Failure::Timeout { .. } => "timeout".to_owned(),
            Failure::Broken(_) => "broken".to_owned(),
            Failure::Status { status, .. } => status.as_u16().to_string(),
        }
    }

    /// What to do with the key before another try; `None`: do not try again.
    fn remedy(&self) -> Option<Remedy> {
        match self {
            Failure::Unreachable(_) | Failure::Reset(_) => Some(Remedy::Wait),
            Failure::Timeout { .. } | Failure::Broken(_) => None,
            Failure::Status { status, .. } => match status.as_u16() {
                500 | 502 | 503 | 504 => Some(Remedy::Wait),
                401..=403 => Some(Remedy::Rotate),
                429 => Some(Remedy::RotateAndWait),
                _ => None,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Wait,
    Rotate,
    RotateAndWait,
}

/// Connections to all providers.
pub(crate) struct Upstream {
    local: reqwest::Client,
    /// For plain HTTP beyond this machine, through a proxy if there is one. It needs no
    /// certificates, which an image from scratch does not have.
    plain: reqwest::Client,
    /// Made at the first call over TLS: it reads the system's certificates.
    secure: OnceLock<reqwest::Client>,
}

impl Upstream {
    pub(crate) fn new() -> Result<Upstream, reqwest::Error> {
        let local = builder().no_proxy().tls_certs_only([]).build()?;
        Ok(Upstream { local, plain: builder().tls_certs_only([]).build()?, secure: OnceLock::new() })
    }

    /// The client for a URL: plain HTTP to this machine needs neither proxy nor certificates.
    pub(crate) fn client(&self, url: &str) -> Result<&reqwest::Client, reqwest::Error> {
        if !url.starts_with("https:") {
            return Ok(if is_loopback(url) { &self.local } else { &self.plain });
        }
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let client = builder().build()?;
        Ok(self.secure.get_or_init(|| client))
    }

    /// Calls a provider, again with another key or after a pause where that can help
    /// and the provider's configuration allows it.
    /// The answer comes with the key that served.
    pub(crate) async fn call<'a>(
        &self,
        call: &Call<'a>,
        dice: &Dice,
    ) -> Result<(Answer, Option<&'a ProviderKey>), Failure> {
        let mut dead: HashSet<&str> = HashSet::new();
        let mut pause = call.provider.backoff_initial;
        let mut tries_left = call.provider.max_retries;
        let mut key = pick(call, &dead, dice);
        loop {
            let failure = match self.once(call, key).await {
                Ok(answer) => return Ok((answer, key)),
                Err(failure) => failure,
            };
            let (Some(remedy), Some(left)) = (failure.remedy(), tries_left.checked_sub(1)) else {
                return Err(failure);
            };
            tries_left = left;
            if remedy != Remedy::Wait {
                dead.extend(key.map(|key| key.id.as_str()));
                match pick(call, &dead, dice) {
                    Some(other) => key = Some(other),
                    // A key that was refused stays so; a busy one may recover.
                    None if remedy == Remedy::Rotate => return Err(failure),
                    None => {}
                }
            }
            if remedy != Remedy::Rotate {
                tokio::time::sleep(pause.min(call.provider.backoff_max)).await;
                pause = pause.saturating_mul(2);
            }
        }
    }

    async fn once(&self, call: &Call<'_>, key: Option<&ProviderKey>) -> Result<Answer, Failure> {
        let model = key.map_or(call.model, |key| key.wire_model(call.model));
        let url = address::url(call.provider, key, call.endpoint, model);
        let client = self.client(&url).map_err(|error| Failure::Unreachable(describe(&error)))?;
        let headers = address::headers(call.provider, key, call.headers);
        let body = if model == call.model { call.body.clone() } else { address::with_model(&call.body, model) };
        let request = client.post(url).headers(headers).body(body);
        let deadline = tokio::time::Instant::now() + call.provider.request_timeout;
        let answer = match tokio::time::timeout_at(deadline, request.send()).await {
            Err(_) => return Err(Failure::Timeout { began: false }),
            Ok(Err(error)) if error.is_connect() => {
                return Err(Failure::Unreachable(describe(&error)));
            }
            Ok(Err(error)) => return Err(Failure::Reset(describe(&error))),
            Ok(Ok(answer)) => answer,
        };
        let status = answer.status();
        let began = status.is_success();
        let content_type = answer.headers().get(header::CONTENT_TYPE).cloned();
        let retry_after = answer.headers().get(header::RETRY_AFTER).cloned();
        if began && call.is_stream {
            let mut rest = answer.bytes_stream().boxed();
            return match tokio::time::timeout_at(deadline, rest.next()).await {
                Err(_) => Err(Failure::Timeout { began }),
                Ok(None) => Err(Failure::Broken("the provider's stream was empty".to_owned())),
                Ok(Some(Err(error))) => Err(Failure::Broken(describe(&error))),
                Ok(Some(Ok(first))) => Ok(Answer::Stream { first, rest }),
            };
        }
        let body = match tokio::time::timeout_at(deadline, answer.bytes()).await {
            Err(_) => return Err(Failure::Timeout { began }),
            Ok(Err(error)) if began => return Err(Failure::Broken(describe(&error))),
            Ok(Err(error)) => return Err(Failure::Reset(describe(&error))),
            Ok(Ok(body)) => body,
        };
        if began {
            return Ok(Answer::Whole { content_type, body });
        }
        let body = call.provider.hide_keys(&String::from_utf8_lossy(&body)).into();
        Err(Failure::Status { status, content_type, retry_after, body })
    }
}

fn builder() -> reqwest::ClientBuilder {
    // A redirect would carry the provider's key to another host.
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// One of the keys that may be used, by weight.
fn pick<'a>(call: &Call<'a>, dead: &HashSet<&str>, dice: &Dice) -> Option<&'a ProviderKey> {
    let keys = call.provider.keys_for(call.model, call.key_ids);
    let keys: Vec<&ProviderKey> = keys.filter(|key| call.pin.admits(key) && !dead.contains(key.id.as_str())).collect();
    if let [only] = keys.as_slice() {
        return Some(only);
    }
    let weights: Vec<Weight> = keys.iter().map(|key| key.weight).collect();
    keys.get(choose(&weights, dice.roll())).copied()
}

/// The innermost cause: what a person wants to know, without the URL.
pub(crate) fn describe(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = None;
    while let Some(error) = cause {
        text = Some(error.to_string());
        cause = error.source();
    }
    let status = || error.status().map(|status| format!("the answer was {status}"));
    text.or_else(status).unwrap_or_else(|| "the connection failed".to_owned())
}
