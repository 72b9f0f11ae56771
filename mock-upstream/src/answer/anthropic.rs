//! Anthropic messages.

use serde_json::{Value, json};

use super::error::identified;
use super::frame::{Answer, Frame, Part, event};
use super::job::Job;
use crate::route::Api;

/// `POST messages`.
pub(super) fn message(job: &Job<'_>) -> Answer {
    let answer = if job.ask.stream {
        Answer::stream(frames(job))
    } else {
        let content = json!([{"type": "text", "text": job.model.reply()}]);
        Answer::json(&body(job, &content, Some("end_turn"), job.usage().output))
    };
    identified(answer, Api::Anthropic, job.seq)
}

/// `POST messages/count_tokens`.
pub(super) fn count_tokens(job: &Job<'_>) -> Answer {
    let answer = Answer::json(&json!({"input_tokens": job.usage().input}));
    identified(answer, Api::Anthropic, job.seq)
}

fn body(job: &Job<'_>, content: &Value, stop: Option<&str>, output: u64) -> Value {
    let mut body = json!({
        "id": job.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": job.name,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
    });
    if job.shows_usage() {
        body["usage"] = usage(job, output);
    }
    body
}

/// Anthropic's `input_tokens` leaves out what was read from a cache or written to one.
fn usage(job: &Job<'_>, output: u64) -> Value {
    let tokens = job.usage();
    json!({
        "input_tokens": plain_input(job),
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn plain_input(job: &Job<'_>) -> u64 {
    let tokens = job.usage();
    tokens.input.saturating_sub(tokens.cached).saturating_sub(tokens.cache_write)
}

fn frames(job: &Job<'_>) -> Vec<Frame> {
    let frame = |part: Part, mut value: Value, name: &str| {
        value["type"] = json!(name);
        part.frame(event(name, &value))
    };
    // The real API starts with a small figure and ends with the final one.
    let start = body(job, &json!([]), None, job.usage().output.min(1));
    let block = json!({"type": "", "index": 0, "content_block": {"type": "text", "text": ""}});
    let mut frames = vec![
        frame(Part::Opening, json!({"type": "", "message": start}), "message_start"),
        frame(Part::Opening, block, "content_block_start"),
        frame(Part::Opening, json!({"type": ""}), "ping"),
    ];
    frames.extend(job.deltas().map(|delta| {
        let part = Part::Delta { tokens: delta.tokens };
        let text = json!({"type": "text_delta", "text": delta.text});
        frame(part, json!({"type": "", "index": 0, "delta": text}), "content_block_delta")
    }));
    frames.push(frame(Part::Closing, json!({"type": "", "index": 0}), "content_block_stop"));
    let stop = json!({"stop_reason": "end_turn", "stop_sequence": null});
    let mut last = json!({"type": "", "delta": stop});
    if job.shows_usage() {
        let tokens = job.usage();
        last["usage"] = json!({
            "input_tokens": plain_input(job),
            "cache_creation_input_tokens": tokens.cache_write,
            "cache_read_input_tokens": tokens.cached,
            "output_tokens": tokens.output,
        });
    }
    frames.push(frame(Part::Closing, last, "message_delta"));
    frames.push(frame(Part::EndMarker, json!({"type": ""}), "message_stop"));
    frames
}
