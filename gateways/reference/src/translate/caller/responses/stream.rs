//! A stream of chat completion chunks as a stream of response events.

use serde_json::{Value, json};

use super::answer::{Head, call_item, message_item, reasoning_item, refusal_part, response, text_part};
use crate::translate::caller::calls::Calls;
use crate::translate::read::has_choices;
use crate::translate::reasoning;
use crate::translate::said::Said;

/// An item of the output that is on its way. Items stand in the order in which they began.
#[derive(Debug)]
enum Item {
    Reasoning { details: Vec<Value> },
    Message { text: String, is_refusal: bool },
    Call { id: String, name: String, arguments: String },
}

/// Turns chunks into events, one by one.
#[derive(Debug)]
pub(crate) struct Writer {
    model: String,
    head: Option<Head>,
    /// How many events there were.
    sequence: u64,
    items: Vec<Item>,
    calls: Calls,
    /// The place of each call among the items.
    call_items: Vec<usize>,
    finish_reason: Option<String>,
    usage: Option<Value>,
}

impl Writer {
    pub(crate) fn new(model: &str) -> Writer {
        let model = model.to_owned();
        Writer {
            model,
            head: None,
            sequence: 0,
            items: Vec::new(),
            calls: Calls::default(),
            call_items: Vec::new(),
            finish_reason: None,
            usage: None,
        }
    }

    /// The events for one chunk, possibly none.
    pub(crate) fn chunk(&mut self, chunk: &Value) -> Vec<Said> {
        let mut out = Vec::new();
        if has_choices(chunk) {
            self.begin(chunk, &mut out);
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage = Some(usage.clone());
        }
        let choice = chunk.pointer("/choices/0").unwrap_or(&Value::Null);
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        for detail in reasoning::details(delta) {
            self.think(detail, &mut out);
        }
        for (name, is_refusal) in [("content", false), ("refusal", true)] {
            if let Some(text) = delta.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()) {
                self.say(text, is_refusal, &mut out);
            }
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call, &mut out);
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish_reason = Some(reason.to_owned());
        }
        out
    }

    /// The events of a whole stream's end. Every item ends here: pieces of several may come
    /// by turns.
    pub(crate) fn end(&mut self) -> Vec<Said> {
        let mut out = Vec::new();
        let head = self.begin(&Value::Null, &mut out);
        let mut output = Vec::new();
        for (at, item) in std::mem::take(&mut self.items).iter().enumerate() {
            output.push(self.finish(&head, at, item, &mut out));
        }
        let finish = self.finish_reason.take();
        let whole = response(&head, &output, Some(finish.as_deref()), self.usage.as_ref());
        let name = match whole["status"].as_str() {
            Some("incomplete") => "response.incomplete",
            Some("failed") => "response.failed",
            _ => "response.completed",
        };
        self.event(name, json!({ "response": whole }), &mut out);
        out
    }

    fn begin(&mut self, chunk: &Value, out: &mut Vec<Said>) -> Head {
        if let Some(head) = &self.head {
            return head.clone();
        }
        let head = Head::of(chunk, &self.model);
        self.head = Some(head.clone());
        for name in ["response.created", "response.in_progress"] {
            self.event(name, json!({ "response": response(&head, &[], None, None) }), out);
        }
        head
    }

    fn think(&mut self, detail: Value, out: &mut Vec<Said>) {
        let known = self.items.iter().position(|item| matches!(item, Item::Reasoning { .. }));
        let at = known.unwrap_or_else(|| {
            self.items.push(Item::Reasoning { details: Vec::new() });
            let at = self.items.len() - 1;
            let item = json!({ "type": "reasoning", "id": self.id(at), "summary": [] });
            self.event("response.output_item.added", json!({ "output_index": at, "item": item }), out);
            let part = json!({ "type": "summary_text", "text": "" });
            self.of_summary("response.reasoning_summary_part.added", at, json!({ "part": part }), out);
            at
        });
        let text = reasoning::readable(&detail).to_owned();
        if let Some(Item::Reasoning { details }) = self.items.get_mut(at) {
            join(details, detail);
        }
        if !text.is_empty() {
            self.of_summary("response.reasoning_summary_text.delta", at, json!({ "delta": text }), out);
        }
    }

    fn say(&mut self, text: &str, is_refusal: bool, out: &mut Vec<Said>) {
        let is_same = |item: &Item| matches!(item, Item::Message { is_refusal: other, .. } if *other == is_refusal);
        let at = self.items.iter().position(is_same).unwrap_or_else(|| {
            self.items.push(Item::Message { text: String::new(), is_refusal });
            let at = self.items.len() - 1;
            let mut item = message_item("", &[]);
            item["id"] = json!(self.id(at));
            item["status"] = json!("in_progress");
            self.event("response.output_item.added", json!({ "output_index": at, "item": item }), out);
            let part = if is_refusal { refusal_part("") } else { text_part("") };
            self.of_part("response.content_part.added", at, json!({ "part": part }), out);
            at
        });
        if let Some(Item::Message { text: so_far, .. }) = self.items.get_mut(at) {
            so_far.push_str(text);
        }
        if is_refusal {
            self.of_part("response.refusal.delta", at, json!({ "delta": text }), out);
        } else {
            self.of_part("response.output_text.delta", at, json!({ "delta": text, "logprobs": [] }), out);
        }
    }

    fn call(&mut self, call: &Value, out: &mut Vec<Said>) {
        let text = |path| call.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let place = self.calls.place(call);
        if place.is_new {
            let (id, name) = (text("/id").to_owned(), text("/function/name").to_owned());
            self.items.push(Item::Call { id, name, arguments: String::new() });
            let at = self.items.len() - 1;
            self.call_items.push(at);
            let mut item = call_item("", at, text("/id"), text("/function/name"), "");
            let id = self.id(at);
            if text("/id").is_empty() {
                item["call_id"] = json!(id);
            }
            item["id"] = json!(id);
            item["status"] = json!("in_progress");
            self.event("response.output_item.added", json!({ "output_index": at, "item": item }), out);
        }
        let Some(at) = self.call_items.get(place.at).copied() else { return };
        let piece = text("/function/arguments");
        if let Some(Item::Call { arguments, .. }) = self.items.get_mut(at) {
            arguments.push_str(piece);
        }
        if !piece.is_empty() {
            let rest = json!({ "item_id": self.id(at), "output_index": at, "delta": piece });
            self.event("response.function_call_arguments.delta", rest, out);
        }
    }

    /// The events that end an item, and the item as it stands in the whole response.
    fn finish(&mut self, head: &Head, at: usize, item: &Item, out: &mut Vec<Said>) -> Value {
        let mut whole = match item {
            Item::Reasoning { details } => {
                let whole = reasoning_item(&head.id, details);
                let text: String = details.iter().map(reasoning::readable).collect();
                self.of_summary("response.reasoning_summary_text.done", at, json!({ "text": text }), out);
                let part = json!({ "type": "summary_text", "text": text });
                self.of_summary("response.reasoning_summary_part.done", at, json!({ "part": part }), out);
                whole
            }
            Item::Message { text, is_refusal } => {
                let part = if *is_refusal { refusal_part(text) } else { text_part(text) };
                if *is_refusal {
                    self.of_part("response.refusal.done", at, json!({ "refusal": text }), out);
                } else {
                    self.of_part("response.output_text.done", at, json!({ "text": text, "logprobs": [] }), out);
                }
                self.of_part("response.content_part.done", at, json!({ "part": part }), out);
                message_item(&head.id, &[part])
            }
            Item::Call { id, name, arguments } => {
                let rest = json!({ "item_id": self.id(at), "output_index": at, "name": name, "arguments": arguments });
                self.event("response.function_call_arguments.done", rest, out);
                let known = self.id(at);
                call_item(&head.id, at, if id.is_empty() { &known } else { id }, name, arguments)
            }
        };
        whole["id"] = json!(self.id(at));
        self.event("response.output_item.done", json!({ "output_index": at, "item": whole }), out);
        whole
    }

    /// The id of the item at a place, the same in all its events.
    fn id(&self, at: usize) -> String {
        format!("item_{}_{at}", self.head.as_ref().map_or("", |head| head.id.as_str()))
    }

    fn of_part(&mut self, name: &'static str, at: usize, rest: Value, out: &mut Vec<Said>) {
        let place = json!({ "item_id": self.id(at), "output_index": at, "content_index": 0 });
        self.event(name, joined(place, rest), out);
    }

    fn of_summary(&mut self, name: &'static str, at: usize, rest: Value, out: &mut Vec<Said>) {
        let place = json!({ "item_id": self.id(at), "output_index": at, "summary_index": 0 });
        self.event(name, joined(place, rest), out);
    }

    fn event(&mut self, name: &'static str, rest: Value, out: &mut Vec<Said>) {
        let head = json!({ "type": name, "sequence_number": self.sequence });
        self.sequence += 1;
        out.push(Said::named(name, &joined(head, rest)));
    }
}

fn joined(mut first: Value, rest: Value) -> Value {
    if let (Value::Object(first), Value::Object(rest)) = (&mut first, rest) {
        first.extend(rest);
    }
    first
}

/// Adds a piece of a detail to the detail that it continues.
fn join(details: &mut Vec<Value>, piece: Value) {
    let is_same = |known: &&mut Value| {
        reasoning::kind(known) == reasoning::kind(&piece)
            && reasoning::index(known) == reasoning::index(&piece)
            && reasoning::kind(known) != reasoning::ENCRYPTED
    };
    let Some(known) = details.iter_mut().find(is_same) else {
        details.push(piece);
        return;
    };
    let Value::Object(piece) = piece else { return };
    for (name, value) in piece {
        let so_far = known.get(&name).and_then(Value::as_str).unwrap_or_default();
        match (name.as_str(), &value) {
            ("text" | "summary", Value::String(text)) => known[&name] = json!(format!("{so_far}{text}")),
            (_, Value::Null) => {}
            _ => known[&name] = value,
        }
    }
}
