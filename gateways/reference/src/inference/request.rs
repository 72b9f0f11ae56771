//! What a request says, as far as the gateway must know. Everything else passes
//! through as it was written.

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::RawValue;

use super::bounds::{self, Bounds};
use crate::config::{ApiBase, RequestType};
use crate::endpoint::Endpoint;
use crate::errors::{Problem, Wording};
use crate::stream::watch::Protocol;

/// The most fallbacks that a caller may name: each can be a call that costs.
const MOST_FALLBACKS: usize = 8;

/// An inference route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    ChatCompletions,
    Completions,
    Responses,
    Embeddings,
    Messages,
}

impl Route {
    pub(crate) fn request_type(self) -> RequestType {
        match self {
            Route::ChatCompletions | Route::Messages => RequestType::ChatCompletion,
            Route::Completions => RequestType::TextCompletion,
            Route::Responses => RequestType::Responses,
            Route::Embeddings => RequestType::Embedding,
        }
    }

    /// Where it is, without a prefix.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Route::ChatCompletions => "/v1/chat/completions",
            Route::Completions => "/v1/completions",
            Route::Responses => "/v1/responses",
            Route::Embeddings => "/v1/embeddings",
            Route::Messages => "/anthropic/v1/messages",
        }
    }

    pub(crate) fn wording(self) -> Wording {
        if self == Route::Messages { Wording::Anthropic } else { Wording::Native }
    }

    /// How the stream of this route is framed for the caller.
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Route::ChatCompletions | Route::Completions | Route::Embeddings => Protocol::Completions,
            Route::Responses => Protocol::Responses,
            Route::Messages => Protocol::Messages,
        }
    }

    /// How a provider of this kind serves the route.
    pub(crate) fn service(self, api: ApiBase) -> Option<Service> {
        match (self, api) {
            (Route::ChatCompletions, ApiBase::OpenAi) => Some(Service::as_is(Endpoint::ChatCompletions)),
            (Route::Completions, ApiBase::OpenAi) => Some(Service::as_is(Endpoint::Completions)),
            (Route::Responses, ApiBase::OpenAi) => Some(Service::as_is(Endpoint::Responses)),
            (Route::Embeddings, ApiBase::OpenAi) => Some(Service::as_is(Endpoint::Embeddings)),
            (Route::Messages, ApiBase::Anthropic) => Some(Service::as_is(Endpoint::Messages)),
            (Route::Messages, ApiBase::OpenAi) => {
                Some(Service { endpoint: Endpoint::ChatCompletions, is_translated: true })
            }
            (_, ApiBase::Anthropic | ApiBase::Gemini) => None,
        }
    }
}

/// How a provider serves a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) endpoint: Endpoint,
    /// Whether messages are translated into a chat completion and back.
    pub(crate) is_translated: bool,
}

impl Service {
    fn as_is(endpoint: Endpoint) -> Service {
        Service { endpoint, is_translated: false }
    }
}

/// A request whose body has been read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) route: Route,
    fields: IndexMap<String, Box<RawValue>>,
    pub(crate) model: String,
    pub(crate) fallbacks: Vec<String>,
    pub(crate) is_stream: bool,
    /// What `stream_options` says, if it is there.
    stream_options: Option<Value>,
    pub(crate) bounds: Bounds,
}

impl Request {
    /// Reads a body.
    pub(crate) fn parse(route: Route, body: &[u8]) -> Result<Request, Problem> {
        let mut fields: IndexMap<String, Box<RawValue>> =
            serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("Invalid JSON: {error}")))?;
        let fallbacks: Vec<String> = field(&fields, "fallbacks")?.unwrap_or_default();
        if fallbacks.len() > MOST_FALLBACKS {
            return Err(Problem::bad_request(format!("more than {MOST_FALLBACKS} fallbacks")));
        }
        fields.shift_remove("fallbacks");
        let model: String = field(&fields, "model")?.unwrap_or_default();
        if model.is_empty() {
            return Err(Problem::bad_request("model is required"));
        }
        Ok(Request {
            route,
            is_stream: field(&fields, "stream")?.unwrap_or(false),
            stream_options: field(&fields, "stream_options")?,
            bounds: bounds::read(route, &fields)?,
            fields,
            model,
            fallbacks,
        })
    }

    /// Whether the caller asked for a stream's usage chunk.
    pub(crate) fn wants_usage_chunk(&self) -> bool {
        let options = self.stream_options.as_ref();
        options.is_some_and(|options| options.get("include_usage") == Some(&Value::Bool(true)))
    }

    /// The body for a provider that speaks the route's own protocol: the model's
    /// name is the provider's, and a stream of completions always reports its usage.
    pub(crate) fn body_for(&self, model: &str) -> Result<Bytes, Problem> {
        let mut fields = self.fields.clone();
        fields.insert("model".to_owned(), raw(&Value::from(model))?);
        if self.is_stream && matches!(self.route, Route::ChatCompletions | Route::Completions) {
            let mut options = match &self.stream_options {
                Some(Value::Object(options)) => options.clone(),
                _ => serde_json::Map::new(),
            };
            options.insert("include_usage".to_owned(), Value::Bool(true));
            fields.insert("stream_options".to_owned(), raw(&Value::Object(options))?);
        }
        let body = serde_json::to_vec(&fields).map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(body.into())
    }

    /// The whole body as one value, for translation.
    pub(crate) fn to_value(&self) -> Result<Value, Problem> {
        let text = serde_json::to_string(&self.fields).map_err(|error| Problem::bad_request(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| Problem::bad_request(format!("Invalid JSON: {error}")))
    }
}

fn raw(value: &Value) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(value.to_string()).map_err(|error| Problem::bad_request(error.to_string()))
}

/// The value of a field; one that is null is left out, as clients mean it.
pub(super) fn field<T: serde::de::DeserializeOwned>(
    fields: &IndexMap<String, Box<RawValue>>,
    name: &str,
) -> Result<Option<T>, Problem> {
    let Some(raw) = fields.get(name) else {
        return Ok(None);
    };
    serde_json::from_str::<Option<T>>(raw.get())
        .map_err(|_| Problem::bad_request(format!("{name} has a value that cannot be read")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use serde_json::json;

    fn parse(body: &Value) -> Request {
        Request::parse(Route::ChatCompletions, body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_the_gateway_does_not_know_passes_through_as_written() {
        let text = r#"{"model":"primary/mock-1","temperature":0.10,"big":123456789012345678901234567890}"#;
        let request = Request::parse(Route::ChatCompletions, text.as_bytes()).unwrap();
        let body = request.body_for("mock-1").unwrap();
        assert_eq!(body, r#"{"model":"mock-1","temperature":0.10,"big":123456789012345678901234567890}"#);
    }

    #[test]
    fn a_stream_asks_its_provider_for_usage() {
        let request = parse(&json!({"model": "m", "stream": true, "stream_options": {"other": 1}}));
        assert!(!request.wants_usage_chunk());
        let body: Value = serde_json::from_slice(&request.body_for("m").unwrap()).unwrap();
        assert_eq!(body["stream_options"], json!({"other": 1, "include_usage": true}));
    }

    #[test]
    fn a_body_that_cannot_be_understood_is_refused() {
        for body in [
            "",
            "[]",
            "{",
            r#"{"model": 1}"#,
            "{}",
            r#"{"model":"m","max_tokens":-1}"#,
            r#"{"model":"m","stream":"yes"}"#,
            r#"{"model":"m","stream_options":{"a":1e999}}"#,
        ] {
            assert!(Request::parse(Route::ChatCompletions, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn null_is_the_same_as_nothing() {
        let request = parse(&json!({"model": "m", "max_tokens": null, "stream": null, "n": null, "fallbacks": null}));
        assert_eq!((request.bounds.max_output, request.is_stream), (None, false));
        assert!(request.fallbacks.is_empty());
    }

    #[test]
    fn more_fallbacks_than_eight_are_refused() {
        let with = |count: usize| {
            let body = json!({"model": "m", "fallbacks": vec!["primary/m"; count]}).to_string();
            Request::parse(Route::ChatCompletions, body.as_bytes())
        };
        assert_eq!(with(8).unwrap().fallbacks.len(), 8);
        assert!(with(9).unwrap_err().message.contains("8 fallbacks"));
    }
}
