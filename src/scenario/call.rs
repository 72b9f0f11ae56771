//! Model calls, as programs behind the gateway make them: one, or many at once.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::period::Period;

/// A model call, as a program behind the gateway makes it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Call {
    /// Which of the gateway's routes.
    pub route: RouteName,
    /// The virtual key, by its name in the policy. Neither `as` nor `key`: no credential is sent.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub as_key: Option<String>,
    /// A literal credential instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The header that carries it; the gateway's usual one if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// A second virtual key in the same request, in another header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<Also>,
    /// The model.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// How often, one after another.
    pub times: u32,
    /// Stop at the first answer that is not 2xx; `times` is then the most.
    pub until_refused: bool,
    /// Headers beside the usual.
    pub headers: IndexMap<String, String>,
    /// Fields laid over the request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The limit on output tokens; what the model will report if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Leave the stream early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang_up: Option<HangUp>,
    /// How long to wait for the end of an answer before it counts as hanging.
    pub deadline: Period,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            route: RouteName::Chat,
            as_key: None,
            key: None,
            via: None,
            also: None,
            model: "mock-1".to_owned(),
            stream: false,
            times: 1,
            until_refused: false,
            headers: IndexMap::new(),
            body: None,
            max_tokens: None,
            hang_up: None,
            deadline: Period::seconds(10),
        }
    }
}

/// A gateway's route, whatever its path there.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum RouteName {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI model list.
    Models,
    /// Anthropic messages.
    Messages,
    /// OpenAI responses.
    Responses,
    /// Gemini generateContent and streamGenerateContent.
    Genai,
}

impl RouteName {
    /// The word for it in a scenario file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Genai => "genai",
        }
    }

    /// Its path at the provider whose route it is.
    #[must_use]
    pub fn usual_path(self, model: &str, stream: bool) -> String {
        match self {
            Self::Chat => "/v1/chat/completions".to_owned(),
            Self::Embeddings => "/v1/embeddings".to_owned(),
            Self::Models => "/v1/models".to_owned(),
            Self::Messages => "/v1/messages".to_owned(),
            Self::Responses => "/v1/responses".to_owned(),
            Self::Genai if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Self::Genai => format!("/v1beta/models/{model}:generateContent"),
        }
    }
}

/// A header that carries a virtual key.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// `x-bf-vk`
    XBfVk,
    /// `Authorization: Bearer`
    Bearer,
    /// `x-api-key`
    XApiKey,
    /// `x-goog-api-key`
    XGoogApiKey,
}

impl Via {
    /// The word for it in a scenario file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::XBfVk => "x-bf-vk",
            Self::Bearer => "bearer",
            Self::XApiKey => "x-api-key",
            Self::XGoogApiKey => "x-goog-api-key",
        }
    }

    /// The header's name and value for a key.
    #[must_use]
    pub fn header(self, key: &str) -> (&'static str, String) {
        match self {
            Self::Bearer => ("authorization", format!("Bearer {key}")),
            other => (other.word(), key.to_owned()),
        }
    }
}

/// A second virtual key in the same request.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Also {
    /// Its name in the policy.
    #[serde(rename = "as")]
    pub as_key: String,
    /// The header that carries it.
    pub via: Via,
}

/// Where a caller leaves a stream.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HangUp {
    /// So many events of the stream have been read.
    pub after_events: u32,
}

/// Many callers at once.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Callers, each with a connection of its own, started together.
    pub clients: u32,
    /// Calls in all; one a client if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
    /// Virtual keys that the calls take in turn, instead of the call's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The call that each makes.
    #[serde(default)]
    pub call: Call,
}
