//! Findings told once: what became of the same check in many cases of a scenario.

use super::model::{CaseResult, CheckResult, ScenarioResult};
use crate::verdict::Verdict;

/// The same check with the same expectation and verdict, in one case or several.
#[derive(Clone, Debug)]
pub struct FindingGroup<'a> {
    /// The check without scenario and case: `#2.status`.
    pub check: &'a str,
    /// The first of its results.
    pub first: &'a CheckResult,
    /// All of its cases.
    pub cases: Vec<&'a CaseResult>,
    /// What was found instead, each with the cases in which it was; the commonest first.
    pub found: Vec<(&'a str, Vec<&'a CaseResult>)>,
    /// Whether the witnesses saw the same in each.
    pub alike: bool,
}

/// The findings of a scenario that are news (`deviates`, `unknown`, `fail`), the worst last.
#[must_use]
pub fn finding_groups(scenario: &ScenarioResult) -> Vec<FindingGroup<'_>> {
    let mut groups: Vec<FindingGroup<'_>> = Vec::new();
    for case in &scenario.cases {
        for result in &case.checks {
            if !matches!(result.verdict, Verdict::Deviates | Verdict::Unknown | Verdict::Fail) {
                continue;
            }
            let check = local_name(&scenario.id, &case.case, &result.check);
            match groups.iter_mut().find(|group| group.check == check && alike(group.first, result)) {
                Some(group) => group.add(case, result),
                None => groups.push(FindingGroup {
                    check,
                    first: result,
                    cases: vec![case],
                    found: vec![(&result.found, vec![case])],
                    alike: true,
                }),
            }
        }
    }
    for group in &mut groups {
        group.found.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    }
    groups.sort_by_key(|group| group.first.verdict);
    groups
}

impl<'a> FindingGroup<'a> {
    fn add(&mut self, case: &'a CaseResult, result: &'a CheckResult) {
        self.cases.push(case);
        self.alike &= witnesses(self.first) == witnesses(result);
        match self.found.iter_mut().find(|(found, _)| *found == result.found) {
            Some((_, cases)) => cases.push(case),
            None => self.found.push((&result.found, vec![case])),
        }
    }
}

/// A check's name without its scenario and case.
#[must_use]
pub fn local_name<'a>(scenario: &str, case: &str, check: &'a str) -> &'a str {
    let rest = check.strip_prefix(scenario).unwrap_or(check);
    if case.is_empty() { rest } else { rest.strip_prefix(&format!("[{case}]")).unwrap_or(rest) }
}

fn alike(one: &CheckResult, other: &CheckResult) -> bool {
    (one.verdict, one.blame, &one.expected) == (other.verdict, other.blame, &other.expected)
}

fn witnesses(check: &CheckResult) -> [&Option<String>; 3] {
    [&check.caller, &check.upstream, &check.gateway]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, model::Report};

    #[test]
    fn a_check_is_named_without_its_scenario_and_case() {
        assert_eq!(local_name("a/b", "stream=true", "a/b[stream=true]#2.status"), "#2.status");
        assert_eq!(local_name("a/b", "", "a/b#2.status"), "#2.status");
        assert_eq!(local_name("a/b", "", "elsewhere"), "elsewhere");
    }

    #[test]
    fn a_check_that_failed_in_sixty_cases_is_one_finding() {
        let report = Report::from_events(&fixture::flood());
        let groups = finding_groups(&report.targets[0].scenarios[0]);
        let told: Vec<_> = groups.iter().map(|group| (group.check, group.cases.len(), group.found.len())).collect();
        assert_eq!(told, [("#1.status", 60, 58), ("#1.refused", 60, 1)]);
        assert_eq!(groups[0].found[0].1.len(), 3, "the commonest stands first");
    }
}
