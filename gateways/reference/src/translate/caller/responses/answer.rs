//! A chat completion's answer as a response.

use serde_json::{Value, json};

use crate::translate::read::nonempty;
use crate::translate::reasoning;
use crate::usage::Usage;

/// The response for a chat completion's answer.
pub(crate) fn from_chat(chat: &Value, model: &str) -> Value {
    let choice = chat.pointer("/choices/0").unwrap_or(&Value::Null);
    let message = choice.get("message").unwrap_or(&Value::Null);
    let id = response_id(chat);
    let mut output = Vec::new();
    let details = reasoning::details(message);
    if !details.is_empty() {
        output.push(reasoning_item(&id, &details));
    }
    let parts = parts(message);
    if !parts.is_empty() {
        output.push(message_item(&id, &parts));
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for (index, call) in calls.into_iter().flatten().enumerate() {
        let text = |path| call.pointer(path).and_then(Value::as_str).unwrap_or_default();
        output.push(call_item(&id, index, text("/id"), text("/function/name"), text("/function/arguments")));
    }
    let finish = choice.get("finish_reason").and_then(Value::as_str);
    response(&Head::of(chat, model), &output, Some(finish), chat.get("usage"))
}

/// What a response says of itself.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: Value,
    pub(super) model: String,
}

impl Head {
    pub(super) fn of(chat: &Value, model: &str) -> Head {
        Head {
            id: response_id(chat),
            created: chat.get("created").cloned().unwrap_or_else(|| json!(0)),
            model: nonempty(chat, "model").unwrap_or(model).to_owned(),
        }
    }
}

fn response_id(chat: &Value) -> String {
    format!("resp_{}", nonempty(chat, "id").unwrap_or("0"))
}

/// A response. `finish` is the chat completion's reason for its end, once it has ended.
pub(super) fn response(head: &Head, output: &[Value], finish: Option<Option<&str>>, usage: Option<&Value>) -> Value {
    let (status, why) = match finish {
        None => ("in_progress", Value::Null),
        Some(Some("length")) => ("incomplete", json!({ "reason": "max_output_tokens" })),
        Some(Some("content_filter")) => ("incomplete", json!({ "reason": "content_filter" })),
        Some(Some("error")) => ("failed", Value::Null),
        Some(_) => ("completed", Value::Null),
    };
    let failure = json!({ "code": "server_error", "message": "the model's answer ended in an error" });
    json!({
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "status": status,
        "error": if status == "failed" { failure } else { Value::Null },
        "incomplete_details": why,
        "instructions": null,
        "metadata": {},
        "model": head.model,
        "output": output,
        "parallel_tool_calls": true,
        "temperature": null,
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "usage": usage.and_then(Usage::of_openai).map(|usage| self::usage(&usage)),
    })
}

fn usage(usage: &Usage) -> Value {
    let mut input = json!({ "cached_tokens": usage.cached });
    if usage.cache_write > 0 {
        input["cache_write_tokens"] = json!(usage.cache_write);
    }
    if usage.cache_write_hour > 0 {
        input["cache_creation_token_details"] = json!({ "ephemeral_1h_input_tokens": usage.cache_write_hour });
    }
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": input,
        "output_tokens": usage.output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.total(),
    })
}

/// The thinking: what people can read as its summary, and all of it packed for the way back.
pub(super) fn reasoning_item(id: &str, details: &[Value]) -> Value {
    let text: String = details.iter().map(reasoning::readable).collect();
    let summary = if text.is_empty() { Vec::new() } else { vec![json!({ "type": "summary_text", "text": text })] };
    json!({
        "type": "reasoning",
        "id": format!("rs_{id}"),
        "summary": summary,
        "encrypted_content": Value::Array(details.to_vec()).to_string(),
    })
}

pub(super) fn message_item(id: &str, parts: &[Value]) -> Value {
    json!({
        "type": "message",
        "id": format!("msg_{id}"),
        "status": "completed",
        "role": "assistant",
        "content": parts,
    })
}

/// A call of a tool. Its id is made up where the provider gave none.
pub(super) fn call_item(id: &str, index: usize, call_id: &str, name: &str, arguments: &str) -> Value {
    let item = format!("fc_{id}_{index}");
    json!({
        "type": "function_call",
        "id": item,
        "status": "completed",
        "call_id": if call_id.is_empty() { &item } else { call_id },
        "name": name,
        "arguments": arguments,
    })
}

pub(super) fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

pub(super) fn refusal_part(text: &str) -> Value {
    json!({ "type": "refusal", "refusal": text })
}

fn parts(message: &Value) -> Vec<Value> {
    let said = message.get("content");
    let whole = said.and_then(Value::as_str).into_iter();
    let of_parts = said.and_then(Value::as_array).into_iter().flatten();
    let texts = whole.chain(of_parts.filter_map(|part| part.get("text")?.as_str()));
    let refusal = nonempty(message, "refusal");
    texts.filter(|text| !text.is_empty()).map(text_part).chain(refusal.map(refusal_part)).collect()
}
