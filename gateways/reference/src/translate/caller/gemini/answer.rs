//! A chat completion's answer as generated content.

use serde_json::{Map, Value, json};

use crate::translate::read::{arguments, nonempty};
use crate::translate::reasoning;
use crate::usage::Usage;

/// The generated content for a chat completion's answer.
pub(crate) fn from_chat(chat: &Value, model: &str) -> Value {
    let choices = chat.get("choices").and_then(Value::as_array);
    let candidates: Vec<Value> = choices
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(place, choice)| {
            let message = choice.get("message").unwrap_or(&Value::Null);
            let finish = choice.get("finish_reason").and_then(Value::as_str);
            let is_refusal = nonempty(message, "refusal").is_some();
            let index = choice.get("index").and_then(Value::as_u64);
            json!({
                "content": { "role": "model", "parts": parts(message) },
                "finishReason": if is_refusal { "SAFETY" } else { finish_reason(finish) },
                "index": index.map_or_else(|| json!(place), Value::from),
            })
        })
        .collect();
    let mut answer = head(chat, model);
    answer.insert("candidates".to_owned(), Value::Array(candidates));
    if let Some(usage) = chat.get("usage").and_then(usage) {
        answer.insert("usageMetadata".to_owned(), usage);
    }
    Value::Object(answer)
}

/// What every answer and every piece of one says.
pub(super) fn head(chat: &Value, model: &str) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("modelVersion".to_owned(), json!(nonempty(chat, "model").unwrap_or(model)));
    if let Some(id) = nonempty(chat, "id") {
        head.insert("responseId".to_owned(), json!(id));
    }
    head
}

fn parts(message: &Value) -> Vec<Value> {
    let details = reasoning::details(message);
    let mut parts: Vec<Value> = details.iter().filter_map(thought).collect();
    let said = message.get("content");
    let whole = said.and_then(Value::as_str);
    let of_parts = said.and_then(Value::as_array);
    let of_parts = of_parts.into_iter().flatten().filter_map(|part| part.get("text")?.as_str());
    let refusal = message.get("refusal").and_then(Value::as_str);
    let texts = whole.into_iter().chain(of_parts).chain(refusal).filter(|text| !text.is_empty());
    parts.extend(texts.map(|text| json!({ "text": text })));
    // A signature without a call stands beside the last text.
    if let Some(signature) = details.iter().find_map(|detail| signature_of(detail, None)) {
        match parts.iter_mut().rev().find(|part| part.get("thought").is_none()) {
            Some(part) => part["thoughtSignature"] = json!(signature),
            None => parts.push(json!({ "text": "", "thoughtSignature": signature })),
        }
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    parts.extend(calls.into_iter().flatten().map(|call| function_call(call, &details)));
    parts
}

/// A call as a part, with the signature that belongs to it.
pub(super) fn function_call(call: &Value, details: &[Value]) -> Value {
    let text = |path| call.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let mut said = json!({ "name": text("/function/name"), "args": arguments(text("/function/arguments")) });
    let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
    if let Some(id) = id {
        said["id"] = json!(id);
    }
    let mut part = json!({ "functionCall": said });
    if let Some(signature) = id.and_then(|id| details.iter().find_map(|detail| signature_of(detail, Some(id)))) {
        part["thoughtSignature"] = json!(signature);
    }
    part
}

/// A detail as a thought, if people can read it.
pub(super) fn thought(detail: &Value) -> Option<Value> {
    let text = reasoning::readable(detail);
    if text.is_empty() {
        return None;
    }
    let mut part = json!({ "text": text, "thought": true });
    if let Some(signature) = detail.get("signature").and_then(Value::as_str) {
        part["thoughtSignature"] = json!(signature);
    }
    Some(part)
}

/// The signature that a detail keeps for the call with this id, or for the text.
pub(super) fn signature_of<'a>(detail: &'a Value, call: Option<&str>) -> Option<&'a str> {
    let belongs = detail.get("id").and_then(Value::as_str) == call;
    let is_encrypted = reasoning::kind(detail) == reasoning::ENCRYPTED;
    detail.get("data").and_then(Value::as_str).filter(|_| belongs && is_encrypted)
}

/// Gemini's word for why an answer ended.
pub(super) fn finish_reason(finish_reason: Option<&str>) -> &'static str {
    match finish_reason {
        Some("length") => "MAX_TOKENS",
        Some("content_filter") => "SAFETY",
        Some("error") => "OTHER",
        _ => "STOP",
    }
}

/// Usage in Gemini's form: thoughts stand beside the candidates' tokens, not among them.
pub(super) fn usage(usage: &Value) -> Option<Value> {
    let usage = Usage::of_openai(usage)?;
    let mut said = json!({
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning),
        "totalTokenCount": usage.total(),
    });
    for (name, count) in [("thoughtsTokenCount", usage.reasoning), ("cachedContentTokenCount", usage.cached)] {
        if count > 0 {
            said[name] = json!(count);
        }
    }
    Some(said)
}
