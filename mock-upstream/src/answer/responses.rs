//! OpenAI responses.

use bytes::Bytes;
use serde_json::{Value, json};

use super::error::identified;
use super::frame::{Answer, Frame, Part, event};
use super::job::Job;
use crate::route::Api;

/// `POST responses`.
pub(super) fn answer(job: &Job<'_>) -> Answer {
    let answer = if job.ask.stream { Answer::stream(frames(job)) } else { Answer::json(&response(job, true)) };
    identified(answer, Api::OpenAi, job.seq)
}

fn response(job: &Job<'_>, completed: bool) -> Value {
    let (status, output, usage) = match completed {
        true => ("completed", json!([item(job, true)]), usage(job)),
        false => ("in_progress", json!([]), Value::Null),
    };
    json!({
        "id": job.id("resp_"),
        "object": "response",
        "created_at": job.created,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "model": job.name,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": false,
        "temperature": 1,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1,
        "truncation": "disabled",
        "usage": usage,
        "user": null,
        "metadata": {},
    })
}

fn usage(job: &Job<'_>) -> Value {
    if !job.shows_usage() {
        return Value::Null;
    }
    let tokens = job.usage();
    let mut input = json!({"cached_tokens": tokens.cached});
    if tokens.cache_write > 0 {
        input["cache_write_tokens"] = json!(tokens.cache_write);
    }
    json!({
        "input_tokens": tokens.input,
        "input_tokens_details": input,
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total(),
    })
}

fn item(job: &Job<'_>, completed: bool) -> Value {
    let (status, content) = match completed {
        true => ("completed", json!([content(job.model.reply())])),
        false => ("in_progress", json!([])),
    };
    json!({
        "id": job.id("msg_"),
        "type": "message",
        "status": status,
        "content": content,
        "role": "assistant",
    })
}

fn content(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn frames(job: &Job<'_>) -> Vec<Frame> {
    let mut events = Events::default();
    let id = job.id("msg_");
    let place = json!({"item_id": id, "output_index": 0, "content_index": 0});
    for name in ["response.created", "response.in_progress"] {
        events.push(Part::Opening, name, &[("response", response(job, false))]);
    }
    let added = [("output_index", json!(0)), ("item", item(job, false))];
    events.push(Part::Opening, "response.output_item.added", &added);
    events.push_at(&place, Part::Opening, "response.content_part.added", "part", content(""));
    for delta in job.text_deltas() {
        let part = Part::Delta { tokens: delta.tokens };
        events.push_at(&place, part, "response.output_text.delta", "delta", json!(delta.text));
    }
    let text = job.model.reply();
    events.push_at(&place, Part::Closing, "response.output_text.done", "text", json!(text));
    events.push_at(&place, Part::Closing, "response.content_part.done", "part", content(text));
    let done = [("output_index", json!(0)), ("item", item(job, true))];
    events.push(Part::Closing, "response.output_item.done", &done);
    // The real API ends here: there is no `[DONE]`.
    events.push(Part::EndMarker, "response.completed", &[("response", response(job, true))]);
    events.frames
}

/// The events of a stream, numbered.
#[derive(Default)]
struct Events {
    frames: Vec<Frame>,
}

impl Events {
    fn push(&mut self, part: Part, name: &str, fields: &[(&str, Value)]) {
        let mut value = json!({"type": name, "sequence_number": self.frames.len()});
        for (field, content) in fields {
            value[*field] = content.clone();
        }
        let bytes: Bytes = event(name, &value);
        self.frames.push(part.frame(bytes));
    }

    fn push_at(&mut self, place: &Value, part: Part, name: &str, field: &str, content: Value) {
        let mut fields: Vec<(&str, Value)> =
            ["item_id", "output_index", "content_index"].into_iter().map(|name| (name, place[name].clone())).collect();
        fields.push((field, content));
        if name.starts_with("response.output_text.") {
            fields.push(("logprobs", json!([])));
        }
        self.push(part, name, &fields);
    }
}
