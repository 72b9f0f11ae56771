//! The thinking of a message, in whichever of its fields it stands.

use serde_json::{Value, json};

pub(crate) const TEXT: &str = "reasoning.text";
pub(crate) const ENCRYPTED: &str = "reasoning.encrypted";
pub(crate) const SUMMARY: &str = "reasoning.summary";
pub(crate) const ANTHROPIC: &str = "anthropic-claude-v1";
pub(crate) const GEMINI: &str = "google-gemini-v1";

/// The details of a message or of a stream's delta. Where only a text stands, it is one.
pub(crate) fn details(message: &Value) -> Vec<Value> {
    if let Some(details) = message.get("reasoning_details").and_then(Value::as_array)
        && !details.is_empty()
    {
        return details.iter().filter(|detail| detail.is_object()).cloned().collect();
    }
    let texts = ["reasoning", "reasoning_content"];
    let text = texts.iter().find_map(|name| message.get(*name)?.as_str()).filter(|text| !text.is_empty());
    text.map(|text| json!({ "type": TEXT, "text": text, "index": 0 })).into_iter().collect()
}

/// The text of a detail that people can read.
pub(crate) fn readable(detail: &Value) -> &str {
    let name = if kind(detail) == SUMMARY { "summary" } else { "text" };
    detail.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn kind(detail: &Value) -> &str {
    detail.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The place of a detail among its message's; pieces of one have the same.
pub(crate) fn index(detail: &Value) -> u64 {
    detail.get("index").and_then(Value::as_u64).unwrap_or(0)
}

/// What a caller has to send back for a detail, in the one field that its protocol has for
/// that: Anthropic's own token as it is; any other detail as JSON, without its text.
pub(crate) fn token(detail: &Value) -> Option<String> {
    let name = if kind(detail) == ENCRYPTED { "data" } else { "signature" };
    let token = detail.get(name).and_then(Value::as_str).filter(|token| !token.is_empty())?;
    let format = detail.get("format").and_then(Value::as_str);
    if format.is_none_or(|format| format == ANTHROPIC) && detail.get("id").is_none_or(Value::is_null) {
        return Some(token.to_owned());
    }
    let mut whole = detail.clone();
    if let Some(whole) = whole.as_object_mut() {
        whole.shift_remove("text");
        whole.shift_remove("index");
    }
    Some(whole.to_string())
}

/// The detail for a token that a caller sent back, with its text if it has one.
pub(crate) fn from_token(token: &str, text: Option<&str>, index: usize) -> Value {
    let packed = serde_json::from_str::<Value>(token).ok().filter(|detail| !kind(detail).is_empty());
    let mut detail = packed.unwrap_or_else(|| match text {
        Some(_) => json!({ "type": TEXT, "signature": token, "format": ANTHROPIC }),
        None => json!({ "type": ENCRYPTED, "data": token, "format": ANTHROPIC }),
    });
    if let Some(text) = text {
        detail["text"] = json!(text);
    }
    detail["index"] = json!(index);
    detail
}

/// Puts the details into a message, with their text beside them for those who read only that.
pub(crate) fn put(message: &mut Value, details: Vec<Value>) {
    let text: String = details.iter().map(readable).collect();
    if !text.is_empty() {
        message["reasoning"] = json!(text);
    }
    if !details.is_empty() {
        message["reasoning_details"] = Value::Array(details);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn details_win_over_texts_and_one_text_over_the_other() {
        let all =
            json!({"reasoning_details": [{"type": TEXT, "text": "a"}], "reasoning": "b", "reasoning_content": "c"});
        assert_eq!(readable(&details(&all)[0]), "a");
        assert_eq!(readable(&details(&json!({"reasoning": "b", "reasoning_content": "c"}))[0]), "b");
        assert_eq!(readable(&details(&json!({"reasoning_details": [], "reasoning_content": "c"}))[0]), "c");
        assert!(details(&json!({"reasoning": null, "content": "x"})).is_empty());
    }

    #[test]
    fn a_token_comes_back_as_the_detail_it_was_made_of() {
        for detail in [
            json!({"type": TEXT, "signature": "s", "format": ANTHROPIC, "text": "t", "index": 1}),
            json!({"type": TEXT, "signature": "s", "format": GEMINI, "text": "t", "index": 1}),
        ] {
            assert_eq!(from_token(&token(&detail).unwrap(), Some("t"), 1), detail);
        }
        for detail in [
            json!({"type": ENCRYPTED, "data": "d", "format": ANTHROPIC, "index": 1}),
            json!({"type": ENCRYPTED, "data": "d", "format": GEMINI, "id": "call_1", "index": 1}),
        ] {
            assert_eq!(from_token(&token(&detail).unwrap(), None, 1), detail);
        }
    }
}
