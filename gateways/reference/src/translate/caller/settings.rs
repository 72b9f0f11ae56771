//! What requests of several protocols have alike on their way to a chat completion.

use serde_json::{Map, Value, json};

use crate::translate::TranslateError;
use crate::translate::read::{Object, list};

/// The chat completion with these messages, and with every field that says something as `add`
/// puts it.
pub(super) fn chat(
    request: &Object,
    messages: Vec<Value>,
    add: impl Fn(&str, &Value, &mut Object) -> Result<(), TranslateError>,
) -> Result<Value, TranslateError> {
    let mut chat = Map::new();
    chat.insert("model".to_owned(), request.get("model").cloned().unwrap_or_default());
    chat.insert("messages".to_owned(), Value::Array(messages));
    for (name, value) in request.iter().filter(|(_, value)| !value.is_null()) {
        add(name, value, &mut chat)?;
    }
    Ok(Value::Object(chat))
}

/// Whether the answer is a stream, which asks for its usage.
pub(super) fn add_stream(value: &Value, chat: &mut Object) {
    chat.insert("stream".to_owned(), value.clone());
    if value == &Value::Bool(true) {
        chat.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
}

/// The tools, each as `one` says it.
pub(super) fn add_tools(
    tools: &Value,
    one: impl Fn(&Value) -> Result<Value, TranslateError>,
    chat: &mut Object,
) -> Result<(), TranslateError> {
    let tools: Result<Vec<Value>, _> = list(tools, "tools")?.iter().map(one).collect();
    chat.insert("tools".to_owned(), Value::Array(tools?));
    Ok(())
}
