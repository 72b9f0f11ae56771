//! What a run will do, all of it checked before anything is started.

use std::{path::PathBuf, sync::Arc};

use super::{
    external,
    renderable::{self, Unrenderable},
};
use crate::{
    document::DocumentError,
    drive::{Asked, Start},
    gateway::Gateway,
    period::Period,
    report::event::{Declared, DeclaredCase, DeclaredCheck},
    runtime::{Kind, Runtime},
    scenario::{Case, CaseContext, Entry, Eval, step::Instance},
    verdict::Fact,
};

/// A gateway, a version of it and a runtime.
pub struct Target {
    /// The gateway's folder.
    pub gateway: Gateway,
    /// Its version.
    pub version: String,
    /// How it is started.
    pub runtime: Arc<dyn Runtime>,
    /// Which runtime that is, and why, in a phrase.
    pub why: String,
    /// The folder of tools that were installed for it.
    pub installed: String,
    /// The executable that carries the reference gateway.
    pub probity: PathBuf,
    /// What its first start showed, once it was started: every later run of the same target goes by that.
    pub first_start: FirstStart,
}

/// The facts of a target's first start.
pub type FirstStart = tokio::sync::OnceCell<Vec<Fact>>;

impl Target {
    /// `<gateway>@<version>`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}@{}", self.gateway.manifest.name, self.version)
    }

    /// What a case of this name needs to start on it.
    #[must_use]
    pub fn start<'a>(&'a self, seed: u64, name: &'a str) -> Start<'a> {
        Start {
            gateway: &self.gateway,
            version: &self.version,
            runtime: &*self.runtime,
            installed: &self.installed,
            probity: &self.probity,
            seed,
            name,
        }
    }
}

/// What a run will do.
pub struct Plan {
    /// The targets, in order.
    pub targets: Vec<Planned>,
    /// From which every random choice follows.
    pub seed: u64,
    /// How many cases run at once.
    pub jobs: usize,
    /// Where evidence goes.
    pub evidence: PathBuf,
    /// The command that runs one case again, up to its id.
    pub rerun: String,
}

/// One target with its scenarios.
pub struct Planned {
    /// The target.
    pub target: Arc<Target>,
    /// Its scenarios, declared as the run log has them.
    pub declared: Vec<Declared>,
    /// What is run: the cases that apply, one gateway for each unit.
    pub units: Vec<Unit>,
}

/// Cases that share a gateway.
pub struct Unit {
    /// The cases, in order; all of one scenario.
    pub cases: Vec<PlannedCase>,
}

/// A case that applies, with the checks that do.
#[derive(Clone)]
pub struct PlannedCase {
    /// The case.
    pub case: Case,
    /// Whether each of its checks applies, in the order of [`Case::checks`].
    pub applies: Vec<bool>,
    /// What it is called among all cases.
    pub name: String,
}

/// Why a run cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A scenario cannot be expanded for this target.
    #[error(transparent)]
    Scenario(Box<DocumentError>),
    /// A gateway's templates cannot express a scenario's policy.
    #[error("{scenario}: {error}")]
    Render {
        /// The scenario.
        scenario: String,
        /// What is wrong.
        error: Unrenderable,
    },
}

/// Which cases of the selected scenarios are run.
type Selected<'a> = &'a dyn Fn(&Case) -> bool;

/// Plans one target: which cases and checks apply, and that every policy can be rendered.
///
/// # Errors
/// When a scenario cannot be expanded, or a policy cannot be rendered.
pub fn plan(
    target: Arc<Target>,
    entries: &[&Entry],
    eval: &Eval,
    selected: Selected<'_>,
) -> Result<Planned, PlanError> {
    let context = CaseContext {
        window: window(&target.gateway),
        unanswered_calls: target.gateway.manifest.promises.unanswered_calls,
        eval: eval.clone(),
    };
    let mut declared = Vec::new();
    let mut units = Vec::new();
    for entry in entries {
        let cases = entry.cases_in(&context).map_err(PlanError::Scenario)?;
        let mut in_scenario = Vec::new();
        let mut shared: Vec<(Asked, Unit)> = Vec::new();
        for case in cases.into_iter().filter(|case| selected(case)) {
            let (declared, planned) = plan_case(&target, case);
            in_scenario.push(declared);
            let Some(planned) = planned else { continue };
            renderable::check(&target, &planned.case)
                .map_err(|error| PlanError::Render { scenario: planned.case.scenario.id.clone(), error })?;
            match planned.case.scenario.instance {
                Instance::Shared => share(&mut shared, planned),
                Instance::PerCase => units.push(Unit { cases: vec![planned] }),
            }
        }
        units.extend(shared.into_iter().map(|(_, unit)| unit));
        if !in_scenario.is_empty() {
            declared.push(Declared {
                scenario: entry.id.clone(),
                requirement: entry.requirement.id.clone(),
                level: entry.requirement.level,
                title: entry.title().to_owned(),
                cases: in_scenario,
            });
        }
    }
    Ok(Planned { target, declared, units })
}

/// Puts a case to those that ask the same of their gateway, if there are any.
fn share(units: &mut Vec<(Asked, Unit)>, planned: PlannedCase) {
    let asked = Asked::of(&planned.case.scenario);
    match units.iter_mut().find(|(others, _)| *others == asked) {
        Some((_, unit)) => unit.cases.push(planned),
        None => units.push((asked, Unit { cases: vec![planned] })),
    }
}

/// The window whose end scenarios wait for: short where real time must pass.
fn window(gateway: &Gateway) -> Period {
    let promised = gateway.manifest.promises.shortest_window;
    promised.unwrap_or_else(|| CaseContext::default().window)
}

fn plan_case(target: &Target, case: Case) -> (DeclaredCase, Option<PlannedCase>) {
    let lacking = match target.runtime.kind() {
        Kind::External => external::lacks_for_case(&target.gateway, &case),
        Kind::Process | Kind::Container => target.gateway.lacks_for_case(&case),
    };
    let declare = |check: &crate::scenario::CheckId| DeclaredCheck {
        check: check.to_string(),
        unsupported: lacking.clone().or_else(|| target.gateway.lacks_for_check(&check.kind)),
    };
    let checks: Vec<_> = case.checks().iter().map(declare).collect();
    let applies = checks.iter().map(|check| check.unsupported.is_none()).collect();
    let declared = DeclaredCase { case: case.name.clone(), checks };
    let name = format!("{}[{}]", case.scenario.id, case.name);
    let planned = lacking.is_none().then_some(PlannedCase { case, applies, name });
    (declared, planned)
}
