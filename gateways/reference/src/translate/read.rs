//! Reading objects of a foreign protocol strictly: what is not understood has a name.

use serde_json::{Map, Value};

use super::TranslateError;

pub(crate) type Object = Map<String, Value>;

/// The value as an object.
pub(crate) fn object<'a>(value: &'a Value, place: &'static str) -> Result<&'a Object, TranslateError> {
    value.as_object().ok_or(TranslateError::Shape(place))
}

/// The value as a list.
pub(crate) fn list<'a>(value: &'a Value, place: &'static str) -> Result<&'a Vec<Value>, TranslateError> {
    value.as_array().ok_or(TranslateError::Shape(place))
}

/// What stands under a name; null is nothing, as clients mean it.
pub(crate) fn get<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

/// The text under a name, if there is one.
pub(crate) fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// The text that must stand under a name.
pub(crate) fn need<'a>(object: &'a Object, name: &str, place: &'static str) -> Result<&'a str, TranslateError> {
    text(object, name).ok_or(TranslateError::Shape(place))
}

/// The text under a name of an answer or a chunk, if it says something: some servers begin a
/// stream with empty names.
pub(crate) fn nonempty<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Whether a chunk has a part of an answer. Azure sends what its filters found first, without one.
pub(crate) fn has_choices(chunk: &Value) -> bool {
    chunk.get("choices").and_then(Value::as_array).is_some_and(|choices| !choices.is_empty())
}

/// Refuses any field whose name is not among `names`.
pub(crate) fn only(object: &Object, place: &str, names: &[&str]) -> Result<(), TranslateError> {
    match object.iter().find(|(name, value)| !value.is_null() && !names.contains(&name.as_str())) {
        Some((name, _)) => Err(TranslateError::Field(format!("{place}{name}"))),
        None => Ok(()),
    }
}

/// The arguments of a tool call, which a chat completion carries as a text of JSON. One that
/// is cut off or no object stands under `arguments` as it is, since it must be an object.
pub(crate) fn arguments(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Value::Object(arguments),
        // Some servers' word for none.
        Ok(Value::Null) => Value::Object(Map::new()),
        _ => serde_json::json!({ "arguments": text }),
    }
}
