//! Content blocks of Anthropic messages as parts of a chat completion's message.

use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::read::{Object, get, list, need, object, only, text};

const DOCUMENT_NAME: &str = "document";

/// The parts of a content: a text, or blocks.
pub(super) fn parts(content: &Value, place: &'static str) -> Result<Vec<Value>, TranslateError> {
    if let Value::String(text) = content {
        return Ok(vec![text_part(text)]);
    }
    let mut parts = Vec::new();
    for block in list(content, place)? {
        add_parts(object(block, place)?, &mut parts)?;
    }
    Ok(parts)
}

/// The content with these parts: a lone plain text is a text, which every provider reads.
pub(super) fn said(parts: &[Value]) -> Value {
    match parts {
        [] => json!(""),
        [only] if only["type"] == "text" && only.get("cache_control").is_none() => only["text"].clone(),
        _ => Value::Array(parts.to_vec()),
    }
}

/// Adds what one block says.
pub(super) fn add_parts(block: &Object, parts: &mut Vec<Value>) -> Result<(), TranslateError> {
    match need(block, "type", "content[].type")? {
        "text" => {
            only_without_citations(block, "text.", &["type", "text", "cache_control", "citations"])?;
            let mut part = text_part(need(block, "text", "text.text")?);
            keep_cache_control(block, &mut part);
            parts.push(part);
        }
        "image" => {
            only(block, "image.", &["type", "source", "cache_control"])?;
            let source = source(block, "image.source")?;
            let url = match need(source, "type", "image.source.type")? {
                "base64" => inline(source, "image.source.data")?,
                "url" => need(source, "url", "image.source.url")?.to_owned(),
                other => return Err(TranslateError::Field(format!("image.source.type: {other}"))),
            };
            let mut part = json!({ "type": "image_url", "image_url": { "url": url } });
            keep_cache_control(block, &mut part);
            parts.push(part);
        }
        "document" => add_document(block, parts)?,
        other => return Err(TranslateError::Block(other.to_owned())),
    }
    Ok(())
}

/// A document. One of text becomes text, with its title and its context before it.
fn add_document(block: &Object, parts: &mut Vec<Value>) -> Result<(), TranslateError> {
    let names = ["type", "source", "title", "context", "citations", "cache_control"];
    only_without_citations(block, "document.", &names)?;
    let source = source(block, "document.source")?;
    let title = text(block, "title");
    let heading: Vec<&str> = [title, text(block, "context")].into_iter().flatten().collect();
    let file = |data: &str| json!({ "filename": title.unwrap_or(DOCUMENT_NAME), "file_data": data });
    let mut of_document = Vec::new();
    match need(source, "type", "document.source.type")? {
        "base64" => of_document.push(json!({ "type": "file", "file": file(&inline(source, "document.source.data")?) })),
        "url" => {
            let url = need(source, "url", "document.source.url")?;
            of_document.push(json!({ "type": "file", "file": file(url) }));
        }
        "text" => {
            let mut lines = heading;
            lines.push(need(source, "data", "document.source.data")?);
            of_document.push(text_part(&lines.join("\n\n")));
        }
        "content" => {
            of_document.extend(heading.into_iter().map(text_part));
            let content = get(source, "content").ok_or(TranslateError::Shape("document.source.content"))?;
            of_document.extend(self::parts(content, "document.source.content")?);
        }
        other => return Err(TranslateError::Field(format!("document.source.type: {other}"))),
    }
    if let Some(last) = of_document.last_mut() {
        keep_cache_control(block, last);
    }
    parts.extend(of_document);
    Ok(())
}

fn source<'a>(block: &'a Object, place: &'static str) -> Result<&'a Object, TranslateError> {
    object(block.get("source").unwrap_or(&Value::Null), place)
}

/// A base64 source as a data URL.
fn inline(source: &Object, place: &'static str) -> Result<String, TranslateError> {
    let media_type = need(source, "media_type", "source.media_type")?;
    Ok(format!("data:{media_type};base64,{}", need(source, "data", place)?))
}

/// Citations cannot be asked for, and those of an earlier answer cannot be said; an empty
/// list or a switch that is off says nothing.
fn only_without_citations(block: &Object, place: &str, names: &[&str]) -> Result<(), TranslateError> {
    only(block, place, names)?;
    let says_nothing = match get(block, "citations") {
        None => true,
        Some(Value::Array(citations)) => citations.is_empty(),
        Some(citations) => citations.get("enabled") == Some(&Value::Bool(false)),
    };
    if says_nothing { Ok(()) } else { Err(TranslateError::Field(format!("{place}citations"))) }
}

/// Keeps the mark up to which a prompt is cached.
pub(super) fn keep_cache_control(from: &Object, to: &mut Value) {
    if let Some(mark) = get(from, "cache_control") {
        to["cache_control"] = mark.clone();
    }
}

fn text_part(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}
