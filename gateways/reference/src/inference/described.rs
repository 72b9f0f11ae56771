//! What the routes of inference answer, for the description of the API: as their providers' own
//! API has it, so that only the media types are told.

use schemars::SchemaGenerator;
use serde_json::{Value, json};

use super::route::{Asked, Route};
use crate::routes::json_content;

/// What a route answers.
pub(crate) fn answers(asked: &Asked) -> fn(&mut SchemaGenerator) -> Value {
    match asked.route {
        _ if asked.is_count => object,
        Route::Speech => sound,
        Route::Transcriptions => transcript,
        route if route.is_generation() => object_or_events,
        _ => object,
    }
}

/// A JSON object.
pub(crate) fn object(_: &mut SchemaGenerator) -> Value {
    json_content(json!({ "type": "object" }))
}

/// What the routes answer whose path names model and action: a stream is one array, or events.
pub(crate) fn gemini_answers(_: &mut SchemaGenerator) -> Value {
    with_events(json_content(json!({ "type": ["object", "array"] })))
}

fn object_or_events(generator: &mut SchemaGenerator) -> Value {
    with_events(object(generator))
}

fn with_events(mut content: Value) -> Value {
    content["text/event-stream"] = json!({ "schema": { "type": "string" } });
    content
}

fn sound(_: &mut SchemaGenerator) -> Value {
    json!({ "audio/*": {} })
}

/// An object, or what the caller asked for, like subtitles.
fn transcript(generator: &mut SchemaGenerator) -> Value {
    let mut content = object(generator);
    content["text/*"] = json!({ "schema": { "type": "string" } });
    content
}
