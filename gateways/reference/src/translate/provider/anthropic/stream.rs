//! The events of a message as chunks of a chat completion.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::{detail, finish_reason};
use crate::translate::TranslateError;
use crate::translate::provider::said::{Head, put_thinking, usage};
use crate::translate::reasoning::{ANTHROPIC, TEXT};
use crate::usage::{MessageCount, Usage};

/// What a block of the message becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Text,
    /// With its place among the tool calls.
    Call(u64),
    /// With its place among the reasoning details.
    Thinking(u64),
}

/// Reads events, one by one.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    head: Head,
    /// By the index that the events name.
    blocks: HashMap<u64, Block>,
    calls: u64,
    details: u64,
    /// The usage so far: the last event has not all of it.
    usage: Option<Usage>,
    count: MessageCount,
}

impl Reader {
    /// The chunks for one event. One of a kind that is not known carries nothing of the
    /// answer, as Anthropic promises.
    pub(crate) fn read(&mut self, event: &Value) -> Result<Vec<Value>, TranslateError> {
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message_start" => Ok(vec![self.begin(event)]),
            "content_block_start" => self.block(event),
            "content_block_delta" => self.delta(event),
            "message_delta" => Ok(self.end(event)),
            _ => Ok(Vec::new()),
        }
    }

    fn begin(&mut self, event: &Value) -> Value {
        let message = event.get("message").unwrap_or(&Value::Null);
        let word = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.head = Head { id: word("id"), model: word("model") };
        self.count(message.get("usage"));
        self.head.choice(0, &json!({ "role": "assistant", "content": "" }), None)
    }

    fn block(&mut self, event: &Value) -> Result<Vec<Value>, TranslateError> {
        let block = event.get("content_block").ok_or(TranslateError::Shape("content_block"))?;
        let word = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, delta) = match word("type") {
            "text" => {
                let text = word("text");
                (Block::Text, (!text.is_empty()).then(|| json!({ "content": text })))
            }
            "tool_use" => {
                let place = self.calls;
                self.calls += 1;
                let input = block.get("input").filter(|input| input.as_object().is_some_and(|input| !input.is_empty()));
                let arguments = input.map(Value::to_string).unwrap_or_default();
                let function = json!({ "name": word("name"), "arguments": arguments });
                let call = json!({ "index": place, "id": word("id"), "type": "function", "function": function });
                (Block::Call(place), Some(json!({ "tool_calls": [call] })))
            }
            kind @ ("thinking" | "redacted_thinking") => {
                let place = self.details;
                self.details += 1;
                let mut detail = detail(kind, block);
                let says_something = ["text", "signature", "data"].iter().any(|name| detail.get(name).is_some());
                detail["index"] = json!(place);
                let mut delta = json!({});
                put_thinking(&mut delta, vec![detail]);
                (Block::Thinking(place), says_something.then_some(delta))
            }
            other => return Err(TranslateError::Block(other.to_owned())),
        };
        self.blocks.insert(index(event)?, kind);
        Ok(delta.map(|delta| self.head.choice(0, &delta, None)).into_iter().collect())
    }

    fn delta(&self, event: &Value) -> Result<Vec<Value>, TranslateError> {
        let delta = event.get("delta").ok_or(TranslateError::Shape("delta"))?;
        let word = |name: &'static str| delta.get(name).and_then(Value::as_str).ok_or(TranslateError::Shape(name));
        let kind = word("type")?;
        let block = self.blocks.get(&index(event)?);
        let thinking = |name: &str, text: &str, place: u64| {
            let mut said = json!({});
            put_thinking(&mut said, vec![json!({ "type": TEXT, name: text, "format": ANTHROPIC, "index": place })]);
            said
        };
        let said = match (kind, block) {
            ("text_delta", Some(Block::Text)) => json!({ "content": word("text")? }),
            ("input_json_delta", Some(Block::Call(place))) => {
                json!({ "tool_calls": [{ "index": place, "function": { "arguments": word("partial_json")? } }] })
            }
            ("thinking_delta", Some(Block::Thinking(place))) => thinking("text", word("thinking")?, *place),
            ("signature_delta", Some(Block::Thinking(place))) => thinking("signature", word("signature")?, *place),
            (other, _) => return Err(TranslateError::Block(other.to_owned())),
        };
        Ok(vec![self.head.choice(0, &said, None)])
    }

    fn end(&mut self, event: &Value) -> Vec<Value> {
        self.count(event.get("usage"));
        let stop_reason = event.pointer("/delta/stop_reason").and_then(Value::as_str);
        let finish = finish_reason(stop_reason).map(|reason| {
            let mut chunk = self.head.choice(0, &json!({}), Some(reason));
            chunk["choices"][0]["native_finish_reason"] = json!(stop_reason);
            chunk
        });
        let counted = self.usage.map(|counted| self.head.usage(&usage(&counted)));
        finish.into_iter().chain(counted).collect()
    }

    fn count(&mut self, usage: Option<&Value>) {
        self.usage = usage.and_then(|usage| self.count.read(usage)).or(self.usage);
    }
}

fn index(event: &Value) -> Result<u64, TranslateError> {
    event.get("index").and_then(Value::as_u64).ok_or(TranslateError::Shape("index"))
}
