//! The answer of generateContent as a chat completion's.

use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::provider::said::{message, usage};
use crate::translate::read::{get, list, object, text};
use crate::translate::reasoning::{ENCRYPTED, GEMINI, TEXT};
use crate::usage::Usage;

/// The chat completion for an answer.
pub(crate) fn to_chat(answer: &Value) -> Result<Value, TranslateError> {
    object(answer, "the answer")?;
    let id = text_of(answer, "responseId");
    let mut choices = Vec::new();
    for candidate in candidates(answer)? {
        choices.push(choice(candidate, choices.len(), id)?);
    }
    if let Some(blocked) = blocked(answer).filter(|_| choices.is_empty()) {
        choices.push(json!({ "index": 0, "message": blocked, "logprobs": null, "finish_reason": "content_filter" }));
    }
    let mut chat = json!({
        "id": id,
        "object": "chat.completion",
        // The protocol does not tell the time; whoever hands the answer on does.
        "created": 0,
        "model": text_of(answer, "modelVersion"),
        "choices": choices,
    });
    if let Some(counted) = answer.get("usageMetadata").and_then(Usage::of_gemini) {
        chat["usage"] = usage(&counted);
    }
    Ok(chat)
}

/// The candidates of an answer or of a stream's piece.
pub(super) fn candidates(answer: &Value) -> Result<&[Value], TranslateError> {
    match answer.get("candidates").filter(|candidates| !candidates.is_null()) {
        Some(candidates) => list(candidates, "the answer's candidates").map(Vec::as_slice),
        None => Ok(&[]),
    }
}

/// The parts of a candidate. One that was stopped early may have none.
pub(super) fn parts(candidate: &Value) -> Result<&[Value], TranslateError> {
    match candidate.pointer("/content/parts").filter(|parts| !parts.is_null()) {
        Some(parts) => list(parts, "the answer's parts").map(Vec::as_slice),
        None => Ok(&[]),
    }
}

fn choice(candidate: &Value, place: usize, answer_id: &str) -> Result<Value, TranslateError> {
    let mut content = String::new();
    let mut details: Vec<Value> = Vec::new();
    let mut calls: Vec<Value> = Vec::new();
    for part in parts(candidate)? {
        let mut found = Vec::new();
        match read(part, answer_id, calls.len())? {
            Read::Text(text) => content.push_str(text),
            Read::Thought(detail) => found.push(detail),
            Read::Call(call) => calls.push(call),
        }
        found.extend(signature(part, calls.last()));
        for mut detail in found {
            detail["index"] = json!(details.len());
            details.push(detail);
        }
    }
    let native = candidate.get("finishReason").and_then(Value::as_str);
    Ok(json!({
        "index": candidate.get("index").and_then(Value::as_u64).unwrap_or(place as u64),
        "finish_reason": finish_reason(native, !calls.is_empty()),
        "native_finish_reason": native,
        "logprobs": null,
        "message": message(&content, details, calls),
    }))
}

/// What one part says.
pub(super) enum Read<'a> {
    Text(&'a str),
    /// A reasoning detail without its place.
    Thought(Value),
    /// A tool call.
    Call(Value),
}

/// Reads a part. `calls` are so many tool calls before it.
pub(super) fn read<'a>(part: &'a Value, answer_id: &str, calls: usize) -> Result<Read<'a>, TranslateError> {
    let part = object(part, "the answer's part")?;
    if let Some(call) = get(part, "functionCall") {
        let call = object(call, "functionCall")?;
        let name = text(call, "name").ok_or(TranslateError::Shape("functionCall.name"))?;
        let own = text(call, "id").filter(|id| !id.is_empty());
        let id = own.map_or_else(|| call_id(answer_id, calls), str::to_owned);
        let arguments = get(call, "args").cloned().unwrap_or_else(|| json!({}));
        return Ok(Read::Call(json!({
            "id": id, "type": "function", "function": { "name": name, "arguments": arguments.to_string() },
        })));
    }
    let said = match text(part, "text") {
        Some(said) => said,
        // A signature can come alone.
        None if get(part, "thoughtSignature").is_some() && part.len() == 1 => "",
        None => {
            let kind = part.keys().find(|name| !name.starts_with("thought")).map_or("part", String::as_str);
            return Err(TranslateError::Block(kind.to_owned()));
        }
    };
    if part.get("thought") != Some(&Value::Bool(true)) {
        return Ok(Read::Text(said));
    }
    let mut detail = json!({ "type": TEXT, "text": said });
    if let Some(signature) = get(part, "thoughtSignature") {
        detail["signature"] = signature.clone();
    }
    detail["format"] = json!(GEMINI);
    Ok(Read::Thought(detail))
}

/// The signature of a part that is no thought itself: of `call`, if the part is one.
pub(super) fn signature(part: &Value, call: Option<&Value>) -> Option<Value> {
    let signature = part.get("thoughtSignature").and_then(Value::as_str)?;
    if part.get("thought") == Some(&Value::Bool(true)) {
        return None;
    }
    let mut detail = json!({ "type": ENCRYPTED, "data": signature, "format": GEMINI });
    if part.get("functionCall").is_some()
        && let Some(call) = call
    {
        detail["id"] = call["id"].clone();
    }
    Some(detail)
}

/// An id for a call that has none, of letters that every provider takes back.
fn call_id(answer_id: &str, place: usize) -> String {
    let answer_id: String = answer_id.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("call_{answer_id}_{place}")
}

/// OpenAI's word for why an answer ended.
pub(super) fn finish_reason(native: Option<&str>, has_calls: bool) -> Option<&'static str> {
    Some(match native? {
        "STOP" if has_calls => "tool_calls",
        "STOP" => "stop",
        "MAX_TOKENS" => "length",
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => "content_filter",
        // Neither whole nor filtered: a call that Gemini itself could not read, and the like.
        _ => "error",
    })
}

/// The message of an answer to a prompt that was refused.
pub(super) fn blocked(answer: &Value) -> Option<Value> {
    let reason = answer.pointer("/promptFeedback/blockReason").and_then(Value::as_str)?;
    Some(json!({ "role": "assistant", "content": null, "refusal": format!("the prompt was blocked: {reason}") }))
}

pub(super) fn text_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
