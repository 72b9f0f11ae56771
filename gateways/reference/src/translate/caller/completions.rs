//! OpenAI's older completions: a prompt is a user's message, the answer its text.

use serde_json::{Map, Value, json};

use crate::translate::TranslateError;
use crate::translate::read::{get, nonempty, object};
use crate::translate::said::Said;

/// Fields that a chat completion has too.
const SHARED: [&str; 13] = [
    "model",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stream",
    "stream_options",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "user",
];

/// The chat completion for a completion's request.
pub(crate) fn to_chat(request: &Value) -> Result<Value, TranslateError> {
    let request = object(request, "the request")?;
    let mut chat = Map::new();
    chat.insert("messages".to_owned(), json!([{ "role": "user", "content": prompt(get(request, "prompt"))? }]));
    for (name, value) in request.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "prompt" => {}
            "best_of" if value == &json!(1) => {}
            "echo" if value == &Value::Bool(false) => {}
            shared if SHARED.contains(&shared) => {
                chat.insert(name.clone(), value.clone());
            }
            other => return Err(TranslateError::Field(other.to_owned())),
        }
    }
    if chat.get("stream") == Some(&Value::Bool(true)) {
        chat.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    Ok(Value::Object(chat))
}

/// The only prompt: several would need several answers, and tokens have no text.
fn prompt(prompt: Option<&Value>) -> Result<&str, TranslateError> {
    let only = match prompt {
        Some(Value::Array(prompts)) => match prompts.as_slice() {
            [only] => only,
            _ => return Err(TranslateError::Field("prompt, several".to_owned())),
        },
        Some(prompt) => prompt,
        None => return Err(TranslateError::Shape("prompt")),
    };
    only.as_str().ok_or_else(|| TranslateError::Field("prompt of tokens".to_owned()))
}

/// The completion for a chat completion's answer.
pub(crate) fn from_chat(chat: &Value, model: &str) -> Value {
    let choices = chat.get("choices").and_then(Value::as_array);
    let said: Vec<Value> = choices.into_iter().flatten().map(|each| choice(each, each.get("message"))).collect();
    with_choices(chat, model, &said)
}

fn choice(choice: &Value, said: Option<&Value>) -> Value {
    let text = |name: &str| said.and_then(|said| said.get(name)).and_then(Value::as_str);
    json!({
        "index": choice.get("index").and_then(Value::as_u64).unwrap_or(0),
        "text": text("content").or_else(|| text("refusal")).unwrap_or_default(),
        "logprobs": null,
        "finish_reason": choice.get("finish_reason"),
    })
}

fn with_choices(chat: &Value, model: &str, choices: &[Value]) -> Value {
    let mut said = json!({
        "id": chat.get("id"),
        "object": "text_completion",
        "created": chat.get("created"),
        "model": nonempty(chat, "model").unwrap_or(model),
        "choices": choices,
    });
    if let Some(usage) = chat.get("usage").filter(|usage| usage.is_object()) {
        said["usage"] = usage.clone();
    }
    said
}

/// Turns chunks into chunks of a completion, one by one.
#[derive(Debug)]
pub(crate) struct Writer {
    model: String,
    hides_usage: bool,
}

impl Writer {
    /// `hides_usage`: the caller did not ask for the chunk that carries only usage.
    pub(crate) fn new(model: &str, hides_usage: bool) -> Writer {
        Writer { model: model.to_owned(), hides_usage }
    }

    pub(crate) fn chunk(&mut self, chunk: &Value) -> Vec<Said> {
        let choices = chunk.get("choices").and_then(Value::as_array);
        let said: Vec<Value> = choices.into_iter().flatten().map(|each| choice(each, each.get("delta"))).collect();
        let is_silent = |said: &Value| said["text"] == "" && said["finish_reason"].is_null();
        if said.is_empty() && self.hides_usage || !said.is_empty() && said.iter().all(is_silent) {
            return Vec::new();
        }
        vec![Said::data(&with_choices(chunk, &self.model, &said))]
    }

    pub(crate) fn end(&mut self) -> Vec<Said> {
        vec![Said::done()]
    }
}
