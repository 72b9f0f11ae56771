//! The input of a responses request as the messages of a chat completion.

use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::read::{Object, get, list, need, object, only, text};
use crate::translate::reasoning;

/// The messages of an input: a text, or items.
pub(super) fn messages(input: &Value) -> Result<Vec<Value>, TranslateError> {
    if let Value::String(text) = input {
        return Ok(vec![json!({ "role": "user", "content": text })]);
    }
    let mut turns = Turns::default();
    for item in list(input, "input")? {
        turns.add(object(item, "input[]")?)?;
    }
    turns.end_assistant();
    Ok(turns.messages)
}

/// The messages so far. Thinking, texts and calls that follow each other are one message
/// of the assistant.
#[derive(Default)]
struct Turns {
    messages: Vec<Value>,
    assistant: Option<Assistant>,
}

#[derive(Default)]
struct Assistant {
    details: Vec<Value>,
    texts: Vec<String>,
    refusal: Option<String>,
    calls: Vec<Value>,
}

impl Turns {
    fn add(&mut self, item: &Object) -> Result<(), TranslateError> {
        match text(item, "type").unwrap_or("message") {
            "message" => self.add_message(item),
            "reasoning" => {
                let index = self.assistant().details.len();
                let details = thinking(item, index)?;
                self.assistant().details.extend(details);
                Ok(())
            }
            "function_call" => {
                only(item, "function_call.", &["type", "id", "call_id", "name", "arguments", "status"])?;
                let call = json!({
                    "id": need(item, "call_id", "function_call.call_id")?,
                    "type": "function",
                    "function": {
                        "name": need(item, "name", "function_call.name")?,
                        "arguments": need(item, "arguments", "function_call.arguments")?,
                    },
                });
                self.assistant().calls.push(call);
                Ok(())
            }
            "function_call_output" => {
                only(item, "function_call_output.", &["type", "id", "call_id", "output", "status"])?;
                let output = get(item, "output").ok_or(TranslateError::Shape("function_call_output.output"))?;
                let message = json!({
                    "role": "tool",
                    "tool_call_id": need(item, "call_id", "function_call_output.call_id")?,
                    "content": content(output)?,
                });
                self.end_assistant();
                self.messages.push(message);
                Ok(())
            }
            other => Err(TranslateError::Block(other.to_owned())),
        }
    }

    fn add_message(&mut self, item: &Object) -> Result<(), TranslateError> {
        only(item, "input[].", &["type", "id", "role", "content", "status", "phase"])?;
        let said = get(item, "content").ok_or(TranslateError::Shape("input[].content"))?;
        match need(item, "role", "input[].role")? {
            "assistant" => self.add_answer(said),
            role @ ("user" | "system" | "developer") => {
                let role = if role == "user" { "user" } else { "system" };
                let message = json!({ "role": role, "content": content(said)? });
                self.end_assistant();
                self.messages.push(message);
                Ok(())
            }
            _ => Err(TranslateError::Shape("input[].role")),
        }
    }

    fn add_answer(&mut self, said: &Value) -> Result<(), TranslateError> {
        if let Value::String(text) = said {
            self.assistant().texts.push(text.clone());
            return Ok(());
        }
        for part in list(said, "input[].content")? {
            let part = object(part, "input[].content[]")?;
            match need(part, "type", "input[].content[].type")? {
                "output_text" | "input_text" => {
                    let text = need(part, "text", "input[].content[].text")?.to_owned();
                    self.assistant().texts.push(text);
                }
                "refusal" => {
                    let refusal = need(part, "refusal", "input[].content[].refusal")?.to_owned();
                    self.assistant().refusal = Some(refusal);
                }
                other => return Err(TranslateError::Block(other.to_owned())),
            }
        }
        Ok(())
    }

    fn assistant(&mut self) -> &mut Assistant {
        self.assistant.get_or_insert_default()
    }

    fn end_assistant(&mut self) {
        let Some(Assistant { details, texts, refusal, calls }) = self.assistant.take() else { return };
        let content = if texts.is_empty() { Value::Null } else { json!(texts.join("\n")) };
        let mut message = json!({ "role": "assistant", "content": content });
        if let Some(refusal) = refusal {
            message["refusal"] = json!(refusal);
        }
        reasoning::put(&mut message, details);
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        self.messages.push(message);
    }
}

/// The details of a reasoning item: those that an answer of this gateway packed into its
/// `encrypted_content`, else its summary.
fn thinking(item: &Object, first: usize) -> Result<Vec<Value>, TranslateError> {
    only(item, "reasoning.", &["type", "id", "summary", "content", "encrypted_content", "status"])?;
    if let Some(token) = text(item, "encrypted_content") {
        return match serde_json::from_str::<Value>(token) {
            Ok(Value::Array(details)) => {
                let mut details: Vec<Value> = details.into_iter().filter(Value::is_object).collect();
                for (place, detail) in details.iter_mut().enumerate() {
                    detail["index"] = json!(first + place);
                }
                Ok(details)
            }
            _ => Ok(vec![json!({
                "type": reasoning::ENCRYPTED, "data": token, "format": "openai-responses-v1", "index": first,
            })]),
        };
    }
    let parts = |name: &str| item.get(name).and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<&str> =
        parts("summary").chain(parts("content")).filter_map(|part| part.get("text")?.as_str()).collect();
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![json!({ "type": reasoning::SUMMARY, "summary": texts.join("\n"), "index": first })])
}

/// A user's or a tool's content: a text, or parts.
fn content(said: &Value) -> Result<Value, TranslateError> {
    if said.is_string() {
        return Ok(said.clone());
    }
    let mut parts = Vec::new();
    for part in list(said, "input[].content")? {
        parts.push(self::part(object(part, "input[].content[]")?)?);
    }
    match parts.as_mut_slice() {
        [] => Ok(json!("")),
        [only] if only["type"] == "text" => Ok(only["text"].take()),
        _ => Ok(Value::Array(parts)),
    }
}

fn part(part: &Object) -> Result<Value, TranslateError> {
    match need(part, "type", "input[].content[].type")? {
        "input_text" | "output_text" | "text" => {
            Ok(json!({ "type": "text", "text": need(part, "text", "input[].content[].text")? }))
        }
        "input_image" => {
            only(part, "input_image.", &["type", "image_url", "detail"])?;
            let mut image = json!({ "url": need(part, "image_url", "input_image.image_url")? });
            if let Some(detail) = get(part, "detail") {
                image["detail"] = detail.clone();
            }
            Ok(json!({ "type": "image_url", "image_url": image }))
        }
        "input_file" => {
            only(part, "input_file.", &["type", "filename", "file_data", "file_url"])?;
            let data = text(part, "file_data").or_else(|| text(part, "file_url"));
            let data = data.ok_or(TranslateError::Shape("input_file.file_data"))?;
            let name = text(part, "filename").unwrap_or("document");
            Ok(json!({ "type": "file", "file": { "filename": name, "file_data": data } }))
        }
        "input_audio" => Ok(Value::Object(part.clone())),
        other => Err(TranslateError::Block(other.to_owned())),
    }
}
