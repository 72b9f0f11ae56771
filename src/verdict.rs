//! Verdicts: what became of a check, and who is to blame.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a check, a case, a scenario or a target; ordered from best to worst, so that the
/// whole is the maximum of its parts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The gateway does not claim the capability.
    Unsupported,
    /// As the requirement and the gateway's promise say.
    Pass,
    /// Fails as a waiver says.
    Waived,
    /// It did enforce, but in another form.
    Deviates,
    /// Could not be decided.
    Unknown,
    /// A check behind a step that failed.
    NotReached,
    /// It did not enforce, charged wrong, lost something, crashed or hung.
    Fail,
}

impl Verdict {
    /// All of them, from best to worst.
    pub const ALL: [Self; 7] =
        [Self::Unsupported, Self::Pass, Self::Waived, Self::Deviates, Self::Unknown, Self::NotReached, Self::Fail];

    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Pass => "pass",
            Self::Waived => "waived",
            Self::Deviates => "deviates",
            Self::Unknown => "unknown",
            Self::NotReached => "not_reached",
            Self::Fail => "fail",
        }
    }

    /// The worst of several; `Unsupported` if there are none.
    #[must_use]
    pub fn worst(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Unsupported)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Who is to blame for a verdict that is no pass.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The product under test.
    Gateway,
    /// The mock providers.
    Upstream,
    /// This machine: no port, no disk, no container runtime.
    Environment,
    /// The scenario itself: what it expects does not happen without a gateway either.
    Scenario,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
            Self::Environment => "environment",
            Self::Scenario => "scenario",
        })
    }
}

/// What was found for one check, with what each witness saw.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What became of it.
    pub verdict: Verdict,
    /// Who is to blame, if it is no pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// What was expected, in a phrase.
    pub expected: String,
    /// What was found instead, in a phrase; empty for a pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// What the caller saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What the upstream's ledger holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What the gateway itself says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// A number that was measured.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What it is, such as `overshoot at 64 clients`.
    pub name: String,
    /// The number, as text: money and multiples are exact.
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_takes_the_worst_of_its_checks() {
        assert_eq!(Verdict::worst([Verdict::Pass, Verdict::Deviates, Verdict::Unsupported]), Verdict::Deviates);
        assert_eq!(Verdict::worst([Verdict::Pass, Verdict::Unknown]), Verdict::Unknown);
        assert_eq!(Verdict::worst([Verdict::NotReached, Verdict::Fail]), Verdict::Fail);
    }

    #[test]
    fn nothing_at_all_is_no_pass() {
        assert_eq!(Verdict::worst([]), Verdict::Unsupported);
    }
}
