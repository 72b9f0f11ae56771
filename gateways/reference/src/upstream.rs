//! Calls to providers: which of its keys, how often, how long.

use std::error::Error as _;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use crate::address;
use crate::config::{AllowList, Provider, ProviderKey};
use crate::connect::Connections;
use crate::dice::Dice;
use crate::endpoint::Endpoint;
pub(crate) use crate::failure::Failure;
use crate::failure::Remedy;
use crate::keys_tried::{KeysTried, Pauses};
use crate::pin::Pin;
use crate::upload::Upload;

/// The pieces of an answer's body.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, reqwest::Error>>;

/// One request to a provider.
pub(crate) struct Call<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) endpoint: Endpoint,
    /// As the caller calls it.
    pub(crate) model: &'a str,
    pub(crate) body: Bytes,
    /// What the body was made from, if it is a form.
    pub(crate) upload: Option<&'a Upload>,
    pub(crate) is_stream: bool,
    /// The caller's headers.
    pub(crate) headers: &'a HeaderMap,
    /// Which of the provider's keys the virtual key may use.
    pub(crate) key_ids: Option<&'a AllowList>,
    /// Which one the caller pins.
    pub(crate) pin: &'a Pin,
    /// The most that a plain answer may have.
    pub(crate) max_answer_bytes: usize,
}

impl<'a> Call<'a> {
    /// The keys that may be used.
    fn keys(&self) -> impl Iterator<Item = &'a ProviderKey> {
        let pin = self.pin;
        self.provider.keys_for(self.model, self.key_ids).filter(move |key| pin.admits(key))
    }
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

/// Calls to all providers.
pub(crate) struct Upstream {
    connections: Connections,
}

impl Upstream {
    pub(crate) fn new() -> Result<Upstream, reqwest::Error> {
        Ok(Upstream { connections: Connections::new()? })
    }

    /// The client for a URL that the administrator names and that is no provider's.
    pub(crate) fn client(&self, url: &str) -> Result<&reqwest::Client, reqwest::Error> {
        self.connections.client(url, true)
    }

    /// Calls a provider, again with another key or after a pause where that can help
    /// and the provider's configuration allows it.
    /// The answer comes with the key that served.
    pub(crate) async fn call<'a>(
        &self,
        call: &Call<'a>,
        dice: &Dice,
    ) -> Result<(Answer, Option<&'a ProviderKey>), Failure> {
        let mut tried = KeysTried::default();
        let mut pauses = Pauses::of(call.provider);
        let mut tries_left = call.provider.max_retries;
        let mut told_to_wait = Duration::ZERO;
        let mut key = tried.next(call.keys(), dice).map(|next| next.key);
        loop {
            let failure = match self.once(call, key).await {
                Ok(answer) => return Ok((answer, key)),
                Err(failure) => failure,
            };
            let (Some(remedy), Some(left)) = (failure.remedy(), tries_left.checked_sub(1)) else {
                return Err(failure);
            };
            tries_left = left;
            told_to_wait = told_to_wait.max(failure.retry_after(Timestamp::now()).unwrap_or_default());
            let mut has_to_wait = remedy != Remedy::Rotate;
            // Another key was not told to wait.
            let mut is_again = true;
            if let Some(known) = key.filter(|_| remedy != Remedy::Wait) {
                if remedy == Remedy::Rotate {
                    tried.refused(known);
                } else {
                    tried.busy(known);
                }
                let Some(next) = tried.next(call.keys(), dice) else { return Err(exhausted(failure)) };
                is_again = next.was_busy;
                has_to_wait |= is_again;
                key = Some(next.key);
            } else if remedy == Remedy::Rotate {
                return Err(failure);
            }
            let least = if is_again { told_to_wait } else { Duration::ZERO };
            if least > call.provider.backoff_max {
                return Err(failure);
            }
            if has_to_wait {
                tokio::time::sleep(pauses.next(dice).max(least)).await;
            }
        }
    }

    async fn once(&self, call: &Call<'_>, key: Option<&ProviderKey>) -> Result<Answer, Failure> {
        let model = key.map_or(call.model, |key| key.wire_model(call.model));
        let url = address::url(call.provider, key, call.endpoint, model);
        let client = self
            .connections
            .client(&url, call.provider.allow_private)
            .map_err(|error| Failure::Unreachable(describe(&error)))?;
        let mut headers = address::headers(call.provider, key, call.headers);
        if let Some(content_type) = call.upload.and_then(Upload::content_type) {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        let body = match call.upload {
            _ if model == call.model => call.body.clone(),
            Some(upload) => upload.body_for(model),
            None => address::with_model(&call.body, call.provider.api, model),
        };
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
        let body = match tokio::time::timeout_at(deadline, read(answer, call.max_answer_bytes)).await {
            Err(_) => return Err(Failure::Timeout { began }),
            Ok(Err(problem)) if began => return Err(Failure::Broken(problem)),
            Ok(Err(problem)) => return Err(Failure::Reset(problem)),
            Ok(Ok(body)) => body,
        };
        if began {
            return Ok(Answer::Whole { content_type, body });
        }
        let body = call.provider.hide_keys(&String::from_utf8_lossy(&body)).into();
        Err(Failure::Status { status, content_type, retry_after, body })
    }
}

/// The whole body, unless it is larger than it may be.
async fn read(mut answer: reqwest::Response, most: usize) -> Result<Bytes, String> {
    let too_large = || format!("it is larger than {} MB", most >> 20);
    if answer.content_length().is_some_and(|length| usize::try_from(length).map_or(true, |length| length > most)) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| describe(&error))? {
        if body.len() + piece.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// What a failure comes to when no key is left.
fn exhausted(failure: Failure) -> Failure {
    match failure {
        Failure::Status { status, .. } => Failure::Exhausted { last: status },
        other => other,
    }
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
