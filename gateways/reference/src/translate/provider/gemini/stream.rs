//! The pieces of a streamed answer as chunks of a chat completion.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::{Read, blocked, candidates, finish_reason, parts, read, signature, text_of};
use crate::translate::TranslateError;
use crate::translate::provider::said::{Head, put_thinking, usage};
use crate::usage::Usage;

/// Reads pieces, one by one.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    head: Head,
    choices: HashMap<u64, Choice>,
}

/// What one candidate said so far.
#[derive(Debug, Default)]
struct Choice {
    has_begun: bool,
    calls: usize,
    details: u64,
    /// Whether the last part was a thought, which the next one goes on with.
    is_thinking: bool,
}

impl Reader {
    /// The chunks for one piece.
    pub(crate) fn read(&mut self, event: &Value) -> Result<Vec<Value>, TranslateError> {
        for (to, name) in [(&mut self.head.id, "responseId"), (&mut self.head.model, "modelVersion")] {
            if to.is_empty() {
                text_of(event, name).clone_into(to);
            }
        }
        let mut chunks = Vec::new();
        let mut has_finished = false;
        for (place, candidate) in candidates(event)?.iter().enumerate() {
            let index = candidate.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
            let choice = self.choices.entry(index).or_default();
            for delta in choice.deltas(candidate, &self.head.id)? {
                chunks.push(self.head.choice(index, &delta, None));
            }
            let native = candidate.get("finishReason").and_then(Value::as_str);
            if let Some(reason) = finish_reason(native, choice.calls > 0) {
                let mut chunk = self.head.choice(index, &json!({}), Some(reason));
                chunk["choices"][0]["native_finish_reason"] = json!(native);
                chunks.push(chunk);
                has_finished = true;
            }
        }
        if let Some(blocked) = blocked(event).filter(|_| self.choices.is_empty()) {
            chunks.push(self.head.choice(0, &blocked, None));
            chunks.push(self.head.choice(0, &json!({}), Some("content_filter")));
            has_finished = true;
        }
        // Each piece counts; the last is the one to go by. One after the end counts alone.
        if has_finished || candidates(event)?.is_empty() {
            let counted = event.get("usageMetadata").and_then(Usage::of_gemini);
            chunks.extend(counted.map(|counted| self.head.usage(&usage(&counted))));
        }
        Ok(chunks)
    }
}

impl Choice {
    fn deltas(&mut self, candidate: &Value, answer_id: &str) -> Result<Vec<Value>, TranslateError> {
        let mut deltas = Vec::new();
        if !std::mem::replace(&mut self.has_begun, true) {
            deltas.push(json!({ "role": "assistant", "content": "" }));
        }
        for part in parts(candidate)? {
            let mut call = None;
            let read = read(part, answer_id, self.calls)?;
            let goes_on = std::mem::replace(&mut self.is_thinking, matches!(read, Read::Thought(_)));
            match read {
                Read::Text("") => {}
                Read::Text(text) => deltas.push(json!({ "content": text })),
                Read::Thought(detail) => {
                    if !(goes_on && self.details > 0) {
                        self.details += 1;
                    }
                    deltas.push(thinking(detail, self.details - 1));
                }
                Read::Call(mut said) => {
                    said["index"] = json!(self.calls);
                    self.calls += 1;
                    call = Some(said.clone());
                    deltas.push(json!({ "tool_calls": [said] }));
                }
            }
            if let Some(detail) = signature(part, call.as_ref()) {
                self.details += 1;
                deltas.push(thinking(detail, self.details - 1));
            }
        }
        Ok(deltas)
    }
}

fn thinking(mut detail: Value, index: u64) -> Value {
    detail["index"] = json!(index);
    let mut delta = json!({});
    put_thinking(&mut delta, vec![detail]);
    delta
}
