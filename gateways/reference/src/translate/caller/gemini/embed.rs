//! Gemini's embedContent and batchEmbedContents as OpenAI's embeddings.

use serde_json::{Map, Value, json};

use super::request::camel_fields;
use crate::translate::TranslateError;
use crate::translate::read::{Object, get, list, need, object, only};

/// The embeddings request for one content. Its model stands in the path.
pub(crate) fn to_embeddings(request: &Value) -> Result<Value, TranslateError> {
    let request = camel_fields(object(request, "the request")?);
    Ok(with_dimensions(json!(input(&request)?), get(&request, "outputDimensionality")))
}

/// The embeddings request for several contents, which agree in everything else.
pub(crate) fn batch_to_embeddings(request: &Value) -> Result<Value, TranslateError> {
    let request = camel_fields(object(request, "the request")?);
    only(&request, "", &["model", "requests"])?;
    let (mut inputs, mut dimensions) = (Vec::new(), Vec::new());
    for one in list(get(&request, "requests").unwrap_or(&Value::Null), "requests")? {
        let one = camel_fields(object(one, "requests[]")?);
        inputs.push(input(&one)?);
        dimensions.push(get(&one, "outputDimensionality").cloned());
    }
    let first = dimensions.first().cloned().flatten();
    if dimensions.iter().any(|other| other != &first) {
        return Err(TranslateError::Field("requests[].outputDimensionality, several".to_owned()));
    }
    Ok(with_dimensions(json!(inputs), first.as_ref()))
}

/// One embedding.
pub(crate) fn from_embeddings(answer: &Value) -> Value {
    let mut said = json!({ "embedding": vectors(answer).next().unwrap_or_else(|| json!({ "values": [] })) });
    add_usage(answer, &mut said);
    said
}

/// Several embeddings, in the order of their contents.
pub(crate) fn batch_from_embeddings(answer: &Value) -> Value {
    let mut said = json!({ "embeddings": vectors(answer).collect::<Vec<_>>() });
    add_usage(answer, &mut said);
    said
}

fn with_dimensions(input: Value, dimensions: Option<&Value>) -> Value {
    let mut request = Map::new();
    request.insert("input".to_owned(), input);
    request.insert("encoding_format".to_owned(), json!("float"));
    if let Some(dimensions) = dimensions {
        request.insert("dimensions".to_owned(), dimensions.clone());
    }
    Value::Object(request)
}

/// The text to embed.
fn input(request: &Object) -> Result<String, TranslateError> {
    only(request, "", &["model", "content", "outputDimensionality"])?;
    let content = object(get(request, "content").unwrap_or(&Value::Null), "content")?;
    let parts = list(get(content, "parts").unwrap_or(&Value::Null), "content.parts")?;
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        let part = object(part, "content.parts[]")?;
        only(part, "content.parts[].", &["text"])?;
        texts.push(need(part, "text", "content.parts[].text")?);
    }
    Ok(texts.join("\n"))
}

fn vectors(answer: &Value) -> impl Iterator<Item = Value> {
    let data = answer.get("data").and_then(Value::as_array);
    data.into_iter().flatten().map(|one| json!({ "values": one.get("embedding") }))
}

fn add_usage(answer: &Value, said: &mut Value) {
    if let Some(count) = answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64) {
        said["usageMetadata"] = json!({ "promptTokenCount": count, "totalTokenCount": count });
    }
}
