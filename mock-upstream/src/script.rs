//! What the providers answer: the script of a run.

use indexmap::IndexMap;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fault::FaultRule;
use crate::millis::Millis;
use crate::usd::Usd;

/// Everything that the upstream does, by provider and model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// The providers by name; the name is the first segment of their paths.
    pub providers: IndexMap<String, Provider>,
    /// The models by the name that a request carries.
    pub models: IndexMap<String, Model>,
}

/// One provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// The models it serves; absent: every model of the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// What goes wrong, tried in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRule>,
}

/// One model: what every call to it reports, costs and takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// The tokens that each answer reports, whatever was asked.
    pub usage: Usage,
    /// Absent: the model is in no price sheet, and its calls are charged nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How long it takes.
    pub latency: Latency,
    /// Content deltas of a stream, at least one.
    pub chunks: u32,
    /// Where the usage stands in a stream of chat completions or completions.
    pub usage_at: UsageAt,
    /// The text of the answer; absent: a fixed sentence with characters of one to four bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// What the answer holds beside its text. A script with tool calls and no `reply` has no text.
    #[serde(skip_serializing_if = "Said::is_default")]
    pub answer: Said,
    /// The most output tokens it can produce, as the price sheets and model parameters say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            usage: Usage::default(),
            price: None,
            latency: Latency::default(),
            chunks: 4,
            usage_at: UsageAt::default(),
            reply: None,
            answer: Said::default(),
            max_output_tokens: None,
        }
    }
}

impl Model {
    /// The text of the answer.
    pub fn reply(&self) -> &str {
        let usual = if self.answer.tool_calls.is_empty() { DEFAULT_REPLY } else { "" };
        self.reply.as_deref().unwrap_or(usual)
    }
}

/// What an answer of chat completions, responses, messages or generateContent holds beside its
/// text. The other routes have none of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Said {
    /// What the model thought, before its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The tools it calls, after its text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it ends.
    pub stop: Stop,
}

impl Said {
    fn is_default(&self) -> bool {
        *self == Said::default()
    }
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// What it is called with.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It is whole, or its tools are to be called.
    #[default]
    End,
    /// It has as many tokens as it may.
    Length,
    /// The provider's filter stopped it.
    Filter,
}

// One, two, three and four bytes a character, so that a split inside one is always possible.
const DEFAULT_REPLY: &str = "A café in 東京 serves 🍵 for 3 €.";

/// Tokens, as a provider counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Tokens of the prompt, `cached` and `cache_write` among them.
    pub input: u64,
    /// Tokens of the answer, `reasoning` among them.
    pub output: u64,
    /// The part of `input` that was read from a cache.
    pub cached: u64,
    /// The part of `input` that was written to a cache.
    pub cache_write: u64,
    /// The part of `cache_write` that is kept for an hour.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_hour: u64,
    /// The part of `output` that the model spent on thinking.
    pub reasoning: u64,
    /// Seconds of audio that a transcription has heard.
    #[serde(skip_serializing_if = "is_zero")]
    pub seconds: u64,
    /// Searches of the web that the provider made for the answer. Messages and responses tell them.
    #[serde(skip_serializing_if = "is_zero")]
    pub searches: u64,
    /// Images that were made: as many as the request asks for.
    #[serde(skip_deserializing, skip_serializing_if = "is_zero")]
    #[schemars(skip)]
    pub images: u64,
    /// Characters that were spoken: as many as the request has.
    #[serde(skip_deserializing, skip_serializing_if = "is_zero")]
    #[schemars(skip)]
    pub characters: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// All tokens.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// Prices in USD per million tokens. A part without a price of its own costs
/// what its whole costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input that is neither cached nor written to a cache.
    pub input: Usd,
    /// Output without reasoning.
    pub output: Usd,
    /// Input read from a cache; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Usd>,
    /// Input written to a cache; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Usd>,
    /// Input written to a cache for an hour; absent: as `cache_write`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<Usd>,
    /// Reasoning; absent: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Usd>,
    /// A million characters that are spoken; absent: speech costs its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub character: Option<Usd>,
    /// One image that is made; absent: images cost their tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Usd>,
    /// One second of audio that is transcribed; absent: transcriptions cost their tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Usd>,
    /// One search of the web; absent: searches cost nothing beside their tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Usd>,
    /// What a whole call costs whose prompt is long; absent: as any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrice>,
}

/// Prices of calls with long prompts, in USD per million tokens, for all tokens of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// A prompt is long that has more tokens of input, cached ones among them. Price sheets know
    /// 128000, 200000 and 272000.
    pub above: u64,
    /// Input.
    pub input: Usd,
    /// Output.
    pub output: Usd,
    /// Input read from a cache; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Usd>,
}

impl Price {
    /// The price of a call with so many tokens of input.
    pub(crate) fn of_prompt(&self, input: u64) -> Price {
        match self.long {
            Some(long) if input > long.above => Price {
                input: long.input,
                output: long.output,
                cached: long.cached,
                cache_write: None,
                cache_write_hour: None,
                reasoning: None,
                long: None,
                ..*self
            },
            _ => *self,
        }
    }
}

/// How long an answer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// From the request to the first byte of the answer's head.
    pub first_byte: Millis,
    /// Before each content delta of a stream but the first.
    pub between_chunks: Millis,
}

/// Where the usage stands in a stream of chat completions or completions. The other
/// routes have it where their real APIs do; `never` removes it from every answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageAt {
    /// In a chunk with empty `choices` after the finish chunk, if the caller asks for it with
    /// `stream_options.include_usage`: as OpenAI.
    #[default]
    OwnChunk,
    /// In the chunk that carries the finish reason.
    FinishChunk,
    /// In the first chunk, with the final figures.
    FirstChunk,
    /// In every chunk, with the output produced so far.
    EveryChunk,
    /// Nowhere, also in answers that are no streams.
    Never,
}

impl Script {
    /// The world of a scenario that says nothing else: the provider `primary` with the model
    /// `mock-1`, 100 tokens in and 100 out, at $2.50 and $10.00 per million: $0.00125 a call.
    pub fn usual() -> Script {
        let per_million = |dollars, scale| Usd::from_decimal(Decimal::new(dollars, scale));
        let model = Model {
            usage: Usage { input: 100, output: 100, ..Usage::default() },
            price: Some(Price { input: per_million(25, 1), output: per_million(10, 0), ..Price::default() }),
            ..Model::default()
        };
        Script {
            providers: [("primary".to_owned(), Provider::default())].into(),
            models: [("mock-1".to_owned(), model)].into(),
        }
    }

    /// The model of this name, if this provider serves it.
    pub(crate) fn model_of(&self, provider: &Provider, name: &str) -> Option<&Model> {
        let served = provider.models.as_ref().is_none_or(|models| models.iter().any(|model| model == name));
        served.then(|| self.models.get(name)).flatten()
    }

    /// The names of the models that this provider serves, in the script's order.
    pub(crate) fn models_of<'a>(&'a self, provider: &'a Provider) -> impl Iterator<Item = (&'a str, &'a Model)> {
        self.models
            .iter()
            .map(|(name, model)| (name.as_str(), model))
            .filter(|(name, _)| self.model_of(provider, name).is_some())
    }
}
