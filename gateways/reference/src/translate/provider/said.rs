//! What a model said, as a chat completion has it.

use serde_json::{Map, Value, json};

use crate::translate::reasoning::readable;

/// The message of an answer.
pub(super) fn message(content: &str, details: Vec<Value>, calls: Vec<Value>) -> Value {
    let content = if content.is_empty() && !calls.is_empty() { Value::Null } else { json!(content) };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
    put_thinking(&mut message, details);
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    message
}

/// Puts reasoning details into a message or a delta, with their text beside them under both
/// of its names.
pub(super) fn put_thinking(to: &mut Value, details: Vec<Value>) {
    let text: String = details.iter().map(readable).collect();
    if !text.is_empty() {
        to["reasoning"] = json!(text);
        to["reasoning_content"] = json!(text);
    }
    if !details.is_empty() {
        to["reasoning_details"] = Value::Array(details);
    }
}

/// Usage: `cached` is a part of `input`, `reasoning` of `output`.
pub(super) fn usage(input: u64, output: u64, cached: u64, reasoning: u64) -> Value {
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": { "cached_tokens": cached },
        "completion_tokens_details": { "reasoning_tokens": reasoning },
    })
}

/// The head that all chunks of a stream share.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
}

impl Head {
    /// A chunk with one choice.
    pub(super) fn choice(&self, index: u64, delta: &Value, finish_reason: Option<&str>) -> Value {
        let choice = json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason });
        self.chunk(vec![choice])
    }

    /// The chunk that carries nothing but usage.
    pub(super) fn usage(&self, usage: &Value) -> Value {
        let mut chunk = self.chunk(Vec::new());
        chunk["usage"] = usage.clone();
        chunk
    }

    fn chunk(&self, choices: Vec<Value>) -> Value {
        let mut chunk = Map::new();
        chunk.insert("id".to_owned(), json!(self.id));
        chunk.insert("object".to_owned(), json!("chat.completion.chunk"));
        // Neither protocol tells the time; whoever hands the chunk on does.
        chunk.insert("created".to_owned(), json!(0));
        chunk.insert("model".to_owned(), json!(self.model));
        chunk.insert("choices".to_owned(), Value::Array(choices));
        Value::Object(chunk)
    }
}
