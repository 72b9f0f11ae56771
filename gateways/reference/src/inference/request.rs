//! What a request says, as far as the gateway must know. Everything else passes
//! through as it was written.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::bounds::{self, BATCH, Bounds};
use super::fields::{Fields, Written, field};
use super::input::Input;
use super::media;
use super::route::{Asked, Route};
use super::server_tools::{self, ServerTool};
use crate::config::ApiBase;
use crate::dialect::Dialect;
use crate::errors::Problem;
use crate::pricing::Media;
use crate::upload::Upload;

/// The most fallbacks that a caller may name: each can be a call that costs.
const MOST_FALLBACKS: usize = 8;

/// A request whose body has been read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) route: Route,
    fields: Fields,
    /// The parts of a batch of Gemini's.
    batch: Vec<Fields>,
    /// The whole request of Gemini's whose tokens are to be counted.
    counted: Option<Fields>,
    pub(crate) model: String,
    pub(crate) fallbacks: Vec<String>,
    pub(crate) is_stream: bool,
    /// Whether the caller wants a stream as one JSON array.
    pub(crate) as_array: bool,
    /// What `stream_options` says, if it is there.
    stream_options: Option<Value>,
    pub(crate) bounds: Bounds,
    /// What its provider may do for it beside answering.
    pub(crate) server_tools: Vec<ServerTool>,
    /// What it asks for, if that is images or audio.
    pub(crate) media: Option<Media>,
    /// The body, if that is a form with a file.
    pub(crate) upload: Option<Upload>,
}

impl Request {
    /// Reads a body.
    pub(crate) fn parse(asked: Asked, body: &[u8]) -> Result<Request, Problem> {
        let Asked { route, model, as_array, is_count: _ } = asked;
        let mut fields: Fields =
            serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("Invalid JSON: {error}")))?;
        let fallbacks = fallbacks(&fields)?;
        fields.remove("fallbacks");
        refuse_providers_fallbacks(&fields)?;
        let model = match model {
            Some(model) => model,
            None => field(&fields, "model")?.unwrap_or_default(),
        };
        if model.is_empty() {
            return Err(Problem::bad_request("model is required"));
        }
        let batch = batch(route, &fields)?;
        let counted = counted(route, &fields)?;
        if route.names_model_in_path() {
            refuse_another_model([&fields].into_iter().chain(&batch).chain(&counted), &model)?;
        }
        let bounds = bounds::read(route, &fields, &batch)?;
        Ok(Request {
            route,
            is_stream: is_stream(route, &fields)?,
            as_array,
            stream_options: field(&fields, "stream_options")?,
            server_tools: server_tools::read(route, &fields, bounds.answers)?,
            bounds,
            media: media::read(route, &fields)?,
            fields,
            batch,
            counted,
            model,
            fallbacks,
            upload: None,
        })
    }

    /// Reads a form with a file to transcribe.
    pub(crate) fn of_upload(asked: Asked, upload: Upload) -> Result<Request, Problem> {
        let missing = |name: &str| Problem::bad_request(format!("{name} is required"));
        let named = asked.model.or_else(|| upload.text("model").map(str::to_owned));
        let model = named.filter(|model| !model.is_empty()).ok_or_else(|| missing("model"))?;
        let recording = media::of_file(upload.content("file").ok_or_else(|| missing("file"))?);
        if upload.text("stream").is_some_and(|stream| stream != "false") {
            return Err(Problem::bad_request("stream: is not supported by the reference gateway for transcriptions"));
        }
        Ok(Request {
            route: asked.route,
            fields: Fields::default(),
            batch: Vec::new(),
            counted: None,
            model,
            fallbacks: Vec::new(),
            is_stream: false,
            as_array: false,
            stream_options: None,
            bounds: Bounds {
                input: Input::of_bytes(upload.text_bytes()),
                max_output: None,
                answers: 1,
                service: None,
                may_compact: false,
            },
            server_tools: Vec::new(),
            media: Some(recording),
            upload: Some(upload),
        })
    }

    /// Whether the caller asked for a stream's usage chunk.
    pub(crate) fn wants_usage_chunk(&self) -> bool {
        let options = self.stream_options.as_ref();
        options.is_some_and(|options| options.get("include_usage") == Some(&Value::Bool(true)))
    }

    /// The body for a provider that speaks the route's own protocol: the model's
    /// name is the provider's, and a stream of completions always reports its usage,
    /// asked to or, by its dialect, not.
    pub(crate) fn body_for(&self, model: &str, dialect: Dialect) -> Result<Bytes, Problem> {
        if let Some(upload) = &self.upload {
            return Ok(upload.body_for(model));
        }
        let mut fields = self.fields.written();
        if self.route.names_model_in_path() {
            self.name_again(&mut fields, model)?;
        } else {
            fields.set("model", Cow::Owned(raw(&model)?));
        }
        let has_options = matches!(self.route, Route::ChatCompletions | Route::Completions);
        if has_options && !dialect.takes_stream_options {
            fields.remove("stream_options");
        } else if has_options && self.is_stream {
            let mut options = match &self.stream_options {
                Some(Value::Object(options)) => options.clone(),
                _ => serde_json::Map::new(),
            };
            options.insert("include_usage".to_owned(), Value::Bool(true));
            fields.set("stream_options", Cow::Owned(raw(&Value::Object(options))?));
        }
        let body = serde_json::to_vec(&fields).map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(body.into())
    }

    /// Gemini's bodies may name the model of the path again, a request to be counted may too, and each part
    /// of a batch has to.
    fn name_again(&self, fields: &mut Written<'_>, model: &str) -> Result<(), Problem> {
        let name = raw(&format!("models/{model}"))?;
        if !self.batch.is_empty() {
            let batch: Vec<_> = self.batch.iter().map(|part| named(part, &name)).collect();
            fields.set(BATCH, Cow::Owned(raw(&batch)?));
        }
        let counted = self.counted.as_ref().filter(|_| self.route == Route::GenerateContent);
        if let Some(counted) = counted.filter(|counted| counted.get("model").is_some()) {
            fields.set(COUNTED, Cow::Owned(raw(&named(counted, &name))?));
        }
        if fields.get("model").is_some() {
            fields.set("model", Cow::Owned(name));
        }
        Ok(())
    }

    /// The whole body as one value, for translation.
    pub(crate) fn to_value(&self) -> Result<Value, Problem> {
        let text = serde_json::to_string(&self.fields).map_err(|error| Problem::bad_request(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| Problem::bad_request(format!("Invalid JSON: {error}")))
    }
}

/// Why a provider is not told to fall back by itself.
const NOT_PASSED_ON: &str =
    "is not passed on, since a provider's own choice of a model is neither allowed nor priced here";

/// The caller's fallbacks. Anthropic has a field of this name too, in forms of its own.
fn fallbacks(fields: &Fields) -> Result<Vec<String>, Problem> {
    let named: Option<Value> = field(fields, "fallbacks")?;
    let named: Vec<String> = serde_json::from_value(named.unwrap_or(Value::Array(Vec::new()))).map_err(|_| {
        let form = r#"only a list of names is read here, as in ["provider/model"]"#;
        Problem::bad_request(format!("fallbacks: {form}; any other form {NOT_PASSED_ON}"))
    })?;
    match named.len() {
        0..=MOST_FALLBACKS => Ok(named),
        _ => Err(Problem::bad_request(format!("more than {MOST_FALLBACKS} fallbacks"))),
    }
}

/// OpenRouter lets a request name other models that it may serve instead. They would be neither
/// allowed nor priced here.
fn refuse_providers_fallbacks(fields: &Fields) -> Result<(), Problem> {
    let models: Option<Value> = field(fields, "models")?;
    let route: Option<Value> = field(fields, "route")?;
    let field = match (models, route) {
        (Some(models), _) if models != Value::Array(Vec::new()) => "models",
        (_, Some(route)) if route == "fallback" => "route",
        _ => return Ok(()),
    };
    Err(Problem::bad_request(format!("{field}: {NOT_PASSED_ON}; name other models in `fallbacks`")))
}

/// Where a request is that is to be counted.
const COUNTED: &str = "generateContentRequest";

/// The parts of a batch, each a request for one embedding.
fn batch(route: Route, fields: &Fields) -> Result<Vec<Fields>, Problem> {
    Ok(if route == Route::BatchEmbedContents { field(fields, BATCH)?.unwrap_or_default() } else { Vec::new() })
}

/// A request whose tokens are to be counted.
fn counted(route: Route, fields: &Fields) -> Result<Option<Fields>, Problem> {
    if route.names_model_in_path() { field(fields, COUNTED) } else { Ok(None) }
}

/// Gemini's bodies, and what stands in them, may name the model of the path again. Another would
/// not be asked.
fn refuse_another_model<'a>(bodies: impl Iterator<Item = &'a Fields>, model: &str) -> Result<(), Problem> {
    let is_it = |name: &str| ApiBase::Gemini.model(name).eq_ignore_ascii_case(ApiBase::Gemini.model(model));
    for fields in bodies {
        if let Some(named) = field::<String>(fields, "model")?.filter(|named| !is_it(named)) {
            return Err(Problem::bad_request(format!("model: '{named}' is not the model of the path, '{model}'")));
        }
    }
    Ok(())
}

/// Whether the answer is a stream: by the path, or by the body where it can be one.
fn is_stream(route: Route, fields: &Fields) -> Result<bool, Problem> {
    match route {
        Route::StreamGenerateContent => Ok(true),
        Route::ChatCompletions | Route::Completions | Route::Responses | Route::Messages => {
            Ok(field(fields, "stream")?.unwrap_or(false))
        }
        Route::Embeddings
        | Route::Images
        | Route::Speech
        | Route::Transcriptions
        | Route::GenerateContent
        | Route::EmbedContent
        | Route::BatchEmbedContents => Ok(false),
    }
}

/// A request that stands in another one, with the model's name.
fn named<'a>(request: &'a Fields, name: &'a RawValue) -> Written<'a> {
    let mut request = request.written();
    request.set("model", Cow::Borrowed(name));
    request
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Problem> {
    serde_json::value::to_raw_value(value).map_err(|error| Problem::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use serde_json::json;

    fn parse(body: &Value) -> Request {
        Request::parse(Route::ChatCompletions.into(), body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_the_gateway_does_not_know_passes_through_as_written() {
        let text = r#"{"model":"primary/mock-1","temperature":0.10,"big":123456789012345678901234567890}"#;
        let request = Request::parse(Route::ChatCompletions.into(), text.as_bytes()).unwrap();
        let body = request.body_for("mock-1", Dialect::COMPATIBLE).unwrap();
        assert_eq!(body, r#"{"model":"mock-1","temperature":0.10,"big":123456789012345678901234567890}"#);
    }

    #[test]
    fn geminis_bodies_name_the_model_of_the_path() {
        let body = |route: Route, text: &str| {
            let asked = Asked { model: Some("primary/mock-1".to_owned()), ..route.into() };
            Request::parse(asked, text.as_bytes()).unwrap().body_for("mock-1", Dialect::COMPATIBLE).unwrap()
        };
        let batch = r#"{"requests":[{"model":"models/primary/mock-1","content":{"parts":[{"text":"a"}]}}]}"#;
        assert_eq!(body(Route::BatchEmbedContents, batch), batch.replace("primary/", ""));
        let one = r#"{"model":"models/primary/mock-1","content":{"parts":[{"text":"a"}]}}"#;
        assert_eq!(body(Route::EmbedContent, one), one.replace("primary/", ""));
        assert_eq!(body(Route::GenerateContent, r#"{"contents":[]}"#), r#"{"contents":[]}"#);
        let counted = r#"{"generateContentRequest":{"model":"models/primary/mock-1","contents":[]}}"#;
        assert_eq!(body(Route::GenerateContent, counted), counted.replace("primary/", ""));
    }

    #[test]
    fn another_model_than_the_paths_is_refused_wherever_geminis_bodies_name_one() {
        let refused = |route: Route, text: &str| {
            let asked = Asked { model: Some("mock-1".to_owned()), ..route.into() };
            Request::parse(asked, text.as_bytes()).err().map(|problem| problem.message)
        };
        let told = Some("model: 'models/mock-2' is not the model of the path, 'mock-1'".to_owned());
        for (route, text) in [
            (Route::EmbedContent, r#"{"model":"models/mock-2"}"#),
            (Route::BatchEmbedContents, r#"{"requests":[{},{"model":"models/mock-2"}]}"#),
            (Route::GenerateContent, r#"{"generateContentRequest":{"model":"models/mock-2"}}"#),
            (Route::GenerateContent, r#"{"model":"models/mock-2"}"#),
            (Route::StreamGenerateContent, r#"{"model":"models/mock-2"}"#),
        ] {
            assert_eq!(refused(route, text), told, "{route:?}: {text}");
            assert_eq!(refused(route, &text.replace("mock-2", "MOCK-1")), None, "{route:?}: {text}");
        }
    }

    #[test]
    fn a_stream_asks_its_provider_for_usage() {
        let request = parse(&json!({"model": "m", "stream": true, "stream_options": {"other": 1}}));
        assert!(!request.wants_usage_chunk());
        let told = |dialect| serde_json::from_slice::<Value>(&request.body_for("m", dialect).unwrap()).unwrap();
        assert_eq!(told(Dialect::COMPATIBLE)["stream_options"], json!({"other": 1, "include_usage": true}));
        let strict = Dialect { takes_stream_options: false, ..Dialect::COMPATIBLE };
        assert_eq!(told(strict).get("stream_options"), None, "it would refuse the request for it");
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
            assert!(Request::parse(Route::ChatCompletions.into(), body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_body_of_very_many_fields_is_read_in_one_pass() {
        let fields: String = (0..200_000).map(|number| format!(r#","a{number}":[]"#)).collect();
        let body = format!(r#"{{"model":"m"{fields}}}"#);
        let request = Request::parse(Route::ChatCompletions.into(), body.as_bytes()).unwrap();
        assert_eq!(request.body_for("m", Dialect::COMPATIBLE).unwrap(), body);
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
            Request::parse(Route::ChatCompletions.into(), body.as_bytes())
        };
        assert_eq!(with(8).unwrap().fallbacks.len(), 8);
        assert!(with(9).unwrap_err().message.contains("8 fallbacks"));
    }
}
