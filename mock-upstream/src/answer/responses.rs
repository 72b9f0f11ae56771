//! OpenAI responses: an answer is a list of items, of thoughts, of text and of calls.

use bytes::Bytes;
use serde_json::{Value, json};

use super::error::identified;
use super::frame::{Answer, Frame, Part, event, joined};
use super::job::{Delta, Job, Of};
use crate::route::Api;
use crate::script::Stop;

/// What stands for the thoughts themselves, where a request asks to be given them back.
const ENCRYPTED: &str = "bW9jayB0aG91Z2h0cw==";

const IN_PROGRESS: &str = "in_progress";
const COMPLETED: &str = "completed";

/// `POST responses`.
pub(super) fn answer(job: &Job<'_>) -> Answer {
    let answer = if job.ask.stream { Answer::stream(frames(job)) } else { Answer::json(&whole(job)) };
    identified(answer, Api::OpenAi, job.seq)
}

/// How the response ends, and why if it is not complete.
fn end(job: &Job<'_>) -> (&'static str, Option<&'static str>) {
    match job.model.answer.stop {
        Stop::End => (COMPLETED, None),
        Stop::Length => ("incomplete", Some("max_output_tokens")),
        Stop::Filter => ("incomplete", Some("content_filter")),
    }
}

fn whole(job: &Job<'_>) -> Value {
    let (status, reason) = end(job);
    let parts = job.parts();
    let items = parts.iter().enumerate().map(|(index, (of, text))| {
        // What broke off is the last of them.
        item(job, *of, text, if index + 1 == parts.len() { status } else { COMPLETED })
    });
    let items: Vec<Value> = items.chain((0..job.usage().searches).map(|at| search(job, at))).collect();
    let mut whole = response(job, status, &items);
    whole["incomplete_details"] = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
    whole["usage"] = usage(job);
    whole
}

fn response(job: &Job<'_>, status: &str, output: &[Value]) -> Value {
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
        "usage": null,
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

fn id(job: &Job<'_>, of: Of) -> String {
    match of {
        Of::Reasoning => job.id("rs_"),
        Of::Text => job.id("msg_"),
        Of::Call(place) => job.call_id("fc_", place),
    }
}

/// A search of the web. They stand behind the answer, whose place is known while it is streamed.
fn search(job: &Job<'_>, at: u64) -> Value {
    let action = json!({"type": "search", "query": "q"});
    json!({"id": format!("{}_{at}", job.id("ws_")), "type": "web_search_call", "status": COMPLETED, "action": action})
}

/// An item; one in progress holds nothing yet.
fn item(job: &Job<'_>, of: Of, text: &str, status: &str) -> Value {
    let begun = status == IN_PROGRESS;
    let content = if begun { json!([]) } else { json!([content(of, text)]) };
    let id = id(job, of);
    match of {
        Of::Reasoning => {
            let mut item = json!({"id": id, "type": "reasoning", "summary": content});
            if job.ask.encrypted_reasoning {
                item["encrypted_content"] = json!(ENCRYPTED);
            }
            item
        }
        Of::Text => json!({"id": id, "type": "message", "status": status, "content": content, "role": "assistant"}),
        Of::Call(place) => json!({
            "id": id,
            "type": "function_call",
            "status": status,
            "arguments": if begun { "" } else { text },
            "call_id": job.call_id("call_", place),
            "name": called(job, place),
        }),
    }
}

fn called<'a>(job: &Job<'a>, place: usize) -> Option<&'a str> {
    job.model.answer.tool_calls.get(place).map(|call| call.name.as_str())
}

/// The one part of an item of thoughts or of text.
fn content(of: Of, text: &str) -> Value {
    match of {
        Of::Reasoning => json!({"type": "summary_text", "text": text}),
        Of::Text | Of::Call(_) => json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text}),
    }
}

fn frames(job: &Job<'_>) -> Vec<Frame> {
    let mut events = Events { job, sent: 0 };
    let mut frames = Vec::new();
    for name in ["response.created", "response.in_progress"] {
        let begun = events.event(name, json!({"response": response(job, IN_PROGRESS, &[])}));
        frames.push(Part::Opening.frame(begun));
    }
    let parts = job.parts();
    let deltas = job.deltas();
    let mut index = 0;
    for (at, delta) in deltas.iter().enumerate() {
        // An item that begins or ends inside the answer does so with its piece.
        let mut piece = Vec::new();
        if delta.is_first {
            let begin = events.begin(delta.of, index);
            match at {
                0 => frames.extend(begin.into_iter().map(|event| Part::Opening.frame(event))),
                _ => piece.extend(begin),
            }
        }
        piece.push(events.delta(delta, index));
        let is_over = at + 1 == deltas.len();
        let text = parts.get(index).map_or("", |(_, text)| text);
        if delta.is_last && !is_over {
            piece.extend(events.end(delta.of, index, text, COMPLETED));
            index += 1;
        }
        frames.push(Part::Delta { tokens: delta.tokens }.frame(joined(piece)));
        if is_over {
            let end = events.end(delta.of, index, text, end(job).0);
            frames.extend(end.into_iter().map(|event| Part::Closing.frame(event)));
        }
    }
    // The real API ends here: there is no `[DONE]`.
    let name = format!("response.{}", end(job).0);
    frames.push(Part::EndMarker.frame(events.event(&name, json!({"response": whole(job)}))));
    frames
}

/// The events of a stream, numbered.
struct Events<'a> {
    job: &'a Job<'a>,
    sent: u64,
}

impl Events<'_> {
    fn event(&mut self, name: &str, fields: Value) -> Bytes {
        let mut value = json!({"type": name, "sequence_number": self.sent});
        self.sent += 1;
        if let (Value::Object(to), Value::Object(fields)) = (&mut value, fields) {
            to.extend(fields);
        }
        event(name, &value)
    }

    /// An event inside an item.
    fn inside(&mut self, of: Of, index: usize, name: &str, said: Value) -> Bytes {
        let mut fields = json!({"item_id": id(self.job, of), "output_index": index});
        match of {
            Of::Reasoning => fields["summary_index"] = json!(0),
            Of::Text => fields["content_index"] = json!(0),
            Of::Call(_) => {}
        }
        if let (Value::Object(to), Value::Object(said)) = (&mut fields, said) {
            to.extend(said);
        }
        self.event(name, fields)
    }

    fn begin(&mut self, of: Of, index: usize) -> Vec<Bytes> {
        let item = item(self.job, of, "", IN_PROGRESS);
        let mut events = vec![self.event("response.output_item.added", json!({"output_index": index, "item": item}))];
        if let Some((part, _)) = names(of) {
            events.push(self.inside(of, index, &format!("{part}.added"), json!({"part": content(of, "")})));
        }
        events
    }

    fn delta(&mut self, delta: &Delta<'_>, index: usize) -> Bytes {
        let name = names(delta.of).map_or(ARGUMENTS, |(_, text)| text);
        self.inside(delta.of, index, &format!("{name}.delta"), said(delta.of, "delta", &delta.text))
    }

    fn end(&mut self, of: Of, index: usize, text: &str, status: &str) -> Vec<Bytes> {
        let mut events = Vec::new();
        match (names(of), of) {
            (Some((part, name)), _) => {
                events.push(self.inside(of, index, &format!("{name}.done"), said(of, "text", text)));
                events.push(self.inside(of, index, &format!("{part}.done"), json!({"part": content(of, text)})));
            }
            (None, Of::Call(place)) => {
                let done = json!({"name": called(self.job, place), "arguments": text});
                events.push(self.inside(of, index, &format!("{ARGUMENTS}.done"), done));
            }
            (None, Of::Reasoning | Of::Text) => {}
        }
        let item = item(self.job, of, text, status);
        events.push(self.event("response.output_item.done", json!({"output_index": index, "item": item})));
        events
    }
}

const ARGUMENTS: &str = "response.function_call_arguments";

/// A text in its event; those of output have probabilities beside them, which nobody asked for.
fn said(of: Of, field: &str, text: &str) -> Value {
    match of {
        Of::Text => json!({field: text, "logprobs": []}),
        Of::Reasoning | Of::Call(_) => json!({field: text}),
    }
}

/// What the events of an item's part, and of the text in it, are called.
fn names(of: Of) -> Option<(&'static str, &'static str)> {
    match of {
        Of::Reasoning => Some(("response.reasoning_summary_part", "response.reasoning_summary_text")),
        Of::Text => Some(("response.content_part", "response.output_text")),
        Of::Call(_) => None,
    }
}
