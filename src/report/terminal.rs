//! The report for a terminal: from the overview down to the verdict, what went wrong right above it.

use std::cmp::Reverse;

use super::{
    finding_group::{FindingGroup, finding_groups},
    model::{CaseResult, Conformance, Report, ScenarioResult, Target},
    sentence::sentence,
    style::{Style, count, harmless, shortened},
};
use crate::{scenario::requirement::Level, verdict::Verdict};

/// The longest verdict word, `unsupported`, and two columns of space.
const VERDICT: usize = 13;
/// Where the text of a finding starts.
const FINDING: usize = 14;
/// Case names that a line lists.
const NAMES: usize = 6;
/// Findings of one scenario that are shown; the others are counted.
const FINDINGS: usize = 5;
/// Different things found by one check that are shown; the others are counted.
const FOUND: usize = 4;
/// Lines of one fact that are shown; the others are counted.
const VALUES: usize = 4;

/// Renders a report for a person.
#[must_use]
pub fn render(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for target in &report.targets {
        if let Some(runtime) = &target.runtime {
            text += &head(report, target, runtime, style);
            text += &body(target, style);
            text.push('\n');
        }
    }
    for stray in &report.strays {
        text += &style.wrap(&format!("a bug of probity, please report it: {stray}"), 0);
        text.push('\n');
    }
    if report.finished.is_none() {
        text += "the run log breaks off before its end: this report is incomplete\n";
    }
    for target in &report.targets {
        // One line, however long: it is what is searched for in a log.
        text += &style.bold(&harmless(&sentence(report, target)));
        text.push('\n');
    }
    if report.targets.is_empty() {
        text += "nothing was run: no target was selected\n";
    }
    text
}

fn head(report: &Report, target: &Target, runtime: &str, style: Style) -> String {
    let run = format!("seed {}, probity {}", report.seed, report.probity);
    format!("{}  {}  {}\n", style.bold(&target.target), harmless(runtime), style.dim(&run))
}

fn body(target: &Target, style: Style) -> String {
    let problem = problem(target, style);
    // A list in which every scenario was not reached tells nothing beyond the problem.
    if target.problem.is_some() && target.conformance == Conformance::NotTested {
        return problem;
    }
    overview(target, style) + &findings(target, style) + &problem + &facts(target, style)
}

/// What is known of a problem beyond its first line, which the last sentence tells.
fn problem(target: &Target, style: Style) -> String {
    let beyond = target.problem.as_ref().and_then(|problem| problem.split_once('\n'));
    beyond.map_or(String::new(), |(_, beyond)| format!("\n  {}\n", style.wrap(beyond, 2)))
}

/// One line a scenario, by area.
fn overview(target: &Target, style: Style) -> String {
    let width = target.scenarios.iter().map(|scenario| scenario.id.chars().count()).max().unwrap_or(0);
    let mut areas: Vec<&str> = Vec::new();
    for scenario in &target.scenarios {
        if !areas.contains(&scenario.area.as_str()) {
            areas.push(&scenario.area);
        }
    }
    let mut text = String::new();
    for area in areas {
        text += &format!("\n{}\n", style.bold(area));
        for scenario in target.scenarios.iter().filter(|scenario| scenario.area == area) {
            text += &line(scenario, width, style);
        }
    }
    text
}

fn line(scenario: &ScenarioResult, width: usize, style: Style) -> String {
    let indent = 2 + VERDICT + width + 2;
    let level = if scenario.level == Level::Must { String::new() } else { format!(" ({})", capitals(scenario.level)) };
    let needs = missing(scenario);
    let needs = if needs.is_empty() { String::new() } else { format!(" (needs {})", needs.join(", ")) };
    let title = style.wrap(&format!("{}{level}{needs}", scenario.title), indent);
    let mut text = format!("  {}{:width$}  {title}\n", style.verdict(scenario.verdict, VERDICT), scenario.id);
    let verdicts = Verdict::ALL.into_iter().filter(|verdict| *verdict != Verdict::Pass);
    for verdict in verdicts {
        let cases: Vec<_> = scenario.cases.iter().filter(|case| case.verdict == verdict).collect();
        if !cases.is_empty() && cases.len() < scenario.cases.len() {
            let of = format!("{} of {}: ", cases.len(), count(scenario.cases.len(), "case"));
            let list = style.wrap(&format!("{of}{}", names(&cases)), 2 + VERDICT + VERDICT);
            text += &format!("  {:VERDICT$}{}{list}\n", "", style.verdict(verdict, VERDICT));
        }
    }
    text
}

/// What a scenario needs and the gateway does not claim, each once.
fn missing(scenario: &ScenarioResult) -> Vec<&str> {
    let mut needs = Vec::new();
    for reason in scenario.cases.iter().flat_map(|case| &case.checks).filter_map(|check| check.unsupported.as_deref()) {
        if !needs.contains(&reason) {
            needs.push(reason);
        }
    }
    needs
}

fn names(cases: &[&CaseResult]) -> String {
    shortened(&cases.iter().map(|case| case.case.as_str()).collect::<Vec<_>>(), NAMES)
}

fn capitals(level: Level) -> String {
    level.word().to_uppercase()
}

/// A block for each scenario that did not pass, the worst last.
fn findings(target: &Target, style: Style) -> String {
    let mut scenarios: Vec<_> = target.scenarios.iter().map(|scenario| (worst_finding(scenario), scenario)).collect();
    scenarios.sort_by_key(|(worst, _)| *worst);
    let found =
        |(worst, scenario): (Option<Verdict>, &ScenarioResult)| worst.map(|worst| block(scenario, worst, style));
    scenarios.into_iter().filter_map(found).collect()
}

/// The verdict that a scenario's block is about; none if there is nothing to tell beyond its line.
fn worst_finding(scenario: &ScenarioResult) -> Option<Verdict> {
    let told = |reason: &&str| !reason.is_empty();
    let groups = finding_groups(scenario);
    let worst = groups.last().map(|group| group.first.verdict);
    worst.or_else(|| not_reached(scenario).1.iter().any(told).then_some(Verdict::NotReached))
}

fn block(scenario: &ScenarioResult, verdict: Verdict, style: Style) -> String {
    let requirement = format!("{} {}", scenario.requirement, capitals(scenario.level));
    let mut text = format!(
        "\n{}  {}  {}\n  {}\n",
        style.verdict(verdict, 0),
        style.bold(&scenario.id),
        style.dim(&requirement),
        style.wrap(&scenario.title, 2)
    );
    let mut groups = finding_groups(scenario);
    // Where there are too many, the worst are kept, and of these the first: the others follow from it.
    groups.sort_by_key(|group| Reverse(group.first.verdict));
    let left_out = groups.len().saturating_sub(FINDINGS);
    groups.truncate(FINDINGS);
    groups.sort_by_key(|group| group.first.verdict);
    for group in &groups {
        text += &finding(scenario, group, verdict, style);
    }
    text.push('\n');
    if left_out > 0 {
        text += &format!("  and {} of this scenario, in the run's other reports\n", count(left_out, "more finding"));
    }
    let (unreached, reasons) = not_reached(scenario);
    if unreached > 0 {
        let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        text += &field(Verdict::NotReached.word(), &format!("{}{reasons}", count(unreached, "check")), style);
    }
    let of_verdict = |case: &&CaseResult| case.checks.iter().any(|check| check.verdict == verdict);
    if let Some(case) = scenario.cases.iter().find(of_verdict) {
        text += &again(case, style);
    }
    text
}

fn not_reached(scenario: &ScenarioResult) -> (usize, Vec<&str>) {
    let checks = scenario.cases.iter().flat_map(|case| &case.checks);
    let unreached: Vec<_> = checks.filter(|check| check.verdict == Verdict::NotReached).collect();
    let mut reasons: Vec<&str> = Vec::new();
    for check in &unreached {
        if !check.found.is_empty() && !reasons.contains(&check.found.as_str()) {
            reasons.push(&check.found);
        }
    }
    (unreached.len(), reasons)
}

fn finding(scenario: &ScenarioResult, group: &FindingGroup<'_>, block: Verdict, style: Style) -> String {
    let check = group.first;
    let whose = match group.cases.as_slice() {
        [_] => check.check.clone(),
        [_, _] if scenario.cases.len() == 2 => format!("{} in both cases", group.check),
        cases if cases.len() == scenario.cases.len() => format!("{} in all {} cases", group.check, cases.len()),
        cases => format!("{} in {} of {} cases: {}", group.check, cases.len(), scenario.cases.len(), names(cases)),
    };
    let verdict = if check.verdict == block { String::new() } else { format!(" ({})", check.verdict) };
    let mut text = format!("\n{}", field("check", &format!("{whose}{verdict}"), style));
    let mut add = |label: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text += &field(label, value, style);
        }
    };
    add("expected", Some(&check.expected));
    add("found", Some(&found(group)));
    add("caller", check.caller.as_deref());
    add("upstream", check.upstream.as_deref());
    add("gateway", check.gateway.as_deref());
    if let (false, Some(case)) = (group.alike, group.cases.first()) {
        add("", Some(&format!("(so in {}; what was seen in the other cases differs)", case.case)));
    }
    add("blame", check.blame.map(|blame| blame.to_string()).as_deref());
    text
}

/// What was found, a line for each thing.
fn found(group: &FindingGroup<'_>) -> String {
    if let [(found, _)] = group.found.as_slice() {
        return (*found).to_owned();
    }
    let shown = group.found.iter().take(FOUND).map(|(found, cases)| format!("{found} in {}", names(cases)));
    let mut lines: Vec<_> = shown.collect();
    if group.found.len() > FOUND {
        lines.push(format!("and {} other things in the other cases", group.found.len() - FOUND));
    }
    lines.join("\n")
}

fn again(case: &CaseResult, style: Style) -> String {
    let mut text = String::new();
    for (label, value) in [("evidence", &case.evidence), ("again", &case.rerun)] {
        if let Some(value) = value {
            // Not broken into lines: it is there to be copied.
            text += &format!("  {}{}\n", style.dim(&format!("{label:0$}", FINDING - 2)), harmless(value));
        }
    }
    text
}

fn field(label: &str, value: &str, style: Style) -> String {
    format!("  {}{}\n", style.dim(&format!("{label:0$}", FINDING - 2)), style.wrap(value, FINDING))
}

/// What was measured; cases that measured the same share a line.
fn facts(target: &Target, style: Style) -> String {
    if target.facts.is_empty() {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for fact in &target.facts {
        if !names.contains(&fact.name.as_str()) {
            names.push(&fact.name);
        }
    }
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = format!("\n{}\n", style.bold("facts"));
    for name in names {
        let mut values: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for fact in target.facts.iter().filter(|fact| fact.name == name) {
            match values.iter_mut().find(|(value, scenario, _)| (*value, *scenario) == (&*fact.value, &*fact.scenario))
            {
                Some((.., cases)) => cases.push(&fact.case),
                None => values.push((&fact.value, &fact.scenario, vec![&fact.case])),
            }
        }
        for (value, scenario, cases) in values.iter().take(VALUES) {
            let whose = match cases.as_slice() {
                [""] => (*scenario).to_owned(),
                [case] => format!("{scenario}[{case}]"),
                cases => format!("{scenario}, {} cases", cases.len()),
            };
            text += format!("  {name:width$}  {:10}  {}", harmless(value), style.dim(&whose)).trim_end();
            text.push('\n');
        }
        if values.len() > VALUES {
            text += &format!("  {name:width$}  and {} more values\n", values.len() - VALUES);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{event::Event, fixture};

    fn plain(events: &[Event]) -> String {
        render(&Report::from_events(events), Style::PLAIN)
    }

    #[test]
    fn a_run_in_which_all_pass_is_short() {
        insta::assert_snapshot!(plain(&fixture::conforming()));
    }

    #[test]
    fn what_went_wrong_stands_above_the_verdict_the_worst_last() {
        insta::assert_snapshot!(plain(&fixture::mixed()));
    }

    #[test]
    fn many_findings_of_one_scenario_do_not_flood_the_screen() {
        insta::assert_snapshot!(plain(&fixture::flood()));
    }

    #[test]
    fn an_interrupted_run_says_what_had_no_turn() {
        insta::assert_snapshot!(plain(&fixture::interrupted()));
    }

    #[test]
    fn a_target_that_did_not_get_ready_says_why() {
        insta::assert_snapshot!(plain(&fixture::not_ready()));
    }

    #[test]
    fn a_narrow_terminal_breaks_text_but_no_command() {
        let text = render(&Report::from_events(&fixture::mixed()), Style { color: false, width: 72 });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn colours_are_on_verdicts_and_headings_only() {
        let text = render(&Report::from_events(&fixture::conforming()), Style { color: true, width: 100 });
        insta::assert_snapshot!(text.replace('\u{1b}', "^"));
    }

    #[test]
    fn what_a_gateway_answered_cannot_steer_the_terminal() {
        let text = plain(&fixture::hostile());
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }

    #[test]
    fn a_run_without_a_target_says_so() {
        let events = [fixture::head(&[]), fixture::foot(false)];
        assert_eq!(plain(&events), "nothing was run: no target was selected\n");
    }
}
