//! A responses request as a chat completion.

use serde_json::{Value, json};

use super::items;
use crate::translate::TranslateError;
use crate::translate::caller::settings;
use crate::translate::read::{Object, get, list, need, object, only, text};

/// What may be asked to be included that an answer has of itself.
const INCLUDED: &str = "reasoning.encrypted_content";

/// The chat completion for a responses request.
pub(crate) fn to_chat(request: &Value) -> Result<Value, TranslateError> {
    let request = object(request, "the request")?;
    let mut messages = Vec::new();
    if let Some(instructions) = get(request, "instructions") {
        let instructions = instructions.as_str().ok_or(TranslateError::Shape("instructions"))?;
        messages.push(json!({ "role": "system", "content": instructions }));
    }
    messages.extend(items::messages(get(request, "input").ok_or(TranslateError::Shape("input"))?)?);
    settings::chat(request, messages, add_setting)
}

fn add_setting(name: &str, value: &Value, chat: &mut Object) -> Result<(), TranslateError> {
    let mut put = |name: &str, value: Value| {
        chat.insert(name.to_owned(), value);
    };
    match name {
        "model" | "instructions" | "input" => {}
        // Say nothing about the answer: whether and how OpenAI keeps it.
        "store"
        | "metadata"
        | "user"
        | "safety_identifier"
        | "prompt_cache_key"
        | "prompt_cache_retention"
        | "stream_options" => {}
        "background" if value == &Value::Bool(false) => {}
        "truncation" if value == "disabled" => {}
        "include" if list(value, "include")?.iter().all(|one| one == INCLUDED) => {}
        "temperature" | "top_p" | "parallel_tool_calls" | "service_tier" => put(name, value.clone()),
        "max_output_tokens" => put("max_tokens", value.clone()),
        "stream" => settings::add_stream(value, chat),
        "tools" => settings::add_tools(value, tool, chat)?,
        "tool_choice" => put(name, tool_choice(value)?),
        "reasoning" => add_reasoning(object(value, "reasoning")?, chat)?,
        "text" => add_text(object(value, "text")?, chat)?,
        other => return Err(TranslateError::Field(other.to_owned())),
    }
    Ok(())
}

fn tool(tool: &Value) -> Result<Value, TranslateError> {
    let tool = object(tool, "tools[]")?;
    match need(tool, "type", "tools[].type")? {
        "function" => {}
        other => return Err(TranslateError::Block(other.to_owned())),
    }
    only(tool, "tools[].", &["type", "name", "description", "parameters", "strict"])?;
    let mut function = json!({ "name": need(tool, "name", "tools[].name")? });
    for name in ["description", "parameters", "strict"] {
        if let Some(value) = get(tool, name) {
            function[name] = value.clone();
        }
    }
    Ok(json!({ "type": "function", "function": function }))
}

fn tool_choice(choice: &Value) -> Result<Value, TranslateError> {
    let Value::Object(named) = choice else { return Ok(choice.clone()) };
    match need(named, "type", "tool_choice.type")? {
        "function" => {
            let name = need(named, "name", "tool_choice.name")?;
            Ok(json!({ "type": "function", "function": { "name": name } }))
        }
        "allowed_tools" => {
            let tools = list(get(named, "tools").unwrap_or(&Value::Null), "tool_choice.tools")?;
            let tools: Result<Vec<Value>, _> = tools.iter().map(tool_choice).collect();
            let mode = get(named, "mode").cloned().unwrap_or_else(|| json!("auto"));
            Ok(json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": tools? } }))
        }
        other => Err(TranslateError::Field(format!("tool_choice.type: {other}"))),
    }
}

fn add_reasoning(reasoning: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    // What is shown of the thinking is whatever the provider shows.
    only(reasoning, "reasoning.", &["effort", "summary", "generate_summary"])?;
    if let Some(effort) = get(reasoning, "effort") {
        chat.insert("reasoning".to_owned(), json!({ "effort": effort }));
    }
    Ok(())
}

fn add_text(said: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    only(said, "text.", &["format", "verbosity"])?;
    if let Some(verbosity) = get(said, "verbosity") {
        chat.insert("verbosity".to_owned(), verbosity.clone());
    }
    let Some(format) = get(said, "format") else { return Ok(()) };
    let format = object(format, "text.format")?;
    let said = match need(format, "type", "text.format.type")? {
        "text" => return Ok(()),
        "json_object" => json!({ "type": "json_object" }),
        "json_schema" => {
            only(format, "text.format.", &["type", "name", "description", "schema", "strict"])?;
            let mut schema = json!({ "name": text(format, "name").unwrap_or("answer") });
            for name in ["description", "schema", "strict"] {
                if let Some(value) = get(format, name) {
                    schema[name] = value.clone();
                }
            }
            json!({ "type": "json_schema", "json_schema": schema })
        }
        other => return Err(TranslateError::Field(format!("text.format.type: {other}"))),
    };
    chat.insert("response_format".to_owned(), said);
    Ok(())
}
