//! The verdict on a target in one sentence: the last line of every report.

use super::{
    model::{Conformance, Report, ScenarioResult, Target},
    style::{count, seconds},
};
use crate::{scenario::requirement::Level, verdict::Verdict};

/// What is to be remembered of a target.
#[must_use]
pub fn sentence(report: &Report, target: &Target) -> String {
    let name = &target.target;
    let mut text = match target.conformance {
        Conformance::Conformant => format!("{name} conforms: {}", judged(target)),
        Conformance::Nonconformant => format!("{name} does not conform: {}", broken(target)),
        Conformance::Partial => format!("{name} is not proven to conform: {}", judged(target)),
        Conformance::NotTested => format!("{name} was not tested"),
    };
    if let Some(problem) = &target.problem {
        text += &format!(": {}", problem.lines().next().unwrap_or_default());
        text += &unreached(target);
    } else if target.conformance == Conformance::NotTested {
        text += &format!(": {}", why_not_tested(report, target));
    } else {
        text += &rest(report, target);
    }
    match target.millis {
        Some(millis) => format!("{text} (in {})", seconds(millis)),
        None => text,
    }
}

fn applicable(target: &Target) -> usize {
    target.scenarios.iter().filter(|scenario| scenario.applies()).count()
}

fn judged(target: &Target) -> String {
    let checks = &target.summary.checks;
    let scenarios = count(applicable(target), "scenario");
    let judged = format!("{scenarios}, {} of {} applicable checks judged", checks.judged, checks.applicable);
    let tally = tally(target);
    if tally.is_empty() { format!("{judged}, all pass") } else { format!("{judged}, {tally}") }
}

fn broken(target: &Target) -> String {
    format!("{} of {}", tally(target), count(applicable(target), "applicable scenario"))
}

/// Scenarios by what is worst about them to a reader who wants to know whether the gateway enforces: a
/// finding counts even where a check behind it could not be reached.
fn tally(target: &Target) -> String {
    let kinds = [
        (Verdict::Fail, "fail"),
        (Verdict::Deviates, "deviate"),
        (Verdict::NotReached, "not reached"),
        (Verdict::Unknown, "unknown"),
        (Verdict::Waived, "waived"),
    ];
    let kind = |scenario: &ScenarioResult| kinds.iter().position(|(verdict, _)| scenario.has(*verdict));
    let of_kind = |index| target.scenarios.iter().filter(|scenario| kind(scenario) == Some(index)).count();
    let parts = kinds.iter().enumerate().map(|(index, (_, words))| (of_kind(index), words));
    parts
        .filter(|(number, _)| *number > 0)
        .map(|(number, words)| format!("{number} {words}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn why_not_tested(report: &Report, target: &Target) -> &'static str {
    match (target.millis, report.interrupted) {
        (None, true) => "the run was interrupted",
        (None, false) => "the run ended before its turn did",
        (Some(_), _) if target.scenarios.is_empty() => "no scenario was selected",
        (Some(_), _) if applicable(target) == 0 => "it claims none of the capabilities that the scenarios need",
        (Some(_), true) => "the run was interrupted",
        (Some(_), false) => "no check could be judged",
    }
}

fn unreached(target: &Target) -> String {
    match target.summary.verdicts.not_reached {
        0 => String::new(),
        scenarios => format!("; {} not reached", count(scenarios, "scenario")),
    }
}

fn rest(report: &Report, target: &Target) -> String {
    let mut text = String::new();
    if target.conformance == Conformance::Partial && target.scenarios.iter().all(|scenario| !is_must(scenario)) {
        text += "; none of them is a MUST";
    }
    if target.summary.verdicts.unsupported > 0 {
        text += &format!("; {} unsupported", target.summary.verdicts.unsupported);
    }
    let cut_short = target.millis.is_none() || target.summary.verdicts.not_reached > 0;
    if report.interrupted && cut_short {
        text += "; interrupted";
    } else if target.millis.is_none() {
        text += "; the run log breaks off";
    }
    text
}

fn is_must(scenario: &ScenarioResult) -> bool {
    scenario.applies() && scenario.level == Level::Must
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        event::Event,
        fixture::{self, Turn, finding, foot, head, log, pass, served},
    };

    const TARGET: &str = "reference@0.1.0";

    fn sentences(events: &[Event]) -> Vec<String> {
        let report = Report::from_events(events);
        report.targets.iter().map(|target| sentence(&report, target)).collect()
    }

    fn scenario(level: Level) -> Turn {
        Turn::of(TARGET).scenario("budgets/trips", level, "It trips", &[""], &["#1.status", "#2.status"])
    }

    fn says(turn: Turn) -> String {
        sentences(&log(TARGET, turn.finish(None), false)).remove(0)
    }

    #[test]
    fn a_gateway_that_conforms_is_told_with_what_does_not_apply_to_it() {
        let turn = scenario(Level::Must).all(&pass());
        let turn = turn.scenario("keys/two", Level::Must, "Two", &[""], &["#1.status"]).unsupported("keys.conflict");
        assert_eq!(
            says(turn),
            "reference@0.1.0 conforms: 1 scenario, 2 of 2 applicable checks judged, all pass; 1 unsupported (in 6.2 s)"
        );
    }

    #[test]
    fn a_should_that_fails_is_told_beside_the_musts_that_pass() {
        let turn = scenario(Level::Must).all(&pass());
        let turn = turn.scenario("keys/two", Level::Should, "Two", &[""], &["#1.status"]).all(&served());
        assert_eq!(
            says(turn),
            "reference@0.1.0 conforms: 2 scenarios, 3 of 3 applicable checks judged, 1 fail (in 6.2 s)"
        );
    }

    #[test]
    fn a_deviation_is_told_even_where_the_next_check_was_not_reached() {
        let turn = scenario(Level::Must).judge("", "#1.status", finding(Verdict::Deviates, "status 402", "status 429"));
        assert_eq!(says(turn), "reference@0.1.0 does not conform: 1 deviate of 1 applicable scenario (in 6.2 s)");
    }

    #[test]
    fn a_run_without_a_must_proves_nothing() {
        assert_eq!(
            says(scenario(Level::Should).all(&pass())),
            "reference@0.1.0 is not proven to conform: 1 scenario, 2 of 2 applicable checks judged, all pass; \
             none of them is a MUST (in 6.2 s)"
        );
    }

    #[test]
    fn a_target_that_was_not_tested_says_why() {
        assert_eq!(
            says(scenario(Level::Must).unsupported("budgets.virtual_key")),
            "reference@0.1.0 was not tested: it claims none of the capabilities that the scenarios need (in 6.2 s)"
        );
        assert_eq!(says(Turn::of(TARGET)), "reference@0.1.0 was not tested: no scenario was selected (in 6.2 s)");
        assert_eq!(says(scenario(Level::Must)), "reference@0.1.0 was not tested: no check could be judged (in 6.2 s)");
        let never = [head(&[TARGET]), foot(false)];
        assert_eq!(sentences(&never), ["reference@0.1.0 was not tested: the run ended before its turn did"]);
    }

    #[test]
    fn an_interruption_is_told_of_the_targets_that_it_cut_short_only() {
        let whole = scenario(Level::Must).all(&pass()).finish(None);
        let events = [vec![head(&[TARGET, "litellm@1.106.2"])], whole, vec![foot(true)]].concat();
        assert_eq!(
            sentences(&events),
            [
                "reference@0.1.0 conforms: 1 scenario, 2 of 2 applicable checks judged, all pass (in 6.2 s)",
                "litellm@1.106.2 was not tested: the run was interrupted",
            ]
        );
        assert!(sentences(&fixture::interrupted())[0].ends_with("; interrupted"));
    }

    #[test]
    fn a_log_that_breaks_off_is_told() {
        let events = [vec![head(&[TARGET])], scenario(Level::Must).all(&pass()).cut()].concat();
        assert!(sentences(&events)[0].ends_with("all pass; the run log breaks off"), "{:?}", sentences(&events));
    }
}
