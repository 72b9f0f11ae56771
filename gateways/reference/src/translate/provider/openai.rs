//! The pivot as OpenAI's API takes it: without what only other providers understand.

use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::read::Object;

/// Of an unknown whole, a budget for thinking up to so many tokens is a low effort.
const LOW_BUDGET: u64 = 2_048;
/// And up to so many a medium one.
const MEDIUM_BUDGET: u64 = 8_192;

/// Which of OpenAI's fields a provider knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenAi {
    /// OpenAI itself and Azure, whose newer models refuse `max_tokens`.
    Itself,
    /// A server that is compatible, which may not know `max_completion_tokens`.
    Compatible,
}

/// The request as it is sent.
pub(crate) fn from_chat(mut chat: Value, to: OpenAi) -> Result<Value, TranslateError> {
    let Some(request) = chat.as_object_mut() else {
        return Err(TranslateError::Shape("the request"));
    };
    if let Some(reasoning) = request.shift_remove("reasoning")
        && let Some(effort) = effort(&reasoning, request.get("max_tokens").and_then(Value::as_u64))
    {
        request.insert("reasoning_effort".to_owned(), json!(effort));
    }
    if to == OpenAi::Itself
        && let Some(most) = request.shift_remove("max_tokens")
    {
        request.insert("max_completion_tokens".to_owned(), most);
    }
    for tool in request.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        drop_cache_mark(tool);
    }
    for message in request.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(message) = message.as_object_mut() {
            plain(message, to)?;
        }
    }
    Ok(chat)
}

/// A message without what OpenAI's API does not know.
fn plain(message: &mut Object, to: OpenAi) -> Result<(), TranslateError> {
    // OpenAI caches of its own accord.
    message.shift_remove("cache_control");
    // The details say it too, and servers that think want them back, not the text.
    message.shift_remove("reasoning");
    message.shift_remove("reasoning_content");
    if to == OpenAi::Itself {
        // It gave none, refuses a field that it does not know, and could not read another's.
        message.shift_remove("reasoning_details");
    }
    let is_tool = message.get("role").and_then(Value::as_str) == Some("tool");
    let is_error = message.shift_remove("is_error") == Some(Value::Bool(true));
    match message.get_mut("content") {
        Some(Value::Array(parts)) => {
            for part in &mut *parts {
                drop_cache_mark(part);
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                if is_tool && kind != "text" {
                    return Err(TranslateError::Field(format!("{kind} in the result of a tool")));
                }
            }
            if is_error {
                parts.insert(0, json!({ "type": "text", "text": "Error:" }));
            }
        }
        Some(Value::String(text)) if is_error => text.insert_str(0, "Error: "),
        _ => {}
    }
    Ok(())
}

fn drop_cache_mark(part: &mut Value) {
    if let Some(part) = part.as_object_mut() {
        part.shift_remove("cache_control");
    }
}

/// OpenAI's word for how much to think. A budget counts by its share of all output; whether
/// to think at all is the model's to know.
fn effort(reasoning: &Value, most: Option<u64>) -> Option<&str> {
    if let Some(effort) = reasoning.get("effort").and_then(Value::as_str) {
        return Some(if effort == "max" { "xhigh" } else { effort });
    }
    let budget = reasoning.get("max_tokens").and_then(Value::as_u64)?;
    let (low, medium) = match most {
        Some(most) => (most / 3, most.saturating_mul(2) / 3),
        None => (LOW_BUDGET, MEDIUM_BUDGET),
    };
    Some(match budget {
        budget if budget <= low => "low",
        budget if budget <= medium => "medium",
        _ => "high",
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_only_others_understand_is_said_in_openais_words() {
        let chat = json!({
            "model": "m",
            "max_tokens": 3000,
            "reasoning": {"max_tokens": 1024},
            "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
                {"role": "assistant", "content": null, "reasoning": "r",
                 "reasoning_details": [{"type": "reasoning.text", "text": "r"}],
                 "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "1", "content": "no such file", "is_error": true},
            ],
        });
        insta::assert_json_snapshot!(from_chat(chat.clone(), OpenAi::Compatible).unwrap());
        let itself = from_chat(chat, OpenAi::Itself).unwrap();
        assert_eq!((&itself["max_completion_tokens"], &itself["max_tokens"]), (&json!(3000), &Value::Null));
        assert_eq!(itself["messages"][1].get("reasoning_details"), None);
    }

    #[test]
    fn a_budget_for_thinking_is_an_effort_by_its_share() {
        let of = |budget: u64, most| effort(&json!({"max_tokens": budget}), most).unwrap().to_owned();
        assert_eq!([of(1000, Some(3000)), of(1001, Some(3000)), of(2001, Some(3000))], ["low", "medium", "high"]);
        assert_eq!([of(2048, None), of(8192, None), of(8193, None)], ["low", "medium", "high"]);
        assert_eq!(effort(&json!({"enabled": true}), None), None);
        assert_eq!(effort(&json!({"effort": "minimal", "max_tokens": 1}), None), Some("minimal"));
    }

    #[test]
    fn a_picture_in_a_tools_result_is_refused_by_name() {
        let parts = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
        let chat = json!({"messages": [{"role": "tool", "tool_call_id": "1", "content": parts}]});
        let refused = from_chat(chat, OpenAi::Compatible).unwrap_err();
        assert!(refused.to_string().contains("image_url in the result of a tool"), "{refused}");
    }
}
