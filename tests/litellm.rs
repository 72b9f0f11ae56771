//! LiteLLM, installed on first use, goes through the whole catalogue. What it conforms to is its own
//! affair; that its run is complete, and that every check has its reason, is ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    path::Path,
    process::{ExitCode, Output},
    time::Duration,
};

use libtest_mimic::{Arguments, Trial};
use probity::{
    report::model::{CaseResult, Report, ScenarioResult, Target},
    verdict::{Blame, Verdict},
};
use support::{python, root, wait};

/// Where its starts cannot share what they load, each of its two hundred needs seconds of processor time.
const RUN_ENDS_WITHIN: Duration = Duration::from_secs(60 * 60);

fn main() -> ExitCode {
    let sentence = "litellm: a run is complete, with every check judged or excused by a capability";
    let trial: Trial = python::trial(sentence, "gateways/litellm/requirements.txt", |_| {
        is_complete();
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

#[expect(clippy::print_stdout, reason = "what LiteLLM made of the catalogue, in a line")]
fn is_complete() {
    let output = run();
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    assert!(report.complete && !report.interrupted, "the run must come to its end: {errors}");
    assert!(report.strays.is_empty(), "{:?}", report.strays);
    let [target] = report.targets.as_slice() else { panic!("one target was asked for: {errors}") };
    assert_eq!((target.gateway.as_str(), &target.problem), ("litellm", &None));
    for case in target.scenarios.iter().flat_map(|scenario| &scenario.cases) {
        every_check_has_its_reason(case);
    }
    is_no_thin_run(target);
    let broken = target.scenarios.iter().any(ScenarioResult::breaks_a_must);
    let expected = if broken { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "1 says that a MUST is broken: {errors}");
    println!("litellm@{}: {:?} in {:?} ms", target.version, target.summary, target.millis);
}

/// The whole catalogue, as `probity run --gateway litellm` has it, in a process of its own.
fn run() -> Output {
    // Beside the folder of `probity run`, so that both share one installation.
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("litellm-test");
    let mut run = tokio::process::Command::new(support::probity());
    run.current_dir(root()).args(["run", "--gateway", "litellm", "--format", "json", "--seed", "1", "--quiet"]);
    // LiteLLM has no container here, whatever the other tests are told to use.
    run.args(["--jobs", "4", "--runtime", "process", "--out"]).arg(out).kill_on_drop(true);
    let ended = wait(async { tokio::time::timeout(RUN_ENDS_WITHIN, run.output()).await });
    ended.expect("the run must end").unwrap()
}

/// Judged, or behind a step that failed, or of a capability that LiteLLM does not claim.
fn every_check_has_its_reason(case: &CaseResult) {
    for (index, check) in case.checks.iter().enumerate() {
        let what = format!("{}: {check:?}", check.check);
        let before = &case.checks[..index];
        match check.verdict {
            Verdict::Unknown => panic!("it must be decided: {what}"),
            Verdict::Unsupported => assert!(check.unsupported.is_some(), "a capability must be named: {what}"),
            Verdict::NotReached => {
                let failed = before.iter().any(|earlier| earlier.verdict == Verdict::Fail);
                assert!(failed, "a step before it must have failed: {what}");
            }
            Verdict::Pass => {}
            Verdict::Deviates | Verdict::Fail | Verdict::Waived => {
                assert_eq!(check.blame, Some(Blame::Gateway), "nothing but LiteLLM must be at fault: {what}");
                assert!(!check.expected.is_empty() && !check.found.is_empty(), "it must say why: {what}");
                assert_ne!(check.expected, "the gateway starts", "it starts, if it is given the time: {what}");
            }
        }
    }
}

/// A gateway that serves nothing would fail each check in its turn: that is no run of LiteLLM.
fn is_no_thin_run(target: &Target) {
    let not_reached = |scenario: &&ScenarioResult| scenario.has(Verdict::NotReached);
    let checks = &target.summary.checks;
    let behind = target.scenarios.iter().filter(not_reached).count();
    assert!(target.summary.verdicts.pass > 0, "it serves plain calls: {:?}", target.summary);
    assert!(checks.judged > checks.applicable / 2, "{behind} scenarios ended early: {:?}", target.summary);
}
