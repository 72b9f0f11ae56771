//! What a request says, as far as the gateway must know. Everything else passes
//! through as it was written.

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::{ApiBase, RequestType};
use crate::errors::{Problem, Wording};
use crate::stream::watch::Protocol;

/// The fields whose texts a provider reads as input.
const INPUT_FIELDS: [&str; 8] =
    ["messages", "system", "prompt", "input", "instructions", "tools", "functions", "suffix"];
/// Texts under these names are structure, not input.
const STRUCTURE: [&str; 3] = ["role", "type", "id"];

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
            (Route::ChatCompletions, ApiBase::OpenAi) => Some(Service::as_is("/v1/chat/completions")),
            (Route::Completions, ApiBase::OpenAi) => Some(Service::as_is("/v1/completions")),
            (Route::Responses, ApiBase::OpenAi) => Some(Service::as_is("/v1/responses")),
            (Route::Embeddings, ApiBase::OpenAi) => Some(Service::as_is("/v1/embeddings")),
            (Route::Messages, ApiBase::Anthropic) => Some(Service::as_is("/v1/messages")),
            (Route::Messages, ApiBase::OpenAi) => Some(Service { path: "/v1/chat/completions", is_translated: true }),
            (_, ApiBase::Anthropic) => None,
        }
    }
}

/// How a provider serves a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) path: &'static str,
    /// Whether messages are translated into a chat completion and back.
    pub(crate) is_translated: bool,
}

impl Service {
    fn as_is(path: &'static str) -> Service {
        Service { path, is_translated: false }
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
    /// The most tokens of output that the caller asks for.
    pub(crate) max_output: Option<u64>,
    /// How many bytes of text go in; no tokenizer makes more tokens than bytes.
    pub(crate) input_bytes: u64,
}

impl Request {
    /// Reads a body.
    pub(crate) fn parse(route: Route, body: &[u8]) -> Result<Request, Problem> {
        let mut fields: IndexMap<String, Box<RawValue>> =
            serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("Invalid JSON: {error}")))?;
        let fallbacks = field(&fields, "fallbacks")?.unwrap_or_default();
        fields.shift_remove("fallbacks");
        let model: String = field(&fields, "model")?.unwrap_or_default();
        if model.is_empty() {
            return Err(Problem::bad_request("model is required"));
        }
        let mut max_output = None;
        for name in ["max_completion_tokens", "max_tokens", "max_output_tokens"] {
            let bound: Option<u64> = field(&fields, name)?;
            // Where several are given, a provider may go by the largest.
            max_output = max_output.max(bound);
        }
        let max_output = match max_output {
            Some(bound) => Some(bound.saturating_mul(answers(&fields)?)),
            None => None,
        };
        let input_bytes = INPUT_FIELDS
            .iter()
            .filter_map(|name| fields.get(*name))
            .filter_map(|raw| serde_json::from_str::<Value>(raw.get()).ok())
            .fold(0_u64, |sum, value| sum.saturating_add(text_bytes(&value)));
        Ok(Request {
            route,
            is_stream: field(&fields, "stream")?.unwrap_or(false),
            fields,
            model,
            fallbacks,
            max_output,
            input_bytes,
        })
    }

    /// Whether the caller asked for a stream's usage chunk.
    pub(crate) fn wants_usage_chunk(&self) -> bool {
        let options = self.fields.get("stream_options");
        options
            .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
            .is_some_and(|options| options.get("include_usage") == Some(&Value::Bool(true)))
    }

    /// The body for a provider that speaks the route's own protocol: the model's
    /// name is the provider's, and a stream of completions always reports its usage.
    pub(crate) fn body_for(&self, model: &str) -> Result<Bytes, Problem> {
        let mut fields = self.fields.clone();
        fields.insert("model".to_owned(), raw(&Value::from(model))?);
        if self.is_stream && matches!(self.route, Route::ChatCompletions | Route::Completions) {
            let mut options: Value = match fields.get("stream_options") {
                Some(options) => serde_json::from_str(options.get()).unwrap_or(Value::Null),
                None => Value::Null,
            };
            if !options.is_object() {
                options = Value::Object(serde_json::Map::new());
            }
            if let Some(options) = options.as_object_mut() {
                options.insert("include_usage".to_owned(), Value::Bool(true));
            }
            fields.insert("stream_options".to_owned(), raw(&options)?);
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

fn field<T: serde::de::DeserializeOwned>(
    fields: &IndexMap<String, Box<RawValue>>,
    name: &str,
) -> Result<Option<T>, Problem> {
    let Some(raw) = fields.get(name) else {
        return Ok(None);
    };
    // What is null is left out, as clients mean it.
    serde_json::from_str::<Option<T>>(raw.get())
        .map_err(|_| Problem::bad_request(format!("{name} has a value of the wrong type")))
}

/// How many answers a bound on output holds for: each of several prompts, and each
/// of several answers to one.
fn answers(fields: &IndexMap<String, Box<RawValue>>) -> Result<u64, Problem> {
    let wanted: Option<u64> = field(fields, "n")?;
    let tried: Option<u64> = field(fields, "best_of")?;
    let each = wanted.max(tried).unwrap_or(1).max(1);
    let prompts = match field::<Value>(fields, "prompt")? {
        Some(Value::Array(prompts)) if prompts.iter().any(|prompt| !prompt.is_number()) => prompts.len(),
        _ => 1,
    };
    Ok(each.saturating_mul(u64::try_from(prompts).unwrap_or(u64::MAX)))
}

/// The bytes of all texts; a number is a token by itself.
fn text_bytes(value: &Value) -> u64 {
    match value {
        Value::String(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
        Value::Number(_) => 1,
        Value::Array(items) => items.iter().map(text_bytes).fold(0, u64::saturating_add),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !STRUCTURE.contains(&name.as_str()))
            .map(|(_, value)| text_bytes(value))
            .fold(0, u64::saturating_add),
        Value::Null | Value::Bool(_) => 0,
    }
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
    fn texts_in_and_the_largest_bound_out_are_read() {
        let request = parse(&json!({
            "model": "mock-1",
            "messages": [
                {"role": "system", "content": "12345"},
                {"role": "user", "content": [{"type": "text", "text": "67ö"}]},
            ],
            "max_tokens": 100,
            "max_completion_tokens": 200,
            "n": 2,
        }));
        assert_eq!(request.input_bytes, 9);
        assert_eq!(request.max_output, Some(400));
    }

    #[test]
    fn a_bound_on_output_holds_for_every_prompt_and_every_answer() {
        let bound = |prompt: Value| {
            parse(&json!({"model": "m", "prompt": prompt, "max_tokens": 10, "n": 2, "best_of": 3})).max_output
        };
        assert_eq!(bound(json!("a")), Some(30));
        assert_eq!(bound(json!([1, 2, 3, 4])), Some(30));
        assert_eq!(bound(json!(["a", "b"])), Some(60));
        assert_eq!(bound(json!([[1, 2], [3]])), Some(60));
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
        ] {
            assert!(Request::parse(Route::ChatCompletions, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn null_is_the_same_as_nothing() {
        let request = parse(&json!({"model": "m", "max_tokens": null, "stream": null, "n": null, "fallbacks": null}));
        assert_eq!((request.max_output, request.is_stream), (None, false));
        assert!(request.fallbacks.is_empty());
    }

    #[test]
    fn token_lists_count_each_token() {
        let request = parse(&json!({"model": "m", "input": [[1, 2, 3], [4]]}));
        assert_eq!(request.input_bytes, 4);
    }
}
