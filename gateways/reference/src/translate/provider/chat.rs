//! The fields of a chat completion beside its messages, read strictly.

use serde_json::Value;

use crate::translate::TranslateError;
use crate::translate::read::{Object, get, list, need, object, only, text};

/// How much the model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasoning {
    /// Nothing is said of it.
    Unsaid,
    Off,
    /// As much as it likes.
    On,
    Effort(Effort),
    /// So many tokens.
    Budget(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    Highest,
}

/// What `reasoning` or `reasoning_effort` says.
pub(super) fn reasoning(chat: &Object) -> Result<Reasoning, TranslateError> {
    if let Some(reasoning) = get(chat, "reasoning") {
        let reasoning = object(reasoning, "reasoning")?;
        // How a summary is worded is the provider's to choose.
        only(reasoning, "reasoning.", &["effort", "max_tokens", "enabled", "exclude", "summary"])?;
        if reasoning.get("exclude") == Some(&Value::Bool(true)) {
            return Err(TranslateError::Field("reasoning.exclude".to_owned()));
        }
        if reasoning.get("enabled") == Some(&Value::Bool(false)) {
            return Ok(Reasoning::Off);
        }
        if let Some(budget) = get(reasoning, "max_tokens") {
            let budget = budget.as_u64().ok_or(TranslateError::Shape("reasoning.max_tokens"))?;
            return Ok(if budget == 0 { Reasoning::Off } else { Reasoning::Budget(budget) });
        }
        if let Some(word) = get(reasoning, "effort") {
            return effort(word, "reasoning.effort");
        }
        if reasoning.get("enabled") == Some(&Value::Bool(true)) {
            return Ok(Reasoning::On);
        }
    }
    get(chat, "reasoning_effort").map_or(Ok(Reasoning::Unsaid), |word| effort(word, "reasoning_effort"))
}

fn effort(word: &Value, place: &'static str) -> Result<Reasoning, TranslateError> {
    Ok(Reasoning::Effort(match word.as_str().ok_or(TranslateError::Shape(place))? {
        "none" => return Ok(Reasoning::Off),
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" | "max" => Effort::Highest,
        other => return Err(TranslateError::Field(format!("{place}: {other}"))),
    }))
}

/// A function that the model may call.
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) description: Option<&'a Value>,
    /// A JSON schema.
    pub(super) parameters: Option<&'a Value>,
    /// Whether calls must keep to the schema.
    pub(super) is_strict: bool,
    pub(super) cache_control: Option<&'a Value>,
}

pub(super) fn tools(chat: &Object) -> Result<Vec<Tool<'_>>, TranslateError> {
    let Some(tools) = get(chat, "tools") else { return Ok(Vec::new()) };
    list(tools, "tools")?.iter().map(tool).collect()
}

fn tool(tool: &Value) -> Result<Tool<'_>, TranslateError> {
    let tool = object(tool, "tools[]")?;
    match need(tool, "type", "tools[].type")? {
        "function" => {}
        other => return Err(TranslateError::Block(other.to_owned())),
    }
    only(tool, "tools[].", &["type", "function", "cache_control"])?;
    let function = object(get(tool, "function").unwrap_or(&Value::Null), "tools[].function")?;
    only(function, "tools[].function.", &["name", "description", "parameters", "strict"])?;
    Ok(Tool {
        name: need(function, "name", "tools[].function.name")?,
        description: get(function, "description"),
        parameters: get(function, "parameters"),
        is_strict: function.get("strict") == Some(&Value::Bool(true)),
        cache_control: get(tool, "cache_control"),
    })
}

/// Which tools the model is to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ToolChoice<'a> {
    Unsaid,
    Auto,
    None,
    /// Some tool.
    Required,
    Named(&'a str),
    /// None but these, of which it must call one if `is_required`.
    Among {
        names: Vec<&'a str>,
        is_required: bool,
    },
}

impl ToolChoice<'_> {
    /// Whether the model may call this tool, if any.
    pub(super) fn allows(&self, tool: &str) -> bool {
        match self {
            ToolChoice::Among { names, .. } => names.contains(&tool),
            _ => true,
        }
    }
}

pub(super) fn tool_choice(chat: &Object) -> Result<ToolChoice<'_>, TranslateError> {
    match get(chat, "tool_choice") {
        None => Ok(ToolChoice::Unsaid),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            other => Err(TranslateError::Field(format!("tool_choice: {other}"))),
        },
        Some(choice) => {
            let choice = object(choice, "tool_choice")?;
            match need(choice, "type", "tool_choice.type")? {
                "function" => named(choice).map(ToolChoice::Named),
                "allowed_tools" => {
                    among(object(get(choice, "allowed_tools").unwrap_or(&Value::Null), "allowed_tools")?)
                }
                other => Err(TranslateError::Field(format!("tool_choice.type: {other}"))),
            }
        }
    }
}

fn named(choice: &Object) -> Result<&str, TranslateError> {
    let function = object(get(choice, "function").unwrap_or(&Value::Null), "tool_choice.function")?;
    need(function, "name", "tool_choice.function.name")
}

fn among(allowed: &Object) -> Result<ToolChoice<'_>, TranslateError> {
    let tools = list(get(allowed, "tools").unwrap_or(&Value::Null), "allowed_tools.tools")?;
    let names: Result<Vec<&str>, _> = tools.iter().map(|tool| named(object(tool, "allowed_tools.tools[]")?)).collect();
    let is_required = match need(allowed, "mode", "allowed_tools.mode")? {
        "auto" => false,
        "required" => true,
        other => return Err(TranslateError::Field(format!("allowed_tools.mode: {other}"))),
    };
    Ok(ToolChoice::Among { names: names?, is_required })
}

/// Whether the model may call several tools at once, where the caller says so.
pub(super) fn parallel_tool_calls(chat: &Object) -> Option<bool> {
    chat.get("parallel_tool_calls").and_then(Value::as_bool)
}

/// The form of the answer's text.
pub(super) enum Format<'a> {
    Text,
    /// Some JSON object.
    Object,
    /// JSON that keeps to a schema.
    Schema(&'a Value),
}

pub(super) fn response_format(chat: &Object) -> Result<Format<'_>, TranslateError> {
    let Some(format) = get(chat, "response_format") else { return Ok(Format::Text) };
    let format = object(format, "response_format")?;
    match need(format, "type", "response_format.type")? {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::Object),
        "json_schema" => {
            let schema = get(format, "json_schema").and_then(|schema| schema.get("schema"));
            schema.map(Format::Schema).ok_or(TranslateError::Shape("response_format.json_schema.schema"))
        }
        other => Err(TranslateError::Field(format!("response_format.type: {other}"))),
    }
}

/// The texts at which the answer is to end.
pub(super) fn stop(chat: &Object) -> Result<Option<Value>, TranslateError> {
    match get(chat, "stop") {
        None => Ok(None),
        Some(text @ Value::String(_)) => Ok(Some(Value::Array(vec![text.clone()]))),
        Some(texts) => list(texts, "stop").map(|_| Some(texts.clone())),
    }
}

/// The most tokens of output.
pub(super) fn max_tokens(chat: &Object) -> Result<Option<u64>, TranslateError> {
    let named = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| get(chat, name));
    named.map(|most| most.as_u64().ok_or(TranslateError::Shape("max_tokens"))).transpose()
}

/// Refuses each field that is not among `read`, unless it says nothing about the answer or
/// says what holds anyway.
pub(super) fn refuse_the_rest(chat: &Object, read: &[&str]) -> Result<(), TranslateError> {
    let unsaid = chat.iter().find(|(name, value)| !read.contains(&name.as_str()) && !says_nothing(name, value));
    unsaid.map_or(Ok(()), |(name, _)| Err(TranslateError::Field(name.clone())))
}

fn says_nothing(name: &str, value: &Value) -> bool {
    match name {
        _ if value.is_null() => true,
        "model"
        | "messages"
        | "stream"
        | "stream_options"
        | "metadata"
        | "store"
        | "user"
        | "safety_identifier"
        | "prompt_cache_key"
        | "prompt_cache_retention" => true,
        "n" => value == &Value::from(1),
        "logprobs" => value == &Value::Bool(false),
        "parallel_tool_calls" => value == &Value::Bool(true),
        "top_logprobs" | "frequency_penalty" | "presence_penalty" => value.as_f64() == Some(0.0),
        "logit_bias" => value.as_object().is_some_and(serde_json::Map::is_empty),
        "modalities" => value.as_array().is_some_and(|words| words.iter().all(|word| word == "text")),
        "service_tier" => matches!(value.as_str(), Some("auto" | "default")),
        "verbosity" => value == "medium",
        _ => false,
    }
}

/// The user of the caller's own, where one is named.
pub(super) fn user(chat: &Object) -> Option<&str> {
    text(chat, "safety_identifier").or_else(|| text(chat, "user"))
}
