//! Requirements: numbered sentences that say MUST, SHOULD or MAY, with their sources.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One requirement of `scenarios/requirements.yaml`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its number, such as `BUD-1`.
    pub id: String,
    /// How much it binds.
    pub level: Level,
    /// The sentence.
    pub text: String,
    /// Where it comes from: a document, an issue, an RFC.
    pub source: String,
}

/// How much a requirement binds (RFC 2119).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A gateway may differ.
    May,
    /// A gateway needs a good reason to differ.
    Should,
    /// A gateway that differs does not conform.
    Must,
}

impl Level {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::May => "may",
            Self::Should => "should",
            Self::Must => "must",
        }
    }
}

/// The file `requirements.yaml`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// All of them.
    pub requirements: Vec<Requirement>,
}
