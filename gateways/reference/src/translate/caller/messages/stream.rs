//! A stream of chat completion chunks as a stream of message events.

use serde_json::{Value, json};

use super::answer::{call_id, failure, message_id, stop_reason, usage};
use crate::translate::TranslateError;
use crate::translate::caller::calls::Calls;
use crate::translate::read::{has_choices, nonempty};
use crate::translate::reasoning;
use crate::translate::said::Said;

/// The block to which the next piece may belong.
#[derive(Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    /// With the place of the detail that it says.
    Thinking(u64),
}

/// Turns chunks into events, one by one.
#[derive(Debug)]
pub(crate) struct Writer {
    model: String,
    has_begun: bool,
    open: Open,
    /// The blocks that have begun.
    blocks: usize,
    calls: Calls,
    /// The block of each call. They stay open to the end: pieces of several may come by turns.
    call_blocks: Vec<usize>,
    finish_reason: Option<String>,
    failure: Option<TranslateError>,
    is_refusal: bool,
    usage: Value,
}

impl Writer {
    pub(crate) fn new(model: &str) -> Writer {
        Writer {
            model: model.to_owned(),
            has_begun: false,
            open: Open::Nothing,
            blocks: 0,
            calls: Calls::default(),
            call_blocks: Vec::new(),
            finish_reason: None,
            failure: None,
            is_refusal: false,
            usage: Value::Null,
        }
    }

    /// The events for one chunk, possibly none.
    pub(crate) fn chunk(&mut self, chunk: &Value) -> Vec<Said> {
        let mut out = Vec::new();
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage = usage.clone();
        }
        if !has_choices(chunk) {
            return out;
        }
        self.begin(chunk, &mut out);
        let choice = chunk.pointer("/choices/0").unwrap_or(&Value::Null);
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        for detail in reasoning::details(delta) {
            self.think(&detail, &mut out);
        }
        if let Some(text) = delta.get("content").and_then(Value::as_str) {
            self.text(text, &mut out);
        }
        if let Some(text) = nonempty(delta, "refusal") {
            self.is_refusal = true;
            self.text(text, &mut out);
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call, chunk, &mut out);
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish_reason = Some(reason.to_owned());
        }
        self.failure = self.failure.take().or_else(|| failure(choice));
        out
    }

    /// The events of a whole stream's end; none for an answer that failed.
    pub(crate) fn end(&mut self) -> Result<Vec<Said>, TranslateError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let mut out = Vec::new();
        self.begin(&Value::Null, &mut out);
        self.close(&mut out);
        let call_blocks = std::mem::take(&mut self.call_blocks);
        let has_calls = !call_blocks.is_empty();
        out.extend(call_blocks.into_iter().map(stop));
        let reason = if self.is_refusal { "refusal" } else { stop_reason(self.finish_reason.as_deref(), has_calls) };
        out.push(event(
            "message_delta",
            json!({
                "delta": { "stop_reason": reason, "stop_sequence": null },
                "usage": usage(&self.usage),
            }),
        ));
        out.push(event("message_stop", json!({})));
        Ok(out)
    }

    fn begin(&mut self, chunk: &Value, out: &mut Vec<Said>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let message = json!({
            "id": message_id(chunk),
            "type": "message",
            "role": "assistant",
            "model": nonempty(chunk, "model").unwrap_or(&self.model),
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            // Seldom known yet; the last event has it.
            "usage": usage(&self.usage),
        });
        out.push(event("message_start", json!({ "message": message })));
    }

    fn text(&mut self, text: &str, out: &mut Vec<Said>) {
        if text.is_empty() {
            return;
        }
        if self.open != Open::Text {
            self.close(out);
            self.start(&json!({ "type": "text", "text": "" }), out);
            self.open = Open::Text;
        }
        self.delta(self.blocks - 1, &json!({ "type": "text_delta", "text": text }), out);
    }

    fn think(&mut self, detail: &Value, out: &mut Vec<Said>) {
        let token = reasoning::token(detail);
        if reasoning::kind(detail) == reasoning::ENCRYPTED {
            let Some(token) = token else { return };
            self.close(out);
            self.start(&json!({ "type": "redacted_thinking", "data": token }), out);
            out.push(stop(self.blocks - 1));
            return;
        }
        let text = reasoning::readable(detail);
        if text.is_empty() && token.is_none() {
            return;
        }
        let open = Open::Thinking(reasoning::index(detail));
        if self.open != open {
            self.close(out);
            self.start(&json!({ "type": "thinking", "thinking": "", "signature": "" }), out);
            self.open = open;
        }
        let block = self.blocks - 1;
        if !text.is_empty() {
            self.delta(block, &json!({ "type": "thinking_delta", "thinking": text }), out);
        }
        if let Some(token) = token {
            self.delta(block, &json!({ "type": "signature_delta", "signature": token }), out);
        }
    }

    fn call(&mut self, call: &Value, chunk: &Value, out: &mut Vec<Said>) {
        let part = |path| call.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let place = self.calls.place(call);
        if place.is_new {
            self.close(out);
            let id = call_id(call, chunk, place.at);
            self.start(&json!({ "type": "tool_use", "id": id, "name": part("/function/name"), "input": {} }), out);
            self.call_blocks.push(self.blocks - 1);
        }
        let Some(block) = self.call_blocks.get(place.at).copied() else { return };
        let arguments = part("/function/arguments");
        if !arguments.is_empty() {
            self.delta(block, &json!({ "type": "input_json_delta", "partial_json": arguments }), out);
        }
    }

    fn start(&mut self, block: &Value, out: &mut Vec<Said>) {
        out.push(event("content_block_start", json!({ "index": self.blocks, "content_block": block })));
        self.blocks += 1;
    }

    fn delta(&self, block: usize, delta: &Value, out: &mut Vec<Said>) {
        out.push(event("content_block_delta", json!({ "index": block, "delta": delta })));
    }

    /// Ends the text or the thinking that is open.
    fn close(&mut self, out: &mut Vec<Said>) {
        if std::mem::replace(&mut self.open, Open::Nothing) != Open::Nothing {
            out.push(stop(self.blocks - 1));
        }
    }
}

fn stop(block: usize) -> Said {
    event("content_block_stop", json!({ "index": block }))
}

/// An event with its name as `type` before the rest.
fn event(name: &'static str, rest: Value) -> Said {
    let mut data = json!({ "type": name });
    if let (Value::Object(data), Value::Object(rest)) = (&mut data, rest) {
        data.extend(rest);
    }
    Said::named(name, &data)
}
