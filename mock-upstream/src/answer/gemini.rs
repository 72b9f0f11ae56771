//! Gemini generateContent and streamGenerateContent.

use bytes::Bytes;
use serde_json::{Value, json};

use super::frame::{Answer, Frame, Part, array_item, data_crlf, pretty, pretty_lines};
use super::job::{Job, Of};
use crate::price::produced;
use crate::script::{Stop, Usage};

/// What stands for a thought in the first call of a turn that was thought about.
const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";

/// `POST models/{model}:generateContent`.
pub(super) fn generate(job: &Job<'_>) -> Answer {
    let parts: Vec<Value> = job.parts().into_iter().map(|(of, text)| said(job, of, &text)).collect();
    Answer::gemini_json(pretty(&chunk(job, &parts, true, &job.usage())))
}

/// A part of the answer; of a call the arguments are not text.
fn said(job: &Job<'_>, of: Of, text: &str) -> Value {
    match of {
        Of::Text => json!({"text": text}),
        Of::Reasoning => json!({"text": text, "thought": true}),
        Of::Call(place) => call(job, place),
    }
}

fn call(job: &Job<'_>, place: usize) -> Value {
    let answer = &job.model.answer;
    let called = answer.tool_calls.get(place);
    let call = json!({
        "id": job.call_id("call_", place),
        "name": called.map(|call| &call.name),
        "args": called.map(|call| &call.arguments),
    });
    let mut part = json!({"functionCall": call});
    if place == 0 && answer.reasoning.is_some() {
        part["thoughtSignature"] = json!(SIGNATURE);
    }
    part
}

fn finish_reason(job: &Job<'_>) -> &'static str {
    match job.model.answer.stop {
        Stop::End => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Filter => "SAFETY",
    }
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
    let mut chunks = Vec::new();
    let mut tokens = 0;
    for delta in job.deltas() {
        tokens += delta.tokens;
        // A call comes in one piece.
        if matches!(delta.of, Of::Call(_)) && !delta.is_last {
            continue;
        }
        let said = said(job, delta.of, &delta.text);
        let part = Part::Delta { tokens: std::mem::take(&mut tokens) };
        chunks.push((part, chunk(job, &[said], false, &produced(&usage, delta.so_far))));
    }
    chunks.push((Part::Closing, chunk(job, &[json!({"text": ""})], true, &usage)));
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

fn chunk(job: &Job<'_>, parts: &[Value], finish: bool, tokens: &Usage) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}});
    if finish {
        candidate["finishReason"] = json!(finish_reason(job));
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
