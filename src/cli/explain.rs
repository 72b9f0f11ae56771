//! `probity explain`: what a scenario or a requirement is about.

use super::list::ListEntry;
use crate::{
    document::closest,
    report::{finding_group::local_name, style::Style},
    scenario::requirement::Requirement,
};

/// Everything there is to say about a scenario.
#[derive(Clone, Debug)]
pub struct Explained {
    /// As it is listed.
    pub entry: ListEntry,
    /// What it proves.
    pub requirement: Requirement,
    /// What a reader should know beyond the title.
    pub why: Option<String>,
    /// The text of its file.
    pub yaml: String,
    /// What it checks.
    pub cases: Vec<ExplainedCase>,
}

/// A case and its checks.
#[derive(Clone, Debug)]
pub struct ExplainedCase {
    /// Such as `stream=true`; empty if the scenario has one case only.
    pub case: String,
    /// Its checks, in order.
    pub checks: Vec<ExplainedCheck>,
}

/// A check and what it expects.
#[derive(Clone, Debug)]
pub struct ExplainedCheck {
    /// Its identity, such as `budgets/virtual-key-trips[stream=true]#2.status`.
    pub check: String,
    /// What is expected, in a phrase.
    pub expected: String,
}

/// Nothing has this id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no scenario and no requirement \"{id}\"{}", .meant.as_ref().map(|id| format!("; did you mean \"{id}\"?")).unwrap_or_default())]
pub struct UnknownId {
    id: String,
    meant: Option<String>,
}

/// Explains the scenario or the requirement of this id.
///
/// # Errors
/// When there is none, with the id that was probably meant.
pub fn explain(
    id: &str,
    scenarios: &[Explained],
    requirements: &[Requirement],
    style: Style,
) -> Result<String, UnknownId> {
    if let Some(explained) = scenarios.iter().find(|explained| explained.entry.id == id) {
        return Ok(scenario(explained, style));
    }
    if let Some(found) = requirements.iter().find(|requirement| requirement.id == id) {
        let entries = scenarios.iter().map(|explained| &explained.entry).filter(|entry| entry.requirement == id);
        return Ok(requirement(found, &entries.collect::<Vec<_>>(), style));
    }
    let scenario_ids = scenarios.iter().map(|explained| explained.entry.id.as_str());
    let ids = scenario_ids.chain(requirements.iter().map(|requirement| requirement.id.as_str()));
    Err(UnknownId { id: id.to_owned(), meant: closest(id, ids).map(ToOwned::to_owned) })
}

/// Explains a scenario: what it shows, why, what it checks, and its file.
#[must_use]
pub fn scenario(explained: &Explained, style: Style) -> String {
    let entry = &explained.entry;
    let mut text = format!("{}\n{}\n\n", style.bold(&entry.id), style.wrap(&entry.title, 0));
    text += &sentence(&explained.requirement, style);
    if let Some(why) = &explained.why {
        text += &format!("\n{}\n  {}\n", style.bold("why"), style.wrap(why, 2));
    }
    if !entry.needs.is_empty() {
        text += &format!("\n{}\n  {}\n", style.bold("needs"), style.wrap(&entry.needs.join(", "), 2));
    }
    text += &format!("\n{}\n", style.bold("checks"));
    for (cases, checks) in &alike(explained) {
        if !cases.is_empty() {
            text += &format!("  in {}\n", style.wrap(&cases.join("; "), 5));
        }
        let width = checks.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, expected) in checks {
            text += &format!("    {name:width$}  {}\n", style.wrap(expected, 4 + width + 2));
        }
    }
    let yaml = explained.yaml.trim_end().lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n");
    text + &format!("\n{}\n", style.bold("scenario")) + &yaml.collect::<String>()
}

/// The name of a check without its scenario and case, and what is expected.
type Expectation<'a> = (&'a str, &'a str);

/// Cases that declare the same checks, told once; a single nameless case has no name to tell.
fn alike<'a>(explained: &'a Explained) -> Vec<(Vec<&'a str>, Vec<Expectation<'a>>)> {
    let mut groups: Vec<(Vec<&str>, Vec<Expectation<'_>>)> = Vec::new();
    for case in &explained.cases {
        let named = |check: &'a ExplainedCheck| {
            (local_name(&explained.entry.id, &case.case, &check.check), check.expected.as_str())
        };
        let checks: Vec<_> = case.checks.iter().map(named).collect();
        let name = Some(case.case.as_str()).filter(|name| !name.is_empty());
        match groups.iter_mut().find(|(_, same)| *same == checks) {
            Some((cases, _)) => cases.extend(name),
            None => groups.push((name.into_iter().collect(), checks)),
        }
    }
    groups
}

/// Explains a requirement: its sentence, its source, and the scenarios that prove it.
#[must_use]
pub fn requirement(requirement: &Requirement, scenarios: &[&ListEntry], style: Style) -> String {
    let mut text = sentence(requirement, style);
    text += &format!("\n{}\n", style.bold("scenarios"));
    if scenarios.is_empty() {
        text += "  none: nothing proves this requirement yet\n";
    }
    let width = scenarios.iter().map(|entry| entry.id.chars().count()).max().unwrap_or(0);
    for entry in scenarios {
        text += &format!("  {:width$}  {}\n", entry.id, style.wrap(&entry.title, 2 + width + 2));
    }
    text
}

fn sentence(requirement: &Requirement, style: Style) -> String {
    let head = style.bold(&format!("{} {}", requirement.id, requirement.level.word().to_uppercase()));
    let source = style.dim(&format!("source: {}", style.wrap(&requirement.source, 10)));
    format!("{head}\n  {}\n  {source}\n", style.wrap(&requirement.text, 2))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::{cli::list::tests::entries, scenario::requirement::Level};

    fn requirement() -> Requirement {
        Requirement {
            id: "BUD-1".to_owned(),
            level: Level::Must,
            text:
                "A call that a virtual key makes after its budget is spent is refused, and is not sent to a provider."
                    .to_owned(),
            source: "RFC 9110, 15.5.3".to_owned(),
        }
    }

    fn explained() -> Explained {
        let case = |case: &str| ExplainedCase {
            case: case.to_owned(),
            checks: [("#1.status", "status 200"), ("#2.refused", "a refusal for budget_exceeded")]
                .map(|(name, expected)| ExplainedCheck {
                    check: format!("budgets/virtual-key-trips[{case}]{name}"),
                    expected: expected.to_owned(),
                })
                .into(),
        };
        Explained {
            entry: entries().remove(0),
            requirement: requirement(),
            why: Some(
                "A harness that retries a refusal must be able to tell a spent budget from a rate limit.".to_owned(),
            ),
            yaml: "id: budgets/virtual-key-trips\n\nsteps:\n  - call: { as: agent }\n".to_owned(),
            cases: vec![case("stream=false"), case("stream=true")],
        }
    }

    fn explain(id: &str) -> Result<String, UnknownId> {
        super::explain(id, &[explained()], &[requirement()], Style::PLAIN)
    }

    #[test]
    fn a_scenario_is_explained_with_its_checks_told_once() {
        insta::assert_snapshot!(explain("budgets/virtual-key-trips").unwrap());
    }

    #[test]
    fn a_requirement_is_explained_with_its_scenarios() {
        insta::assert_snapshot!(explain("BUD-1").unwrap());
    }

    #[test]
    fn a_requirement_that_nothing_proves_says_so() {
        let text = super::explain("BUD-1", &[], &[requirement()], Style::PLAIN).unwrap();
        assert!(text.ends_with("\nscenarios\n  none: nothing proves this requirement yet\n"), "{text}");
    }

    #[test]
    fn a_typo_is_answered_with_what_was_meant() {
        assert_eq!(
            explain("budgets/virtual-key-trip").unwrap_err().to_string(),
            "there is no scenario and no requirement \"budgets/virtual-key-trip\"; did you mean \"budgets/virtual-key-trips\"?"
        );
        assert_eq!(explain("zzz").unwrap_err().to_string(), "there is no scenario and no requirement \"zzz\"");
    }
}
