//! Forwards a stream to the caller, each event when it arrives, and charges it.
//!
//! A stream that ends with its provider's own end marker is whole: it is charged,
//! the charge is written, and only then is the marker forwarded. A stream that ends
//! in any other way (cut, reset, idle for too long, a failure inside) ends for the
//! caller with an error event in its own protocol, without the end marker, and with
//! a connection that breaks off: no client can take it for whole.
//!
//! What a stream costs: what the provider's last word on its usage says, if it came;
//! else the whole hold, or more if the usage so far is more.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::json;

use super::sse::{Event, Parser};
use super::watch::{Protocol, Sign, Watch};
use crate::books::Held;
use crate::config::Provider;
use crate::gateway::{Gateway, InflightGuard};
use crate::ledger::Spent;
use crate::pricing::Tariff;
use crate::telemetry::Notes;
use crate::translate::caller::messages_stream::MessagesStream;
use crate::upstream::{Failure, Pieces};

/// How a stream reaches the caller.
pub(crate) struct Framing {
    /// The caller's protocol.
    pub(crate) caller: Protocol,
    /// Whether the provider speaks chat completions and the caller messages.
    pub(crate) is_translated: bool,
    /// Whether the caller did not ask for the chunk that carries only usage.
    pub(crate) hides_usage_chunk: bool,
    pub(crate) model: String,
    pub(crate) provider: Arc<Provider>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The error event is out; the connection breaks off next.
    Failed,
    Ended,
}

struct Relay {
    gateway: Arc<Gateway>,
    /// Taken when the stream is charged.
    held: Option<Held>,
    tariff: Tariff,
    framing: Framing,
    watch: Watch,
    parser: Parser,
    events: VecDeque<Event>,
    translation: Option<MessagesStream>,
    rest: Pieces,
    state: State,
    notes: Arc<Notes>,
    _inflight: InflightGuard,
}

/// Waits for the first event, and from then on forwards the stream as the caller
/// reads it. A stream that fails before its first event is charged and an error:
/// another provider can still serve the request.
pub(crate) async fn start(
    gateway: &Arc<Gateway>,
    held: Held,
    tariff: Tariff,
    framing: Framing,
    first: Bytes,
    rest: Pieces,
    notes: &Arc<Notes>,
) -> Result<Response, Failure> {
    let protocol = if framing.is_translated { Protocol::Completions } else { framing.caller };
    let translation = framing.is_translated.then(|| MessagesStream::new(&framing.model));
    let mut relay = Relay {
        gateway: Arc::clone(gateway),
        held: Some(held),
        tariff,
        framing,
        watch: Watch::new(protocol),
        parser: Parser::default(),
        events: VecDeque::new(),
        translation,
        rest,
        state: State::Open,
        notes: Arc::clone(notes),
        _inflight: gateway.inflight.enter(),
    };
    let mut outcome = relay.take(&first);
    while outcome.is_ok() && relay.events.is_empty() {
        outcome = relay.read().await;
    }
    if let (Ok(()), Some(event)) = (&outcome, relay.events.front())
        && let Sign::Failure(message) = relay.watch.clone().see(event)
    {
        outcome = Err(message);
    }
    if let Err(message) = outcome {
        relay.charge_unfinished();
        return Err(Failure::Broken(relay.framing.provider.hide_keys(&message)));
    }
    notes.stream_began();
    let pieces = futures_util::stream::unfold(relay, |mut relay| async move {
        let piece = relay.next_piece().await?;
        Some((piece, relay))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

impl Relay {
    /// What goes to the caller next; `None` is the proper end.
    async fn next_piece(&mut self) -> Option<Result<Bytes, io::Error>> {
        loop {
            match self.state {
                State::Ended => return None,
                State::Failed => {
                    // Gives the server the turn in which it sends the error event.
                    tokio::task::yield_now().await;
                    self.state = State::Ended;
                    return Some(Err(io::Error::other("the provider's stream broke off")));
                }
                State::Open => {}
            }
            let Some(event) = self.events.pop_front() else {
                if let Err(message) = self.read().await {
                    return Some(Ok(self.fail(&message)));
                }
                continue;
            };
            let sign = self.watch.see(&event);
            let out = match (&sign, &mut self.translation) {
                (Sign::Failure(message), _) => {
                    let message = message.clone();
                    return Some(Ok(self.fail(&message)));
                }
                (Sign::UsageOnly, None) if self.framing.hides_usage_chunk => continue,
                (_, None) => event.raw,
                (_, Some(translation)) => {
                    translation.translate(&event.data, self.watch.usage().map(|(usage, _)| usage))
                }
            };
            self.notes.answered(&out);
            if sign == Sign::End {
                self.charge_whole().await;
                self.state = State::Ended;
                self.notes.served();
                self.notes.finish();
            }
            if !out.is_empty() {
                return Some(Ok(out));
            }
        }
    }

    /// Waits for the next piece of the provider's stream.
    async fn read(&mut self) -> Result<(), String> {
        match tokio::time::timeout(self.framing.provider.stream_idle_timeout, self.rest.next()).await {
            Err(_) => Err("the provider's stream was idle for too long".to_owned()),
            Ok(None) => Err("the provider's stream ended without its end marker".to_owned()),
            Ok(Some(Err(error))) => {
                Err(format!("the provider's stream broke off: {}", crate::upstream::describe(&error)))
            }
            Ok(Some(Ok(piece))) => self.take(&piece),
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        self.parser.push(piece).map_err(|error| error.to_string())?;
        while let Some(event) = self.parser.next_event() {
            self.events.push_back(event);
        }
        Ok(())
    }

    /// Charges the stream, and gives the error event that ends it.
    fn fail(&mut self, message: &str) -> Bytes {
        self.charge_unfinished();
        self.notes.failed(StatusCode::BAD_GATEWAY, "upstream_broken");
        self.notes.finish();
        self.state = State::Failed;
        error_event(self.framing.caller, &self.framing.provider.hide_keys(message))
    }

    async fn charge_whole(&mut self) {
        let Some(held) = self.held.take() else { return };
        let spent = self.spent(&held);
        self.note_usage();
        if let (Some((_, true)), Some(model)) = (self.watch.usage(), &self.tariff.unbounded) {
            self.gateway.last_spent.set(model, spent);
        }
        if let Err(error) = held.settle(spent).await {
            tracing::error!(%error, "the outcome of a stream was not written");
        }
    }

    fn charge_unfinished(&mut self) {
        let Some(held) = self.held.take() else { return };
        let spent = self.spent(&held);
        self.note_usage();
        held.settle_behind(spent);
    }

    fn note_usage(&self) {
        if let Some((usage, _)) = self.watch.usage() {
            self.notes.used(usage);
        }
        self.notes.finished(self.watch.finish_reasons().to_vec());
    }

    /// What the provider's last word says; without one, what was held, or more if the usage
    /// so far is more.
    fn spent(&self, held: &Held) -> Spent {
        match self.watch.usage() {
            Some((usage, true)) => self.tariff.spent(&usage),
            Some((usage, false)) => self.tariff.spent(&usage).max(held.bound()),
            None => held.bound(),
        }
    }
}

impl Drop for Relay {
    /// The caller has left: the provider's stream is closed with `rest`.
    fn drop(&mut self) {
        self.charge_unfinished();
    }
}

/// The event that tells a caller of a failure inside the stream.
fn error_event(protocol: Protocol, message: &str) -> Bytes {
    let text = match protocol {
        Protocol::Completions => {
            let error = json!({
                "error": { "message": message, "type": "upstream_broken", "code": "upstream_broken" },
                "is_bifrost_error": true,
            });
            format!("data: {error}\n\n")
        }
        Protocol::Responses => {
            let error = json!({ "type": "error", "code": "upstream_broken", "message": message, "param": null });
            format!("event: error\ndata: {error}\n\n")
        }
        Protocol::Messages => {
            let error = json!({ "type": "error", "error": { "type": "api_error", "message": message } });
            format!("event: error\ndata: {error}\n\n")
        }
    };
    text.into()
}
