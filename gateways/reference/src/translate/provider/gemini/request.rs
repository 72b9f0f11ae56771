//! A chat completion as a request to generate content.

use serde_json::{Map, Value, json};

use super::contents::conversation;
use crate::translate::TranslateError;
use crate::translate::provider::chat::{
    self, Effort, Format, Reasoning, Tool, ToolChoice, refuse_the_rest, response_format, stop, tool_choice, tools,
};
use crate::translate::read::{Object, get, object};

/// What a request to generate content says too.
const SAID: [&str; 15] = [
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "n",
    "presence_penalty",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// The body for a chat completion. The path names the model.
pub(crate) fn from_chat(chat: &Value, model: &str) -> Result<Value, TranslateError> {
    let chat = object(chat, "the request")?;
    refuse_the_rest(chat, &SAID)?;
    let has_levels = has_thinking_levels(model);
    let mut request = Map::new();
    let conversation = conversation(chat, has_levels)?;
    request.insert("contents".to_owned(), Value::Array(conversation.contents));
    if !conversation.system.is_empty() {
        request.insert("systemInstruction".to_owned(), json!({ "parts": conversation.system }));
    }
    let tools = tools(chat)?;
    if !tools.is_empty() {
        let declarations: Vec<Value> = tools.iter().map(declaration).collect();
        request.insert("tools".to_owned(), json!([{ "functionDeclarations": declarations }]));
    }
    if let Some(config) = calling_config(tool_choice(chat)?, &tools) {
        request.insert("toolConfig".to_owned(), json!({ "functionCallingConfig": config }));
    }
    let config = generation_config(chat, has_levels)?;
    if !config.is_empty() {
        request.insert("generationConfig".to_owned(), Value::Object(config));
    }
    Ok(Value::Object(request))
}

/// Whether a model thinks by levels, and demands its signatures back: Gemini 3 and later.
fn has_thinking_levels(model: &str) -> bool {
    let version = model.find("gemini-").and_then(|at| model.get(at + "gemini-".len()..));
    let major = version.and_then(|version| version.split(['-', '.']).next()?.parse::<u64>().ok());
    major.is_some_and(|major| major >= 3)
}

fn declaration(tool: &Tool<'_>) -> Value {
    let mut said = json!({ "name": tool.name });
    if let Some(description) = tool.description {
        said["description"] = description.clone();
    }
    if let Some(parameters) = tool.parameters {
        said["parametersJsonSchema"] = parameters.clone();
    }
    said
}

/// Calls that Gemini is made to make keep to their schema; of those it chooses to make, it
/// must be said.
fn calling_config(choice: ToolChoice<'_>, tools: &[Tool<'_>]) -> Option<Value> {
    let is_strict = tools.iter().any(|tool| tool.is_strict);
    Some(match choice {
        ToolChoice::Unsaid | ToolChoice::Auto if is_strict => json!({ "mode": "VALIDATED" }),
        ToolChoice::Unsaid => return None,
        ToolChoice::Auto => json!({ "mode": "AUTO" }),
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Named(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
        // Only these two modes have such a list.
        ToolChoice::Among { names, is_required } => {
            json!({ "mode": if is_required { "ANY" } else { "VALIDATED" }, "allowedFunctionNames": names })
        }
    })
}

fn generation_config(chat: &Object, has_levels: bool) -> Result<Map<String, Value>, TranslateError> {
    let mut config = Map::new();
    let mut put = |name: &str, value: Value| config.insert(name.to_owned(), value);
    for (name, from) in [
        ("temperature", "temperature"),
        ("topP", "top_p"),
        ("topK", "top_k"),
        ("candidateCount", "n"),
        ("seed", "seed"),
        ("presencePenalty", "presence_penalty"),
        ("frequencyPenalty", "frequency_penalty"),
    ] {
        if let Some(value) = get(chat, from) {
            put(name, value.clone());
        }
    }
    if let Some(most) = chat::max_tokens(chat)? {
        put("maxOutputTokens", json!(most));
    }
    if let Some(stop) = stop(chat)? {
        put("stopSequences", stop);
    }
    match response_format(chat)? {
        Format::Text => {}
        Format::Object => {
            put("responseMimeType", json!("application/json"));
        }
        Format::Schema(schema) => {
            put("responseMimeType", json!("application/json"));
            put("responseJsonSchema", schema.clone());
        }
    }
    if let Some(thinking) = thinking_config(chat::reasoning(chat)?, has_levels) {
        put("thinkingConfig", thinking);
    }
    Ok(config)
}

/// How much to think: a level where the model has them, else the budget that Google's own
/// OpenAI-compatible API gives for the word.
fn thinking_config(reasoning: Reasoning, has_levels: bool) -> Option<Value> {
    Some(match reasoning {
        Reasoning::Unsaid => return None,
        Reasoning::Off => json!({ "thinkingBudget": 0 }),
        Reasoning::On => json!({ "includeThoughts": true }),
        Reasoning::Budget(tokens) => json!({ "includeThoughts": true, "thinkingBudget": tokens }),
        Reasoning::Effort(effort) if has_levels => {
            let level = match effort {
                Effort::Minimal => "minimal",
                Effort::Low => "low",
                Effort::Medium => "medium",
                Effort::High | Effort::Highest => "high",
            };
            json!({ "includeThoughts": true, "thinkingLevel": level })
        }
        Reasoning::Effort(effort) => {
            let budget = match effort {
                Effort::Minimal | Effort::Low => 1_024,
                Effort::Medium => 8_192,
                Effort::High | Effort::Highest => 24_576,
            };
            json!({ "includeThoughts": true, "thinkingBudget": budget })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_came_with_the_third_gemini() {
        for (model, expected) in [
            ("gemini-3-pro-preview", true),
            ("models/gemini-3.5-flash", true),
            ("gemini-2.5-pro", false),
            ("gemini-flash-latest", false),
            ("mock-1", false),
        ] {
            assert_eq!(has_thinking_levels(model), expected, "{model}");
        }
    }
}
