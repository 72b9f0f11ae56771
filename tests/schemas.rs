//! The schemas that editors use are those that the program prints.

use std::{fs, path::Path};

use clap::ValueEnum as _;
use probity::{capability::Capability, cli::schema::Subject};

#[test]
fn the_schemas_in_the_repository_are_those_of_the_program() {
    for subject in Subject::value_variants() {
        let name = subject.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.json"));
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, subject.text(), "renew it: cargo run -- schema {name} > {}", path.display());
    }
}

#[test]
fn the_capabilities_that_the_documentation_lists_are_those_of_the_program() {
    let text = include_str!("../docs/gateways.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(word, _)| word));
    let listed: Vec<_> = rows.collect();
    let words: Vec<_> = Capability::ALL.iter().map(|capability| capability.word()).collect();
    assert_eq!(listed, words, "the table of capabilities in docs/gateways.md");
}
