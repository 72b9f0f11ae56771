//! A stream of chat completion chunks as pieces of generated content.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{finish_reason, function_call, head, signature_of, thought, usage};
use crate::translate::caller::calls::Calls;
use crate::translate::read::{has_choices, nonempty};
use crate::translate::reasoning;
use crate::translate::said::Said;

/// Turns chunks into pieces, one by one. A call is a part as a whole, so calls are kept until
/// the end, and so is why a candidate ended: a piece that says so is the last one of it.
#[derive(Debug)]
pub(crate) struct Writer {
    model: String,
    /// The chunk's head, for the last piece.
    head: Value,
    candidates: BTreeMap<u64, Candidate>,
    usage: Option<Value>,
}

#[derive(Debug, Default)]
struct Candidate {
    places: Calls,
    calls: Vec<Call>,
    /// Those that people cannot read, and that belong to a call or to the text.
    details: Vec<Value>,
    finish_reason: Option<String>,
    is_refusal: bool,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Writer {
    pub(crate) fn new(model: &str) -> Writer {
        Writer { model: model.to_owned(), head: Value::Null, candidates: BTreeMap::new(), usage: None }
    }

    /// The piece for one chunk, if it says anything that can be said already.
    pub(crate) fn chunk(&mut self, chunk: &Value) -> Vec<Said> {
        if self.head.is_null() && has_choices(chunk) {
            self.head = json!({ "id": chunk.get("id"), "model": chunk.get("model") });
        }
        if let Some(usage) = chunk.get("usage").and_then(usage) {
            self.usage = Some(usage);
        }
        let mut said = Vec::new();
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            let parts = self.candidates.entry(index).or_default().read(choice);
            if !parts.is_empty() {
                said.push(json!({ "content": { "parts": parts, "role": "model" }, "index": index }));
            }
        }
        if said.is_empty() { Vec::new() } else { vec![self.piece(&said, false)] }
    }

    /// The last piece: the calls, why each candidate ended, and the usage.
    pub(crate) fn end(&mut self) -> Vec<Said> {
        let candidates = std::mem::take(&mut self.candidates);
        let said: Vec<Value> = candidates.into_iter().map(|(index, candidate)| candidate.end(index)).collect();
        vec![self.piece(&said, true)]
    }

    fn piece(&self, candidates: &[Value], is_last: bool) -> Said {
        let mut piece = json!({ "candidates": candidates });
        if let Some(usage) = self.usage.as_ref().filter(|_| is_last) {
            piece["usageMetadata"] = usage.clone();
        }
        if let Value::Object(piece) = &mut piece {
            piece.extend(head(&self.head, &self.model));
        }
        Said::data(&piece)
    }
}

impl Candidate {
    /// Keeps what has to wait, and gives the parts that have not.
    fn read(&mut self, choice: &Value) -> Vec<Value> {
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish_reason = Some(reason.to_owned());
        }
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        let mut parts = Vec::new();
        for detail in reasoning::details(delta) {
            match thought(&detail) {
                Some(part) => parts.push(part),
                None if reasoning::kind(&detail) == reasoning::ENCRYPTED => self.details.push(detail),
                // The signature of thoughts that were said already.
                None => {
                    let signature = detail.get("signature").filter(|signature| signature.is_string());
                    parts.extend(
                        signature
                            .map(|signature| json!({ "text": "", "thought": true, "thoughtSignature": signature })),
                    );
                }
            }
        }
        let refusal = nonempty(delta, "refusal");
        self.is_refusal |= refusal.is_some();
        let texts = delta.get("content").and_then(Value::as_str).into_iter().chain(refusal);
        parts.extend(texts.filter(|text| !text.is_empty()).map(|text| json!({ "text": text })));
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let text = |path| call.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let place = self.places.place(call);
            if place.is_new {
                self.calls.push(Call::default());
            }
            let Some(known) = self.calls.get_mut(place.at) else { continue };
            known.id.push_str(if known.id.is_empty() { text("/id") } else { "" });
            known.name.push_str(if known.name.is_empty() { text("/function/name") } else { "" });
            known.arguments.push_str(text("/function/arguments"));
        }
        parts
    }

    fn end(self, index: u64) -> Value {
        let mut parts = Vec::new();
        if let Some(signature) = self.details.iter().find_map(|detail| signature_of(detail, None)) {
            parts.push(json!({ "text": "", "thoughtSignature": signature }));
        }
        parts.extend(self.calls.iter().map(|call| {
            let call = json!({ "id": call.id, "function": { "name": call.name, "arguments": call.arguments } });
            function_call(&call, &self.details)
        }));
        let reason = if self.is_refusal { "SAFETY" } else { finish_reason(self.finish_reason.as_deref()) };
        json!({ "content": { "parts": parts, "role": "model" }, "finishReason": reason, "index": index })
    }
}
