//! What a model said, as a chat completion has it.

use serde_json::{Map, Value, json};

use crate::translate::reasoning::readable;
use crate::usage::Usage;

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

/// Usage in OpenAI's form: every part stands among its whole.
pub(super) fn usage(usage: &Usage) -> Value {
    let mut input = json!({ "cached_tokens": usage.cached });
    let inputs = [
        ("cache_write_tokens", usage.cache_write),
        ("audio_tokens", usage.input_audio),
        ("image_tokens", usage.input_image),
    ];
    add_counts(&mut input, &inputs);
    if usage.cache_write_hour > 0 {
        input["cache_creation_token_details"] = json!({ "ephemeral_1h_input_tokens": usage.cache_write_hour });
    }
    let mut output = json!({ "reasoning_tokens": usage.reasoning });
    add_counts(&mut output, &[("audio_tokens", usage.output_audio), ("image_tokens", usage.output_image)]);
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": input,
        "completion_tokens_details": output,
    })
}

fn add_counts(parts: &mut Value, counts: &[(&str, u64)]) {
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        parts[*name] = json!(count);
    }
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
