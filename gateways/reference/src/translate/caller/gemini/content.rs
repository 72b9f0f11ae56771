//! Gemini's contents as the messages of a chat completion.

use serde_json::{Value, json};

use super::request::camel_fields;
use crate::translate::TranslateError;
use crate::translate::read::{Object, get, list, need, object, only, text};
use crate::translate::reasoning;

/// The system's instruction as a message.
pub(super) fn system(content: &Value) -> Result<Value, TranslateError> {
    if let Value::String(text) = content {
        return Ok(json!({ "role": "system", "content": text }));
    }
    let content = object(content, "systemInstruction")?;
    let mut said = Vec::new();
    for part in parts(content)? {
        only(&part, "systemInstruction.parts[].", &["text"])?;
        said.push(text_part(need(&part, "text", "systemInstruction.parts[].text")?));
    }
    Ok(json!({ "role": "system", "content": content_of(said) }))
}

/// The turns as messages, in their order.
pub(super) fn messages(contents: &[Value]) -> Result<Vec<Value>, TranslateError> {
    let mut turns = Turns::default();
    for content in contents {
        let content = object(content, "contents[]")?;
        only(content, "contents[].", &["role", "parts"])?;
        match text(content, "role").unwrap_or("user") {
            "model" => turns.add_model(parts(content)?)?,
            "user" | "function" => turns.add_user(parts(content)?)?,
            _ => return Err(TranslateError::Shape("contents[].role")),
        }
    }
    Ok(turns.messages)
}

/// The messages so far, and the calls that have no result yet. Gemini's calls need no ids:
/// a result belongs to the earliest call of its name that has none.
#[derive(Default)]
struct Turns {
    messages: Vec<Value>,
    waiting: Vec<(String, String)>,
    calls: usize,
}

impl Turns {
    fn add_user(&mut self, parts: Vec<Object>) -> Result<(), TranslateError> {
        let mut said = Vec::new();
        let mut has_results = false;
        for part in parts {
            if let Some(response) = get(&part, "functionResponse") {
                only(&part, "parts[].", &["functionResponse"])?;
                let result = self.result(&camel_fields(object(response, "functionResponse")?))?;
                self.messages.push(result);
                has_results = true;
            } else {
                said.push(user_part(&part)?);
            }
        }
        if !said.is_empty() || !has_results {
            self.messages.push(json!({ "role": "user", "content": content_of(said) }));
        }
        Ok(())
    }

    fn result(&mut self, response: &Object) -> Result<Value, TranslateError> {
        only(response, "functionResponse.", &["id", "name", "response"])?;
        let name = need(response, "name", "functionResponse.name")?;
        let known = |(waiting, id): &(String, String)| match text(response, "id") {
            Some(given) => id == given,
            None => waiting == name,
        };
        let id = match self.waiting.iter().position(known) {
            Some(at) => self.waiting.remove(at).1,
            None => text(response, "id").map_or_else(|| format!("call_{name}"), str::to_owned),
        };
        let said = get(response, "response").map_or_else(|| "{}".to_owned(), Value::to_string);
        Ok(json!({ "role": "tool", "tool_call_id": id, "content": said }))
    }

    fn add_model(&mut self, parts: Vec<Object>) -> Result<(), TranslateError> {
        let (mut said, mut calls, mut details) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            only(&part, "parts[].", &["text", "thought", "thoughtSignature", "functionCall"])?;
            let signature = text(&part, "thoughtSignature").filter(|signature| !signature.is_empty());
            let is_thought = get(&part, "thought") == Some(&Value::Bool(true));
            if let Some(call) = get(&part, "functionCall") {
                let call = self.call(&camel_fields(object(call, "functionCall")?))?;
                if let Some(signature) = signature {
                    let id = call.get("id").and_then(Value::as_str);
                    details.push(encrypted(signature, id, details.len()));
                }
                calls.push(call);
                continue;
            }
            let words = text(&part, "text");
            if is_thought {
                let mut detail = json!({
                    "type": reasoning::TEXT, "text": words.unwrap_or_default(),
                    "format": reasoning::GEMINI, "index": details.len(),
                });
                if let Some(signature) = signature {
                    detail["signature"] = json!(signature);
                }
                details.push(detail);
                continue;
            }
            match (words, signature) {
                (None, None) => return Err(TranslateError::Shape("parts[]")),
                (words, signature) => {
                    said.extend(words.filter(|words| !words.is_empty()).map(text_part));
                    details.extend(signature.map(|signature| encrypted(signature, None, details.len())));
                }
            }
        }
        let content = if said.is_empty() { Value::Null } else { content_of(said) };
        let mut message = json!({ "role": "assistant", "content": content });
        reasoning::put(&mut message, details);
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        self.messages.push(message);
        Ok(())
    }

    fn call(&mut self, call: &Object) -> Result<Value, TranslateError> {
        only(call, "functionCall.", &["id", "name", "args"])?;
        let name = need(call, "name", "functionCall.name")?;
        self.calls += 1;
        let id = text(call, "id").filter(|id| !id.is_empty());
        let id = id.map_or_else(|| format!("call_{}", self.calls), str::to_owned);
        self.waiting.push((name.to_owned(), id.clone()));
        let arguments = get(call, "args").map_or_else(|| "{}".to_owned(), Value::to_string);
        Ok(json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }))
    }
}

/// A signature that stands beside a call or a text.
fn encrypted(signature: &str, call: Option<&str>, index: usize) -> Value {
    let mut detail = json!({
        "type": reasoning::ENCRYPTED, "data": signature, "format": reasoning::GEMINI, "index": index,
    });
    if let Some(call) = call {
        detail["id"] = json!(call);
    }
    detail
}

/// The parts of a content, with their names as Gemini writes them.
fn parts(content: &Object) -> Result<Vec<Object>, TranslateError> {
    let parts = list(get(content, "parts").unwrap_or(&Value::Null), "parts")?;
    parts.iter().map(|part| Ok(camel_fields(object(part, "parts[]")?))).collect()
}

/// The content with these parts: a lone text is a text, which every provider reads.
fn content_of(mut parts: Vec<Value>) -> Value {
    match parts.as_mut_slice() {
        [] => json!(""),
        [only] if only["type"] == "text" => only["text"].take(),
        _ => Value::Array(parts),
    }
}

fn user_part(part: &Object) -> Result<Value, TranslateError> {
    only(part, "parts[].", &["text", "inlineData", "fileData"])?;
    if let Some(words) = text(part, "text") {
        return Ok(text_part(words));
    }
    if let Some(inline) = get(part, "inlineData") {
        let inline = camel_fields(object(inline, "inlineData")?);
        only(&inline, "inlineData.", &["mimeType", "data", "displayName"])?;
        let media_type = need(&inline, "mimeType", "inlineData.mimeType")?;
        let data = need(&inline, "data", "inlineData.data")?;
        return media(media_type, &format!("data:{media_type};base64,{data}"), data, text(&inline, "displayName"));
    }
    if let Some(file) = get(part, "fileData") {
        let file = camel_fields(object(file, "fileData")?);
        only(&file, "fileData.", &["mimeType", "fileUri", "displayName"])?;
        let uri = need(&file, "fileUri", "fileData.fileUri")?;
        let media_type = need(&file, "mimeType", "fileData.mimeType")?;
        let is_reachable = uri.starts_with("https://") || uri.starts_with("http://");
        // What was uploaded to Gemini can be read by Gemini alone, and audio has no URL elsewhere.
        if !is_reachable || uri.contains("generativelanguage.googleapis.com/") || media_type.starts_with("audio/") {
            return Err(TranslateError::Field(format!("fileData.fileUri: {uri}")));
        }
        return media(media_type, uri, "", text(&file, "displayName"));
    }
    Err(TranslateError::Shape("parts[]"))
}

/// A picture, a recording or a document, at a URL or inline.
fn media(media_type: &str, url: &str, data: &str, name: Option<&str>) -> Result<Value, TranslateError> {
    match media_type {
        "audio/wav" | "audio/x-wav" => {
            Ok(json!({ "type": "input_audio", "input_audio": { "data": data, "format": "wav" } }))
        }
        "audio/mp3" | "audio/mpeg" => {
            Ok(json!({ "type": "input_audio", "input_audio": { "data": data, "format": "mp3" } }))
        }
        image if image.starts_with("image/") => Ok(json!({ "type": "image_url", "image_url": { "url": url } })),
        "application/pdf" => {
            let name = name.unwrap_or("document.pdf");
            Ok(json!({ "type": "file", "file": { "filename": name, "file_data": url } }))
        }
        other => Err(TranslateError::Block(other.to_owned())),
    }
}

fn text_part(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}
