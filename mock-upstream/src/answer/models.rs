//! Model lists of the three APIs.

use serde_json::{Value, json};

use super::frame::{Answer, pretty};
use crate::route::Api;
use crate::script::{Model, Provider, Script};

// Gemini's and Anthropic's lists carry limits and dates; none of them stands for anything here.
const CREATED: u64 = 1_735_689_600;
const CREATED_AT: &str = "2025-01-01T00:00:00Z";
const INPUT_LIMIT: u64 = 1_048_576;
const OUTPUT_LIMIT: u64 = 65_536;

/// The list, or the one model that the path names if the provider has it.
pub(super) fn answer(script: &Script, provider: &Provider, api: Api, named: Option<&str>) -> Option<Answer> {
    let entry = |(name, model): (&str, &Model)| entry(api, name, model);
    let value = match named {
        Some(name) => entry((name, script.model_of(provider, name)?)),
        None => list(api, &script.models_of(provider).map(entry).collect::<Vec<_>>()),
    };
    Some(match api {
        Api::Gemini => Answer::gemini_json(pretty(&value)),
        _ => Answer::json(&value),
    })
}

fn list(api: Api, entries: &[Value]) -> Value {
    let id = |entry: Option<&Value>| entry.map(|entry| entry["id"].clone());
    match api {
        Api::OpenAi => json!({"object": "list", "data": entries}),
        Api::Anthropic => {
            let (first, last) = (id(entries.first()), id(entries.last()));
            json!({"data": entries, "has_more": false, "first_id": first, "last_id": last})
        }
        Api::Gemini => json!({"models": entries}),
    }
}

fn entry(api: Api, name: &str, model: &Model) -> Value {
    match api {
        Api::OpenAi => json!({
            "id": name, "object": "model", "created": CREATED, "owned_by": "mock-upstream",
        }),
        Api::Anthropic => json!({
            "type": "model", "id": name, "display_name": name, "created_at": CREATED_AT,
        }),
        Api::Gemini => json!({
            "name": format!("models/{name}"),
            "version": "001",
            "displayName": name,
            "description": "A mock model",
            "inputTokenLimit": INPUT_LIMIT,
            "outputTokenLimit": model.max_output_tokens.unwrap_or(OUTPUT_LIMIT),
            "supportedGenerationMethods": [
                "generateContent", "countTokens", "embedContent", "batchEmbedContents",
            ],
        }),
    }
}
