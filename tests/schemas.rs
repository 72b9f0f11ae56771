//! The schemas that editors use are those that the program prints, and the pages on what can be
//! written name all of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use clap::ValueEnum as _;
use probity::{capability::Capability, cli::schema::Subject};
use serde_json::Value;

const GATEWAYS: &str = include_str!("../docs/gateways.md");
const SCENARIOS: &str = include_str!("../docs/scenarios.md");

#[test]
fn the_schemas_in_the_repository_are_those_of_the_program() {
    for subject in Subject::value_variants() {
        let name = subject.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.json"));
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, subject.text(), "renew it: cargo run -- schema {name} > {}", path.display());
    }
}

/// What a page has below a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = format!("\n## {heading}\n");
    let (_, after) = page.split_once(&start).unwrap_or_else(|| panic!("no section `{heading}`"));
    after.split("\n## ").next().unwrap_or_default()
}

/// What stands between backticks, up to a colon.
fn words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).map(|word| word.split(':').next().unwrap_or_default()).collect()
}

/// The words in the first column of the tables of a section, in order.
fn listed(section: &str) -> Vec<&str> {
    let cells = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    cells.flat_map(words).collect()
}

/// The fields that a part of a schema can have.
fn fields(subject: Subject, part: &str) -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(&subject.text()).unwrap();
    let part = &schema["$defs"][part];
    let part = part.get("anyOf").map_or(part, |forms| &forms[0]);
    part["properties"].as_object().unwrap().keys().cloned().collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn the_capabilities_that_the_documentation_lists_are_those_of_the_program() {
    let all: Vec<_> = Capability::ALL.iter().map(|capability| capability.word()).collect();
    assert_eq!(listed(section(GATEWAYS, "Capabilities, promises, dialect")), all);
}

#[test]
fn the_documentation_names_every_promise() {
    let named = set(&words(section(GATEWAYS, "Capabilities, promises, dialect")));
    assert_eq!(&fields(Subject::Gateway, "Promises") - &named, BTreeSet::new());
}

#[test]
fn the_operations_that_the_documentation_lists_are_those_of_a_management_api() {
    let operations = &fields(Subject::Gateway, "AdminApi") - &set(&["headers", "collections"]);
    assert_eq!(set(&listed(section(GATEWAYS, "Management API"))), operations);
}

#[test]
fn the_steps_and_expectations_that_the_documentation_lists_are_those_of_a_scenario() {
    let steps = &fields(Subject::Scenario, "Step") - &set(&["expect"]);
    assert_eq!(set(&listed(section(SCENARIOS, "What happens"))), steps);
    assert_eq!(set(&listed(section(SCENARIOS, "What is expected"))), fields(Subject::Scenario, "Expect"));
    let call = section(SCENARIOS, "What happens").lines().find(|line| line.starts_with("| `call`")).unwrap();
    assert_eq!(&fields(Subject::Scenario, "Call") - &set(&words(call)), BTreeSet::new());
}
