#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::{
    exit::Exit,
    report::fixture::{self, Turn, finding, log, pass, served},
    scenario::requirement::Level,
};

const TARGET: &str = "reference@0.1.0";

fn scenario(level: Level, checks: &[&str]) -> Turn {
    Turn::of(TARGET).scenario("budgets/trips", level, "It trips", &[""], checks)
}

fn report(turn: Turn) -> Report {
    Report::from_events(&log(TARGET, turn.finish(None), false))
}

fn ends(report: &Report) -> (Exit, Conformance) {
    (report.exit(), report.targets[0].conformance)
}

#[test]
fn a_run_in_which_all_pass_is_as_expected() {
    let report = Report::from_events(&fixture::conforming());
    assert_eq!(ends(&report), (Exit::Ok, Conformance::Conformant));
    let summary = &report.targets[0].summary;
    assert_eq!(summary.checks, Checks { declared: 7, applicable: 7, judged: 7 });
    assert_eq!(summary.verdicts, Verdicts { pass: 3, ..Verdicts::default() });
}

#[test]
fn a_declared_check_that_nobody_judged_was_not_reached() {
    let report = report(scenario(Level::Must, &["#1.status", "#2.status"]).judge("", "#1.status", pass()));
    let checks = &report.targets[0].scenarios[0].cases[0].checks;
    assert_eq!(checks.iter().map(|check| check.verdict).collect::<Vec<_>>(), [Verdict::Pass, Verdict::NotReached]);
    assert_eq!(report.targets[0].summary.checks, Checks { declared: 2, applicable: 2, judged: 1 });
    assert_eq!(ends(&report), (Exit::Incomplete, Conformance::Partial));
}

#[test]
fn a_failure_outranks_what_was_not_reached_behind_it() {
    let report = report(scenario(Level::Must, &["#1.status", "#2.status"]).judge("", "#1.status", served()));
    assert_eq!(ends(&report), (Exit::NonConformant, Conformance::Nonconformant));
}

#[test]
fn a_gateway_that_only_deviates_does_not_conform_either() {
    let deviates = finding(Verdict::Deviates, "status 402", "status 429");
    let report = report(scenario(Level::Must, &["#1.status"]).all(&deviates));
    assert_eq!(ends(&report), (Exit::NonConformant, Conformance::Nonconformant));
}

#[test]
fn a_deviation_is_not_hidden_by_an_undecided_check_beside_it() {
    let deviates = finding(Verdict::Deviates, "status 402", "status 429");
    let report = report(scenario(Level::Must, &["#1.status", "#2.status"]).judge("", "#1.status", deviates));
    assert_eq!(report.targets[0].scenarios[0].verdict, Verdict::NotReached);
    assert_eq!(ends(&report), (Exit::NonConformant, Conformance::Nonconformant));
}

#[test]
fn a_should_that_fails_is_shown_but_breaks_nothing() {
    let turn = scenario(Level::Must, &["#1.status"]).all(&pass());
    let turn = turn.scenario("keys/two", Level::Should, "Two keys", &[""], &["#1.status", "#2.status"]);
    let report = report(turn.judge("", "#1.status", served()));
    assert_eq!(report.targets[0].summary.verdicts.fail, 1);
    assert_eq!(ends(&report), (Exit::Ok, Conformance::Conformant));
}

#[test]
fn a_must_that_could_not_be_decided_leaves_the_run_incomplete() {
    let report = report(scenario(Level::Must, &["#1.status"]).all(&finding(Verdict::Unknown, "a", "b")));
    assert_eq!(ends(&report), (Exit::Incomplete, Conformance::Partial));
    assert_eq!(report.targets[0].summary.checks.judged, 0);
}

#[test]
fn a_waived_must_is_expected_but_never_conformant() {
    let report = report(scenario(Level::Must, &["#1.status"]).all(&finding(Verdict::Waived, "a", "b")));
    assert_eq!(ends(&report), (Exit::Ok, Conformance::Partial));
}

#[test]
fn a_run_of_which_nothing_applies_is_no_success() {
    let report = report(scenario(Level::Must, &["#1.status"]).unsupported("budgets.virtual_key"));
    assert_eq!(ends(&report), (Exit::Nothing, Conformance::NotTested));
    assert_eq!(report.targets[0].scenarios[0].verdict, Verdict::Unsupported);
    let none = [fixture::head(&[]), fixture::foot(false)];
    assert_eq!(Report::from_events(&none).exit(), Exit::Nothing);
}

#[test]
fn a_capability_found_missing_only_while_running_keeps_its_reason() {
    let turn = scenario(Level::Must, &["#1.status"]).all(&finding(Verdict::Unsupported, "", "clock.advance"));
    let check = &report(turn).targets[0].scenarios[0].cases[0].checks[0];
    assert_eq!((check.verdict, check.unsupported.as_deref()), (Verdict::Unsupported, Some("clock.advance")));
}

#[test]
fn a_target_that_did_not_get_ready_has_a_code_of_its_own() {
    assert_eq!(ends(&Report::from_events(&fixture::not_ready())), (Exit::NotReady, Conformance::NotTested));
}

#[test]
fn an_interrupted_run_is_incomplete_and_names_the_target_that_had_no_turn() {
    let report = Report::from_events(&fixture::interrupted());
    assert_eq!(ends(&report), (Exit::Incomplete, Conformance::Partial));
    let missed = &report.targets[1];
    assert_eq!((missed.target.as_str(), missed.version.as_str()), ("litellm@1.106.2", "1.106.2"));
    assert_eq!((missed.runtime.as_ref(), missed.conformance), (None, Conformance::NotTested));
}

#[test]
fn what_was_never_declared_is_a_bug_and_not_lost() {
    let declared = scenario(Level::Must, &["#1.status"]).all(&pass());
    let report = report(declared.judge("", "#9.status", served()).end("stream=true", false));
    assert_eq!(
        report.strays,
        [
            "budgets/trips#9.status: was judged on reference@0.1.0, but never declared",
            "budgets/trips[stream=true]: this case ended on reference@0.1.0, but was never declared",
        ]
    );
    assert_eq!(report.exit(), Exit::Bug);
}

#[test]
fn a_check_that_was_judged_twice_keeps_the_worse_verdict() {
    let turn = scenario(Level::Must, &["#1.status"]);
    let report = report(turn.judge("", "#1.status", served()).judge("", "#1.status", pass()));
    assert_eq!(report.targets[0].scenarios[0].verdict, Verdict::Fail);
}

#[test]
fn facts_stand_in_the_order_of_their_cases_whichever_of_them_ends_first() {
    let cases = ["clients=1", "clients=8", "clients=64"];
    let turn = Turn::of(TARGET).scenario("budgets/burst", Level::Must, "It holds", &cases, &["#1.status"]);
    let measured = ["clients=8", "clients=64", "clients=1"];
    let turn = measured.iter().fold(turn, |turn, case| turn.fact("budgets/burst", case, "overshoot", "1.0"));
    let report = report(turn);
    let facts = report.targets[0].facts.iter().map(|fact| fact.case.as_str());
    assert_eq!(facts.collect::<Vec<_>>(), cases);
}

#[test]
fn a_fact_belongs_to_its_target_and_to_its_case() {
    let report = Report::from_events(&fixture::conforming());
    let target = &report.targets[0];
    let names: Vec<_> = target.facts.iter().map(|fact| (&*fact.name, &*fact.scenario)).collect();
    assert_eq!(names, [("start-up time", ""), ("overshoot at 64 clients", "budgets/burst")]);
    assert_eq!(target.scenarios[1].cases[0].facts[0].value, "1.0");
}

proptest! {
    #[test]
    fn a_log_cut_anywhere_never_reads_as_a_success(cut in 0_usize..1000) {
        let mut events = fixture::conforming();
        events.truncate(cut % events.len());
        let report = Report::from_events(&events);
        prop_assert!(!report.complete);
        prop_assert_ne!(report.exit(), Exit::Ok);
        prop_assert!(report.targets.iter().all(|target| target.conformance != Conformance::Conformant
            || target.millis.is_some()));
    }

    #[test]
    fn checks_are_never_judged_that_do_not_apply_or_were_not_declared(kept in proptest::collection::vec(any::<bool>(), 64)) {
        let lost = |index: &usize| kept.get(*index).copied().unwrap_or(true);
        let events = fixture::mixed();
        let some: Vec<_> = events.iter().enumerate().filter(|(index, _)| lost(index)).map(|(_, event)| event.clone()).collect();
        for target in Report::from_events(&some).targets {
            let Checks { declared, applicable, judged } = target.summary.checks;
            prop_assert!(judged <= applicable && applicable <= declared);
            let Verdicts { pass, deviates, fail, unknown, not_reached, unsupported, waived } = target.summary.verdicts;
            let all = pass + deviates + fail + unknown + not_reached + unsupported + waived;
            prop_assert_eq!(all, target.summary.scenarios);
        }
    }
}
