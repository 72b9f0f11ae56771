//! The run log: events, one JSON object a line. Every report is a pure function of it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    scenario::requirement::Level,
    verdict::{Fact, Finding},
};

/// The version of the log's format; a reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// One line of the run log.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The head: the first line.
    RunStarted {
        /// [`FORMAT`].
        format: u32,
        /// probity's version.
        probity: String,
        /// From which every random choice of the run follows.
        seed: u64,
        /// When.
        #[schemars(with = "String")]
        started: Timestamp,
        /// Every target whose turn is to come, `<gateway>@<version>` each: one whose turn never
        /// comes is then missed.
        targets: Vec<String>,
    },
    /// A target's turn begins.
    TargetStarted {
        /// `<gateway>@<version>`.
        target: String,
        /// The gateway's name.
        gateway: String,
        /// Its version.
        version: String,
        /// `process`, `container` or `external`, and why, in a phrase.
        runtime: String,
        /// The order of the scenarios that follow.
        scenarios: Vec<Declared>,
    },
    /// One check was judged.
    CheckJudged {
        /// `<gateway>@<version>`.
        target: String,
        /// The scenario.
        scenario: String,
        /// The case; empty if the scenario has one only.
        case: String,
        /// The check.
        check: String,
        /// What was found.
        finding: Finding,
    },
    /// A number was measured.
    FactMeasured {
        /// `<gateway>@<version>`.
        target: String,
        /// The scenario; empty for one that belongs to the target.
        scenario: String,
        /// The case; empty if the scenario has one only.
        case: String,
        /// The fact.
        fact: Fact,
    },
    /// A case is over.
    CaseFinished {
        /// `<gateway>@<version>`.
        target: String,
        /// The scenario.
        scenario: String,
        /// The case; empty if the scenario has one only.
        case: String,
        /// How long it took, the gateway's start and stop included, in milliseconds.
        millis: u64,
        /// The folder with what is needed to understand it, if it did not pass.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
        /// The command that runs it again.
        rerun: String,
    },
    /// A target's turn is over.
    TargetFinished {
        /// `<gateway>@<version>`.
        target: String,
        /// Why it could not be tested, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
        /// How long the turn took, in milliseconds.
        millis: u64,
    },
    /// The foot: the last line. A log without one is incomplete.
    RunFinished {
        /// When.
        #[schemars(with = "String")]
        finished: Timestamp,
        /// Whether the run was interrupted.
        interrupted: bool,
        /// The most memory that the runner held, in KiB, where the system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peak_memory_kib: Option<u64>,
    },
}

/// A scenario of a target, with every check that it declares before it runs.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Its id, `<area>/<name>`.
    pub scenario: String,
    /// The requirement's id.
    pub requirement: String,
    /// How much the requirement binds.
    pub level: Level,
    /// The scenario's title.
    pub title: String,
    /// Its cases.
    pub cases: Vec<DeclaredCase>,
}

/// A case, with every check that it declares.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DeclaredCase {
    /// Its name, such as `stream=true`; empty if the scenario has one only.
    pub case: String,
    /// Its checks, in order.
    pub checks: Vec<DeclaredCheck>,
}

/// A check, and whether it applies to this target.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DeclaredCheck {
    /// Its identity, such as `budgets/virtual-key-trips[stream=true]#2.status`.
    pub check: String,
    /// Why it does not apply, if so: the capability that is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
}
