//! Running one unit: its gateway, its cases one after another, and what was found.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use reqwest::Client;

use super::{
    control,
    evidence::{self, Evidence, Scene},
    plan::{PlannedCase, Target, Unit},
};
use crate::{
    drive::{
        CaseWorld, Driver, NotStarted, Start,
        answer::Answer,
        observation::{Observation, Problem},
    },
    judge::{self, Judging},
    report::event::Event,
    scenario::{CheckId, CheckKind, Step},
    verdict::{Blame, Finding, Verdict},
};

/// What a unit is run with.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) target: Arc<Target>,
    pub(super) client: Client,
    pub(super) seed: u64,
    pub(super) evidence: Arc<Path>,
    pub(super) rerun: Arc<str>,
    pub(super) emit: tokio::sync::mpsc::UnboundedSender<Event>,
}

impl Context {
    fn emit(&self, event: Event) {
        // The receiver goes away only when the run is over.
        let _ = self.emit.send(event);
    }

    fn start<'a>(&'a self, name: &'a str) -> Start<'a> {
        self.target.start(self.seed, name)
    }
}

/// Runs the cases of a unit on one gateway; a gateway that dies is started anew for the next case.
pub(super) async fn run_unit(context: Context, unit: Unit) {
    let mut driver: Option<Driver<'_>> = None;
    for planned in &unit.cases {
        let began = Instant::now();
        let mut run =
            CaseRun { context: &context, planned, findings: Vec::new(), answers: Vec::new(), not_started: None };
        let mut driven = false;
        match control::check(&context.client, &planned.case).await {
            Err((blame, found)) => run.all_unknown(blame, &format!("the control lane: {found}")),
            Ok(()) => {
                driver = run.gateway(driver.take()).await;
                if let Some(ready) = &mut driver {
                    driven = true;
                    run.steps(ready).await;
                }
            }
        }
        let evidence = run.evidence(driver.as_ref().filter(|_| driven)).await;
        run.finish(began, evidence);
        if needs_a_fresh_gateway(&run.findings)
            && let Some(driver) = driver.take()
        {
            driver.world.discard().await;
        }
    }
    if let Some(driver) = driver {
        driver.world.discard().await;
    }
}

/// After a case that failed, the next one of a shared gateway gets a fresh one.
fn needs_a_fresh_gateway(findings: &[(CheckId, Finding)]) -> bool {
    Verdict::worst(findings.iter().map(|(_, finding)| finding.verdict)) > Verdict::Deviates
}

/// The step behind which nothing is reached.
struct Failed {
    step: usize,
    blame: Blame,
    /// What is not told by its checks; empty if they do.
    why: String,
}

struct CaseRun<'a> {
    context: &'a Context,
    planned: &'a PlannedCase,
    findings: Vec<(CheckId, Finding)>,
    answers: Vec<Answer>,
    not_started: Option<Box<NotStarted>>,
}

/// Markers must differ between all cases of a process, whatever order they run in.
static NEXT_MARKER: AtomicU64 = AtomicU64::new(1);

impl<'a> CaseRun<'a> {
    /// The gateway of the case before, if it can serve this one too; else one of its own.
    async fn gateway(&mut self, used: Option<Driver<'a>>) -> Option<Driver<'a>> {
        let scenario = &self.planned.case.scenario;
        let marker = format!("pb{}", NEXT_MARKER.fetch_add(1, Ordering::Relaxed));
        if let Some(mut used) = used {
            if used.can_serve(scenario) && used.begin(marker.clone(), scenario).await.is_ok() {
                return Some(used);
            }
            used.world.discard().await;
        }
        let start = self.context.start(&self.planned.name);
        match Driver::start(start, self.context.client.clone(), marker, scenario).await {
            Ok(driver) => Some(driver),
            Err(not_started) => {
                self.note_not_started(&not_started);
                self.not_started = Some(not_started);
                None
            }
        }
    }

    async fn steps(&mut self, driver: &mut Driver<'_>) {
        let mut failed: Option<Failed> = None;
        let mut reached = Vec::new();
        for (index, step) in self.planned.case.scenario.steps.iter().enumerate() {
            let number = index + 1;
            if let Some(failed) = &failed {
                self.not_reached(number, step, failed);
                continue;
            }
            let seen = driver.step(number, step, &judge::satisfied).await;
            let worst = self.judge(driver, number, step, &seen);
            for fact in judge::facts(step, &seen) {
                let case = &self.planned.case;
                self.context.emit(Event::FactMeasured {
                    target: self.context.target.name(),
                    scenario: case.scenario.id.clone(),
                    case: case.name.clone(),
                    fact,
                });
            }
            reached.push((number, driver.reached_by_now(number)));
            self.answers.extend(seen.answers);
            // A gateway that went in a step without checks is found gone by the next step that has any.
            let obstacle = seen.problem.filter(|problem| problem.fatal && problem.blame != Blame::Gateway);
            if let Some(Problem { what, blame, .. }) = obstacle {
                failed = Some(Failed { step: number, blame, why: format!(": {}", driver.world.secrets.redact(&what)) });
            } else if worst > Verdict::Deviates {
                failed = Some(Failed { step: number, blame: self.blame_for(number), why: String::new() });
            }
        }
        self.afterthoughts(driver, &reached).await;
    }

    fn judge(&mut self, driver: &Driver<'_>, number: usize, step: &Step, seen: &Observation) -> Verdict {
        let gateway = &self.context.target.gateway;
        let judging = Judging { dialect: &gateway.dialect, promises: &gateway.manifest.promises };
        let checks = self.checks_of(number);
        let mut findings: Vec<_> = checks.iter().map(|id| judge::judge(judging, step, &id.kind, seen)).collect();
        let worst = |findings: &[Finding]| Verdict::worst(findings.iter().map(|finding| finding.verdict));
        if let Some(problem) = seen.problem.as_ref().filter(|problem| problem.fatal && problem.blame == Blame::Gateway)
            && worst(&findings) < Verdict::Fail
            && let Some(first) = findings.first_mut()
        {
            // "None was served" holds for a gateway that is gone, too: that is no pass.
            let expected = format!("{}, from a gateway that lives", first.expected);
            *first = plain(Verdict::Fail, Blame::Gateway, expected, problem.what.clone());
        }
        let worst = worst(&findings);
        for (id, mut finding) in checks.into_iter().zip(findings) {
            redact(&driver.world, &mut finding);
            self.found(id, finding);
        }
        worst
    }

    /// The checks of a step that apply.
    fn checks_of(&self, number: usize) -> Vec<CheckId> {
        let checks = self.planned.case.checks().into_iter().zip(&self.planned.applies);
        checks.filter(|(id, applies)| **applies && id.step == number).map(|(id, _)| id).collect()
    }

    fn not_reached(&mut self, number: usize, step: &Step, failed: &Failed) {
        for id in self.checks_of(number) {
            let expected = format!("step {number} ({}) is reached", step.action.word());
            let found = format!("step {} failed before it{}", failed.step, failed.why);
            self.found(id, plain(Verdict::NotReached, failed.blame, expected, found));
        }
    }

    /// Who is to blame for the worst that was found of a step.
    fn blame_for(&self, number: usize) -> Blame {
        let of_step = self.findings.iter().filter(|(id, _)| id.step == number);
        let worst = of_step.max_by_key(|(_, finding)| finding.verdict);
        worst.and_then(|(_, finding)| finding.blame).unwrap_or(Blame::Gateway)
    }

    fn all_unknown(&mut self, blame: Blame, why: &str) {
        for id in self.all_checks() {
            let finding = plain(Verdict::Unknown, blame, "the scenario's premise holds".to_owned(), why.to_owned());
            self.found(id, finding);
        }
    }

    fn note_not_started(&mut self, not_started: &NotStarted) {
        let error = &not_started.error;
        let blame = error.blame();
        for (index, id) in self.all_checks().into_iter().enumerate() {
            let verdict = match (index, blame) {
                (0, Blame::Gateway) => Verdict::Fail,
                (0, _) => Verdict::Unknown,
                _ => Verdict::NotReached,
            };
            let found = if index == 0 { error.with_log() } else { "the gateway did not start".to_owned() };
            self.found(id, plain(verdict, blame, "the gateway starts".to_owned(), found));
        }
    }

    fn all_checks(&self) -> Vec<CheckId> {
        let checks = self.planned.case.checks().into_iter().zip(&self.planned.applies);
        checks.filter(|(_, applies)| **applies).map(|(id, _)| id).collect()
    }

    fn found(&mut self, id: CheckId, finding: Finding) {
        self.findings.push((id, finding));
    }

    /// What came after it was judged: calls of a step that reached the upstream late, and a gateway
    /// that went when nobody looked.
    async fn afterthoughts(&mut self, driver: &mut Driver<'_>, reached: &[(usize, usize)]) {
        for (step, at_judgement) in reached {
            let by_now = driver.reached_by_now(*step);
            let counted = |(id, finding): &&mut (CheckId, Finding)| {
                id.step == *step && id.kind == CheckKind::UpstreamCalls && finding.verdict == Verdict::Pass
            };
            if by_now > *at_judgement
                && let Some((_, finding)) = self.findings.iter_mut().find(counted)
            {
                let found = format!("{at_judgement} did, and {by_now} had by the end of the case");
                *finding = plain(Verdict::Fail, Blame::Gateway, finding.expected.clone(), found);
            }
        }
        let passed = Verdict::worst(self.findings.iter().map(|(_, finding)| finding.verdict)) <= Verdict::Deviates;
        if passed
            && let Some(how) = driver.exited().await
            && let Some((_, last)) = self.findings.last_mut()
        {
            let expected = format!("{}, from a gateway that lives", last.expected);
            *last = plain(Verdict::Fail, Blame::Gateway, expected, format!("the gateway is gone ({how})"));
        }
    }

    fn rerun(&self) -> String {
        let case = &self.planned.case;
        let which = if case.name.is_empty() { String::new() } else { format!(" --case '{}'", case.name) };
        format!("{} '={}'{which}", self.context.rerun, case.scenario.id)
    }

    async fn evidence(&self, driver: Option<&Driver<'_>>) -> Option<String> {
        let worst = Verdict::worst(self.findings.iter().map(|(_, finding)| finding.verdict));
        if worst <= Verdict::Waived {
            return None;
        }
        let case = &self.planned.case;
        let folder =
            evidence::folder(&self.context.evidence, &self.context.target.name(), &case.scenario.id, &case.name);
        let log = match driver {
            Some(driver) => driver.world.instance.log().await,
            None => String::new(),
        };
        let scene = match (driver, &self.not_started) {
            (Some(Driver { world, .. }), _) => Scene::Driven { world, answers: &self.answers, log: &log },
            (None, Some(not_started)) => Scene::NotStarted(not_started),
            (None, None) => Scene::Control,
        };
        let evidence = Evidence { scene, findings: &self.findings, rerun: &self.rerun() };
        match evidence.write(&folder) {
            Ok(()) => Some(folder.display().to_string()),
            Err(error) => {
                tracing::warn!(
                    "the evidence of {} is not kept, since {} cannot be written: {error}; its verdicts are in the reports",
                    case.scenario.id,
                    folder.display()
                );
                None
            }
        }
    }

    /// Tells the run log all that was found, and that the case is over.
    fn finish(&self, began: Instant, evidence: Option<String>) {
        let case = &self.planned.case;
        for (id, finding) in &self.findings {
            self.context.emit(Event::CheckJudged {
                target: self.context.target.name(),
                scenario: id.scenario.clone(),
                case: id.case.clone(),
                check: id.to_string(),
                finding: finding.clone(),
            });
        }
        self.context.emit(Event::CaseFinished {
            target: self.context.target.name(),
            scenario: case.scenario.id.clone(),
            case: case.name.clone(),
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            evidence,
            rerun: self.rerun(),
        });
    }
}

fn plain(verdict: Verdict, blame: Blame, expected: String, found: String) -> Finding {
    Finding { verdict, blame: Some(blame), expected, found, caller: None, upstream: None, gateway: None }
}

fn redact(world: &CaseWorld, finding: &mut Finding) {
    let texts =
        [Some(&mut finding.found), finding.caller.as_mut(), finding.upstream.as_mut(), finding.gateway.as_mut()];
    for text in texts.into_iter().flatten() {
        *text = world.secrets.redact(text);
    }
}
