//! Why a gateway refuses a call, in neutral words.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

impl TryFrom<Value> for Refused {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let reasons = match value {
            Value::Array(items) => items,
            one => vec![one],
        };
        if reasons.is_empty() {
            return Err("no reason at all is given; write one, or several".to_owned());
        }
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
