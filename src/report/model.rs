//! The report's model: what `run --format json` prints, and what every renderer is given.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    exit::Exit,
    scenario::requirement::Level,
    verdict::{Blame, Fact, Verdict},
};

/// What became of a run.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The version of probity that ran.
    pub probity: String,
    /// From which every random choice of the run follows.
    pub seed: u64,
    /// When the run began.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// When it ended; absent if its log has no foot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub finished: Option<Timestamp>,
    /// Whether the log has its foot and every target had its turn to the end.
    pub complete: bool,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// The most memory that the runner held, in KiB, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_kib: Option<u64>,
    /// The targets, in the order of their turns.
    pub targets: Vec<Target>,
    /// What the log holds that nothing declared, a sentence each: bugs of probity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<String>,
}

/// What became of a target.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `<gateway>@<version>`.
    pub target: String,
    /// The gateway's name.
    pub gateway: String,
    /// Its version.
    pub version: String,
    /// `process`, `container` or `external`, and why, in a phrase; absent if its turn never came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// How long its turn took, in milliseconds; absent if it did not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// The figures.
    pub summary: Summary,
    /// The whole, as its MUSTs have it.
    pub conformance: Conformance,
    /// Every number that was measured on it.
    pub facts: Vec<Measured>,
    /// Why it could not be tested, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Its scenarios, in the order in which they were declared.
    pub scenarios: Vec<ScenarioResult>,
}

/// The figures of a target.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Scenarios declared.
    pub scenarios: usize,
    /// Checks, of all scenarios.
    pub checks: Checks,
    /// Scenarios by verdict.
    pub verdicts: Verdicts,
}

/// How many checks there are.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// Declared before the run.
    pub declared: usize,
    /// Of these, the ones whose capabilities the gateway claims.
    pub applicable: usize,
    /// Of these, the ones that were decided: neither `unknown` nor `not_reached`.
    pub judged: usize,
}

/// How many there are of each verdict.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is the verdict of its name")]
pub struct Verdicts {
    pub pass: usize,
    pub deviates: usize,
    pub fail: usize,
    pub unknown: usize,
    pub not_reached: usize,
    pub unsupported: usize,
    pub waived: usize,
}

/// The verdict on a target.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Conformance {
    /// Every MUST that applies was judged, and passed.
    Conformant,
    /// No MUST was found broken, but some were not judged, or are waived.
    Partial,
    /// A MUST was judged `fail` or `deviates`.
    Nonconformant,
    /// Nothing was judged.
    NotTested,
}

/// What became of a scenario.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ScenarioResult {
    /// `<area>/<name>`.
    pub id: String,
    /// The part of the id before the slash.
    pub area: String,
    /// The requirement's id.
    pub requirement: String,
    /// How much the requirement binds.
    pub level: Level,
    /// What the scenario shows, in a sentence.
    pub title: String,
    /// The worst of its checks.
    pub verdict: Verdict,
    /// Its cases.
    pub cases: Vec<CaseResult>,
}

/// What became of a case.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CaseResult {
    /// Such as `stream=true`; empty if the scenario has one case only.
    pub case: String,
    /// The worst of its checks.
    pub verdict: Verdict,
    /// How long it took, the gateway's start and stop included; absent if it did not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// The folder with what is needed to understand it, if it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The command that runs it again; absent if it did not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<String>,
    /// Its checks, in order.
    pub checks: Vec<CheckResult>,
    /// The numbers that it measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
}

/// What became of a check.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// Its identity, such as `budgets/virtual-key-trips[stream=true]#2.status`.
    pub check: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Who is to blame, if it is no pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// What was expected, in a phrase; empty if it was not judged.
    #[serde(default, skip_serializing_if = "String::is_empty")]
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
    /// Why it does not apply, if so: the capability that is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
}

/// A number that was measured, and where.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What it is, such as `overshoot at 64 clients`.
    pub name: String,
    /// The number, as text: money and multiples are exact.
    pub value: String,
    /// The scenario that measured it; empty if it belongs to the target.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scenario: String,
    /// The case; empty if the scenario has one only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub case: String,
}

impl Report {
    /// How the command ends: a target that could not be tested outranks a verdict, and a verdict
    /// outranks what was left undecided.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let ended = self.complete && !self.interrupted;
        let scenarios = || self.targets.iter().flat_map(|target| &target.scenarios);
        let undecided = |scenario: &ScenarioResult| matches!(scenario.verdict, Verdict::Unknown | Verdict::NotReached);
        let tests_nothing = |target: &Target| target.scenarios.iter().all(|scenario| !scenario.applies());
        if self.targets.iter().any(|target| target.problem.is_some()) {
            Exit::NotReady
        } else if scenarios().any(ScenarioResult::breaks_a_must) {
            Exit::NonConformant
        } else if ended && self.strays.is_empty() && (self.targets.is_empty() || self.targets.iter().any(tests_nothing))
        {
            // One that was not tested is as good as none: what was asked for is that all are.
            Exit::Nothing
        } else if !self.strays.is_empty() {
            Exit::Bug
        } else if !ended || scenarios().any(undecided) {
            Exit::Incomplete
        } else {
            Exit::Ok
        }
    }
}

impl ScenarioResult {
    /// Whether a check of it has this verdict; it may stand behind a worse one.
    #[must_use]
    pub fn has(&self, verdict: Verdict) -> bool {
        self.cases.iter().flat_map(|case| &case.checks).any(|check| check.verdict == verdict)
    }

    /// Whether it shows that the gateway does not conform.
    #[must_use]
    pub fn breaks_a_must(&self) -> bool {
        self.level == Level::Must && (self.has(Verdict::Fail) || self.has(Verdict::Deviates))
    }

    /// Whether at least one of its checks applies to the target.
    #[must_use]
    pub fn applies(&self) -> bool {
        self.verdict != Verdict::Unsupported
    }
}

impl CheckResult {
    /// Whether it was decided.
    #[must_use]
    pub fn judged(&self) -> bool {
        !matches!(self.verdict, Verdict::Unsupported | Verdict::Unknown | Verdict::NotReached)
    }
}

impl Checks {
    /// Counts the checks of scenarios.
    #[must_use]
    pub fn of(scenarios: &[ScenarioResult]) -> Self {
        let mut counts = Self::default();
        for check in scenarios.iter().flat_map(|scenario| &scenario.cases).flat_map(|case| &case.checks) {
            counts.declared += 1;
            counts.applicable += usize::from(check.verdict != Verdict::Unsupported);
            counts.judged += usize::from(check.judged());
        }
        counts
    }
}

impl Verdicts {
    /// Counts verdicts.
    #[must_use]
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            *counts.of_mut(verdict) += 1;
        }
        counts
    }

    fn of_mut(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Deviates => &mut self.deviates,
            Verdict::Fail => &mut self.fail,
            Verdict::Unknown => &mut self.unknown,
            Verdict::NotReached => &mut self.not_reached,
            Verdict::Unsupported => &mut self.unsupported,
            Verdict::Waived => &mut self.waived,
        }
    }
}

impl Conformance {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Conformant => "conformant",
            Self::Partial => "partial",
            Self::Nonconformant => "nonconformant",
            Self::NotTested => "not_tested",
        }
    }

    /// The verdict on a target with these scenarios; `ended` says that its turn came to its end.
    #[must_use]
    pub fn of(scenarios: &[ScenarioResult], ended: bool) -> Self {
        let musts = || scenarios.iter().filter(|scenario| scenario.level == Level::Must && scenario.applies());
        let untouched = |scenario: &ScenarioResult| {
            matches!(scenario.verdict, Verdict::NotReached | Verdict::Unsupported)
                && scenario.cases.iter().flat_map(|case| &case.checks).all(|check| !check.judged())
        };
        if scenarios.iter().all(untouched) {
            Self::NotTested
        } else if musts().any(ScenarioResult::breaks_a_must) {
            Self::Nonconformant
        } else if !ended || musts().next().is_none() || musts().any(|must| must.verdict != Verdict::Pass) {
            Self::Partial
        } else {
            Self::Conformant
        }
    }
}
