//! How many, and how much money: a figure, or a range of them.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::money::Usd;

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

impl Amount {
    /// Whether no amount can be in range.
    fn is_reversed(self) -> bool {
        matches!((self.at_least, self.at_most), (Figure::Stated(least), Some(Figure::Stated(most))) if most < least)
    }
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
            .filter(|count| count.at_most.is_none_or(|most| most >= count.at_least))
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
            .filter(|amount| !amount.is_reversed())
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

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How many: exactly, or a range",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                {
                    "type": "object",
                    "properties": { "at_least": { "type": "integer" }, "at_most": { "type": "integer" } },
                    "additionalProperties": false,
                },
            ],
        })
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How much: $0.005, `charged` (what the ledger holds), or a range of the two",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "at_least": { "type": "string" }, "at_most": { "type": "string" } },
                    "additionalProperties": false,
                },
            ],
        })
    }
}
