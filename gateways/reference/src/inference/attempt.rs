//! One provider's turn: admitted, held, called, charged.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::Value;

use super::bounds::Bounds;
use super::request::Request;
use super::route::{Route, Service};
use super::{answer, caller, media};
use crate::books::{Admitted, Bill, Held};
use crate::clock::Moment;
use crate::config::{AllowList, Paths, Provider, RequestType};
use crate::errors::{About, Problem, Wording};
use crate::finish;
use crate::gateway::Gateway;
use crate::ledger::{Claim, Measure, MeterId};
use crate::policy::VirtualKey;
use crate::pricing::{PriceQuestion, Tariff, Unbounded};
use crate::routing::{self, Candidate};
use crate::store::NotWritten;
use crate::stream::relay::{self, Framing};
use crate::telemetry::Notes;
use crate::translate::{Bridge, OpenAi};
use crate::upstream::{Answer, Call, Failure};
use crate::usage::{self, Usage};

/// What is held for output where nothing bounds it and the model is new.
const UNKNOWN_OUTPUT_TOKENS: u64 = 4_096;

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
    let Turn { key, admitted, mut tariff, meters } =
        admit(gateway, request, key, &candidate, notes).map_err(AttemptError::Refused)?;
    let held = admitted.written().await.map_err(|error| AttemptError::Refused(not_held(error)))?;
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
    let called = gateway.upstream.call(&call, &gateway.dice).await;
    let called = called.map(|(answer, key)| {
        tariff.served_by(key.map(|key| key.id.as_str()));
        notes.served_by(key);
        answer
    });
    let mut response = match called {
        Err(failure) => {
            charge_failure(held, &failure, &tariff, notes).await;
            return Err(AttemptError::Upstream(failure));
        }
        Ok(Answer::Whole { content_type, body }) => {
            let body = match request.media {
                Some(asked) => {
                    media::charge(held, &tariff, asked, &body).await;
                    body
                }
                None => {
                    let parsed = charge(gateway, held, &tariff, request.route, &body, notes).await;
                    let body = told(&provider, bridge.as_ref(), parsed, body).map_err(AttemptError::Upstream)?;
                    notes.answered(&body);
                    body
                }
            };
            notes.served();
            plain(content_type, body)
        }
        Ok(Answer::Stream { first, rest }) => {
            let framing = Framing {
                caller: request.route.form().into(),
                theirs: service.form.into(),
                bridge,
                as_array: request.as_array,
                hides_usage_chunk: !request.wants_usage_chunk(),
                provider: Arc::clone(&provider),
            };
            let started = relay::start(gateway, held, tariff, framing, first, rest, notes).await;
            started.map_err(AttemptError::Upstream)?
        }
    };
    answer::add_headers(&mut response, gateway, &candidate, &meters, index);
    Ok(response)
}

/// Which of the provider's keys a virtual key may use; `None`: any.
fn key_ids<'a>(key: Option<&'a VirtualKey>, provider: &Provider) -> Option<&'a AllowList> {
    key.and_then(|key| key.grant(&provider.name)).map(|policy| &policy.grant.key_ids)
}

/// How the provider serves the request, if it can and may.
fn service(request: &Request, provider: &Provider) -> Result<Service, Problem> {
    let is_allowed = provider.may_be_asked(request.route.request_type().word(), request.is_stream);
    if !is_allowed {
        return Err(answer::not_asked_for(&provider.name));
    }
    request
        .route
        .service(provider.api, request.is_stream)
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
        return Ok(Worded { service, bridge: None, body: request.body_for(&candidate.model)? });
    }
    let is_openai = &*provider.name == "openai" || provider.paths == Paths::Azure;
    let mut bridge = Bridge {
        caller,
        provider: service.form,
        model: provider.wire_model(&candidate.model, key_ids(key, provider)).to_owned(),
        is_stream: request.is_stream,
        created: now.millis().div_euclid(1_000),
        as_base64: false,
        openai: if is_openai { OpenAi::Itself } else { OpenAi::Compatible },
    };
    let body = bridge.request(&request.to_value()?).map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(Worded { service, bridge: Some(bridge), body: body.to_string().into() })
}

/// A provider's turn that was admitted.
struct Turn {
    /// The virtual key as it is now.
    key: Option<Arc<VirtualKey>>,
    admitted: Admitted,
    tariff: Tariff,
    meters: Arc<[MeterId]>,
}

/// Admits the request by what its virtual key says at this moment: since it was asked for
/// last, an administrator may have edited, disabled or deleted it.
fn admit(
    gateway: &Gateway,
    request: &Request,
    key: Option<&VirtualKey>,
    candidate: &Candidate,
    notes: &Arc<Notes>,
) -> Result<Turn, Problem> {
    // Until the claim is admitted no edit can come between.
    let policy = gateway.policy();
    let key = key.map(|key| caller::current(&policy.keys, &key.row.value_hash, gateway.books.now())).transpose()?;
    if key.is_some() {
        let allowed = routing::explicit(&candidate.provider, &candidate.model, key.as_deref(), &candidate.pin);
        allowed.map_err(|error| answer::refused(&error))?;
    }
    notes.belongs_to(policy.levels.members(key.as_deref()));
    let meters = policy.levels.chain(key.as_deref(), &candidate.provider.name, &candidate.model);
    let (claim, tariff) = claim(gateway, request, key.as_deref(), candidate, meters)?;
    let meters = Arc::clone(&claim.meters);
    let admitted = gateway.books.admit(claim);
    let admitted = admitted.map_err(|refusal| Problem::from_refusal(&refusal, gateway.books.now()))?;
    drop(policy);
    let admitted = admitted.billed_to(Arc::clone(notes) as Arc<dyn Bill>);
    Ok(Turn { key, admitted, tariff, meters })
}

/// The most that the request can cost at this provider, to be held against the meters.
fn claim(
    gateway: &Gateway,
    request: &Request,
    key: Option<&VirtualKey>,
    candidate: &Candidate,
    meters: Arc<[MeterId]>,
) -> Result<(Claim, Tariff), Problem> {
    let (provider, model) = (&candidate.provider.name, &candidate.model);
    let kind = request.route.request_type();
    let catalog = gateway.prices();
    let question = PriceQuestion { key: key.map(|key| key.row.id.as_ref()), provider, provider_key: None, model, kind };
    let prices = catalog.prices(question, candidate.provider.keys_for(model, key_ids(key, &candidate.provider)));
    let has_budget = meters.iter().any(|meter| meter.measure() == Measure::Usd);
    if prices.is_none() && has_budget && !gateway.client().unpriced_allowed {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "model_unpriced",
            format!("Model '{model}' of provider '{provider}' has no price, so it cannot be used under a budget"),
        ));
    }
    let Bounds { input, max_output, answers, service } = request.bounds;
    let input_tokens = input.most_tokens(candidate.provider.api, catalog.max_input_tokens(provider, model));
    let mut tariff = Tariff::new(prices.unwrap_or_default(), service);
    if let Some(media) = request.media {
        let most = tariff.media_bound(media, input_tokens);
        let claim = Claim { cost: most.cost, tokens: most.tokens, meters, admission: gateway.client().admission };
        return Ok((claim, tariff));
    }
    let known_output = match kind {
        RequestType::Embedding => Some(0),
        _ => max_output.or_else(|| catalog.max_output_tokens(provider, model)),
    };
    let bound = |output: u64| tariff.bound(input_tokens, output.saturating_mul(answers));
    let unbounded =
        known_output.is_none().then(|| Unbounded { provider: Arc::clone(provider), model: model.clone(), answers });
    let last = unbounded.as_ref().and_then(|model| gateway.last_spent.get(model));
    let most = match last {
        // A long prompt costs more than the last answer to a short one.
        Some(last) => last.max(bound(0)),
        None => bound(known_output.unwrap_or(UNKNOWN_OUTPUT_TOKENS)),
    };
    let claim = Claim { cost: most.cost, tokens: most.tokens, meters, admission: gateway.client().admission };
    tariff.unbounded = unbounded;
    Ok((claim, tariff))
}

fn not_held(error: NotWritten) -> Problem {
    let message = format!("{error}; nothing was sent to a provider");
    Problem::failure(StatusCode::SERVICE_UNAVAILABLE, "spend_not_recorded", message)
}

/// A failed call costs nothing, unless the provider says what it used, or had begun
/// to answer with success: then it may have charged anything up to the bound.
async fn charge_failure(held: Held, failure: &Failure, tariff: &Tariff, notes: &Notes) {
    let reported = match failure {
        Failure::Status { body, .. } => serde_json::from_slice(body).ok().and_then(|body| Usage::of_body(&body)),
        _ => None,
    };
    let written = match reported {
        Some(usage) => {
            notes.used(usage);
            held.settle(tariff.spent(&usage)).await
        }
        None if failure.had_begun() => {
            let bound = held.bound();
            held.settle(bound).await
        }
        None => held.release().await,
    };
    log(written);
}

/// Charges a plain answer, and gives it as JSON, if it is that.
async fn charge(
    gateway: &Gateway,
    held: Held,
    tariff: &Tariff,
    route: Route,
    body: &Bytes,
    notes: &Notes,
) -> Option<Value> {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let says_enough = |body: &&Value| {
        !route.is_generation() || usage::has_output(body.get("usage").or_else(|| body.get("usageMetadata")))
    };
    let usage = parsed.as_ref().filter(says_enough).and_then(Usage::of_body);
    let spent = usage.map_or_else(|| held.bound(), |usage| tariff.spent(&usage));
    usage.into_iter().for_each(|usage| notes.used(usage));
    notes.finished(parsed.as_ref().map(finish::reasons).unwrap_or_default());
    if let (Some(_), Some(model)) = (usage, &tariff.unbounded) {
        gateway.last_spent.set(model, spent);
    }
    log(held.settle(spent).await);
    parsed
}

fn plain(content_type: Option<HeaderValue>, body: Bytes) -> Response {
    let mut response = body.into_response();
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// A plain answer in the caller's protocol.
fn told(provider: &Provider, bridge: Option<&Bridge>, parsed: Option<Value>, body: Bytes) -> Result<Bytes, Failure> {
    let parsed = parsed.ok_or_else(|| Failure::Broken("the provider's answer is no JSON".to_owned()))?;
    if let Some(bridge) = bridge {
        let answer = bridge.answer(&parsed).map_err(|error| Failure::Broken(error.to_string()))?;
        return Ok(answer.to_string().into());
    }
    if parsed.get("error").is_some_and(|error| !error.is_null()) {
        return Ok(provider.hide_keys(&String::from_utf8_lossy(&body)).into());
    }
    Ok(body)
}

fn log(written: Result<(), NotWritten>) {
    if let Err(error) = written {
        // The ledger in memory has it; the hold on disk counts as spent after a crash.
        tracing::error!(%error, "an outcome was not written");
    }
}
