//! How many tokens a request has: asked of its provider where that counts in the caller's
//! protocol, else an estimate. It costs nothing, so it is neither held, charged nor limited.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::handle::read_body;
use super::request::Request;
use super::route::{Asked, Route};
use super::{answer, caller};
use crate::config::ApiBase;
use crate::endpoint::Endpoint;
use crate::errors::{About, Problem};
use crate::gateway::Gateway;
use crate::pin::Pin;
use crate::policy::VirtualKey;
use crate::routing::{self, Candidate};
use crate::translate::Form;
use crate::upstream::{Answer, Call, Failure};

/// A token of usual text has about so many bytes.
const BYTES_A_TOKEN: u64 = 4;
/// And a usual picture counts so many.
const TOKENS_A_PICTURE: u64 = 1_500;
const REQUEST_TYPE: &str = "count_tokens";

/// Counts the tokens of what `asked` would be asked.
pub(super) async fn count(gateway: &Gateway, asked: Asked, headers: &HeaderMap, body: Body) -> Response {
    let wording = asked.route.wording();
    let mut about = About { request_type: REQUEST_TYPE, ..About::default() };
    match counted(gateway, asked, headers, body, &mut about).await {
        Ok(response) => response,
        Err(Uncounted::Refused(problem)) => problem.render(wording, &about),
        Err(Uncounted::Failed(failure)) => answer::failed(&failure, wording, &about),
    }
}

enum Uncounted {
    Refused(Problem),
    Failed(Failure),
}

impl From<Problem> for Uncounted {
    fn from(problem: Problem) -> Uncounted {
        Uncounted::Refused(problem)
    }
}

async fn counted(
    gateway: &Gateway,
    asked: Asked,
    headers: &HeaderMap,
    body: Body,
    about: &mut About,
) -> Result<Response, Uncounted> {
    let route = asked.route;
    let key = caller::identify(gateway, headers)?;
    let (bytes, key) = read_body(gateway, headers, key, body).await?;
    let request = Request::parse(asked.clone(), &bytes)?;
    about.model.clone_from(&request.model);
    let candidate = candidate(gateway, &request, key.as_deref(), headers)?;
    about.provider = candidate.provider.name.to_string();
    let endpoint = match (route.form(), candidate.provider.api) {
        (Form::Messages, ApiBase::Anthropic) => Endpoint::CountMessageTokens,
        (Form::Content, ApiBase::Gemini) => Endpoint::CountContentTokens,
        _ => return Ok(estimate(route, &asked, &request, &bytes)?),
    };
    let key_ids = key.as_ref().and_then(|key| key.grant(&candidate.provider.name)).map(|policy| &policy.grant.key_ids);
    let call = Call {
        provider: &candidate.provider,
        endpoint,
        model: &candidate.model,
        body: request.body_for(&candidate.model, candidate.provider.dialect)?,
        upload: None,
        is_stream: false,
        max_answer_bytes: gateway.client().max_answer_bytes,
        headers,
        key_ids,
        pin: &candidate.pin,
    };
    match gateway.upstream.call(&call, &gateway.dice).await {
        Ok(Answer::Whole { body, .. }) => {
            let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(([json], body).into_response())
        }
        // It asked for none.
        Ok(Answer::Stream(_)) => Err(Uncounted::Failed(Failure::Broken("it is a stream".to_owned()))),
        Err(failure) => Err(Uncounted::Failed(failure)),
    }
}

/// The provider that would be tried first.
fn candidate(
    gateway: &Gateway,
    request: &Request,
    key: Option<&VirtualKey>,
    headers: &HeaderMap,
) -> Result<Candidate, Problem> {
    let pin = Pin::of(headers).map_err(|error| Problem::bad_request(error.to_string()))?;
    let dice = gateway.dice.roll();
    let plan = routing::plan(&request.model, &[], key, &pin, &gateway.providers(), dice);
    let candidate = plan.first.map_err(|error| answer::refused(&error))?;
    if candidate.provider.may_be_asked(REQUEST_TYPE, false) {
        return Ok(candidate);
    }
    Err(answer::not_asked_for(&candidate.provider.name))
}

/// The bytes of what a model reads, by [`BYTES_A_TOKEN`], and its pictures. Gemini's may stand one level deeper,
/// in `generateContentRequest`, beside which nothing else counts.
fn estimate(route: Route, asked: &Asked, request: &Request, body: &[u8]) -> Result<Response, Problem> {
    let inner = serde_json::from_slice::<Value>(body).ok().and_then(|body| body.get("generateContentRequest").cloned());
    let inner = inner.map(|inner| Request::parse(asked.clone(), inner.to_string().as_bytes())).transpose()?;
    let input = inner.map_or(request.bounds.input, |inner| inner.bounds.input);
    let of_pictures = input.pictures.saturating_mul(TOKENS_A_PICTURE);
    let tokens = input.bytes.div_ceil(BYTES_A_TOKEN).saturating_add(of_pictures);
    let name = if route.form() == Form::Messages { "input_tokens" } else { "totalTokens" };
    Ok(Json(json!({ name: tokens })).into_response())
}
