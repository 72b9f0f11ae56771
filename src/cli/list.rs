//! `probity list`: what there is to run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    report::{
        json,
        style::{Style, count},
    },
    scenario::requirement::Level,
};

/// A scenario, as `list --format json` shows it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListEntry {
    /// `<area>/<name>`.
    pub id: String,
    /// The part of the id before the slash.
    pub area: String,
    /// The requirement's id.
    pub requirement: String,
    /// How much the requirement binds.
    pub level: Level,
    /// What the scenario shows, in a sentence.
    pub title: String,
    /// The capabilities without which it does not apply.
    pub needs: Vec<String>,
    /// Its cases; a single nameless one if it has no matrix.
    pub cases: Vec<String>,
    /// The checks that all its cases declare together.
    pub checks: usize,
}

/// The scenarios for a person, by area, in the order given.
#[must_use]
pub fn text(entries: &[ListEntry], style: Style) -> String {
    let width = |part: fn(&ListEntry) -> usize| entries.iter().map(part).max().unwrap_or(0);
    let id = width(|entry| entry.id.chars().count());
    let requirement = width(|entry| requirement(entry).chars().count());
    let size = width(|entry| size(entry).chars().count());
    let mut areas: Vec<&str> = Vec::new();
    for entry in entries {
        if !areas.contains(&entry.area.as_str()) {
            areas.push(&entry.area);
        }
    }
    let mut text = String::new();
    for area in areas {
        text += &format!("{}\n", style.bold(area));
        for entry in entries.iter().filter(|entry| entry.area == area) {
            let columns = format!("{:requirement$}  {:size$}", self::requirement(entry), self::size(entry));
            let title = style.wrap(&entry.title, 2 + id + 2 + requirement + 2 + size + 2);
            text += &format!("  {:id$}  {}  {title}\n", entry.id, style.dim(&columns));
        }
        text.push('\n');
    }
    let cases = entries.iter().map(|entry| entry.cases.len()).sum();
    let checks = entries.iter().map(|entry| entry.checks).sum();
    let totals = [count(entries.len(), "scenario"), count(cases, "case"), count(checks, "check")];
    text + &totals.join(", ") + "\n"
}

fn requirement(entry: &ListEntry) -> String {
    format!("{} {}", entry.requirement, entry.level.word().to_uppercase())
}

fn size(entry: &ListEntry) -> String {
    format!("{}, {}", count(entry.cases.len(), "case"), count(entry.checks, "check"))
}

/// The scenarios for a program: a JSON array by the schema that `probity schema list` prints.
#[must_use]
pub fn json(entries: &[ListEntry]) -> String {
    json::pretty(&entries)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entries() -> Vec<ListEntry> {
        let entry =
            |id: &str, requirement: &str, level, title: &str, needs: &[&str], cases: &[&str], checks| ListEntry {
                id: id.to_owned(),
                area: id.split('/').next().unwrap_or_default().to_owned(),
                requirement: requirement.to_owned(),
                level,
                title: title.to_owned(),
                needs: needs.iter().map(|need| (*need).to_owned()).collect(),
                cases: cases.iter().map(|case| (*case).to_owned()).collect(),
                checks,
            };
        let streams = ["stream=false", "stream=true"];
        let trips = "A virtual key that has spent its budget is refused with 402";
        vec![
            entry("budgets/virtual-key-trips", "BUD-1", Level::Must, trips, &["budgets.virtual_key"], &streams, 14),
            entry(
                "budgets/burst",
                "BUD-3",
                Level::Must,
                "64 clients at once do not overrun a cap",
                &["budgets.virtual_key"],
                &[""],
                1,
            ),
            entry(
                "keys/two-keys",
                "KEY-10",
                Level::Should,
                "Two different keys in one request are refused",
                &[],
                &[""],
                2,
            ),
        ]
    }

    #[test]
    fn scenarios_are_listed_by_area() {
        insta::assert_snapshot!(text(&entries(), Style::PLAIN));
    }

    #[test]
    fn no_scenario_at_all_is_said() {
        assert_eq!(text(&[], Style::PLAIN), "0 scenarios, 0 cases, 0 checks\n");
    }

    #[test]
    fn a_program_gets_an_array() {
        insta::assert_snapshot!(json(&entries()[2..]));
    }
}
