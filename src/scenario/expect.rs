//! What a step may be expected to show, and to whom of the three witnesses.

use std::{borrow::Cow, fmt};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// What the gateway's other books say that all calls have cost since it was started.
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

/// Why a gateway refuses a call, in neutral words that each gateway's dialect is mapped to.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A spending cap is reached.
    BudgetExceeded,
    /// Too many calls in a window.
    RequestLimited,
    /// Too many tokens in a window.
    TokenLimited,
    /// No credential where one is needed.
    KeyMissing,
    /// A credential that belongs to nobody.
    KeyUnknown,
    /// A credential that is switched off.
    KeyBlocked,
    /// Two credentials that contradict each other.
    KeyConflict,
    /// A model that cannot be priced under a cap.
    ModelUnpriced,
    /// A model or provider that this key may not use.
    ModelBlocked,
    /// A header is missing without which no call is served.
    HeadersMissing,
    /// No provider could serve the call.
    UpstreamFailed,
}

impl Reason {
    /// The word for it in scenario files, manifests and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BudgetExceeded => "budget_exceeded",
            Self::RequestLimited => "request_limited",
            Self::TokenLimited => "token_limited",
            Self::KeyMissing => "key_missing",
            Self::KeyUnknown => "key_unknown",
            Self::KeyBlocked => "key_blocked",
            Self::KeyConflict => "key_conflict",
            Self::ModelUnpriced => "model_unpriced",
            Self::ModelBlocked => "model_blocked",
            Self::HeadersMissing => "headers_missing",
            Self::UpstreamFailed => "upstream_failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One reason, or any of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Refused(pub Vec<Reason>);

/// One status, several, or the one that the gateway promises for the refusal's reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Status {
    /// One of these.
    OneOf(Vec<u16>),
    /// As the gateway's manifest promises.
    Promised,
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Count {
    /// No fewer.
    pub at_least: u64,
    /// No more; no bound if absent.
    pub at_most: Option<u64>,
}

impl Count {
    /// Whether a number is in range.
    #[must_use]
    pub fn admits(self, number: u64) -> bool {
        number >= self.at_least && self.at_most.is_none_or(|most| number <= most)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_most {
            Some(most) if most == self.at_least => write!(f, "{most}"),
            Some(most) => write!(f, "{} to {most}", self.at_least),
            None => write!(f, "at least {}", self.at_least),
        }
    }
}

/// How much money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Amount {
    /// No less.
    pub at_least: Figure,
    /// No more; no bound if absent.
    pub at_most: Option<Figure>,
}

/// A sum of money, stated or taken from the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Stated by the scenario.
    Stated(Usd),
    /// What the ledger charged since the scenario began.
    Charged,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stated(usd) => usd.fmt(f),
            Self::Charged => f.write_str("charged"),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_most {
            Some(most) if most == self.at_least => write!(f, "{most}"),
            Some(most) => write!(f, "{} to {most}", self.at_least),
            None => write!(f, "at least {}", self.at_least),
        }
    }
}

/// What a refusal must say.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// Whose kind of limit it is: `customer`, `team`, `virtual_key`, `virtual_key_provider` (a key's at one
    /// provider), `provider`, `model`.
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

impl TryFrom<Value> for Refused {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let reasons = match value {
            Value::Array(items) => items,
            one => vec![one],
        };
        let reasons =
            reasons.into_iter().map(|reason| serde_json::from_value(reason).map_err(|error| error.to_string()));
        reasons.collect::<Result<_, _>>().map(Self)
    }
}

impl From<Refused> for Value {
    fn from(refused: Refused) -> Self {
        match refused.0.as_slice() {
            [reason] => reason.word().into(),
            reasons => reasons.iter().map(|reason| reason.word()).collect(),
        }
    }
}

impl TryFrom<Value> for Status {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let status =
            |value: &Value| value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| (100..600).contains(n));
        let statuses = match &value {
            Value::String(word) if word == "promised" => return Ok(Self::Promised),
            Value::Array(items) => items.iter().map(status).collect(),
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

/// The fields of a range, for [`Count`] and [`Amount`].
fn range<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<(Option<T>, Option<T>)> {
    let fields = value.as_object()?;
    let known = fields.keys().all(|name| name == "at_least" || name == "at_most");
    let read = |name| fields.get(name).map(&read);
    match (read("at_least"), read("at_most")) {
        _ if !known => None,
        (None | Some(None), None) | (_, Some(None)) | (Some(None), _) => None,
        (least, most) => Some((least.flatten(), most.flatten())),
    }
}

impl TryFrom<Value> for Count {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Some(exact) = value.as_u64() {
            return Ok(Self { at_least: exact, at_most: Some(exact) });
        }
        range(&value, Value::as_u64)
            .map(|(least, most)| Self { at_least: least.unwrap_or(0), at_most: most })
            .ok_or_else(|| format!("{value} is no count; write 4 or {{at_least: 3, at_most: 5}}"))
    }
}

impl From<Count> for Value {
    fn from(count: Count) -> Self {
        match count.at_most {
            Some(most) if most == count.at_least => most.into(),
            Some(most) => serde_json::json!({ "at_least": count.at_least, "at_most": most }),
            None => serde_json::json!({ "at_least": count.at_least }),
        }
    }
}

impl TryFrom<Value> for Amount {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let figure = |value: &Value| match value.as_str()? {
            "charged" => Some(Figure::Charged),
            usd => usd.parse().ok().map(Figure::Stated),
        };
        if let Some(exact) = figure(&value) {
            return Ok(Self { at_least: exact, at_most: Some(exact) });
        }
        range(&value, figure)
            .map(|(least, most)| Self { at_least: least.unwrap_or(Figure::Stated(Usd::ZERO)), at_most: most })
            .ok_or_else(|| {
                format!("{value} is no amount; write $0.005, charged, or {{at_least: charged, at_most: $1}}")
            })
    }
}

impl From<Amount> for Value {
    fn from(amount: Amount) -> Self {
        let least = amount.at_least.to_string();
        match amount.at_most {
            Some(most) if most == amount.at_least => least.into(),
            Some(most) => serde_json::json!({ "at_least": least, "at_most": most.to_string() }),
            None => serde_json::json!({ "at_least": least }),
        }
    }
}

/// A hand-written schema for a type that is read from several forms.
macro_rules! schema {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let _ = generator;
                json_schema!($schema)
            }
        }
    };
}

schema!(Status, {
    "description": "A status, several, or `promised`: as the gateway's manifest says for the reason",
    "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 },
        { "type": "array", "items": { "type": "integer" } },
        { "const": "promised" },
    ],
});
schema!(Count, {
    "description": "How many: exactly, or a range",
    "anyOf": [
        { "type": "integer", "minimum": 0 },
        {
            "type": "object",
            "properties": { "at_least": { "type": "integer" }, "at_most": { "type": "integer" } },
            "additionalProperties": false,
        },
    ],
});
schema!(Amount, {
    "description": "How much: $0.005, `charged` (what the ledger holds), or a range of the two",
    "anyOf": [
        { "type": "string" },
        {
            "type": "object",
            "properties": { "at_least": { "type": "string" }, "at_most": { "type": "string" } },
            "additionalProperties": false,
        },
    ],
});

impl JsonSchema for Refused {
    fn schema_name() -> Cow<'static, str> {
        "Refused".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reason = generator.subschema_for::<Reason>();
        json_schema!({
            "description": "A neutral reason, or any of several",
            "anyOf": [reason, { "type": "array", "items": reason }],
        })
    }
}
