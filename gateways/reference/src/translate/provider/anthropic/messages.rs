//! Messages of a chat completion as turns.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::provider::conversation::{Assistant, Content, Message, Part, Source, ToolResult, add, messages};
use crate::translate::read::Object;
use crate::translate::reasoning::{self, ANTHROPIC, ENCRYPTED, TEXT};

/// A conversation: what the model is told to be, wherever that stood, and the turns.
pub(super) struct Turns {
    pub(super) system: Vec<Value>,
    pub(super) messages: Vec<Value>,
}

pub(super) fn turns(chat: &Object) -> Result<Turns, TranslateError> {
    let mut turns = Turns { system: Vec::new(), messages: Vec::new() };
    for message in messages(chat)? {
        match message {
            Message::System(parts) => {
                parts.iter().try_for_each(|part| part.content.text().map(drop))?;
                turns.system.extend(blocks(&parts)?);
            }
            Message::User(parts) => turns.add("user", blocks(&parts)?),
            Message::Assistant(assistant) => turns.add("assistant", said(&assistant)?),
            Message::Tool(result) => turns.add("user", vec![tool_result(&result)?]),
        }
    }
    Ok(turns)
}

impl Turns {
    /// Whether the model is to go on with results of tools that it called without a thought.
    pub(super) fn went_on_unthinking(&self) -> bool {
        let has = |turn: &Value, kinds: &[&str]| {
            let blocks = turn.get("content").and_then(Value::as_array).into_iter().flatten();
            let mut kinds_of = blocks.filter_map(|block| block.get("type")?.as_str());
            kinds_of.any(|kind| kinds.contains(&kind))
        };
        let is_result = |turn: &Value| has(turn, &["tool_result"]);
        let is_rounds = |turn: &&Value| turn["role"] == "assistant" || is_result(turn);
        let mut rounds = self.messages.iter().rev().take_while(is_rounds);
        self.messages.last().is_some_and(is_result) && !rounds.any(|turn| has(turn, &["thinking", "redacted_thinking"]))
    }

    fn add(&mut self, role: &str, blocks: Vec<Value>) {
        add(&mut self.messages, role, "content", blocks);
    }
}

fn said(assistant: &Assistant<'_>) -> Result<Vec<Value>, TranslateError> {
    let mut blocks: Vec<Value> = assistant.thinking.iter().filter_map(thought).collect();
    assistant.parts.iter().try_for_each(|part| part.content.text().map(drop))?;
    blocks.extend(self::blocks(&assistant.parts)?);
    let calls = assistant.calls.iter();
    blocks.extend(
        calls.map(|call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments })),
    );
    Ok(blocks)
}

/// A thought that Anthropic signed. It takes no other back, and needs none.
fn thought(detail: &Value) -> Option<Value> {
    let word = |name: &str| detail.get(name).and_then(Value::as_str);
    if word("format").is_some_and(|format| format != ANTHROPIC) {
        return None;
    }
    match reasoning::kind(detail) {
        TEXT => {
            let signature = word("signature").filter(|signature| !signature.is_empty())?;
            Some(json!({
                "type": "thinking", "thinking": word("text").unwrap_or_default(), "signature": signature,
            }))
        }
        ENCRYPTED => Some(json!({ "type": "redacted_thinking", "data": word("data")? })),
        _ => None,
    }
}

fn tool_result(result: &ToolResult<'_>) -> Result<Value, TranslateError> {
    let mut said = json!({ "type": "tool_result", "tool_use_id": result.id });
    said["content"] = match result.parts.as_slice() {
        [] => json!(""),
        [Part { content: Content::Text(text), cache_control: None }] => json!(text),
        parts => Value::Array(blocks(parts)?),
    };
    if result.is_error {
        said["is_error"] = json!(true);
    }
    if let Some(mark) = result.cache_control {
        said["cache_control"] = mark.clone();
    }
    Ok(said)
}

/// The parts but those of nothing but white space, which Anthropic refuses.
fn blocks(parts: &[Part<'_>]) -> Result<Vec<Value>, TranslateError> {
    let is_blank = |part: &&Part<'_>| matches!(part.content, Content::Text(text) if text.trim().is_empty());
    parts.iter().filter(|part| !is_blank(part)).map(block).collect()
}

fn block(part: &Part<'_>) -> Result<Value, TranslateError> {
    let mut block = match &part.content {
        Content::Text(text) => json!({ "type": "text", "text": text }),
        Content::Image(source) => json!({ "type": "image", "source": said_source(source) }),
        Content::File { source, name } => {
            let mut document = json!({ "type": "document", "source": document(source)? });
            if let Some(name) = name {
                document["title"] = json!(name);
            }
            document
        }
        Content::Audio { .. } => return Err(TranslateError::Block(part.content.kind().to_owned())),
    };
    if let Some(mark) = part.cache_control {
        block["cache_control"] = mark.clone();
    }
    Ok(block)
}

fn said_source(source: &Source<'_>) -> Value {
    match source {
        Source::Inline { media_type, data } => json!({ "type": "base64", "media_type": media_type, "data": data }),
        Source::Url(url) => json!({ "type": "url", "url": url }),
    }
}

/// A document's source: of those inline, Anthropic reads PDF, and plain text as text.
fn document(source: &Source<'_>) -> Result<Value, TranslateError> {
    match source {
        Source::Inline { media_type, data } if media_type.starts_with("text/") => {
            let unreadable = || TranslateError::Shape("file.file_data");
            let bytes = STANDARD.decode(data.as_bytes()).map_err(|_| unreadable())?;
            let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
            Ok(json!({ "type": "text", "media_type": "text/plain", "data": text }))
        }
        Source::Inline { media_type, .. } if media_type != "application/pdf" => {
            Err(TranslateError::Block(format!("file ({media_type})")))
        }
        Source::Inline { .. } | Source::Url(_) => Ok(said_source(source)),
    }
}
