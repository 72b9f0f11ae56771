//! From a run log's events to the report's model: a pure function.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    event::{Declared, DeclaredCase, DeclaredCheck, Event},
    model::{
        CaseResult, CheckResult, Checks, Conformance, Measured, Report, ScenarioResult, Summary, Target, Verdicts,
    },
};
use crate::verdict::{Fact, Finding, Verdict};

/// What the log says of one turn of a target; keys are scenario, case and check.
struct Turn<'a> {
    target: &'a str,
    gateway: &'a str,
    version: &'a str,
    runtime: Option<&'a str>,
    declared: &'a [Declared],
    findings: BTreeMap<(&'a str, &'a str, &'a str), &'a Finding>,
    ends: BTreeMap<(&'a str, &'a str), End<'a>>,
    facts: Vec<Measured>,
    problem: Option<&'a str>,
    millis: Option<u64>,
}

/// The end of a case.
struct End<'a> {
    millis: u64,
    evidence: Option<&'a str>,
    rerun: &'a str,
}

/// What has been read of the log so far.
#[derive(Default)]
struct Assembly<'a> {
    head: Option<(&'a str, u64, Timestamp)>,
    planned: &'a [String],
    turns: Vec<Turn<'a>>,
    foot: Option<(Timestamp, bool, Option<u64>)>,
    strays: Vec<String>,
}

impl Report {
    /// Makes the report of a run out of its log. What was declared and never judged is `not_reached`;
    /// what was judged and never declared is a stray.
    #[must_use]
    pub fn from_events(events: &[Event]) -> Self {
        let mut assembly = Assembly::default();
        for event in events {
            assembly.take(event);
        }
        assembly.finish()
    }
}

impl<'a> Assembly<'a> {
    fn take(&mut self, event: &'a Event) {
        match event {
            Event::RunStarted { probity, seed, started, targets, .. } => {
                self.head = Some((probity, *seed, *started));
                self.planned = targets;
            }
            Event::TargetStarted { target, gateway, version, runtime, scenarios } => {
                let turn = Turn::new(target, gateway, version);
                self.turns.push(Turn { runtime: Some(runtime), declared: scenarios, ..turn });
            }
            Event::CheckJudged { target, scenario, case, check, finding } => {
                if let Some(turn) = self.turn(target, check) {
                    let worst = turn.findings.entry((scenario, case, check)).or_insert(finding);
                    if finding.verdict > worst.verdict {
                        *worst = finding;
                    }
                }
            }
            Event::FactMeasured { target, scenario, case, fact: Fact { name, value } } => {
                if let Some(turn) = self.turn(target, name) {
                    let [name, value, scenario, case] = [name, value, scenario, case].map(Clone::clone);
                    turn.facts.push(Measured { name, value, scenario, case });
                }
            }
            Event::CaseFinished { target, scenario, case, millis, evidence, rerun } => {
                if let Some(turn) = self.turn(target, scenario) {
                    let end = End { millis: *millis, evidence: evidence.as_deref(), rerun };
                    turn.ends.insert((scenario, case), end);
                }
            }
            Event::TargetFinished { target, problem, millis } => {
                if let Some(turn) = self.turn(target, "the end of its turn") {
                    turn.problem = problem.as_deref();
                    turn.millis = Some(*millis);
                }
            }
            Event::RunFinished { finished, interrupted, peak_memory_kib } => {
                self.foot = Some((*finished, *interrupted, *peak_memory_kib));
            }
        }
    }

    /// The latest turn of a target: the same one may have a turn in each of two runtimes.
    fn turn(&mut self, target: &str, what: &str) -> Option<&mut Turn<'a>> {
        let turn = self.turns.iter_mut().rev().find(|turn| turn.target == target);
        if turn.is_none() {
            self.strays.push(format!("{what}: {target} had not begun its turn"));
        }
        turn
    }

    fn finish(mut self) -> Report {
        let missed: Vec<_> =
            self.planned.iter().filter(|planned| self.turns.iter().all(|turn| turn.target != **planned)).collect();
        for target in missed {
            let (gateway, version) = target.split_once('@').unwrap_or((target, ""));
            self.turns.push(Turn::new(target, gateway, version));
        }
        if self.head.is_none() {
            self.strays.push("the log has no head".to_owned());
        }
        let (probity, seed, started) = self.head.unwrap_or_default();
        let complete = self.foot.is_some() && self.turns.iter().all(|turn| turn.millis.is_some());
        let strays = &mut self.strays;
        let targets = self.turns.into_iter().map(|turn| turn.finish(strays)).collect();
        Report {
            probity: probity.to_owned(),
            seed,
            started,
            finished: self.foot.map(|(finished, ..)| finished),
            complete,
            interrupted: self.foot.is_some_and(|(_, interrupted, _)| interrupted),
            peak_memory_kib: self.foot.and_then(|(.., kib)| kib),
            targets,
            strays: self.strays,
        }
    }
}

impl<'a> Turn<'a> {
    fn new(target: &'a str, gateway: &'a str, version: &'a str) -> Self {
        Self {
            target,
            gateway,
            version,
            runtime: None,
            declared: &[],
            findings: BTreeMap::new(),
            ends: BTreeMap::new(),
            facts: Vec::new(),
            problem: None,
            millis: None,
        }
    }

    fn finish(mut self, strays: &mut Vec<String>) -> Target {
        self.sort_facts();
        let scenarios: Vec<_> = self.declared.iter().map(|declared| self.scenario(declared)).collect();
        strays.extend(
            self.findings
                .keys()
                .map(|(.., check)| format!("{check}: was judged on {}, but never declared", self.target)),
        );
        strays.extend(self.ends.keys().map(|(scenario, case)| {
            format!("{scenario}[{case}]: this case ended on {}, but was never declared", self.target)
        }));
        Target {
            target: self.target.to_owned(),
            gateway: self.gateway.to_owned(),
            version: self.version.to_owned(),
            runtime: self.runtime.map(ToOwned::to_owned),
            millis: self.millis,
            summary: Summary {
                scenarios: scenarios.len(),
                checks: Checks::of(&scenarios),
                verdicts: Verdicts::of(scenarios.iter().map(|scenario| scenario.verdict)),
            },
            conformance: Conformance::of(&scenarios, self.millis.is_some() && self.problem.is_none()),
            facts: self.facts,
            problem: self.problem.map(ToOwned::to_owned),
            scenarios,
        }
    }

    /// The target's own first, then as the cases were declared: they end in another order each time.
    fn sort_facts(&mut self) {
        let cases = self
            .declared
            .iter()
            .flat_map(|declared| declared.cases.iter().map(|case| (declared.scenario.as_str(), case.case.as_str())));
        let places: BTreeMap<_, usize> = cases.enumerate().map(|(place, case)| (case, place)).collect();
        self.facts.sort_by_key(|fact| places.get(&(fact.scenario.as_str(), fact.case.as_str())).copied());
    }

    fn scenario(&mut self, declared: &'a Declared) -> ScenarioResult {
        let cases: Vec<_> = declared.cases.iter().map(|case| self.case(&declared.scenario, case)).collect();
        ScenarioResult {
            id: declared.scenario.clone(),
            area: declared.scenario.split('/').next().unwrap_or_default().to_owned(),
            requirement: declared.requirement.clone(),
            level: declared.level,
            title: declared.title.clone(),
            verdict: Verdict::worst(cases.iter().map(|case| case.verdict)),
            cases,
        }
    }

    fn case(&mut self, scenario: &'a str, declared: &'a DeclaredCase) -> CaseResult {
        let case = declared.case.as_str();
        let result = |check: &'a DeclaredCheck| {
            check_result(check, self.findings.remove(&(scenario, case, check.check.as_str())))
        };
        let checks: Vec<_> = declared.checks.iter().map(result).collect();
        let end = self.ends.remove(&(scenario, case));
        let own = self.facts.iter().filter(|fact| fact.scenario == scenario && fact.case == case);
        CaseResult {
            case: case.to_owned(),
            verdict: Verdict::worst(checks.iter().map(|check| check.verdict)),
            millis: end.as_ref().map(|end| end.millis),
            evidence: end.as_ref().and_then(|end| end.evidence).map(ToOwned::to_owned),
            rerun: end.map(|end| end.rerun.to_owned()),
            checks,
            facts: own.map(|fact| Fact { name: fact.name.clone(), value: fact.value.clone() }).collect(),
        }
    }
}

fn check_result(declared: &DeclaredCheck, finding: Option<&Finding>) -> CheckResult {
    let verdict = match (finding, &declared.unsupported) {
        (Some(finding), _) => finding.verdict,
        (None, Some(_)) => Verdict::Unsupported,
        (None, None) => Verdict::NotReached,
    };
    let text = |part: fn(&Finding) -> &String| finding.map(part).cloned().unwrap_or_default();
    let witness = |part: fn(&Finding) -> &Option<String>| finding.and_then(|finding| part(finding).clone());
    CheckResult {
        check: declared.check.clone(),
        verdict,
        blame: finding.and_then(|finding| finding.blame),
        expected: text(|finding| &finding.expected),
        found: text(|finding| &finding.found),
        caller: witness(|finding| &finding.caller),
        upstream: witness(|finding| &finding.upstream),
        gateway: witness(|finding| &finding.gateway),
        unsupported: declared.unsupported.clone().or_else(|| {
            // The judge can find out only while it runs that a capability is missing.
            finding.filter(|finding| finding.verdict == Verdict::Unsupported).map(|finding| finding.found.clone())
        }),
    }
}

#[cfg(test)]
mod tests;
