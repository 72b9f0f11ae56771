//! A chat completion's answer as an Anthropic message.

use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::read::{arguments, nonempty};
use crate::translate::reasoning;
use crate::usage::Usage;

/// The message for a chat completion's answer.
pub(crate) fn from_chat(chat: &Value, model: &str) -> Result<Value, TranslateError> {
    let choice = chat.pointer("/choices/0").unwrap_or(&Value::Null);
    if let Some(failure) = failure(choice) {
        return Err(failure);
    }
    let message = choice.get("message").unwrap_or(&Value::Null);
    let mut content: Vec<Value> = reasoning::details(message).iter().filter_map(thinking).collect();
    content.extend(texts(message).map(|text| json!({ "type": "text", "text": text })));
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for (index, call) in calls.into_iter().flatten().enumerate() {
        let part = |path| call.pointer(path).and_then(Value::as_str).unwrap_or_default();
        content.push(json!({
            "type": "tool_use",
            "id": call_id(call, chat, index),
            "name": part("/function/name"),
            "input": arguments(part("/function/arguments")),
        }));
    }
    let has_calls = calls.is_some_and(|calls| !calls.is_empty());
    let is_refusal = nonempty(message, "refusal").is_some();
    let finish = choice.get("finish_reason").and_then(Value::as_str);
    Ok(json!({
        "id": message_id(chat),
        "type": "message",
        "role": "assistant",
        "model": nonempty(chat, "model").unwrap_or(model),
        "content": content,
        "stop_reason": if is_refusal { "refusal" } else { stop_reason(finish, has_calls) },
        "stop_sequence": null,
        "usage": usage(chat.get("usage").unwrap_or(&Value::Null)),
    }))
}

/// Why the answer of a choice failed, if it says so: Anthropic has no reason to stop for that,
/// and any that it has would pass for a whole answer.
pub(super) fn failure(choice: &Value) -> Option<TranslateError> {
    let finish = nonempty(choice, "finish_reason").filter(|finish| *finish == "error")?;
    Some(TranslateError::Finish(nonempty(choice, "native_finish_reason").unwrap_or(finish).to_owned()))
}

/// A detail of the thinking as a block, if there is something in it.
fn thinking(detail: &Value) -> Option<Value> {
    let token = reasoning::token(detail);
    if reasoning::kind(detail) == reasoning::ENCRYPTED {
        return token.map(|token| json!({ "type": "redacted_thinking", "data": token }));
    }
    let text = reasoning::readable(detail);
    if text.is_empty() && token.is_none() {
        return None;
    }
    Some(json!({ "type": "thinking", "thinking": text, "signature": token.unwrap_or_default() }))
}

/// The texts of a message: its content, or why the model refused.
fn texts(message: &Value) -> impl Iterator<Item = &str> {
    let parts = message.get("content").and_then(Value::as_array);
    let of_parts = parts.into_iter().flatten().filter_map(|part| part.get("text")?.as_str());
    let whole = message.get("content").and_then(Value::as_str);
    let refusal = message.get("refusal").and_then(Value::as_str);
    whole.into_iter().chain(of_parts).chain(refusal).filter(|text| !text.is_empty())
}

/// A message's id for that of a chat completion.
pub(super) fn message_id(chat: &Value) -> String {
    format!("msg_{}", nonempty(chat, "id").unwrap_or("0"))
}

/// The id of a call, made up where the provider gave none.
pub(super) fn call_id(call: &Value, chat: &Value, index: usize) -> String {
    nonempty(call, "id").map_or_else(|| format!("toolu_{}_{index}", message_id(chat)), str::to_owned)
}

/// Anthropic's word for why an answer ended. A provider may say `stop` of an answer that
/// calls a tool, where the caller demanded the call.
pub(super) fn stop_reason(finish_reason: Option<&str>, has_calls: bool) -> &'static str {
    match finish_reason {
        Some("length") => "max_tokens",
        Some("content_filter") => "refusal",
        Some("tool_calls" | "function_call") => "tool_use",
        _ if has_calls => "tool_use",
        _ => "end_turn",
    }
}

/// Usage in Anthropic's form: cached tokens stand beside the input, not among it.
pub(super) fn usage(usage: &Value) -> Value {
    let usage = Usage::of_openai(usage).unwrap_or_default();
    let fresh = usage.input.saturating_sub(usage.cached).saturating_sub(usage.cache_write);
    let mut said = json!({
        "input_tokens": fresh,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    });
    if usage.reasoning > 0 {
        said["output_tokens_details"] = json!({ "thinking_tokens": usage.reasoning });
    }
    if usage.cache_write_hour > 0 {
        said["cache_creation"] = json!({
            "ephemeral_5m_input_tokens": usage.cache_write.saturating_sub(usage.cache_write_hour),
            "ephemeral_1h_input_tokens": usage.cache_write_hour,
        });
    }
    said
}
