//! A message as a chat completion's answer.

use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::provider::said::{message, usage};
use crate::translate::read::{get, list, need, object, text};
use crate::translate::reasoning::{ANTHROPIC, ENCRYPTED, TEXT};
use crate::usage::MessageCount;

/// The chat completion for a message.
pub(crate) fn to_chat(answer: &Value) -> Result<Value, TranslateError> {
    let answer = object(answer, "the answer")?;
    let mut content = String::new();
    let mut details = Vec::new();
    let mut calls = Vec::new();
    let blocks = list(get(answer, "content").unwrap_or(&Value::Null), "the answer's content")?;
    for block in blocks {
        let block = object(block, "the answer's content[]")?;
        match need(block, "type", "the answer's content[].type")? {
            "text" => content.push_str(text(block, "text").unwrap_or_default()),
            "tool_use" => {
                let arguments = get(block, "input").cloned().unwrap_or_else(|| json!({}));
                calls.push(json!({
                    "id": need(block, "id", "the answer's tool_use.id")?,
                    "type": "function",
                    "function": {
                        "name": need(block, "name", "the answer's tool_use.name")?,
                        "arguments": arguments.to_string(),
                    },
                }));
            }
            kind @ ("thinking" | "redacted_thinking") => {
                let mut detail = detail(kind, &Value::Object(block.clone()));
                detail["index"] = json!(details.len());
                details.push(detail);
            }
            other => return Err(TranslateError::Block(other.to_owned())),
        }
    }
    let stop_reason = text(answer, "stop_reason");
    let mut chat = json!({
        "id": text(answer, "id").unwrap_or_default(),
        "object": "chat.completion",
        // The protocol does not tell the time; whoever hands the answer on does.
        "created": 0,
        "model": text(answer, "model").unwrap_or_default(),
        "choices": [{
            "index": 0,
            "message": message(&content, details, calls),
            "logprobs": null,
            "finish_reason": finish_reason(stop_reason),
            "native_finish_reason": stop_reason,
        }],
    });
    if let Some(counted) = get(answer, "usage").and_then(|counts| MessageCount::default().read(counts)) {
        chat["usage"] = usage(&counted);
    }
    Ok(chat)
}

/// The reasoning detail for a block of thinking, without its place.
pub(super) fn detail(kind: &str, block: &Value) -> Value {
    let word = |name: &str| block.get(name).and_then(Value::as_str).filter(|word| !word.is_empty());
    let mut detail = json!({ "type": if kind == "thinking" { TEXT } else { ENCRYPTED } });
    for (name, from) in [("text", "thinking"), ("signature", "signature"), ("data", "data")] {
        if let Some(word) = word(from) {
            detail[name] = json!(word);
        }
    }
    detail["format"] = json!(ANTHROPIC);
    detail
}

/// OpenAI's word for why an answer ended.
pub(super) fn finish_reason(stop_reason: Option<&str>) -> Option<&'static str> {
    Some(match stop_reason? {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    })
}
