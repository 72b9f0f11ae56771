//! Calls to providers: which of its keys, how often, how long.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::address;
use crate::config::{AllowList, Provider, ProviderKey};
use crate::connect::{self, Connections, NoAnswer};
use crate::dice::Dice;
use crate::endpoint::Endpoint;
use crate::failure::Remedy;
pub(crate) use crate::failure::{Failure, Progress};
use crate::keys_tried::{KeysTried, NoKey, Pauses};
use crate::pin::Pin;
use crate::sent::Sent;
use crate::upload::Upload;

/// The pieces of an answer's body.
pub(crate) type Pieces = BodyDataStream;

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
    fn keys(&self, key_ids: Option<&AllowList>) -> Vec<&'a ProviderKey> {
        self.provider.keys_for(self.model, key_ids).filter(|key| self.pin.admits(key)).collect()
    }
}

/// A provider's answer of success.
pub(crate) enum Answer {
    Whole { content_type: Option<HeaderValue>, body: Bytes },
    Stream(Begun),
}

/// A stream whose first piece has arrived.
pub(crate) struct Begun {
    pub(crate) first: Bytes,
    pub(crate) rest: Pieces,
    /// When its first event must have arrived.
    pub(crate) deadline: Instant,
}

/// Calls to all providers.
pub(crate) struct Upstream {
    connections: Connections,
}

impl Upstream {
    pub(crate) fn new() -> Result<Upstream, reqwest::Error> {
        Ok(Upstream { connections: Connections::new()? })
    }

    /// Calls a provider, again where that can help, for what costs nothing.
    pub(crate) async fn call(&self, call: &Call<'_>, dice: &Dice) -> Result<Answer, Failure> {
        let mut tries = Tries::of(self, call, dice);
        loop {
            match tries.once().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => tries.again(failure).await?,
            }
        }
    }

    async fn once(&self, call: &Call<'_>, key: Option<&ProviderKey>) -> Result<Answer, Failure> {
        let sent = Sent::default();
        let request = self.send(call, key, &sent);
        let deadline = Instant::now() + call.provider.request_timeout;
        let answer = match tokio::time::timeout_at(deadline, request).await {
            Err(_) if sent.is_sent() => return Err(Failure::Timeout(Progress::Sent)),
            Err(_) => return Err(Failure::Timeout(Progress::Unsent)),
            Ok(Err(NoAnswer(cause))) if sent.is_sent() => return Err(Failure::Reset(cause)),
            Ok(Err(NoAnswer(cause))) => return Err(Failure::Unreachable(cause)),
            Ok(Ok(answer)) => answer,
        };
        let (head, body) = answer.into_parts();
        let (status, content_type) = (head.status, head.headers.get(header::CONTENT_TYPE).cloned());
        if !status.is_success() {
            let shown = |name| shown(call.provider, head.headers.get(name)?);
            let (content_type, retry_after) = (shown(header::CONTENT_TYPE), shown(header::RETRY_AFTER));
            // The status says enough where its body does not come.
            let read = tokio::time::timeout_at(deadline, read(body, call.max_answer_bytes)).await;
            let body = read.ok().and_then(Result::ok).unwrap_or_default();
            let body = without_keys(call.provider, &body);
            return Err(Failure::Status { status, content_type, retry_after, body });
        }
        if call.is_stream {
            let mut rest = body.into_data_stream();
            let first = async {
                let first = rest.next().await.ok_or_else(|| "the provider's stream was empty".to_owned())?;
                first.map_err(|error| describe(&error))
            };
            let first = in_time(deadline, first).await?;
            return Ok(Answer::Stream(Begun { first, rest, deadline }));
        }
        let body = in_time(deadline, read(body, call.max_answer_bytes)).await?;
        Ok(Answer::Whole { content_type, body })
    }

    async fn send(&self, call: &Call<'_>, key: Option<&ProviderKey>, sent: &Sent) -> Result<Response<Body>, NoAnswer> {
        let model = key.map_or(call.model, |key| key.wire_model(call.model));
        let url = address::url(call.provider, key, call.endpoint, model);
        let mut headers = address::headers(call.provider, key, call.headers);
        if let Some(content_type) = call.upload.and_then(Upload::content_type) {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        let body = match call.upload {
            _ if model == call.model => call.body.clone(),
            Some(upload) => upload.body_for(model),
            None => address::with_model(&call.body, call.provider.api, model),
        };
        self.connections.post(&url, call.provider.allow_private, headers, sent.by(body)).await
    }
}

/// The tries of one call: each with one of the provider's keys.
pub(crate) struct Tries<'a> {
    upstream: &'a Upstream,
    call: &'a Call<'a>,
    dice: &'a Dice,
    /// Those of the provider that may be used now.
    keys: Vec<&'a ProviderKey>,
    tried: KeysTried<'a>,
    pauses: Pauses,
    left: u32,
    key: Option<&'a ProviderKey>,
}

impl<'a> Tries<'a> {
    pub(crate) fn of(upstream: &'a Upstream, call: &'a Call<'a>, dice: &'a Dice) -> Tries<'a> {
        let mut tried = KeysTried::default();
        let keys = call.keys(call.key_ids);
        let key = tried.next(&keys, Duration::ZERO, dice).ok().map(|next| next.key);
        let (pauses, left) = (Pauses::of(call.provider), call.provider.max_retries);
        Tries { upstream, call, dice, keys, tried, pauses, left, key }
    }

    /// The key of the present try.
    pub(crate) fn key(&self) -> Option<&'a ProviderKey> {
        self.key
    }

    /// From now on the virtual key may use these. Another key is chosen where the present one is
    /// not among them; tells whether there is one that can be asked at once.
    pub(crate) fn may_use(&mut self, key_ids: Option<&AllowList>) -> bool {
        self.keys = self.call.keys(key_ids);
        if self.key.is_none_or(|key| self.keys.iter().any(|other| other.id == key.id)) {
            return true;
        }
        self.key = self.tried.next(&self.keys, Duration::ZERO, self.dice).ok().map(|next| next.key);
        self.key.is_some()
    }

    /// One try.
    pub(crate) async fn once(&self) -> Result<Answer, Failure> {
        self.upstream.once(self.call, self.key).await
    }

    /// After a failure: chooses the key for another try, and waits where that helps. Fails
    /// with what the caller is told where no other try can help, or may be made.
    pub(crate) async fn again(&mut self, failure: Failure) -> Result<(), Failure> {
        let Some(remedy) = failure.remedy() else { return Err(failure) };
        self.tried.failed(self.key, &failure, remedy);
        let Some(left) = self.left.checked_sub(1) else { return Err(self.told(failure)) };
        self.left = left;
        let longest = self.call.provider.backoff_max;
        let mut has_to_wait = remedy != Remedy::Rotate;
        match self.key {
            Some(_) if remedy != Remedy::Wait => match self.tried.next(&self.keys, longest, self.dice) {
                Ok(next) => {
                    has_to_wait |= next.was_busy;
                    self.key = Some(next.key);
                }
                Err(NoKey::Refused) => return Err(exhausted(failure)),
                Err(NoKey::Busy) => return Err(self.told(failure)),
            },
            None if remedy == Remedy::Rotate => return Err(failure),
            _ => {}
        }
        // Another key was not told to wait.
        let least = self.tried.wait(self.key);
        if least > longest {
            return Err(self.told(failure));
        }
        if has_to_wait || !least.is_zero() {
            tokio::time::sleep(self.pauses.next(self.dice).max(least)).await;
        }
        Ok(())
    }

    /// What the caller is told where no other try may be made: the last failure, unless each key
    /// that is left has said when it may be asked again. Then what helps is to wait for the first.
    fn told(&self, last: Failure) -> Failure {
        self.tried.first_free(&self.keys).cloned().unwrap_or(last)
    }
}

/// What comes of an answer that has begun with success.
async fn in_time<T>(deadline: Instant, coming: impl Future<Output = Result<T, String>>) -> Result<T, Failure> {
    match tokio::time::timeout_at(deadline, coming).await {
        Err(_) => Err(Failure::Timeout(Progress::Began)),
        Ok(come) => come.map_err(Failure::Broken),
    }
}

impl Begun {
    /// The whole body, where it is no stream.
    pub(crate) async fn whole(self, most: usize) -> Result<Bytes, Failure> {
        in_time(self.deadline, gather(self.first.into(), self.rest, most)).await
    }
}

/// The whole body, unless it is larger than it may be.
async fn read(body: Body, most: usize) -> Result<Bytes, String> {
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > most) {
        return Err(too_large(most));
    }
    gather(BytesMut::new(), body.into_data_stream(), most).await
}

/// What has come of a body, and the rest of it.
async fn gather(mut whole: BytesMut, mut pieces: Pieces, most: usize) -> Result<Bytes, String> {
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| describe(&error))?;
        if whole.len() + piece.len() > most {
            return Err(too_large(most));
        }
        if whole.is_empty() {
            // Most answers come in one piece.
            whole = BytesMut::from(piece);
        } else {
            whole.extend_from_slice(&piece);
        }
    }
    Ok(whole.freeze())
}

fn too_large(most: usize) -> String {
    format!("it is larger than {} MB", most >> 20)
}

/// What a provider says, without its keys.
pub(crate) fn without_keys(provider: &Provider, body: &[u8]) -> Bytes {
    provider.hide_keys(&String::from_utf8_lossy(body)).into()
}

/// A header of an error, without the provider's keys.
fn shown(provider: &Provider, value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::try_from(provider.hide_keys(value.to_str().ok()?)).ok()
}

/// What a failure comes to when no key is left.
fn exhausted(failure: Failure) -> Failure {
    match failure {
        Failure::Status { status, .. } => Failure::Exhausted { last: status },
        other => other,
    }
}

/// Why a body broke off.
pub(crate) fn describe(error: &axum::Error) -> String {
    connect::cause(error).unwrap_or_else(|| error.to_string())
}
