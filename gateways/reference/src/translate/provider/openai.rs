//! The pivot as OpenAI's API takes it: without what only other providers understand.

use serde_json::{Value, json};

use crate::dialect::{Dialect, Thoughts};
use crate::translate::TranslateError;
use crate::translate::read::Object;
use crate::translate::reasoning;

/// Of an unknown whole, a budget for thinking up to so many tokens is a low effort.
const LOW_BUDGET: u64 = 2_048;
/// And up to so many a medium one.
const MEDIUM_BUDGET: u64 = 8_192;
/// How the names of OpenAI's models begin that refuse `max_tokens`, whoever passes them on.
const NEWER: [&str; 4] = ["gpt-5", "o1", "o3", "o4"];

/// The request as it is sent.
pub(crate) fn from_chat(mut chat: Value, to: Dialect) -> Result<Value, TranslateError> {
    let Some(request) = chat.as_object_mut() else {
        return Err(TranslateError::Shape("the request"));
    };
    if let Some(reasoning) = request.shift_remove("reasoning")
        && let Some(effort) = effort(&reasoning, request.get("max_tokens").and_then(Value::as_u64))
    {
        request.insert("reasoning_effort".to_owned(), json!(effort));
    }
    let model = request.get("model").and_then(Value::as_str).unwrap_or_default();
    let is_newer = NEWER.iter().any(|beginning| model.starts_with(beginning));
    if (is_newer || !to.takes_max_tokens)
        && let Some(most) = request.shift_remove("max_tokens")
    {
        request.insert("max_completion_tokens".to_owned(), most);
    }
    if !to.takes_stream_options {
        request.shift_remove("stream_options");
    }
    for tool in request.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        drop_cache_mark(tool);
    }
    for message in request.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        let text: String = reasoning::details(message).iter().map(reasoning::readable).collect();
        if let Some(message) = message.as_object_mut() {
            keep_thoughts(message, text, to.thoughts);
            plain(message)?;
        }
    }
    Ok(chat)
}

/// Of what was thought, `text` among it, what the server takes back.
fn keep_thoughts(message: &mut Object, text: String, kept: Thoughts) {
    message.shift_remove("reasoning");
    message.shift_remove("reasoning_content");
    if kept != Thoughts::Details {
        message.shift_remove("reasoning_details");
    }
    let has_calls = message.get("tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty());
    if kept == Thoughts::Content && has_calls && !text.is_empty() {
        message.insert("reasoning_content".to_owned(), Value::String(text));
    }
}

/// A message without what OpenAI's API does not know.
fn plain(message: &mut Object) -> Result<(), TranslateError> {
    // OpenAI caches of its own accord.
    message.shift_remove("cache_control");
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
        insta::assert_json_snapshot!(from_chat(chat.clone(), Dialect::COMPATIBLE).unwrap());
        let itself = from_chat(chat, Dialect::OPENAI).unwrap();
        assert_eq!((&itself["max_completion_tokens"], &itself["max_tokens"]), (&json!(3000), &Value::Null));
        assert_eq!(itself["messages"][1].get("reasoning_content"), None);
    }

    #[test]
    fn each_server_gets_back_of_what_was_thought_what_it_takes() {
        let calls = json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
        let details = json!([{"type": "reasoning.text", "text": "r", "signature": "s"}]);
        let told = |thoughts, calls: &Value| {
            let message = json!({"role": "assistant", "content": null, "reasoning": "r", "reasoning_content": "r",
                "reasoning_details": details, "tool_calls": calls});
            let dialect = Dialect { thoughts, ..Dialect::COMPATIBLE };
            let mut told = from_chat(json!({"model": "m", "messages": [message]}), dialect).unwrap();
            ["reasoning", "reasoning_content", "reasoning_details"].map(|name| told["messages"][0][name].take())
        };
        assert_eq!(told(Thoughts::Refused, &calls), [Value::Null, Value::Null, Value::Null]);
        assert_eq!(told(Thoughts::Details, &calls), [Value::Null, Value::Null, details.clone()]);
        assert_eq!(told(Thoughts::Content, &calls), [Value::Null, json!("r"), Value::Null]);
        assert_eq!(told(Thoughts::Content, &json!([])), [Value::Null, Value::Null, Value::Null]);
    }

    #[test]
    fn a_model_that_refuses_max_tokens_refuses_it_wherever_it_is() {
        let bound = |model: &str| {
            let chat = json!({"model": model, "max_tokens": 9, "messages": []});
            let told = from_chat(chat, Dialect::COMPATIBLE).unwrap();
            ["max_tokens", "max_completion_tokens"].map(|name| told.get(name).cloned())
        };
        for newer in ["gpt-5", "gpt-5.2-mini", "o3", "o4-mini"] {
            assert_eq!(bound(newer), [None, Some(json!(9))], "{newer}");
        }
        for other in ["gpt-4o", "gpt-oss-120b", "olmo-3", "openai/gpt-oss-20b"] {
            assert_eq!(bound(other), [Some(json!(9)), None], "{other}");
        }
    }

    #[test]
    fn a_server_that_refuses_stream_options_gets_none() {
        let chat = json!({"model": "m", "messages": [], "stream": true, "stream_options": {"include_usage": true}});
        assert!(from_chat(chat.clone(), Dialect::COMPATIBLE).unwrap().get("stream_options").is_some());
        let strict = Dialect { takes_stream_options: false, ..Dialect::COMPATIBLE };
        assert_eq!(from_chat(chat, strict).unwrap().get("stream_options"), None);
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
        let refused = from_chat(chat, Dialect::COMPATIBLE).unwrap_err();
        assert!(refused.to_string().contains("image_url in the result of a tool"), "{refused}");
    }
}
