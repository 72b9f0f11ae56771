//! One provider's turn: held, called, charged.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::Value;

use super::hold::{Asks, Hold, key_ids};
use super::request::Request;
use super::route::{Route, Service};
use super::{answer, media};
use crate::books::Held;
use crate::clock::Moment;
use crate::config::{Provider, ProviderKey};
use crate::errors::{About, Problem, Wording};
use crate::failure::{error_in, refuses_request};
use crate::finish;
use crate::gateway::Gateway;
use crate::json::Json;
use crate::ledger::Spent;
use crate::policy::VirtualKey;
use crate::pricing::Tariff;
use crate::routing::Candidate;
use crate::store::NotWritten;
use crate::stream::relay::{self, Framing};
use crate::telemetry::Notes;
use crate::translate::Bridge;
use crate::upstream::{Answer, Call, Failure, Tries, without_keys};
use crate::usage::{Usage, counts_output};

/// Why a provider's turn did not serve the request.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// The gateway refused; the provider was not called, or its answer was no use.
    Refused(Problem),
    /// The provider failed.
    Upstream(Failure),
}

impl AttemptError {
    /// The status and the kind of failure that the caller is told.
    pub(super) fn told(&self) -> (StatusCode, Cow<'static, str>) {
        match self {
            AttemptError::Refused(problem) => (problem.status, problem.kind.clone()),
            AttemptError::Upstream(failure) => {
                let (status, kind) = failure.told();
                (status, Cow::Borrowed(kind))
            }
        }
    }

    /// The word in `x-gateway-attempts`.
    pub(super) fn word(&self) -> String {
        match self {
            AttemptError::Refused(problem) => problem.kind.to_string(),
            AttemptError::Upstream(failure) => failure.word(),
        }
    }

    pub(super) fn render(&self, wording: Wording, about: &About) -> Response {
        match self {
            AttemptError::Refused(problem) => problem.render(wording, about),
            AttemptError::Upstream(failure) => answer::failed(failure, wording, about),
        }
    }
}

/// Gives one provider its turn.
pub(super) async fn attempt(
    gateway: &Arc<Gateway>,
    request: &Request,
    key: Option<&VirtualKey>,
    candidate: Candidate,
    headers: &HeaderMap,
    index: usize,
    notes: &Arc<Notes>,
) -> Result<Response, AttemptError> {
    let provider = Arc::clone(&candidate.provider);
    let Worded { service, bridge, body } =
        worded(request, key, &candidate, gateway.books.now()).map_err(AttemptError::Refused)?;
    let asks = Asks { gateway, request, key, candidate: &candidate, form: service.form, notes };
    let hold = asks.hold().await.map_err(AttemptError::Refused)?;
    let key = hold.key.clone();
    let call = Call {
        provider: &provider,
        endpoint: service.endpoint,
        model: &candidate.model,
        body,
        upload: request.upload.as_ref(),
        is_stream: request.is_stream,
        headers,
        key_ids: key_ids(key.as_deref(), &provider),
        pin: &candidate.pin,
        max_answer_bytes: gateway.client().max_answer_bytes,
    };
    notes.called();
    let (answer, Hold { held, tariff, meters, .. }) = answered(&asks, &call, hold).await?;
    let mut response = match answer {
        Answer::Whole { content_type, body } => {
            let body = whole(&asks, held, &tariff, bridge.as_ref(), body).await;
            plain(content_type, body.map_err(AttemptError::Upstream)?)
        }
        Answer::Stream(begun) => {
            let framing = Framing {
                caller: request.route.form().into(),
                theirs: service.form.into(),
                bridge,
                as_array: request.as_array,
                hides_usage_chunk: !request.wants_usage_chunk(),
                provider: Arc::clone(&provider),
            };
            let started = relay::start(gateway, held, tariff, framing, begun, notes).await;
            started.map_err(AttemptError::Upstream)?
        }
    };
    answer::add_headers(&mut response, gateway, &candidate, &meters, index);
    Ok(response)
}

/// Charges a whole answer, and says it as the caller is told it.
async fn whole(
    asks: &Asks<'_>,
    held: Held,
    tariff: &Tariff,
    bridge: Option<&Bridge>,
    body: Bytes,
) -> Result<Bytes, Failure> {
    let Asks { gateway, request, candidate, notes, .. } = asks;
    let body = match request.media {
        Some(asked) => match media::charge(held, tariff, asked, &body).await.filter(is_error) {
            Some(error) => {
                notes.answer_failed(!refuses_request(&error["error"]));
                without_keys(&candidate.provider, &body)
            }
            None => body,
        },
        None => {
            let (kind, spent) = read(gateway, &held, tariff, request.route, &body, notes);
            let error = (kind == Kind::Error).then(|| serde_json::from_slice(&body).ok()).flatten().filter(is_error);
            let told = told(&candidate.provider, bridge, kind, error.as_ref(), body);
            if told.is_err() || error.is_some() {
                notes.answer_failed(!error.is_some_and(|error| refuses_request(&error["error"])));
            }
            // Where the caller gets nothing it is no request.
            log(if told.is_ok() { held.settle(spent).await } else { held.settle_unserved(spent).await });
            let body = told?;
            notes.answered(&body);
            body
        }
    };
    notes.served();
    Ok(body)
}

/// Calls the provider, again where that can help, and gives its answer with what is held for
/// it. A try that may have cost something is charged, and the next one is held anew; so is one
/// whose virtual key was edited meanwhile, since it goes by the key as it is then.
async fn answered(asks: &Asks<'_>, call: &Call<'_>, mut hold: Hold) -> Result<(Answer, Hold), AttemptError> {
    let mut tries = Tries::of(&asks.gateway.upstream, call, &asks.gateway.dice);
    loop {
        let failure = match tries.once().await {
            Ok(answer) => {
                hold.tariff.served_by(tries.key().map(|key| key.id.as_str()));
                asks.notes.served_by(tries.key());
                return Ok((answer, hold));
            }
            Err(failure) => failure,
        };
        asks.notes.try_failed(tries.key(), &failure);
        let reason = failure.rotates_for();
        let kept = charge_failure(hold, &failure, tries.key(), asks.notes).await;
        if let Err(failure) = tries.again(failure.clone()).await {
            release(kept).await;
            return Err(AttemptError::Upstream(failure));
        }
        hold = match kept {
            Some(hold) if asks.is_current(&hold) => hold,
            kept => {
                release(kept).await;
                let hold = asks.hold().await.map_err(AttemptError::Refused)?;
                if !tries.may_use(key_ids(hold.key.as_deref(), &asks.candidate.provider)) {
                    release(Some(hold)).await;
                    return Err(AttemptError::Upstream(failure));
                }
                hold
            }
        };
        asks.notes.tried_again(tries.key(), reason);
    }
}

async fn release(hold: Option<Hold>) {
    if let Some(hold) = hold {
        log(hold.held.release().await);
    }
}

/// How the provider serves the request, if it can and may.
fn service(request: &Request, provider: &Provider) -> Result<Service, Problem> {
    let is_allowed = provider.may_be_asked(request.route.request_type().word(), request.is_stream);
    if !is_allowed {
        return Err(answer::not_asked_for(&provider.name));
    }
    request
        .route
        .service(provider.api, provider.dialect.text, request.is_stream)
        .ok_or_else(|| Problem::bad_request(format!("the provider '{}' cannot serve this route", provider.name)))
}

/// A request as its provider understands it.
struct Worded {
    service: Service,
    /// Set where caller and provider speak different protocols.
    bridge: Option<Bridge>,
    body: Bytes,
}

fn worded(request: &Request, key: Option<&VirtualKey>, candidate: &Candidate, now: Moment) -> Result<Worded, Problem> {
    let provider = &candidate.provider;
    let service = service(request, provider)?;
    let caller = request.route.form();
    if caller == service.form {
        return Ok(Worded { service, bridge: None, body: request.body_for(&candidate.model, provider.dialect)? });
    }
    let mut bridge = Bridge {
        caller,
        provider: service.form,
        model: provider.wire_model(&candidate.model, key_ids(key, provider)).to_owned(),
        is_stream: request.is_stream,
        created: now.millis().div_euclid(1_000),
        as_base64: false,
        dialect: provider.dialect,
    };
    let body = bridge.request(&request.to_value()?).map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(Worded { service, bridge: Some(bridge), body: body.to_string().into() })
}

/// Charges a failed try. It costs what the provider says that it used; else all that is held,
/// if it was sent and not answered with an error: the provider may have charged anything up to
/// that. Else it costs nothing, and the hold is given back.
async fn charge_failure(hold: Hold, failure: &Failure, key: Option<&ProviderKey>, notes: &Notes) -> Option<Hold> {
    let reported = match failure {
        Failure::Status { body, .. } => {
            serde_json::from_slice(body).ok().and_then(|body: Json<'_>| Usage::of_body(&body))
        }
        _ => None,
    };
    let bound = hold.held.bound();
    let written = if let Some(usage) = reported {
        let Hold { held, mut tariff, .. } = hold;
        tariff.served_by(key.map(|key| key.id.as_str()));
        notes.used(usage);
        held.settle_unserved(tariff.spent(&usage)).await
    } else if failure.is_unanswered() || failure.had_begun() {
        hold.held.settle_unserved(bound).await
    } else {
        return Some(hold);
    };
    log(written);
    None
}

/// What a plain answer is, and what it cost.
fn read(gateway: &Gateway, held: &Held, tariff: &Tariff, route: Route, body: &Bytes, notes: &Notes) -> (Kind, Spent) {
    let parsed: Option<Json<'_>> = serde_json::from_slice(body).ok();
    let kind = Kind::of(parsed.as_ref());
    let says_enough = |body: &&Json<'_>| !route.is_generation() || counts_output(*body);
    let usage = parsed.as_ref().filter(says_enough).and_then(Usage::of_body);
    let spent = usage.map_or_else(|| held.bound(), |usage| tariff.spent(&usage));
    usage.into_iter().for_each(|usage| notes.used(usage));
    notes.finished(parsed.iter().flat_map(finish::reasons).map(str::to_owned).collect());
    if let (Some(_), Some(model)) = (usage, &tariff.unbounded) {
        gateway.last_spent.set(model, spent);
    }
    (kind, spent)
}

/// What a plain answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Answer,
    /// An error, in spite of its status.
    Error,
    NoJson,
}

impl Kind {
    fn of(body: Option<&Json<'_>>) -> Kind {
        match body {
            None => Kind::NoJson,
            Some(body) if error_in(body).is_some() => Kind::Error,
            Some(_) => Kind::Answer,
        }
    }
}

fn plain(content_type: Option<HeaderValue>, body: Bytes) -> Response {
    let mut response = body.into_response();
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// Whether it is an error, beside which no answer stands: by the fields that protocols have one in.
fn is_error(body: &Value) -> bool {
    let is_there = |answer: &Value| answer.as_array().map_or(!answer.is_null(), |items| !items.is_empty());
    let names = ["choices", "data", "output", "content", "candidates", "embedding", "embeddings"];
    error_in(body).is_some() && !names.iter().filter_map(|name| body.get(name)).any(is_there)
}

/// A plain answer in the caller's protocol. `error` is the answer where it is none.
fn told(
    provider: &Provider,
    bridge: Option<&Bridge>,
    kind: Kind,
    error: Option<&Value>,
    body: Bytes,
) -> Result<Bytes, Failure> {
    let no_json = || Failure::Broken("the provider's answer is no JSON".to_owned());
    if kind == Kind::NoJson {
        return Err(no_json());
    }
    if let Some(bridge) = bridge {
        if let Some(error) = error {
            return Err(Failure::inside(error, without_keys(provider, &body)));
        }
        let parsed = serde_json::from_slice(&body).map_err(|_| no_json())?;
        let answer = bridge.answer(&parsed).map_err(|error| Failure::Broken(error.to_string()))?;
        return Ok(answer.to_string().into());
    }
    if kind == Kind::Error {
        return Ok(without_keys(provider, &body));
    }
    Ok(body)
}

fn log(written: Result<(), NotWritten>) {
    if let Err(error) = written {
        // The ledger in memory has it; the hold on disk counts as spent after a crash.
        tracing::error!(%error, "an outcome was not written");
    }
}
