//! The messages of a chat completion, read strictly.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::translate::TranslateError;
use crate::translate::link::{bare, data_url};
use crate::translate::read::{Object, arguments, get, list, need, object, only, text};
use crate::translate::reasoning;

/// Adds what a role said to the last turn if that is of the same role: the results of one turn's
/// calls must stand together. `field` is where a turn has it.
pub(super) fn add(turns: &mut Vec<Value>, role: &str, field: &str, mut said: Vec<Value>) {
    if said.is_empty() {
        return;
    }
    if let Some(last) = turns.last_mut().filter(|last| last["role"] == role)
        && let Some(Value::Array(before)) = last.get_mut(field)
    {
        before.append(&mut said);
        return;
    }
    turns.push(json!({ "role": role, field: said }));
}

/// One message.
pub(super) enum Message<'a> {
    /// What the model is told to be, also under its newer name `developer`.
    System(Vec<Part<'a>>),
    User(Vec<Part<'a>>),
    Assistant(Assistant<'a>),
    Tool(ToolResult<'a>),
}

/// What the model said.
pub(super) struct Assistant<'a> {
    /// Reasoning details.
    pub(super) thinking: Vec<Value>,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) calls: Vec<Call<'a>>,
}

/// A call of a tool.
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// An object.
    pub(super) arguments: Value,
}

/// What a tool answered.
pub(super) struct ToolResult<'a> {
    /// Of its call.
    pub(super) id: &'a str,
    /// Of the tool, where the caller repeats it.
    pub(super) name: Option<&'a str>,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) is_error: bool,
    /// The mark up to which a prompt is cached.
    pub(super) cache_control: Option<&'a Value>,
}

/// One part of a content.
pub(super) struct Part<'a> {
    pub(super) content: Content<'a>,
    /// The mark up to which a prompt is cached.
    pub(super) cache_control: Option<&'a Value>,
}

pub(super) enum Content<'a> {
    Text(&'a str),
    Image(Source<'a>),
    File {
        source: Source<'a>,
        name: Option<&'a str>,
    },
    /// `format` is `wav` or `mp3`.
    Audio {
        format: &'a str,
        data: &'a str,
    },
}

/// Where the bytes of an image or a file are.
pub(super) enum Source<'a> {
    /// `data` is base64.
    Inline {
        media_type: String,
        data: Cow<'a, str>,
    },
    Url(Cow<'a, str>),
}

impl<'a> Content<'a> {
    /// The type, as a refusal names it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Content::Text(_) => "text",
            Content::Image(_) => "image_url",
            Content::File { .. } => "file",
            Content::Audio { .. } => "input_audio",
        }
    }

    /// The text of a part that must be one.
    pub(super) fn text(&self) -> Result<&'a str, TranslateError> {
        match self {
            Content::Text(text) => Ok(text),
            other => Err(TranslateError::Block(other.kind().to_owned())),
        }
    }
}

/// All messages of a request.
pub(super) fn messages(chat: &Object) -> Result<Vec<Message<'_>>, TranslateError> {
    let messages = chat.get("messages").ok_or(TranslateError::Shape("messages"))?;
    list(messages, "messages")?.iter().map(|one| message(object(one, "messages[]")?)).collect()
}

fn message(message: &Object) -> Result<Message<'_>, TranslateError> {
    const PLACE: &str = "messages[].";
    let content = || parts(get(message, "content"), "messages[].content");
    match need(message, "role", "messages[].role")? {
        "system" | "developer" => {
            only(message, PLACE, &["role", "content"])?;
            Ok(Message::System(content()?))
        }
        "user" => {
            only(message, PLACE, &["role", "content"])?;
            Ok(Message::User(content()?))
        }
        "assistant" => assistant(message).map(Message::Assistant),
        "tool" => {
            only(message, PLACE, &["role", "content", "tool_call_id", "name", "is_error", "cache_control"])?;
            Ok(Message::Tool(ToolResult {
                id: need(message, "tool_call_id", "messages[].tool_call_id")?,
                name: text(message, "name"),
                parts: content()?,
                is_error: message.get("is_error") == Some(&Value::Bool(true)),
                cache_control: get(message, "cache_control"),
            }))
        }
        other => Err(TranslateError::Field(format!("messages[].role: {other}"))),
    }
}

fn assistant(message: &Object) -> Result<Assistant<'_>, TranslateError> {
    // What an answer has beside these says nothing to the model that reads it again.
    const READ: [&str; 9] = [
        "role",
        "content",
        "refusal",
        "tool_calls",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "annotations",
        "native_finish_reason",
    ];
    only(message, "messages[].", &READ)?;
    let mut parts = parts(get(message, "content"), "messages[].content")?;
    if let Some(refusal) = text(message, "refusal") {
        parts.push(Part { content: Content::Text(refusal), cache_control: None });
    }
    parts.retain(says_something);
    let calls = match get(message, "tool_calls") {
        Some(calls) => list(calls, "messages[].tool_calls")?.iter().map(call).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    Ok(Assistant { thinking: thinking(message), parts, calls })
}

/// The reasoning details of a message. A mere text has no token, without which no provider
/// takes it back.
fn thinking(message: &Object) -> Vec<Value> {
    let details = message.get("reasoning_details").and_then(Value::as_array);
    details.into_iter().flatten().filter(|detail| !reasoning::kind(detail).is_empty()).cloned().collect()
}

fn call(call: &Value) -> Result<Call<'_>, TranslateError> {
    let call = object(call, "messages[].tool_calls[]")?;
    match text(call, "type") {
        None | Some("function") => {}
        Some(other) => return Err(TranslateError::Block(other.to_owned())),
    }
    let function = object(get(call, "function").unwrap_or(&Value::Null), "messages[].tool_calls[].function")?;
    Ok(Call {
        id: need(call, "id", "messages[].tool_calls[].id")?,
        name: need(function, "name", "messages[].tool_calls[].function.name")?,
        arguments: arguments(need(function, "arguments", "messages[].tool_calls[].function.arguments")?),
    })
}

fn parts<'a>(content: Option<&'a Value>, place: &'static str) -> Result<Vec<Part<'a>>, TranslateError> {
    let mut parts = match content {
        None => Vec::new(),
        Some(Value::String(text)) => vec![Part { content: Content::Text(text), cache_control: None }],
        Some(parts) => list(parts, place)?.iter().map(|one| part(object(one, place)?)).collect::<Result<_, _>>()?,
    };
    parts.retain(says_something);
    Ok(parts)
}

/// A text that says nothing is none: providers refuse an empty one.
fn says_something(part: &Part<'_>) -> bool {
    !matches!(part.content, Content::Text(""))
}

fn part(part: &Object) -> Result<Part<'_>, TranslateError> {
    let kind = need(part, "type", "messages[].content[].type")?;
    let inner = || object(get(part, kind).unwrap_or(&Value::Null), "messages[].content[]");
    let content = match kind {
        "text" | "input_text" | "output_text" => Content::Text(need(part, "text", "messages[].content[].text")?),
        "refusal" => Content::Text(need(part, "refusal", "messages[].content[].refusal")?),
        "image_url" => image(inner()?)?,
        "file" => file(inner()?)?,
        "input_audio" => {
            let audio = inner()?;
            Content::Audio {
                format: need(audio, "format", "input_audio.format")?,
                data: need(audio, "data", "input_audio.data")?,
            }
        }
        other => return Err(TranslateError::Block(other.to_owned())),
    };
    Ok(Part { content, cache_control: get(part, "cache_control") })
}

fn image(image: &Object) -> Result<Content<'_>, TranslateError> {
    only(image, "image_url.", &["url", "detail"])?;
    match text(image, "detail") {
        // As sharp as they read any.
        None | Some("auto" | "high") => {}
        Some(_) => return Err(TranslateError::Field("image_url.detail".to_owned())),
    }
    Ok(Content::Image(source(need(image, "url", "image_url.url")?)))
}

fn file(file: &Object) -> Result<Content<'_>, TranslateError> {
    only(file, "file.", &["filename", "file_data"])?;
    Ok(Content::File { source: source(need(file, "file_data", "file.file_data")?), name: text(file, "filename") })
}

fn source(link: &str) -> Source<'_> {
    let Some((media_type, data)) = data_url(link) else { return Source::Url(bare(link)) };
    // A name that OpenAI takes too, and no other.
    let media_type = if media_type == "image/jpg" { "image/jpeg".to_owned() } else { media_type };
    Source::Inline { media_type, data }
}
