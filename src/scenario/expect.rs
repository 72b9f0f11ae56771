//! What a step may be expected to show, and to whom of the three witnesses.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    range::{Amount, Count},
    reason::Refused,
    says::Says,
};
use crate::{money::Usd, owner::Owner, period::Period};

/// What is expected of a step. Each field that is set is at least one check.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The status of every answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Every answer is a refusal for one of these reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The refusal says which limit it was, and whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Names>,
    /// Fields of every answer's body, by JSON pointer.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub body: IndexMap<String, Value>,
    /// Headers of every answer.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, Header>,
    /// How a streamed answer ends for the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamEnd>,
    /// What the model says in every answer, whole or streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<Says>,
    /// The providers that failed before every answer was made, in order, as the answer itself says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<Vec<String>>,
    /// How many of the step's calls were served and refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// What reached the upstream in this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Upstream>,
    /// What the ledger holds since the scenario began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// What the gateway itself says that somebody has spent: a key by its name, `team:research` and so on.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub usage: IndexMap<Owner, Amount>,
    /// What the gateway's other books say that all calls have cost since the scenario began.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub books: IndexMap<Book, Amount>,
    /// All that was charged since the scenario began stays under a cap, as the gateway's promise of
    /// how it admits says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overspend: Option<Overspend>,
    /// The step takes no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Period>,
    /// Numbers to record: their names in the report, and which number it is.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub fact: IndexMap<String, Measure>,
}

/// A book that a gateway keeps beside its budgets.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Book {
    /// Its log of requests.
    Logs,
    /// Its metrics.
    Metrics,
}

impl Book {
    /// The word for it in scenario files and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// The operation that reads it.
    #[must_use]
    pub fn operation(self) -> &'static str {
        match self {
            Self::Logs => "logged",
            Self::Metrics => "metered",
        }
    }
}

/// One status, several, or the one that the gateway promises for the refusal's reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Status {
    /// One of these.
    OneOf(Vec<u16>),
    /// As the gateway's manifest promises.
    Promised,
}

/// What a refusal must say.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// Whose kind of limit it is: `customer`, `team`, `virtual_key`, `virtual_key_provider` (a key's at one
    /// provider), `virtual_key_model` (a model's for one key), `provider`, `model`.
    pub scope: String,
    /// Whose it is: the name of the team, and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Usd>,
}

/// What a header must be.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// It is there.
    Present,
    /// It is not there.
    Absent,
    /// A whole number of seconds, at least 1 (RFC 9110, 10.2.3).
    Seconds,
}

/// How a streamed answer ends for the caller.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StreamEnd {
    /// With its end marker.
    Complete,
    /// It began; how it ends is not this step's matter.
    Begun,
    /// With an error event, or without its end marker: the caller can tell that something is missing.
    Failed,
}

/// How many calls were served and refused.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Answers of 2xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Count>,
    /// Answers that the dialect knows as a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Count>,
    /// No answer holds a key of a provider, or the administrator's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_hidden: Option<bool>,
}

/// What reached the upstream in a step.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Inference calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Count>,
    /// The providers called, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<String>>,
    /// No header of any call holds a virtual key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_hidden: Option<bool>,
}

/// What the ledger holds since the scenario began.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Inference calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Count>,
    /// What the providers charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<Amount>,
}

/// A cap on all that was charged.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Overspend {
    /// The cap.
    pub cap: Usd,
    /// What one call costs; a gateway that promises `post_paid` may overrun by the calls in flight.
    pub call: Usd,
    /// Calls that could be in flight when the cap was reached.
    #[serde(default = "one")]
    pub in_flight: u32,
}

fn one() -> u32 {
    1
}

/// A number that a run measures.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Charged since the scenario began, as a multiple of the `overspend` cap.
    Overshoot,
    /// Charged above the `overspend` cap since the scenario began, in dollars.
    SpendLost,
    /// How long the step took, in milliseconds.
    ElapsedMs,
}

impl TryFrom<Value> for Status {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let status =
            |value: &Value| value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| (100..600).contains(n));
        let statuses = match &value {
            Value::String(word) if word == "promised" => return Ok(Self::Promised),
            Value::Array(items) if !items.is_empty() => items.iter().map(status).collect(),
            one => status(one).map(|status| vec![status]),
        };
        statuses.map(Self::OneOf).ok_or_else(|| format!("{value} is no status; write 402, [401, 403] or promised"))
    }
}

impl From<Status> for Value {
    fn from(status: Status) -> Self {
        match status {
            Status::Promised => "promised".into(),
            Status::OneOf(statuses) => match statuses.as_slice() {
                [one] => (*one).into(),
                several => several.into(),
            },
        }
    }
}

impl JsonSchema for Status {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A status, several, or `promised`: as the gateway's manifest says for the reason",
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "array", "items": { "type": "integer" } },
                { "const": "promised" },
            ],
        })
    }
}
