//! The report as JUnit XML, for CI servers: a suite a target, a test case a check.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::model::{CaseResult, CheckResult, Report, ScenarioResult, Target};
use crate::verdict::Verdict;

/// The report could not be put into XML.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report as JUnit XML: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// Renders a report as JUnit XML. `fail` and `deviates` are failures, told apart by their type; what
/// was not decided is an error; what does not apply or is waived is skipped, with its reason.
///
/// # Errors
/// When the XML writer fails.
pub fn render(report: &Report) -> Result<String, JunitError> {
    let mut junit = Junit::new("probity");
    for target in &report.targets {
        junit.add_test_suite(suite(report, target));
    }
    if !report.strays.is_empty() {
        let mut suite = TestSuite::new("probity");
        suite.add_test_case(TestCase::new(
            "the run log holds what was declared",
            error("bug", &report.strays.join("\n")),
        ));
        junit.add_test_suite(suite);
    }
    Ok(junit.to_string()?)
}

fn suite(report: &Report, target: &Target) -> TestSuite {
    let mut suite = TestSuite::new(target.target.as_str());
    suite.add_property(("probity", report.probity.as_str()));
    suite.add_property(("seed", report.seed.to_string().as_str()));
    suite.add_property(("conformance", target.conformance.word()));
    if let Some(runtime) = &target.runtime {
        suite.add_property(("runtime", runtime.as_str()));
    }
    for fact in &target.facts {
        suite.add_property(Property::new(format!("fact: {}", fact.name), fact.value.as_str()));
    }
    if let Some(millis) = target.millis {
        suite.set_time(Duration::from_millis(millis));
    }
    // Without a case of its own, a target that nobody could test would be a green suite of no tests.
    if let Some(problem) = &target.problem {
        suite.add_test_case(TestCase::new(format!("{} gets ready", target.target), error("not_ready", problem)));
    } else if target.millis.is_none() {
        let cut = "its turn did not come to an end";
        suite.add_test_case(TestCase::new(format!("{} is tested to the end", target.target), error("incomplete", cut)));
    }
    for scenario in &target.scenarios {
        let cases = scenario.cases.iter().flat_map(|case| case.checks.iter().map(move |check| (case, check)));
        suite.add_test_cases(cases.map(|(case, check)| test_case(scenario, case, check)));
    }
    suite
}

fn error(kind: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(kind).set_message(message);
    status
}

fn test_case(scenario: &ScenarioResult, case: &CaseResult, check: &CheckResult) -> TestCase {
    let mut test = TestCase::new(check.check.as_str(), status(case, check));
    test.set_classname(scenario.id.as_str());
    test.add_property(("requirement", scenario.requirement.as_str()));
    test.add_property(("level", scenario.level.word()));
    test
}

fn status(case: &CaseResult, check: &CheckResult) -> TestCaseStatus {
    let mut status = match check.verdict {
        Verdict::Pass => return TestCaseStatus::success(),
        Verdict::Fail | Verdict::Deviates => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Unknown | Verdict::NotReached => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Unsupported | Verdict::Waived => TestCaseStatus::skipped(),
    };
    status.set_type(check.verdict.word());
    let message = match (&check.unsupported, check.verdict) {
        (Some(needs), Verdict::Unsupported) => format!("needs {needs}"),
        (_, Verdict::NotReached) if check.found.is_empty() => "was never judged".to_owned(),
        _ => check.found.clone(),
    };
    status.set_message(message);
    if check.verdict != Verdict::Unsupported {
        status.set_description(description(case, check));
    }
    status
}

/// Everything that the terminal shows of a finding.
fn description(case: &CaseResult, check: &CheckResult) -> String {
    let blame = check.blame.map(|blame| blame.to_string());
    let lines = [
        ("expected", Some(&check.expected).filter(|expected| !expected.is_empty())),
        ("found", Some(&check.found).filter(|found| !found.is_empty())),
        ("caller", check.caller.as_ref()),
        ("upstream", check.upstream.as_ref()),
        ("gateway", check.gateway.as_ref()),
        ("blame", blame.as_ref()),
        ("evidence", case.evidence.as_ref()),
        ("again", case.rerun.as_ref()),
    ];
    let told = lines.into_iter().filter_map(|(label, value)| value.map(|value| format!("{label:10}{value}")));
    told.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::report::{event::Event, fixture};

    fn rendered(events: &[Event]) -> String {
        render(&Report::from_events(events)).unwrap()
    }

    #[test]
    fn each_check_is_a_test_case_of_its_targets_suite() {
        insta::assert_snapshot!(rendered(&fixture::mixed()));
    }

    #[test]
    fn a_target_that_did_not_get_ready_is_red() {
        let xml = rendered(&fixture::not_ready());
        assert!(xml.contains("<testcase name=\"bifrost@1.5.16 gets ready\">"), "{xml}");
        assert!(xml.contains("exited with status 1"), "{xml}");
    }

    #[test]
    fn a_target_whose_turn_never_came_is_red() {
        let xml = rendered(&fixture::interrupted());
        assert!(xml.contains("<testcase name=\"litellm@1.106.2 is tested to the end\">"), "{xml}");
    }

    #[test]
    fn a_gateways_control_characters_leave_the_xml_well_formed() {
        let xml = rendered(&fixture::hostile());
        assert!(!xml.contains('\u{1b}') && !xml.contains("<script>"), "{xml}");
        assert_eq!(quick_junit::Report::deserialize_from_str(&xml).unwrap().failures, 1);
    }
}
