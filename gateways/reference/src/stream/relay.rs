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
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::Instant;

use super::frame::{self, Frame};
use super::plain;
use super::sse::{Event, Parser};
use super::watch::{Protocol, Sign, Watch};
use crate::books::Held;
use crate::config::Provider;
use crate::gateway::{Gateway, InflightGuard};
use crate::ledger::Spent;
use crate::pricing::Tariff;
use crate::telemetry::{Notes, Pace};
use crate::translate::{Bridge, Stream};
use crate::upstream::{Begun, Failure, Pieces};

/// How a stream reaches the caller.
pub(crate) struct Framing {
    /// The caller's protocol.
    pub(crate) caller: Protocol,
    /// The provider's.
    pub(crate) theirs: Protocol,
    /// Set where the two differ.
    pub(crate) bridge: Option<Bridge>,
    /// Whether the caller wants one JSON array instead of events.
    pub(crate) as_array: bool,
    /// Whether the caller did not ask for the chunk that carries only usage.
    pub(crate) hides_usage_chunk: bool,
    pub(crate) provider: Arc<Provider>,
}

/// An event, what it means, and its data where that is JSON.
type Seen = (Event, Sign, Option<Value>);

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The error event is out; the connection breaks off next.
    Failed,
    /// The provider's body has ended where it may.
    Closed,
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
    /// The first event, which was read before the answer began.
    first: Option<Seen>,
    events: VecDeque<Event>,
    translation: Option<Stream>,
    frame: Frame,
    rest: Pieces,
    /// How much longer the provider may say nothing. Comments, which it may send for as long as it
    /// likes, are nothing.
    patience: Duration,
    state: State,
    notes: Arc<Notes>,
    /// Once the stream has begun.
    pace: Option<Pace>,
    _inflight: InflightGuard,
}

/// Waits for the first event that says something, and from then on forwards the stream as
/// the caller reads it. A stream that fails before that is charged and an error: another
/// provider can still serve the request.
pub(crate) async fn start(
    gateway: &Arc<Gateway>,
    held: Held,
    tariff: Tariff,
    framing: Framing,
    begun: Begun,
    notes: &Arc<Notes>,
) -> Result<Response, Failure> {
    if plain::begins(&begun.first) {
        let most_bytes = gateway.client().max_answer_bytes;
        return Err(plain::failure(held, &tariff, &framing.provider, begun, most_bytes, notes).await);
    }
    let translation = framing.bridge.as_ref().map(|bridge| bridge.stream(framing.hides_usage_chunk));
    let frame = Frame::new(framing.as_array);
    let content_type = frame.content_type();
    let mut relay = Relay {
        gateway: Arc::clone(gateway),
        held: Some(held),
        tariff,
        watch: Watch::new(framing.theirs),
        parser: Parser::default(),
        first: None,
        events: VecDeque::new(),
        translation,
        frame,
        framing,
        patience: begun.deadline.saturating_duration_since(Instant::now()),
        rest: begun.rest,
        state: State::Open,
        notes: Arc::clone(notes),
        pace: None,
        _inflight: gateway.inflight.enter(),
    };
    let mut outcome = relay.take(&begun.first);
    loop {
        while relay.events.pop_front_if(|event| !event.says_something()).is_some() {}
        if outcome.is_err() || !relay.events.is_empty() || relay.state != State::Open {
            break;
        }
        outcome = relay.read().await;
    }
    relay.first = relay.next_event();
    if let (Ok(()), Some((_, Sign::Failure(message), _))) = (&outcome, &relay.first) {
        outcome = Err(message.clone());
    }
    if let Err(message) = outcome {
        relay.charge_unfinished(Held::settle_unserved_behind);
        notes.answer_failed(!relay.watch.is_refusal());
        return Err(Failure::Broken(relay.framing.provider.hide_keys(&message)));
    }
    relay.pace = notes.stream_began();
    let pieces = futures_util::stream::unfold(relay, |mut relay| async move {
        let piece = relay.next_piece().await?;
        Some((piece, relay))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
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
                State::Open | State::Closed => {}
            }
            let Some((event, sign, json)) = self.next_event() else {
                match self.state {
                    State::Closed => {
                        let out = self.finish().await;
                        return Some(Ok(self.noted(out)));
                    }
                    _ => {
                        if let Err(message) = self.read().await {
                            return Some(Ok(self.fail(&message)));
                        }
                    }
                }
                continue;
            };
            let out = match sign {
                Sign::Failure(message) => return Some(Ok(self.fail(&message))),
                Sign::UsageOnly if self.translation.is_none() && self.framing.hides_usage_chunk => continue,
                Sign::End => self.end(event, json).await,
                Sign::Content | Sign::UsageOnly => {
                    self.pace.iter_mut().for_each(Pace::event);
                    self.forward(event, json)
                }
            };
            match out {
                Err(message) => return Some(Ok(self.fail(&message))),
                Ok(out) if !out.is_empty() => return Some(Ok(self.noted(out))),
                Ok(_) => {}
            }
        }
    }

    /// The next event that has arrived.
    fn next_event(&mut self) -> Option<Seen> {
        if self.first.is_some() {
            return self.first.take();
        }
        let event = self.events.pop_front()?;
        let (sign, json) = self.watch.see(&event);
        Some((event, sign, json))
    }

    /// What an event is to the caller.
    fn forward(&mut self, event: Event, json: Option<Value>) -> Result<Bytes, String> {
        let Some(translation) = &mut self.translation else {
            return Ok(self.frame.as_is(event.raw, &event.data));
        };
        let Some(json) = json else { return Ok(Bytes::new()) };
        let said = translation.event(&json).map_err(|error| error.to_string())?;
        Ok(self.frame.all(&said))
    }

    /// The end marker, once the stream is charged.
    async fn end(&mut self, event: Event, json: Option<Value>) -> Result<Bytes, String> {
        let last = self.forward(event, json)?;
        let rest = self.finish().await;
        Ok([last, rest].concat().into())
    }

    /// Charges a whole stream, and gives what ends it for the caller beyond what was said.
    async fn finish(&mut self) -> Bytes {
        self.charge_whole().await;
        let said = match self.translation.as_mut().map(Stream::end).transpose() {
            Ok(said) => said.unwrap_or_default(),
            Err(failure) => return self.fail(&failure.to_string()),
        };
        self.state = State::Ended;
        self.notes.served();
        let said = self.frame.all(&said);
        [said, Bytes::from_static(self.frame.end().as_bytes())].concat().into()
    }

    /// What goes to the caller, as the log may have it.
    fn noted(&self, out: Bytes) -> Bytes {
        self.notes.answered(&out);
        if self.state == State::Ended {
            self.notes.finish();
        }
        out
    }

    /// Waits for the next piece of the provider's stream.
    async fn read(&mut self) -> Result<(), String> {
        let asked = Instant::now();
        let read = tokio::time::timeout(self.patience, self.rest.next()).await;
        // Only what is waited for here counts: a caller may read as slowly as it likes.
        self.patience = self.patience.saturating_sub(asked.elapsed());
        match read {
            Err(_) => Err("the provider's stream was idle for too long".to_owned()),
            Ok(None) if self.watch.ends_here() => {
                self.state = State::Closed;
                Ok(())
            }
            Ok(None) => Err("the provider's stream ended without its end marker".to_owned()),
            Ok(Some(Err(error))) => {
                Err(format!("the provider's stream broke off: {}", crate::upstream::describe(&error)))
            }
            Ok(Some(Ok(piece))) => self.take(&piece),
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        self.parser.push(piece).map_err(|error| error.to_string())?;
        let mut says_something = false;
        while let Some(event) = self.parser.next_event() {
            says_something |= event.says_something();
            self.events.push_back(event);
        }
        if says_something || self.parser.has_begun_event() {
            self.patience = self.framing.provider.stream_idle_timeout;
        }
        Ok(())
    }

    /// Charges the stream, and gives the error event that ends it.
    fn fail(&mut self, message: &str) -> Bytes {
        self.charge_unfinished(Held::settle_behind);
        self.notes.answer_failed(!self.watch.is_refusal());
        self.notes.failed(StatusCode::BAD_GATEWAY, "upstream_broken");
        self.notes.finish();
        self.state = State::Failed;
        let said = frame::failure(self.framing.caller, &self.framing.provider.hide_keys(message));
        self.frame.all(&[said])
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

    fn charge_unfinished(&mut self, settle: impl FnOnce(Held, Spent)) {
        let Some(held) = self.held.take() else { return };
        let spent = self.spent(&held);
        self.note_usage();
        settle(held, spent);
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
        self.charge_unfinished(Held::settle_behind);
    }
}
