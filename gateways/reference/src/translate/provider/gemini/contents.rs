//! Messages of a chat completion as contents.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::translate::TranslateError;
use crate::translate::link::media_type;
use crate::translate::provider::conversation::{Assistant, Content, Message, Part, Source, ToolResult, add, messages};
use crate::translate::read::Object;
use crate::translate::reasoning::{self, ENCRYPTED, GEMINI, TEXT};

/// What Gemini takes for the signature of a call that another model made.
const FOREIGN_CALL: &str = "skip_thought_signature_validator";

/// A conversation: what the model is told to be, wherever that stood, and the contents.
pub(super) struct Conversation {
    pub(super) system: Vec<Value>,
    pub(super) contents: Vec<Value>,
}

/// `needs_signatures`: whether the model refuses calls without one.
pub(super) fn conversation(chat: &Object, needs_signatures: bool) -> Result<Conversation, TranslateError> {
    let mut conversation = Conversation { system: Vec::new(), contents: Vec::new() };
    // A result names its call by id, and Gemini wants the function's name.
    let mut names: HashMap<String, String> = HashMap::new();
    for message in messages(chat)? {
        match message {
            Message::System(parts) => {
                for part in &parts {
                    conversation.system.push(json!({ "text": part.content.text()? }));
                }
            }
            Message::User(parts) => {
                conversation.add("user", parts.iter().map(said).collect::<Result<_, _>>()?);
            }
            Message::Assistant(assistant) => {
                names.extend(assistant.calls.iter().map(|call| (call.id.to_owned(), call.name.to_owned())));
                conversation.add("model", model_parts(&assistant, needs_signatures)?);
            }
            Message::Tool(result) => conversation.add("user", vec![response(&result, &names)?]),
        }
    }
    Ok(conversation)
}

impl Conversation {
    fn add(&mut self, role: &str, parts: Vec<Value>) {
        add(&mut self.contents, role, "parts", parts);
    }
}

fn model_parts(assistant: &Assistant<'_>, needs_signatures: bool) -> Result<Vec<Value>, TranslateError> {
    let details: Vec<&Value> = assistant.thinking.iter().filter(|detail| detail["format"] == GEMINI).collect();
    let mut parts: Vec<Value> =
        details.iter().filter(|detail| reasoning::kind(detail) == TEXT).map(|one| thought(one)).collect();
    let signature_for = |id: Option<&str>| {
        let mut signatures = details.iter().filter(|detail| reasoning::kind(detail) == ENCRYPTED);
        signatures.find(|detail| detail["id"].as_str() == id).map(|detail| detail["data"].clone())
    };
    let said = assistant.parts.iter().map(|part| Ok(json!({ "text": part.content.text()? })));
    let mut texts = said.collect::<Result<Vec<Value>, TranslateError>>()?;
    if let Some(signature) = signature_for(None) {
        match texts.last_mut() {
            Some(text) => text["thoughtSignature"] = signature,
            None => texts.push(json!({ "text": "", "thoughtSignature": signature })),
        }
    }
    parts.append(&mut texts);
    for (place, call) in assistant.calls.iter().enumerate() {
        let function = json!({ "id": call.id, "name": call.name, "args": call.arguments });
        let mut part = json!({ "functionCall": function });
        // Of several calls at once only the first is signed.
        let foreign = (needs_signatures && place == 0).then(|| json!(FOREIGN_CALL));
        if let Some(signature) = signature_for(Some(call.id)).or(foreign) {
            part["thoughtSignature"] = signature;
        }
        parts.push(part);
    }
    Ok(parts)
}

fn thought(detail: &Value) -> Value {
    let mut part = json!({ "text": reasoning::readable(detail), "thought": true });
    if let Some(signature) = detail.get("signature") {
        part["thoughtSignature"] = signature.clone();
    }
    part
}

/// What a function answered: an object as it is, any other text under a name.
fn response(result: &ToolResult<'_>, names: &HashMap<String, String>) -> Result<Value, TranslateError> {
    let name = result.name.or_else(|| names.get(result.id).map(String::as_str));
    let name = name.ok_or(TranslateError::Shape("messages[].tool_call_id"))?;
    let texts = result.parts.iter().map(|part| part.content.text()).collect::<Result<Vec<_>, _>>()?;
    let text = texts.join("\n");
    let response = match serde_json::from_str::<Map<String, Value>>(&text) {
        Ok(object) if !result.is_error => Value::Object(object),
        _ => json!({ if result.is_error { "error" } else { "result" }: text }),
    };
    Ok(json!({ "functionResponse": { "id": result.id, "name": name, "response": response } }))
}

fn said(part: &Part<'_>) -> Result<Value, TranslateError> {
    Ok(match &part.content {
        Content::Text(text) => json!({ "text": text }),
        Content::Image(source) | Content::File { source, .. } => blob(source),
        Content::Audio { format, data } => {
            let mime_type = match *format {
                "wav" => "audio/wav",
                "mp3" => "audio/mp3",
                other => return Err(TranslateError::Field(format!("input_audio.format: {other}"))),
            };
            json!({ "inlineData": { "mimeType": mime_type, "data": data } })
        }
    })
}

fn blob(source: &Source<'_>) -> Value {
    match source {
        Source::Inline { media_type, data } => json!({ "inlineData": { "mimeType": media_type, "data": data } }),
        Source::Url(url) => match media_type(url) {
            Some(mime_type) => json!({ "fileData": { "mimeType": mime_type, "fileUri": url } }),
            None => json!({ "fileData": { "fileUri": url } }),
        },
    }
}
