//! The callers' protocols: how each asks, and where each reads its answer.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, KEY, PROMPT, World, budget};

/// A caller's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Chat,
    Completions,
    Responses,
    Messages,
    Gemini,
}

pub(crate) const CALLERS: [Caller; 5] =
    [Caller::Chat, Caller::Completions, Caller::Responses, Caller::Messages, Caller::Gemini];
/// Which kinds of provider serve each of them.
pub(crate) const BASES: [&str; 3] = ["openai", "anthropic", "gemini"];

impl Caller {
    pub(crate) fn path(self, is_stream: bool) -> &'static str {
        match self {
            Caller::Chat => "/v1/chat/completions",
            Caller::Completions => "/v1/completions",
            Caller::Responses => "/v1/responses",
            Caller::Messages => "/anthropic/v1/messages",
            Caller::Gemini if is_stream => "/genai/v1beta/models/mock-1:streamGenerateContent?alt=sse",
            Caller::Gemini => "/genai/v1beta/models/mock-1:generateContent",
        }
    }

    /// A request whose bound is $0.00115.
    pub(crate) fn body(self, is_stream: bool) -> Value {
        let turns = json!([{"role": "user", "content": PROMPT}]);
        let mut body = match self {
            Caller::Chat | Caller::Messages => json!({"model": "mock-1", "max_tokens": 100, "messages": turns}),
            Caller::Completions => json!({"model": "mock-1", "max_tokens": 100, "prompt": PROMPT}),
            Caller::Responses => json!({"model": "mock-1", "max_output_tokens": 100, "input": PROMPT}),
            Caller::Gemini => json!({
                "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
                "generationConfig": {"maxOutputTokens": 100},
            }),
        };
        if is_stream && self != Caller::Gemini {
            body["stream"] = json!(true);
        }
        body
    }

    /// The answer's text.
    pub(crate) fn text(self, body: &Value) -> String {
        let path = match self {
            Caller::Chat => "/choices/0/message/content",
            Caller::Completions => "/choices/0/text",
            Caller::Responses => "/output/0/content/0/text",
            Caller::Messages => "/content/0/text",
            Caller::Gemini => "/candidates/0/content/parts/0/text",
        };
        body.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no text: {body}")).to_owned()
    }

    /// The tokens that went in and came out, as the answer tells.
    pub(crate) fn usage(self, body: &Value) -> (u64, u64) {
        let (input, output) = match self {
            Caller::Chat | Caller::Completions => ("/usage/prompt_tokens", "/usage/completion_tokens"),
            Caller::Responses | Caller::Messages => ("/usage/input_tokens", "/usage/output_tokens"),
            Caller::Gemini => ("/usageMetadata/promptTokenCount", "/usageMetadata/candidatesTokenCount"),
        };
        let count = |path| body.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path}: {body}"));
        (count(input), count(output))
    }

    /// The texts of a stream's events.
    pub(crate) fn streamed_text(self, answer: &Answer) -> String {
        let path = match self {
            Caller::Chat => "/choices/0/delta/content",
            Caller::Completions => "/choices/0/text",
            Caller::Responses => "/delta",
            Caller::Messages => "/delta/text",
            Caller::Gemini => "/candidates/0/content/parts/0/text",
        };
        events(answer).iter().filter_map(|event| event.pointer(path)?.as_str()).collect()
    }

    /// Whether a stream has the end that a client takes for the whole of it.
    pub(crate) fn has_end(self, answer: &Answer) -> bool {
        match self {
            Caller::Chat | Caller::Completions => answer.text.ends_with("data: [DONE]\n\n"),
            Caller::Responses => answer.text.contains("event: response.completed\n"),
            Caller::Messages => answer.text.contains("event: message_stop\n"),
            Caller::Gemini => answer.text.contains("\"finishReason\":\"STOP\""),
        }
    }

    /// The governance type of an error, and the status that its body repeats or means.
    pub(crate) fn error(self, body: &Value) -> (String, String) {
        let text = |path: &str| {
            body.pointer(path)
                .map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        match self {
            Caller::Chat | Caller::Completions | Caller::Responses => (text("/type"), text("/status_code")),
            Caller::Messages => (text("/error/code"), text("/error/type")),
            Caller::Gemini => (text("/error/details/0/reason"), text("/error/status")),
        }
    }
}

pub(crate) fn events(answer: &Answer) -> Vec<Value> {
    let data = answer.text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// A world whose providers are all of one kind, with a budget for so many dollars.
pub(crate) async fn world(base: &str, limit: &str) -> World {
    World::start(|config| {
        for provider in ["primary", "second", "third"] {
            config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
        }
        config["governance"]["budgets"] = json!([budget("b", limit, "1h", "vk-agent")]);
    })
    .await
}

pub(crate) fn request(world: &World, caller: Caller, is_stream: bool) -> RequestBuilder {
    let request = world.request(Method::POST, caller.path(is_stream)).json(&caller.body(is_stream));
    if caller == Caller::Gemini { request.header("x-goog-api-key", KEY) } else { request.header("x-api-key", KEY) }
}
