//! What bounds the cost of a request: how much goes in, and how much can come out.

use serde_json::Value;

use super::fields::{Fields, field, value};
use super::input::{Input, saturated};
use super::parts;
use super::readable::Readable;
use super::route::Route;
use crate::errors::Problem;
use crate::rates::Service;
use crate::translate::{Form, camel};

/// Fields that hold what a model reads: a text, tokens, or messages made of parts.
const TEXTS: [&str; 11] = [
    "messages",
    "system",
    "prompt",
    "input",
    "instructions",
    "suffix",
    "prediction",
    "contents",
    "systemInstruction",
    "system_instruction",
    "content",
];
/// Settings in words, lists or objects of which no model reads anything. Whatever else a request
/// says in such, a provider may spell out for its model.
const SILENT: [&str; 45] = [
    "model",
    "models",
    "route",
    "provider",
    "transforms",
    "usage",
    "user",
    "safety_identifier",
    "metadata",
    "labels",
    "session_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "cache_control",
    "service_tier",
    "speed",
    "inference_geo",
    "anthropic_version",
    "anthropic_beta",
    "betas",
    "stream_options",
    "stream_format",
    "include",
    "truncation",
    "stop",
    "stop_sequences",
    "logit_bias",
    "reasoning",
    "reasoning_effort",
    "thinking",
    "verbosity",
    "modalities",
    "audio",
    "voice",
    "size",
    "quality",
    "style",
    "background",
    "moderation",
    "encoding_format",
    "input_type",
    "taskType",
    "task_type",
    "safetySettings",
    "safety_settings",
];
/// Gemini's settings, in both spellings that it reads.
const GEMINI_CONFIG: [&str; 2] = ["generationConfig", "generation_config"];
/// The parts of a batch, each of which counts by itself.
pub(super) const BATCH: &str = "requests";
/// What the provider keeps: an earlier answer, a conversation, a cached prompt.
const KEPT: [&str; 4] = ["previous_response_id", "conversation", "cachedContent", "cached_content"];

/// What is said instead of a bound where there is none.
const WITHOUT_END: u64 = u64::MAX;

/// What bounds the cost of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) input: Input,
    /// The most tokens that the caller allows for one answer.
    pub(crate) max_output: Option<u64>,
    /// How many answers are made: for each of several prompts, as many as are asked for.
    pub(crate) answers: u64,
    /// The service that it asks for, unless it leaves that to the provider.
    pub(crate) service: Option<Service>,
    /// Whether the provider may sum up what goes in before it answers.
    pub(crate) may_compact: bool,
}

/// Reads the bounds of a body, and of the parts of its batch. What cannot be read cannot be bounded,
/// and is refused.
pub(super) fn read(route: Route, fields: &Fields, batch: &[Fields]) -> Result<Bounds, Problem> {
    let mut max_output = None;
    for name in output_bounds(route) {
        max_output = larger(max_output, field(fields, name)?);
    }
    let mut all = input(route, fields)?;
    for part in batch {
        all = all.and(input(Route::EmbedContent, part)?);
    }
    let mut bounds = Bounds {
        input: all,
        max_output,
        answers: answers(fields)?,
        service: service(route, fields)?,
        may_compact: may_compact(fields)?,
    };
    if route.form() == Form::Content {
        for name in GEMINI_CONFIG {
            if let Some(config) = field::<Fields>(fields, name)? {
                bounds.add_gemini_config(&config)?;
            }
        }
    }
    // To some servers 0 is no bound.
    bounds.max_output = bounds.max_output.filter(|most| *most != WITHOUT_END);
    Ok(bounds)
}

impl Bounds {
    /// Gemini's bounds stand one level deeper, in either spelling.
    fn add_gemini_config(&mut self, config: &Fields) -> Result<(), Problem> {
        for (name, raw) in config.iter() {
            match camel(name).as_str() {
                "maxOutputTokens" => self.max_output = larger(self.max_output, value(name, raw)?),
                "candidateCount" => match value::<u64>(name, raw)? {
                    Some(0) => return Err(Problem::bad_request(format!("{name} must be at least 1"))),
                    wanted => self.answers = self.answers.max(wanted.unwrap_or(1)),
                },
                "responseSchema" | "responseJsonSchema" => {
                    // Looks into everything: what cannot be read cannot be bounded.
                    let _: Option<Readable> = value(name, raw)?;
                    self.input = self.input.and(Input::of_bytes(raw.get().len()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Of two bounds a provider may go by the larger; to Ollama, and to whoever takes 0 for nothing
/// said, 0 is the largest.
fn larger(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.max(other.map(|bound| if bound == 0 { WITHOUT_END } else { bound }))
}

/// The fields that a provider of this route knows as a bound on its output.
fn output_bounds(route: Route) -> &'static [&'static str] {
    match route {
        Route::ChatCompletions => &["max_tokens", "max_completion_tokens"],
        Route::Completions | Route::Messages => &["max_tokens"],
        Route::Responses => &["max_output_tokens"],
        Route::Embeddings
        | Route::Images
        | Route::Speech
        | Route::Transcriptions
        | Route::GenerateContent
        | Route::StreamGenerateContent
        | Route::EmbedContent
        | Route::BatchEmbedContents => &[],
    }
}

/// Fast mode is dearer than any service tier. The speed of images and audio is another thing.
fn service(route: Route, fields: &Fields) -> Result<Option<Service>, Problem> {
    let word = |name: &str| -> Result<Option<Service>, Problem> {
        Ok(field::<String>(fields, name)?.as_deref().and_then(Service::from_word))
    };
    let speed = if route.is_generation() { word("speed")? } else { None };
    Ok(speed.filter(|service| *service == Service::Fast).or(word("service_tier")?))
}

/// Whether a long conversation is summed up before the answer: so says any of Anthropic's
/// `context_management.edits` that does not only clear, and any of OpenAI's `context_management`.
fn may_compact(fields: &Fields) -> Result<bool, Problem> {
    let asked: Option<Value> = field(fields, "context_management")?;
    let edits = asked.as_ref().and_then(|asked| asked.get("edits").unwrap_or(asked).as_array());
    let clears = |edit: &Value| edit.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("clear_"));
    Ok(edits.into_iter().flatten().any(|edit| !clears(edit)))
}

fn answers(fields: &Fields) -> Result<u64, Problem> {
    let mut each = 1;
    for name in ["n", "best_of"] {
        match field::<u64>(fields, name)? {
            Some(0) => return Err(Problem::bad_request(format!("{name} must be at least 1"))),
            Some(wanted) => each = each.max(wanted),
            None => {}
        }
    }
    let prompts = match field::<Value>(fields, "prompt")? {
        Some(Value::Array(prompts)) if prompts.iter().any(|prompt| !prompt.is_number()) => prompts.len(),
        _ => 1,
    };
    Ok(each.saturating_mul(saturated(prompts)))
}

fn input(route: Route, fields: &Fields) -> Result<Input, Problem> {
    let mut sum = Input::default();
    for (name, raw) in fields.iter() {
        let is_text = TEXTS.contains(&name);
        if !is_text && (is_silent(route, name) || !raw.get().starts_with(['"', '[', '{'])) {
            continue;
        }
        // Looks into everything, where counting may skip: a provider reads it all.
        let Some(Readable) = value(name, raw)? else { continue };
        let goes_in = if is_text { parts::read(raw) } else { parts::unknown(name, raw) };
        sum = sum.and(goes_in.map_err(|_| Problem::bad_request(format!("{name} has a value that cannot be read")))?);
    }
    // A prompt of responses is one that the provider keeps.
    let kept = KEPT.iter().chain((route == Route::Responses).then_some(&"prompt"));
    for name in kept {
        if field::<Value>(fields, name)?.is_some() {
            sum = sum.and(Input::OPEN);
        }
    }
    Ok(sum)
}

/// Whether no model reads it, or what one reads of it counts elsewhere.
fn is_silent(route: Route, name: &str) -> bool {
    let counts_elsewhere = match route.form() {
        Form::Content => GEMINI_CONFIG.contains(&name),
        Form::BatchEmbed => name == BATCH,
        _ => false,
    };
    counts_elsewhere || SILENT.contains(&name) || KEPT.contains(&name)
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod tests;
