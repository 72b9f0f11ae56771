//! An Anthropic message request as a chat completion.

use serde_json::{Value, json};

use super::content;
use crate::translate::TranslateError;
use crate::translate::caller::settings;
use crate::translate::read::{Object, get, list, need, object, only, text};
use crate::translate::reasoning;

/// The chat completion for a message request.
pub(crate) fn to_chat(request: &Value) -> Result<Value, TranslateError> {
    let request = object(request, "the request")?;
    let mut messages = Vec::new();
    if let Some(system) = get(request, "system") {
        messages.push(json!({ "role": "system", "content": content::said(&content::parts(system, "system")?) }));
    }
    for turn in list(get(request, "messages").unwrap_or(&Value::Null), "messages")? {
        add_turn(object(turn, "messages[]")?, &mut messages)?;
    }
    settings::chat(request, messages, add_setting)
}

fn add_setting(name: &str, value: &Value, chat: &mut Object) -> Result<(), TranslateError> {
    let mut put = |name: &str, value: Value| {
        chat.insert(name.to_owned(), value);
    };
    match name {
        "model" | "system" | "messages" => {}
        // Say nothing about the answer.
        "metadata" | "cache_control" => {}
        "service_tier" if value == "auto" || value == "standard_only" => {}
        "context_management" if keeps_all(value) => {}
        "max_tokens" | "temperature" | "top_p" | "top_k" => put(name, value.clone()),
        "stop_sequences" => put("stop", value.clone()),
        "stream" => settings::add_stream(value, chat),
        "tools" => settings::add_tools(value, tool, chat)?,
        "tool_choice" => add_tool_choice(object(value, "tool_choice")?, chat)?,
        "thinking" => add_thinking(object(value, "thinking")?, chat)?,
        "output_config" => add_output_config(object(value, "output_config")?, chat)?,
        "output_format" => put("response_format", output_format(value)?),
        other => return Err(TranslateError::Field(other.to_owned())),
    }
    Ok(())
}

/// Whether what is to be forgotten of a long conversation is nothing.
fn keeps_all(management: &Value) -> bool {
    let keeps = |edit: &Value| edit.get("keep").and_then(Value::as_str) == Some("all");
    let edits = management.get("edits").and_then(Value::as_array);
    management.as_object().is_some_and(|fields| fields.len() == 1) && edits.is_some_and(|edits| edits.iter().all(keeps))
}

fn tool(tool: &Value) -> Result<Value, TranslateError> {
    let tool = object(tool, "tools[]")?;
    match text(tool, "type") {
        None | Some("custom") => {}
        Some(other) => return Err(TranslateError::Block(other.to_owned())),
    }
    // Whether a call's arguments may come before they are checked says nothing about them.
    let silent = "eager_input_streaming";
    only(tool, "tools[].", &["type", "name", "description", "input_schema", "strict", "cache_control", silent])?;
    let mut function = json!({ "name": need(tool, "name", "tools[].name")? });
    for (from, to) in [("description", "description"), ("input_schema", "parameters"), ("strict", "strict")] {
        if let Some(value) = get(tool, from) {
            function[to] = value.clone();
        }
    }
    let mut chat = json!({ "type": "function", "function": function });
    content::keep_cache_control(tool, &mut chat);
    Ok(chat)
}

fn add_tool_choice(choice: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    only(choice, "tool_choice.", &["type", "name", "disable_parallel_tool_use"])?;
    let said = match need(choice, "type", "tool_choice.type")? {
        "auto" => json!("auto"),
        "any" => json!("required"),
        "none" => json!("none"),
        "tool" => {
            let name = need(choice, "name", "tool_choice.name")?;
            json!({ "type": "function", "function": { "name": name } })
        }
        other => return Err(TranslateError::Field(format!("tool_choice.type: {other}"))),
    };
    chat.insert("tool_choice".to_owned(), said);
    if let Some(disabled) = get(choice, "disable_parallel_tool_use") {
        let disabled = disabled.as_bool().ok_or(TranslateError::Shape("tool_choice.disable_parallel_tool_use"))?;
        chat.insert("parallel_tool_calls".to_owned(), json!(!disabled));
    }
    Ok(())
}

fn add_thinking(thinking: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    // `display` is about what is shown of it, which is whatever the provider shows.
    only(thinking, "thinking.", &["type", "budget_tokens", "display"])?;
    let said = match need(thinking, "type", "thinking.type")? {
        "enabled" => {
            let budget = get(thinking, "budget_tokens").and_then(Value::as_u64);
            ("max_tokens", json!(budget.ok_or(TranslateError::Shape("thinking.budget_tokens"))?))
        }
        "adaptive" => ("enabled", json!(true)),
        "disabled" => ("enabled", json!(false)),
        other => return Err(TranslateError::Field(format!("thinking.type: {other}"))),
    };
    add_reasoning(said, chat);
    Ok(())
}

fn add_reasoning((name, value): (&str, Value), chat: &mut Object) {
    chat.entry("reasoning").or_insert_with(|| json!({}))[name] = value;
}

fn add_output_config(config: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    only(config, "output_config.", &["effort", "format"])?;
    if let Some(effort) = get(config, "effort") {
        add_reasoning(("effort", effort.clone()), chat);
    }
    if let Some(format) = get(config, "format") {
        chat.insert("response_format".to_owned(), output_format(format)?);
    }
    Ok(())
}

/// A schema that the answer must follow.
fn output_format(format: &Value) -> Result<Value, TranslateError> {
    let format = object(format, "output_format")?;
    only(format, "output_format.", &["type", "schema"])?;
    match (need(format, "type", "output_format.type")?, get(format, "schema")) {
        ("json_schema", Some(schema)) => Ok(json!({
            "type": "json_schema",
            "json_schema": { "name": "answer", "strict": true, "schema": schema },
        })),
        ("json_schema", None) => Err(TranslateError::Shape("output_format.schema")),
        (other, _) => Err(TranslateError::Field(format!("output_format.type: {other}"))),
    }
}

fn add_turn(turn: &Object, messages: &mut Vec<Value>) -> Result<(), TranslateError> {
    only(turn, "messages[].", &["role", "content"])?;
    let said = get(turn, "content").ok_or(TranslateError::Shape("messages[].content"))?;
    match need(turn, "role", "messages[].role")? {
        "assistant" => messages.push(assistant(said)?),
        "user" => add_user(said, messages)?,
        "system" => {
            let parts = content::parts(said, "messages[].content")?;
            messages.push(json!({ "role": "system", "content": content::said(&parts) }));
        }
        _ => return Err(TranslateError::Shape("messages[].role")),
    }
    Ok(())
}

/// A user's turn: the results of tools are messages of their own, and come first, as
/// Anthropic demands of its callers.
fn add_user(said: &Value, messages: &mut Vec<Value>) -> Result<(), TranslateError> {
    let Value::Array(blocks) = said else {
        let parts = content::parts(said, "messages[].content")?;
        messages.push(json!({ "role": "user", "content": content::said(&parts) }));
        return Ok(());
    };
    let mut parts = Vec::new();
    let mut has_results = false;
    for block in blocks {
        let block = object(block, "messages[].content[]")?;
        if text(block, "type") == Some("tool_result") {
            messages.push(tool_result(block)?);
            has_results = true;
        } else {
            content::add_parts(block, &mut parts)?;
        }
    }
    if !parts.is_empty() || !has_results {
        messages.push(json!({ "role": "user", "content": content::said(&parts) }));
    }
    Ok(())
}

fn tool_result(block: &Object) -> Result<Value, TranslateError> {
    only(block, "tool_result.", &["type", "tool_use_id", "content", "is_error", "cache_control"])?;
    let parts = match get(block, "content") {
        Some(said) => content::parts(said, "tool_result.content")?,
        None => Vec::new(),
    };
    let mut message = json!({
        "role": "tool",
        "tool_call_id": need(block, "tool_use_id", "tool_result.tool_use_id")?,
        "content": content::said(&parts),
    });
    if get(block, "is_error") == Some(&Value::Bool(true)) {
        message["is_error"] = json!(true);
    }
    content::keep_cache_control(block, &mut message);
    Ok(message)
}

/// An assistant's turn: its texts, its thinking and its calls of tools.
fn assistant(said: &Value) -> Result<Value, TranslateError> {
    let Value::Array(blocks) = said else {
        let parts = content::parts(said, "messages[].content")?;
        return Ok(json!({ "role": "assistant", "content": content::said(&parts) }));
    };
    let (mut parts, mut calls, mut details) = (Vec::new(), Vec::new(), Vec::new());
    for block in blocks {
        let block = object(block, "messages[].content[]")?;
        match need(block, "type", "messages[].content[].type")? {
            "thinking" => {
                only(block, "thinking.", &["type", "thinking", "signature"])?;
                let thought = need(block, "thinking", "thinking.thinking")?;
                let signature = text(block, "signature").unwrap_or_default();
                details.push(reasoning::from_token(signature, Some(thought), details.len()));
            }
            "redacted_thinking" => {
                only(block, "redacted_thinking.", &["type", "data"])?;
                let data = need(block, "data", "redacted_thinking.data")?;
                details.push(reasoning::from_token(data, None, details.len()));
            }
            "tool_use" => {
                only(block, "tool_use.", &["type", "id", "name", "input", "cache_control"])?;
                let input = get(block, "input").map_or_else(|| "{}".to_owned(), Value::to_string);
                let name = need(block, "name", "tool_use.name")?;
                calls.push(json!({
                    "id": need(block, "id", "tool_use.id")?,
                    "type": "function",
                    "function": { "name": name, "arguments": input },
                }));
            }
            _ => content::add_parts(block, &mut parts)?,
        }
    }
    let said = if parts.is_empty() { Value::Null } else { content::said(&parts) };
    let mut message = json!({ "role": "assistant", "content": said });
    reasoning::put(&mut message, details);
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    Ok(message)
}
