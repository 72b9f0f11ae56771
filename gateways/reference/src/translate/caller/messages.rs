//! An Anthropic message request as a chat completion, and the answer back: texts,
//! system prompts, limits, stop sequences, sampling and usage.

use serde_json::{Map, Value, json};

use crate::translate::TranslateError;
use crate::usage::Usage;

/// The body of a chat completion for an Anthropic message request.
pub(crate) fn to_chat(request: &Value, model: &str) -> Result<Value, TranslateError> {
    let request = request.as_object().ok_or(TranslateError::Shape("the request"))?;
    let mut chat = Map::new();
    chat.insert("model".to_owned(), json!(model));
    let mut messages = Vec::new();
    if let Some(system) = request.get("system") {
        messages.push(json!({ "role": "system", "content": text(system, "system")? }));
    }
    let turns = request.get("messages").and_then(Value::as_array);
    for turn in turns.ok_or(TranslateError::Shape("messages"))? {
        let role = turn.get("role").and_then(Value::as_str);
        let role = role
            .filter(|role| matches!(*role, "user" | "assistant" | "system"))
            .ok_or(TranslateError::Shape("messages[].role"))?;
        let content = turn.get("content").ok_or(TranslateError::Shape("messages[].content"))?;
        messages.push(json!({ "role": role, "content": text(content, "messages[].content")? }));
    }
    chat.insert("messages".to_owned(), Value::Array(messages));
    for (name, value) in request {
        match name.as_str() {
            "model" | "system" | "messages" => {}
            "stop_sequences" => {
                chat.insert("stop".to_owned(), value.clone());
            }
            "max_tokens" | "temperature" | "top_p" => {
                chat.insert(name.clone(), value.clone());
            }
            "stream" => {
                chat.insert(name.clone(), value.clone());
                if value == &Value::Bool(true) {
                    chat.insert("stream_options".to_owned(), json!({ "include_usage": true }));
                }
            }
            // Says nothing about the answer.
            "metadata" | "service_tier" => {}
            other => return Err(TranslateError::Field(other.to_owned())),
        }
    }
    Ok(Value::Object(chat))
}

/// The texts of a content: a text, or blocks of text.
fn text(content: &Value, place: &'static str) -> Result<String, TranslateError> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(blocks) => {
            let mut texts = Vec::with_capacity(blocks.len());
            for block in blocks {
                match block.get("type").and_then(Value::as_str) {
                    Some("text") => {
                        let text = block.get("text").and_then(Value::as_str);
                        texts.push(text.ok_or(TranslateError::Shape(place))?);
                    }
                    Some(other) => return Err(TranslateError::Block(other.to_owned())),
                    None => return Err(TranslateError::Shape(place)),
                }
            }
            Ok(texts.join("\n"))
        }
        _ => Err(TranslateError::Shape(place)),
    }
}

/// The message for a chat completion's answer.
pub(crate) fn from_chat(chat: &Value, model: &str) -> Value {
    let choice = chat.pointer("/choices/0").unwrap_or(&Value::Null);
    let content = choice.pointer("/message/content").and_then(Value::as_str).unwrap_or_default();
    let usage = chat.get("usage").and_then(Usage::of_openai).unwrap_or_default();
    json!({
        "id": message_id(chat),
        "type": "message",
        "role": "assistant",
        "model": chat.get("model").and_then(Value::as_str).unwrap_or(model),
        "content": [{ "type": "text", "text": content }],
        "stop_reason": stop_reason(choice.get("finish_reason").and_then(Value::as_str)),
        "stop_sequence": null,
        "usage": usage_object(&usage),
    })
}

/// A message's id for that of a chat completion.
pub(super) fn message_id(chat: &Value) -> String {
    format!("msg_{}", chat.get("id").and_then(Value::as_str).unwrap_or("0"))
}

/// Anthropic's word for why an answer ended.
pub(super) fn stop_reason(finish_reason: Option<&str>) -> &'static str {
    match finish_reason {
        Some("length") => "max_tokens",
        Some("content_filter") => "refusal",
        _ => "end_turn",
    }
}

/// Usage in Anthropic's form: cached tokens stand beside the input, not among it.
pub(super) fn usage_object(usage: &Usage) -> Value {
    let fresh = usage.input.saturating_sub(usage.cached).saturating_sub(usage.cache_write);
    json!({
        "input_tokens": fresh,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_message_request_becomes_a_chat_completion() {
        let request = json!({
            "model": "primary/mock-1",
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": "c"},
            ],
            "max_tokens": 100,
            "stop_sequences": ["END"],
            "temperature": 0.5,
            "stream": true,
            "metadata": {"user_id": "u"},
        });
        insta::assert_json_snapshot!(to_chat(&request, "mock-1").unwrap());
    }

    #[test]
    fn what_cannot_be_said_is_refused_by_name() {
        let with = |field: &str, value: Value| {
            let mut request = json!({"messages": [{"role": "user", "content": "a"}]});
            request[field] = value;
            to_chat(&request, "m").unwrap_err()
        };
        assert_eq!(with("tools", json!([])), TranslateError::Field("tools".to_owned()));
        let image = json!([{"role": "user", "content": [{"type": "image"}]}]);
        assert_eq!(with("messages", image), TranslateError::Block("image".to_owned()));
        assert_eq!(with("messages", json!(1)), TranslateError::Shape("messages"));
    }

    #[test]
    fn a_chat_completion_becomes_a_message() {
        let chat = json!({
            "id": "chatcmpl-1", "model": "mock-1",
            "choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 50,
                      "prompt_tokens_details": {"cached_tokens": 40}},
        });
        insta::assert_json_snapshot!(from_chat(&chat, "mock-1"));
    }
}
