//! A generateContent request as a chat completion.

use serde_json::{Map, Value, json};

use super::content;
use super::schema::to_json_schema;
use crate::translate::TranslateError;
use crate::translate::read::{Object, get, list, need, object, only, text};

/// Thresholds of a safety setting that ask for no filter, which is what other providers have.
const NO_FILTER: [&str; 2] = ["BLOCK_NONE", "OFF"];
/// The shares of the output that efforts stand for are the provider's to know.
const LEVELS: [&str; 4] = ["MINIMAL", "LOW", "MEDIUM", "HIGH"];

/// The chat completion for a request. Its model and whether it is a stream stand in the
/// path, so they are not in the pivot yet.
pub(crate) fn to_chat(request: &Value) -> Result<Value, TranslateError> {
    let request = camel_fields(object(request, "the request")?);
    let mut messages = Vec::new();
    if let Some(system) = get(&request, "systemInstruction") {
        messages.push(content::system(system)?);
    }
    let contents = get(&request, "contents").ok_or(TranslateError::Shape("contents"))?;
    messages.extend(content::messages(list(contents, "contents")?)?);
    let mut chat = Map::new();
    chat.insert("messages".to_owned(), Value::Array(messages));
    for (name, value) in request.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "systemInstruction" | "contents" | "model" => {}
            // Says nothing about the answer.
            "labels" => {}
            "safetySettings" => check_safety(value)?,
            "tools" => add_tools(list(value, "tools")?, &mut chat)?,
            "toolConfig" => add_tool_config(object(value, "toolConfig")?, &mut chat)?,
            "generationConfig" => add_config(object(value, "generationConfig")?, &mut chat)?,
            other => return Err(TranslateError::Field(other.to_owned())),
        }
    }
    Ok(Value::Object(chat))
}

/// A field's name as Gemini writes it; it also reads `max_output_tokens`.
pub(crate) fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// An object with its fields' names as Gemini writes them.
pub(super) fn camel_fields(fields: &Object) -> Object {
    fields.iter().map(|(name, value)| (camel(name), value.clone())).collect()
}

fn check_safety(settings: &Value) -> Result<(), TranslateError> {
    for setting in list(settings, "safetySettings")? {
        let threshold = setting.get("threshold").and_then(Value::as_str).unwrap_or_default();
        if !NO_FILTER.contains(&threshold) {
            return Err(TranslateError::Field("safetySettings".to_owned()));
        }
    }
    Ok(())
}

fn add_tools(tools: &[Value], chat: &mut Object) -> Result<(), TranslateError> {
    let mut functions = Vec::new();
    for tool in tools {
        let tool = camel_fields(object(tool, "tools[]")?);
        only(&tool, "tools[].", &["functionDeclarations"])?;
        let declarations = get(&tool, "functionDeclarations").ok_or(TranslateError::Shape("tools[]"))?;
        for declaration in list(declarations, "functionDeclarations")? {
            functions.push(function(&camel_fields(object(declaration, "functionDeclarations[]")?))?);
        }
    }
    if !functions.is_empty() {
        chat.insert("tools".to_owned(), Value::Array(functions));
    }
    Ok(())
}

fn function(declaration: &Object) -> Result<Value, TranslateError> {
    // What a function answers with is said by no other provider's tools, and binds nobody.
    let silent = ["response", "responseJsonSchema"];
    let known = ["name", "description", "parameters", "parametersJsonSchema"];
    only(declaration, "functionDeclarations[].", &[known.as_slice(), &silent].concat())?;
    let mut function = json!({ "name": need(declaration, "name", "functionDeclarations[].name")? });
    if let Some(description) = get(declaration, "description") {
        function["description"] = description.clone();
    }
    if let Some(schema) = get(declaration, "parametersJsonSchema") {
        function["parameters"] = schema.clone();
    } else if let Some(schema) = get(declaration, "parameters") {
        function["parameters"] = to_json_schema(schema);
    }
    Ok(json!({ "type": "function", "function": function }))
}

fn add_tool_config(config: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    let config = camel_fields(config);
    only(&config, "toolConfig.", &["functionCallingConfig"])?;
    let Some(calling) = get(&config, "functionCallingConfig") else { return Ok(()) };
    let calling = camel_fields(object(calling, "functionCallingConfig")?);
    only(&calling, "functionCallingConfig.", &["mode", "allowedFunctionNames"])?;
    let mode = match text(&calling, "mode").unwrap_or("AUTO") {
        "AUTO" | "MODE_UNSPECIFIED" => "auto",
        "ANY" => "required",
        "NONE" => "none",
        other => return Err(TranslateError::Field(format!("functionCallingConfig.mode: {other}"))),
    };
    let names = match get(&calling, "allowedFunctionNames") {
        Some(names) => list(names, "allowedFunctionNames")?.as_slice(),
        None => &[],
    };
    let named = |name: &Value| json!({ "type": "function", "function": { "name": name } });
    let choice = match names {
        [] => json!(mode),
        [only] if mode == "required" => named(only),
        several => {
            let tools: Vec<Value> = several.iter().map(named).collect();
            json!({ "type": "allowed_tools", "allowed_tools": { "mode": mode, "tools": tools } })
        }
    };
    chat.insert("tool_choice".to_owned(), choice);
    Ok(())
}

fn add_config(config: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    let config = camel_fields(config);
    for (name, value) in config.iter().filter(|(_, value)| !value.is_null()) {
        let as_is = match name.as_str() {
            "maxOutputTokens" => "max_tokens",
            "temperature" => "temperature",
            "topP" => "top_p",
            "topK" => "top_k",
            "stopSequences" => "stop",
            "candidateCount" => "n",
            "seed" => "seed",
            "presencePenalty" => "presence_penalty",
            "frequencyPenalty" => "frequency_penalty",
            "thinkingConfig" => {
                add_thinking(object(value, "thinkingConfig")?, chat)?;
                continue;
            }
            "responseMimeType" | "responseSchema" | "responseJsonSchema" => continue,
            "responseModalities" if is_text_alone(value) => continue,
            other => return Err(TranslateError::Field(format!("generationConfig.{other}"))),
        };
        chat.insert(as_is.to_owned(), value.clone());
    }
    add_response_format(&config, chat)
}

fn is_text_alone(modalities: &Value) -> bool {
    let modalities = modalities.as_array();
    modalities.is_some_and(|all| all.iter().all(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case("text"))))
}

fn add_thinking(thinking: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    let thinking = camel_fields(thinking);
    // What is shown of the thinking is whatever the provider shows.
    only(&thinking, "thinkingConfig.", &["includeThoughts", "thinkingBudget", "thinkingLevel"])?;
    let mut reasoning = Map::new();
    if let Some(budget) = get(&thinking, "thinkingBudget") {
        match budget.as_i64().ok_or(TranslateError::Shape("thinkingBudget"))? {
            0 => reasoning.insert("enabled".to_owned(), json!(false)),
            // The model decides.
            -1 => reasoning.insert("enabled".to_owned(), json!(true)),
            tokens => reasoning.insert("max_tokens".to_owned(), json!(tokens)),
        };
    }
    if let Some(level) = text(&thinking, "thinkingLevel") {
        let level = level.to_ascii_uppercase();
        if !LEVELS.contains(&level.as_str()) {
            return Err(TranslateError::Field(format!("thinkingLevel: {level}")));
        }
        reasoning.insert("effort".to_owned(), json!(level.to_ascii_lowercase()));
    }
    if !reasoning.is_empty() {
        chat.insert("reasoning".to_owned(), Value::Object(reasoning));
    }
    Ok(())
}

fn add_response_format(config: &Object, chat: &mut Object) -> Result<(), TranslateError> {
    let schema = match (get(config, "responseJsonSchema"), get(config, "responseSchema")) {
        (Some(schema), _) => Some(schema.clone()),
        (None, Some(schema)) => Some(to_json_schema(schema)),
        (None, None) => None,
    };
    let format = match (text(config, "responseMimeType"), schema) {
        (None | Some("text/plain"), None) => return Ok(()),
        (Some("application/json"), None) => json!({ "type": "json_object" }),
        (Some("application/json"), Some(schema)) => json!({
            "type": "json_schema",
            "json_schema": { "name": "answer", "schema": schema },
        }),
        (Some(other), _) => return Err(TranslateError::Field(format!("responseMimeType: {other}"))),
        (None, Some(_)) => return Err(TranslateError::Field("responseSchema without responseMimeType".to_owned())),
    };
    chat.insert("response_format".to_owned(), format);
    Ok(())
}
