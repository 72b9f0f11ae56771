//! Gemini generateContent and streamGenerateContent.

use bytes::Bytes;
use serde_json::{Value, json};

use super::frame::{Answer, Frame, Part, array_item, data_crlf, pretty, pretty_lines};
use super::job::Job;
use crate::price::produced;
use crate::script::Usage;

/// `POST models/{model}:generateContent`.
pub(super) fn generate(job: &Job<'_>) -> Answer {
    let value = chunk(job, job.model.reply(), true, &job.usage());
    Answer::gemini_json(pretty(&value))
}

/// `POST models/{model}:countTokens`.
pub(super) fn count_tokens(job: &Job<'_>) -> Answer {
    let tokens = job.usage().input;
    Answer::gemini_json(pretty(&json!({
        "totalTokens": tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
    })))
}

/// `POST models/{model}:streamGenerateContent`: events with `alt=sse`, else one JSON array.
pub(super) fn stream(job: &Job<'_>, sse: bool) -> Answer {
    let usage = job.usage();
    let mut chunks: Vec<(Part, Value)> = job
        .deltas()
        .map(|delta| {
            let shown = produced(&usage, delta.so_far);
            let part = Part::Delta { tokens: delta.tokens };
            (part, chunk(job, delta.text, false, &shown))
        })
        .collect();
    chunks.push((Part::Closing, chunk(job, "", true, &usage)));
    if sse {
        // The real API has no end marker here: the body just ends.
        let frames = chunks.iter().map(|(part, value)| part.frame(data_crlf(value)));
        Answer::gemini_events(frames.collect())
    } else {
        Answer::gemini_array(array(&chunks))
    }
}

fn array(chunks: &[(Part, Value)]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = chunks
        .iter()
        .enumerate()
        .map(|(index, (part, value))| part.frame([array_item(index), &pretty_lines(value), b"\n"].concat().into()))
        .collect();
    frames.push(Part::EndMarker.frame(Bytes::from_static(b"]\n")));
    frames
}

fn chunk(job: &Job<'_>, text: &str, finish: bool, tokens: &Usage) -> Value {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}});
    if finish {
        candidate["finishReason"] = json!("STOP");
    }
    candidate["index"] = json!(0);
    let mut chunk = json!({"candidates": [candidate]});
    if job.shows_usage() {
        chunk["usageMetadata"] = usage(tokens);
    }
    chunk["modelVersion"] = json!(job.name);
    chunk["responseId"] = json!(job.id(""));
    chunk
}

/// Gemini counts thoughts beside the candidates, and cached tokens within the prompt.
fn usage(tokens: &Usage) -> Value {
    let mut usage = json!({
        "promptTokenCount": tokens.input,
        "candidatesTokenCount": tokens.output.saturating_sub(tokens.reasoning),
        "totalTokenCount": tokens.total(),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.input}],
    });
    if tokens.cached > 0 {
        usage["cachedContentTokenCount"] = json!(tokens.cached);
        usage["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": tokens.cached}]);
    }
    if tokens.reasoning > 0 {
        usage["thoughtsTokenCount"] = json!(tokens.reasoning);
    }
    usage
}
