//! A chat completion as a message request.

use serde_json::{Map, Value, json};

use super::messages::turns;
use crate::translate::TranslateError;
use crate::translate::provider::chat::{
    self, Effort, Format, Reasoning, Tool, ToolChoice, parallel_tool_calls, refuse_the_rest, response_format, stop,
    tool_choice, tools,
};
use crate::translate::read::{Object, get, object};

/// Anthropic demands a bound. It is what the gateway holds where nothing is known.
const DEFAULT_MAX_TOKENS: u64 = 4_096;
/// Anthropic takes no smaller thinking budget.
const LEAST_BUDGET: u64 = 1_024;

/// What a message request says too.
const SAID: [&str; 12] = [
    "max_completion_tokens",
    "max_tokens",
    "parallel_tool_calls",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "stop",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// The message request for a chat completion.
pub(crate) fn from_chat(chat: &Value, model: &str) -> Result<Value, TranslateError> {
    let chat = object(chat, "the request")?;
    refuse_the_rest(chat, &SAID)?;
    let mut request = Map::new();
    let mut put = |name: &str, value: Value| request.insert(name.to_owned(), value);
    put("model", json!(model));
    let max_tokens = chat::max_tokens(chat)?.unwrap_or(DEFAULT_MAX_TOKENS);
    put("max_tokens", json!(max_tokens));
    let turns = turns(chat)?;
    let can_think = !turns.went_on_unthinking();
    if !turns.system.is_empty() {
        put("system", Value::Array(turns.system));
    }
    put("messages", Value::Array(turns.messages));
    if let Some(stop) = stop(chat)? {
        put("stop_sequences", stop);
    }
    for name in ["temperature", "top_p", "top_k", "stream"] {
        if let Some(value) = get(chat, name) {
            put(name, value.clone());
        }
    }
    let choice = tool_choice(chat)?;
    // Anthropic has no list of those that may be called: the others are not told.
    let tools: Vec<Tool<'_>> = tools(chat)?.into_iter().filter(|tool| choice.allows(tool.name)).collect();
    if !tools.is_empty() {
        put("tools", tools.iter().map(tool).collect());
    }
    if let Some(choice) = said_choice(&choice, parallel_tool_calls(chat) == Some(false) && !tools.is_empty()) {
        put("tool_choice", choice);
    }
    let Thinking { thinking, effort } = thinking(chat, model, max_tokens, can_think)?;
    if let Some(thinking) = thinking {
        put("thinking", thinking);
    }
    if let Some(config) = output_config(chat, effort)? {
        put("output_config", config);
    }
    if let Some(user) = chat::user(chat) {
        put("metadata", json!({ "user_id": user }));
    }
    if get(chat, "service_tier").and_then(Value::as_str) == Some("default") {
        put("service_tier", json!("standard_only"));
    }
    Ok(Value::Object(request))
}

fn tool(tool: &Tool<'_>) -> Value {
    let empty = json!({ "type": "object", "properties": {} });
    let mut said = json!({ "name": tool.name });
    if let Some(description) = tool.description {
        said["description"] = description.clone();
    }
    said["input_schema"] = tool.parameters.cloned().unwrap_or(empty);
    if let Some(schema) = said["input_schema"].as_object_mut() {
        // OpenAI takes a schema without one, as of a tool that has no arguments.
        schema.entry("type").or_insert_with(|| json!("object"));
    }
    if tool.is_strict {
        said["strict"] = json!(true);
    }
    if let Some(mark) = tool.cache_control {
        said["cache_control"] = mark.clone();
    }
    said
}

fn said_choice(choice: &ToolChoice<'_>, one_at_a_time: bool) -> Option<Value> {
    let mut said = match choice {
        ToolChoice::Unsaid if !one_at_a_time => return None,
        ToolChoice::None => return Some(json!({ "type": "none" })),
        ToolChoice::Required | ToolChoice::Among { is_required: true, .. } => json!({ "type": "any" }),
        ToolChoice::Unsaid | ToolChoice::Auto | ToolChoice::Among { .. } => json!({ "type": "auto" }),
        ToolChoice::Named(name) => json!({ "type": "tool", "name": name }),
    };
    if one_at_a_time {
        said["disable_parallel_tool_use"] = json!(true);
    }
    Some(said)
}

#[derive(Default)]
struct Thinking {
    thinking: Option<Value>,
    effort: Option<&'static str>,
}

/// How much to think: as a word where the model takes one, else as a budget, which is a
/// share of the output as OpenRouter has it. Anthropic refuses a budget where the model goes on
/// with what it began without a thought (`can_think`): it is then left out, for that step.
fn thinking(chat: &Object, model: &str, max_tokens: u64, can_think: bool) -> Result<Thinking, TranslateError> {
    let budget =
        |tokens: u64| Thinking { thinking: Some(json!({ "type": "enabled", "budget_tokens": tokens })), effort: None };
    let version = version(model);
    let is_adaptive = version.is_some_and(|version| version >= (4, 6));
    let is_only_adaptive = version.is_some_and(|version| version >= (4, 7));
    let adaptive = |effort| {
        let mut thinking = json!({ "type": "adaptive" });
        // These leave their thoughts out unless they are asked for.
        if is_only_adaptive {
            thinking["display"] = json!("summarized");
        }
        Thinking { thinking: Some(thinking), effort }
    };
    Ok(match chat::reasoning(chat)? {
        Reasoning::Unsaid => Thinking::default(),
        Reasoning::Off => Thinking { thinking: Some(json!({ "type": "disabled" })), effort: None },
        Reasoning::Budget(_) if is_only_adaptive => {
            return Err(TranslateError::Field("reasoning.max_tokens".to_owned()));
        }
        Reasoning::Budget(_) if !can_think => Thinking::default(),
        Reasoning::Budget(tokens) => budget(tokens),
        Reasoning::On if is_adaptive => adaptive(None),
        Reasoning::Effort(effort) if is_adaptive => adaptive(Some(match effort {
            Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Highest if is_only_adaptive => "xhigh",
            Effort::Highest => "max",
        })),
        Reasoning::On | Reasoning::Effort(_) if !can_think => Thinking::default(),
        Reasoning::On => budget(share(max_tokens, Effort::Medium)?),
        Reasoning::Effort(effort) => budget(share(max_tokens, effort)?),
    })
}

/// The share of the output that an effort is worth. Anthropic wants it below the whole.
fn share(max_tokens: u64, effort: Effort) -> Result<u64, TranslateError> {
    let percent = match effort {
        Effort::Minimal => 10,
        Effort::Low => 20,
        Effort::Medium => 50,
        Effort::High => 80,
        Effort::Highest => 95,
    };
    if max_tokens <= LEAST_BUDGET {
        return Err(TranslateError::Field(format!("reasoning with max_tokens of {LEAST_BUDGET} or less")));
    }
    Ok((max_tokens.saturating_mul(percent) / 100).max(LEAST_BUDGET))
}

/// The version in a name like `claude-opus-4-6` or `claude-3-5-sonnet-20241022`.
fn version(model: &str) -> Option<(u64, u64)> {
    let name = model.get(model.find("claude-")?..)?;
    let mut numbers = name
        .split(['-', '.', '@', ':'])
        .skip_while(|part| part.parse::<u64>().is_err())
        .map_while(|part| part.parse::<u64>().ok().filter(|number| *number < 100));
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}

fn output_config(chat: &Object, effort: Option<&str>) -> Result<Option<Value>, TranslateError> {
    let mut config = Map::new();
    if let Some(effort) = effort {
        config.insert("effort".to_owned(), json!(effort));
    }
    match response_format(chat)? {
        Format::Text => {}
        Format::Object => return Err(TranslateError::Field("response_format.type: json_object".to_owned())),
        Format::Schema(schema) => {
            config.insert("format".to_owned(), json!({ "type": "json_schema", "schema": schema }));
        }
    }
    Ok((!config.is_empty()).then_some(Value::Object(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_version_is_read_from_its_name() {
        for (model, expected) in [
            ("claude-opus-4-6", Some((4, 6))),
            ("claude-opus-4-20250514", Some((4, 0))),
            ("claude-3-5-sonnet-20241022", Some((3, 5))),
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", Some((4, 5))),
            ("claude-instant", None),
            ("mock-1", None),
        ] {
            assert_eq!(version(model), expected, "{model}");
        }
    }
}
