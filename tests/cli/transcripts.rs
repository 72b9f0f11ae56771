//! Golden transcripts: what is printed where, and how the command ends.

use crate::sandbox::{Sandbox, root};

#[test]
fn help_says_what_there_is() {
    Sandbox::new().golden("help", &["--help"]).exits(0);
}

#[test]
fn help_on_exit_codes_is_a_result() {
    Sandbox::new().golden("help_exit_codes", &["help", "exit-codes"]).exits(0);
}

#[test]
fn help_on_run_explains_every_option() {
    Sandbox::new().golden("help_run", &["run", "--help"]).exits(0);
}

#[test]
fn no_command_is_wrong_usage_and_shows_the_help() {
    let ended = Sandbox::new().probity(&[]);
    ended.exits(2).says(&["Usage: probity"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_misspelt_command_or_option_is_wrong_usage() {
    let sandbox = Sandbox::new();
    sandbox.golden("typo_in_command", &["rnu"]).exits(2);
    sandbox.golden("typo_in_option", &["run", "--gatway", "reference"]).exits(2);
    sandbox.golden("no_such_topic", &["help", "exit-code"]).exits(2);
}

#[test]
fn the_version_is_a_result() {
    let ended = Sandbox::new().probity(&["--version"]);
    ended.exits(0);
    assert_eq!(ended.stdout, format!("probity {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn list_shows_scenarios_by_area() {
    Sandbox::new().golden("list", &["list"]).exits(0);
}

#[test]
fn explain_tells_of_a_scenario_and_of_a_requirement() {
    let sandbox = Sandbox::new();
    sandbox.golden("explain_scenario", &["explain", "budgets/cap"]).exits(0);
    sandbox.golden("explain_requirement", &["explain", "BUD-1"]).exits(0);
}

#[test]
fn explain_asks_whether_something_else_was_meant() {
    let ended = Sandbox::new().golden("explain_typo", &["explain", "budgets/cpa"]);
    ended.exits(2);
    assert_eq!(ended.stdout, "");
}

#[test]
fn every_scenario_and_requirement_of_this_repository_can_be_explained() {
    let sandbox = Sandbox::new();
    let config = root().join("runner.yaml").display().to_string();
    let explained = |id: &str| sandbox.probity(&["explain", "--config", &config, id]);
    assert!(explained("budgets/virtual-key-trips").exits(0).stdout.contains("BUD-1 MUST"));
    assert!(explained("BUD-1").exits(0).stdout.contains("budgets/virtual-key-trips"));
    explained("budgets/virtual-key-tripz").exits(2).says(&["did you mean \"budgets/virtual-key-trips\"?"]);
}

#[test]
fn check_finds_everything_in_order_here_and_in_this_repository() {
    let sandbox = Sandbox::new();
    sandbox.golden("check", &["check"]).exits(0);
    let config = root().join("runner.yaml").display().to_string();
    let ended = sandbox.probity(&["check", "--config", &config]);
    assert!(ended.exits(0).stdout.ends_with(" gateways: all in order\n"), "{}", ended.stdout);
}

#[test]
fn a_run_that_passes_says_so() {
    let sandbox = Sandbox::new();
    sandbox.golden("run_passes", &["run", "--seed", "7"]).exits(0);
    assert_eq!(sandbox.files(), ["junit.xml", "report.json", "run.ndjson"]);
    sandbox.assert_nothing_is_left();
}

#[test]
fn a_quiet_run_writes_nothing_to_stderr() {
    let ended = Sandbox::new().probity(&["run", "--quiet"]);
    assert_eq!(ended.exits(0).stderr, "");
}

#[test]
fn the_reference_gateway_is_a_process_where_nothing_else_is_asked_for() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["run"]);
    // A machine with nothing but Rust.
    command.env_remove("PROBITY_RUNTIME").env("DOCKER_HOST", "unix:///nonexistent.sock");
    crate::sandbox::Running::spawn(command).end().exits(0).says(&["1 case, process (the default)"]);
}

#[test]
fn a_gateway_that_does_not_conform_is_told_with_what_the_witnesses_saw() {
    let sandbox = Sandbox::new();
    sandbox.gateway("generous", crate::sandbox::REFERENCE);
    sandbox.edit("gateways/generous/config.json.j2", "{{ budget.limit | dollars }}", "1{{ budget.limit | dollars }}");
    sandbox.golden("run_fails", &["run", "--gateway", "generous", "--seed", "7"]).exits(1);
    let evidence = "evidence/generous@1/budgets-cap";
    for file in ["config/config.json", "findings.json", "gateway.log", "ledger.json", "rerun.txt", "wire.har"] {
        assert!(sandbox.files().contains(&format!("{evidence}/{file}")), "{file} is missing: {:?}", sandbox.files());
    }
    sandbox.assert_nothing_is_left();
}

#[test]
fn the_next_run_that_passes_leaves_no_evidence_of_the_last() {
    let sandbox = Sandbox::new();
    sandbox.probity(&["run"]).exits(0);
    sandbox.write("out/evidence/reference@1/budgets-cap/findings.json", "[]");
    sandbox.probity(&["run"]).exits(0);
    assert_eq!(sandbox.files(), ["junit.xml", "report.json", "run.ndjson"]);
}

#[test]
fn a_folder_called_evidence_in_which_no_run_was_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("out/evidence/of-something-else.txt", "mine");
    sandbox.write("out/report.json", "mine too, until there is a report");
    sandbox.write("out/run.ndjson", "{\"event\":\"another\"}\n");
    sandbox.probity(&["run"]).exits(0);
    assert_eq!(sandbox.read("out/evidence/of-something-else.txt"), "mine");
}
