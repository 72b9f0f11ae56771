//! OpenAI's embeddings as embedContent and batchEmbedContents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::read::{get, list, object, only};

/// The body of batchEmbedContents for an embeddings request.
pub(crate) fn from_embeddings(request: &Value, model: &str) -> Result<Value, TranslateError> {
    let request = object(request, "the request")?;
    only(request, "", &["model", "input", "dimensions", "encoding_format", "user"])?;
    let input = get(request, "input").ok_or(TranslateError::Shape("input"))?;
    let texts = match input {
        Value::String(_) => std::slice::from_ref(input),
        several => list(several, "input")?.as_slice(),
    };
    let dimensions = get(request, "dimensions");
    let one = |text: &Value| {
        // Tokens of OpenAI's mean nothing to another model.
        let text = text.as_str().ok_or_else(|| TranslateError::Field("input, of tokens".to_owned()))?;
        let name = if model.starts_with("models/") { model.to_owned() } else { format!("models/{model}") };
        let mut one = json!({ "model": name, "content": { "parts": [{ "text": text }] } });
        if let Some(dimensions) = dimensions {
            one["outputDimensionality"] = dimensions.clone();
        }
        Ok(one)
    };
    let requests: Vec<Value> = texts.iter().map(one).collect::<Result<_, TranslateError>>()?;
    Ok(json!({ "requests": requests }))
}

/// Whether an embeddings request asks for vectors as base64.
pub(crate) fn wants_base64(request: &Value) -> bool {
    request.get("encoding_format").and_then(Value::as_str) == Some("base64")
}

/// The embeddings for the answer of batchEmbedContents, or of embedContent. What Gemini does
/// not count is not counted.
pub(crate) fn to_embeddings(answer: &Value, model: &str, as_base64: bool) -> Result<Value, TranslateError> {
    let vectors = match (answer.get("embedding"), answer.get("embeddings")) {
        (Some(one), _) => std::slice::from_ref(one),
        (None, several) => list(several.unwrap_or(&Value::Null), "the answer's embeddings")?.as_slice(),
    };
    let mut data = Vec::with_capacity(vectors.len());
    for (index, vector) in vectors.iter().enumerate() {
        let values = list(vector.get("values").unwrap_or(&Value::Null), "the answer's embeddings[].values")?;
        let embedding = if as_base64 { base64(values)? } else { Value::Array(values.clone()) };
        data.push(json!({ "object": "embedding", "index": index, "embedding": embedding }));
    }
    let mut said = json!({ "object": "list", "data": data, "model": model });
    if let Some(count) = answer.pointer("/usageMetadata/promptTokenCount").and_then(Value::as_u64) {
        said["usage"] = json!({ "prompt_tokens": count, "total_tokens": count });
    }
    Ok(said)
}

/// Little-endian floats of 32 bits, as OpenAI writes them.
fn base64(values: &[Value]) -> Result<Value, TranslateError> {
    let mut bytes = Vec::with_capacity(values.len() * 4);
    for value in values {
        let number: f32 = serde_json::from_value(value.clone())
            .map_err(|_| TranslateError::Shape("the answer's embeddings[].values"))?;
        bytes.extend(number.to_le_bytes());
    }
    Ok(json!(STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn one_text_or_several_become_a_batch() {
        let one = from_embeddings(&json!({"model": "p/m", "input": "a", "user": "u"}), "m").unwrap();
        assert_eq!(one, json!({"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}}]}));
        let several = json!({"input": ["a", "b"], "dimensions": 8, "encoding_format": "base64"});
        let batch = from_embeddings(&several, "models/m").unwrap();
        assert_eq!(batch["requests"].as_array().unwrap().len(), 2);
        assert_eq!(batch["requests"][1]["outputDimensionality"], 8);
        assert_eq!(batch["requests"][1]["model"], "models/m");
        assert!(wants_base64(&several));
    }

    #[test]
    fn tokens_and_unknown_fields_are_refused_by_name() {
        let refused = |request: Value| from_embeddings(&request, "m").unwrap_err();
        assert_eq!(refused(json!({"input": [1, 2]})), TranslateError::Field("input, of tokens".to_owned()));
        assert_eq!(refused(json!({"input": "a", "x": 1})), TranslateError::Field("x".to_owned()));
        assert_eq!(refused(json!({})), TranslateError::Shape("input"));
    }

    #[test]
    fn vectors_keep_their_order_and_their_form() {
        let answer =
            json!({"embeddings": [{"values": [0.5, -1]}, {"values": []}], "usageMetadata": {"promptTokenCount": 7}});
        let floats = to_embeddings(&answer, "m", false).unwrap();
        assert_eq!(floats["data"][0], json!({"object": "embedding", "index": 0, "embedding": [0.5, -1]}));
        assert_eq!(floats["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}));
        let texts = to_embeddings(&answer, "m", true).unwrap();
        assert_eq!(texts["data"][0]["embedding"], "AAAAPwAAgL8=");
        let one = to_embeddings(&json!({"embedding": {"values": [1]}}), "m", false).unwrap();
        assert_eq!(one["data"][0]["embedding"], json!([1]));
        assert_eq!(one.get("usage"), None);
        for hostile in [json!({}), json!([]), json!({"embeddings": [{"values": ["x"]}]})] {
            assert!(to_embeddings(&hostile, "m", true).is_err(), "{hostile}");
        }
    }
}
