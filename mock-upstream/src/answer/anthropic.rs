//! Anthropic messages.

use bytes::Bytes;
use serde_json::{Value, json};

use super::error::identified;
use super::frame::{Answer, Frame, Part, event, joined};
use super::job::{Delta, Job, Of};
use crate::route::Api;
use crate::script::{Stop, Usage};

/// `POST messages`.
pub(super) fn message(job: &Job<'_>) -> Answer {
    let answer = if job.ask.stream {
        Answer::stream(frames(job))
    } else {
        Answer::json(&body(job, &content(job), Some(stop_reason(job)), job.usage().output))
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
        // What is thought is told with what is answered, not by a stream's first event.
        if stop.is_some() {
            tell_thinking(&job.usage(), &mut body["usage"]);
        }
    }
    body
}

/// Anthropic's `input_tokens` leaves out what was read from a cache or written to one.
fn usage(job: &Job<'_>, output: u64) -> Value {
    let tokens = job.usage();
    let mut usage = json!({
        "input_tokens": plain_input(job),
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write - tokens.cache_write_hour,
            "ephemeral_1h_input_tokens": tokens.cache_write_hour,
        },
        "output_tokens": output,
        "service_tier": "standard",
    });
    tell_searches(&tokens, &mut usage);
    usage
}

fn tell_searches(tokens: &Usage, usage: &mut Value) {
    if tokens.searches > 0 {
        usage["server_tool_use"] = json!({"web_search_requests": tokens.searches});
    }
}

/// A part of `output_tokens`, which is told where there is any.
fn tell_thinking(tokens: &Usage, usage: &mut Value) {
    if tokens.reasoning > 0 {
        usage["output_tokens_details"] = json!({"thinking_tokens": tokens.reasoning});
    }
}

fn plain_input(job: &Job<'_>) -> u64 {
    let tokens = job.usage();
    tokens.input.saturating_sub(tokens.cached).saturating_sub(tokens.cache_write)
}

/// What a thinking block is signed with.
const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";

fn content(job: &Job<'_>) -> Value {
    let block = |(of, text)| match of {
        Of::Reasoning => json!({"type": "thinking", "thinking": text, "signature": SIGNATURE}),
        Of::Text => json!({"type": "text", "text": text}),
        Of::Call(place) => {
            let call = job.model.answer.tool_calls.get(place);
            tool_use(job, place, &json!(call.map(|call| &call.arguments)))
        }
    };
    job.parts().into_iter().map(block).collect()
}

fn tool_use(job: &Job<'_>, place: usize, input: &Value) -> Value {
    let name = job.model.answer.tool_calls.get(place).map(|call| &call.name);
    json!({"type": "tool_use", "id": job.call_id("toolu_", place), "name": name, "input": input})
}

fn stop_reason(job: &Job<'_>) -> &'static str {
    match job.model.answer.stop {
        Stop::End if !job.model.answer.tool_calls.is_empty() => "tool_use",
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Filter => "refusal",
    }
}

fn said(mut value: Value, name: &str) -> Bytes {
    value["type"] = json!(name);
    event(name, &value)
}

fn frames(job: &Job<'_>) -> Vec<Frame> {
    // The real API starts with a small figure and ends with the final one.
    let start = body(job, &json!([]), None, job.usage().output.min(1));
    let mut frames = vec![Part::Opening.frame(said(json!({"type": "", "message": start}), "message_start"))];
    let deltas = job.deltas();
    let mut index = 0;
    for (at, delta) in deltas.iter().enumerate() {
        // A block that begins or ends inside the answer does so with its piece.
        let mut events = Vec::new();
        if delta.is_first && at == 0 {
            frames.push(Part::Opening.frame(block_start(job, delta, index)));
            frames.push(Part::Opening.frame(said(json!({"type": ""}), "ping")));
        } else if delta.is_first {
            events.push(block_start(job, delta, index));
        }
        events.push(block_delta(&piece(delta), index));
        if delta.is_last && delta.of == Of::Reasoning {
            events.push(block_delta(&json!({"type": "signature_delta", "signature": SIGNATURE}), index));
        }
        if delta.is_last && at + 1 < deltas.len() {
            events.push(said(json!({"type": "", "index": index}), "content_block_stop"));
            index += 1;
        }
        frames.push(Part::Delta { tokens: delta.tokens }.frame(joined(events)));
    }
    frames.push(Part::Closing.frame(said(json!({"type": "", "index": index}), "content_block_stop")));
    let mut last = json!({"type": "", "delta": {"stop_reason": stop_reason(job), "stop_sequence": null}});
    if job.shows_usage() {
        let tokens = job.usage();
        last["usage"] = json!({
            "input_tokens": plain_input(job),
            "cache_creation_input_tokens": tokens.cache_write,
            "cache_read_input_tokens": tokens.cached,
            "output_tokens": tokens.output,
        });
        tell_thinking(&tokens, &mut last["usage"]);
        tell_searches(&tokens, &mut last["usage"]);
    }
    frames.push(Part::Closing.frame(said(last, "message_delta")));
    frames.push(Part::EndMarker.frame(said(json!({"type": ""}), "message_stop")));
    frames
}

fn block_start(job: &Job<'_>, delta: &Delta<'_>, index: u64) -> Bytes {
    let block = match delta.of {
        Of::Text => json!({"type": "text", "text": ""}),
        Of::Reasoning => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Of::Call(place) => tool_use(job, place, &json!({})),
    };
    said(json!({"type": "", "index": index, "content_block": block}), "content_block_start")
}

fn block_delta(piece: &Value, index: u64) -> Bytes {
    said(json!({"type": "", "index": index, "delta": piece}), "content_block_delta")
}

fn piece(delta: &Delta<'_>) -> Value {
    match delta.of {
        Of::Text => json!({"type": "text_delta", "text": delta.text}),
        Of::Reasoning => json!({"type": "thinking_delta", "thinking": delta.text}),
        Of::Call(_) => json!({"type": "input_json_delta", "partial_json": delta.text}),
    }
}
