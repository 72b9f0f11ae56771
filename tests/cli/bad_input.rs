//! Wrong input: one clear message with file, line and field, the documented exit code, nothing started.

use std::{fs, os::unix::fs::symlink};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{CAP, HANG, REFERENCE, Running, Sandbox, root};

#[test]
fn a_typo_in_a_scenario_is_shown_with_its_line_and_what_was_meant() {
    let sandbox = Sandbox::new();
    sandbox.edit("scenarios/budgets/cap.yaml", "times: 4", "tiems: 4");
    sandbox
        .golden("typo_in_scenario", &["run"])
        .exits(2)
        .says(&["scenarios/budgets/cap.yaml:10: ", "did you mean `times`?"]);
    sandbox.probity(&["check"]).exits(2).says(&["did you mean `times`?"]);
    assert!(!sandbox.path("out").exists(), "nothing was to be written");
}

#[test]
fn a_typo_in_a_manifest_is_shown_with_its_line_and_what_was_meant() {
    let sandbox = Sandbox::new();
    sandbox.gateway("toy", "exit 1");
    sandbox.edit("gateways/toy/gateway.yaml", "ready: { get:", "ready: { gett:");
    let words = ["run", "--gateway", "toy"];
    sandbox.golden("typo_in_manifest", &words).exits(2).says(&["gateways/toy/gateway.yaml:7: ", "did you mean `get`?"]);
    sandbox.probity(&["check"]).exits(2).says(&["did you mean `get`?"]);
}

#[test]
fn a_typo_in_the_configuration_is_shown_with_its_line_and_what_was_meant() {
    let sandbox = Sandbox::new();
    sandbox.write("runner.yaml", "targets: [reference]\njbos: 2\n");
    sandbox.golden("typo_in_runner", &["run"]).exits(2).says(&["runner.yaml:2: ", "did you mean `jobs`?"]);
    for words in [&["list"][..], &["check"], &["explain", "BUD-1"]] {
        sandbox.probity(words).exits(2).says(&["runner.yaml:2: ", "did you mean `jobs`?"]);
    }
}

#[test]
fn a_file_that_is_no_plain_yaml_is_shown_with_its_line() {
    let deep = format!("title: {}\n", "[".repeat(100_000));
    let odd = [
        ("title: one\ntitle: two\n", ":2: duplicated key in mapping"),
        ("title: one\n---\ntitle: two\n", ":1: one YAML document is wanted, 2 are here"),
        ("", ":1: one YAML document is wanted, 0 are here"),
        ("title: !secret one\n", ":1: this YAML feature (alias or tag) is not used here"),
        ("title: [one\n", ":2: "),
        (deep.as_str(), ":1: recursion limit exceeded"),
    ];
    for file in ["scenarios/budgets/cap.yaml", "runner.yaml", "gateways/toy/gateway.yaml"] {
        for (text, says) in odd {
            let sandbox = Sandbox::new();
            sandbox.gateway("toy", "exit 1");
            sandbox.write(file, text);
            sandbox.probity(&["run", "--gateway", "toy"]).exits(2).says(&[&format!("{file}{says}")]);
            sandbox.probity(&["check"]).exits(2).says(&[&format!("{file}{says}")]);
        }
    }
}

#[test]
fn a_file_that_is_no_text_is_named() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("scenarios/budgets/cap.yaml"), b"title: \xff\n").unwrap();
    sandbox.probity(&["run"]).exits(2).says(&["scenarios/budgets/cap.yaml: cannot be read: ", "UTF-8"]);
}

#[test]
fn a_folder_without_gateways_is_told_with_the_field_that_names_it() {
    let sandbox = Sandbox::new();
    sandbox.write("runner.yaml", "targets: [reference]\ngateways: nowhere\nout: out\n");
    sandbox.probity(&["run"]).exits(2).says(&["there is no gateway in nowhere; `gateways` in the configuration"]);
    sandbox.probity(&["check"]).exits(2).says(&["there is no gateway in nowhere; `gateways` in the configuration"]);
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    Sandbox::new().golden("no_config", &["run", "--config", "nowhere.yaml"]).exits(2);
}

#[test]
fn a_requirement_that_does_not_exist_is_shown_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.edit("scenarios/budgets/cap.yaml", "BUD-1", "BUD-2");
    sandbox.golden("no_such_requirement", &["run"]).exits(2).says(&["cap.yaml:2: ", "did you mean `BUD-1`?"]);
}

#[test]
fn every_file_that_is_wrong_is_shown_not_just_the_first() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/more", "steps: [{ setle: {} }]\n");
    sandbox.edit("scenarios/budgets/cap.yaml", "BUD-1", "BUD-2");
    sandbox.probity(&["check"]).exits(2).says(&["budgets/cap.yaml:2", "budgets/more.yaml:4", "did you mean `settle`?"]);
}

#[test]
fn a_policy_that_a_template_does_not_express_is_named_before_anything_starts() {
    let sandbox = Sandbox::new();
    sandbox.gateway("forgetful", "exit 1");
    sandbox.write("gateways/forgetful/config.json.j2", "{}");
    sandbox.golden("inexpressible", &["run", "--gateway", "forgetful"]).exits(2);
    sandbox.probity(&["check"]).exits(2).says(&["forgetful", "cannot express policy"]);
}

#[test]
fn a_template_that_breaks_is_shown_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.gateway("broken", "exit 1");
    sandbox.write("gateways/broken/config.json.j2", "{\n{{ policy.virtual_keys | nothing }}\n}");
    sandbox.golden("broken_template", &["run", "--gateway", "broken"]).exits(2);
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.write("runner.yaml", "targets: [reference]\nout: ${PROBITY_TEST_NOWHERE}\n");
    sandbox.golden("unset_variable", &["run"]).exits(2).says(&["runner.yaml:2: "]);
}

#[test]
fn a_selection_of_nothing_ends_with_a_code_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.golden("nothing_selected", &["run", "budgtes"]).exits(4).says(&["did you mean `budgets`?"]);
    sandbox.probity(&["list", "budgtes"]).exits(4);
    sandbox.golden("no_such_case", &["run", "--case", "stream=true"]).exits(4);
}

#[test]
fn a_gateway_that_claims_nothing_that_is_asked_for_has_nothing_to_run() {
    let sandbox = Sandbox::new();
    sandbox.gateway("humble", REFERENCE);
    sandbox.edit("gateways/humble/gateway.yaml", "budgets.virtual_key, ", "");
    sandbox.golden("nothing_applicable", &["run", "--gateway", "humble", "--seed", "7"]).exits(4);
    // Beside one that is tested it is no better tested.
    sandbox.probity(&["run", "--gateway", "reference", "--gateway", "humble"]).exits(4);
}

#[test]
fn a_gateway_that_does_not_exist_is_named_and_costs_nobody_the_last_run() {
    let sandbox = Sandbox::new();
    sandbox.probity(&["run"]).exits(0);
    let log = sandbox.read("out/run.ndjson");
    sandbox.golden("no_such_gateway", &["run", "--gateway", "refrence"]).exits(2);
    assert_eq!(sandbox.read("out/run.ndjson"), log);
}

#[test]
fn a_setting_that_does_not_exist_is_named() {
    let sandbox = Sandbox::new();
    sandbox.golden("no_such_setting", &["run", "--gateway", "bifrost", "--set", "bim=x"]).exits(2);
    sandbox.probity(&["run", "--set", "bin"]).exits(2).says(&["write NAME=VALUE"]);
}

#[test]
fn a_capability_that_does_not_exist_is_shown_with_its_line_and_what_was_meant() {
    let sandbox = Sandbox::new();
    sandbox.edit("scenarios/budgets/cap.yaml", "policy:", "needs: [windows.budget]\npolicy:");
    let says = ["scenarios/budgets/cap.yaml:5: needs[0]: ", "did you mean `windows.budgets`?"];
    sandbox.probity(&["check"]).exits(2).says(&says);
    let sandbox = Sandbox::new();
    sandbox.gateway("toy", "exit 1");
    sandbox.edit("gateways/toy/gateway.yaml", "windows.budgets, restart", "windows.budgets, restrat");
    let says = ["gateways/toy/gateway.yaml:11: capabilities[2]: ", "did you mean `restart`?"];
    sandbox.probity(&["check"]).exits(2).says(&says);
    sandbox.probity(&["run", "--gateway", "toy"]).exits(2).says(&says);
}

#[test]
fn a_version_that_would_not_be_started_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.gateway("toy", REFERENCE);
    sandbox.probity(&["run", "--gateway", "toy@2"]).exits(2).says(&["toy@2 cannot be started as a process"]);
    symlink(root().join("gateways/litellm"), sandbox.path("gateways/litellm")).unwrap();
    let says = ["litellm@1.0.0 cannot be started as a process: requirements.txt pins litellm to "];
    sandbox.probity(&["run", "--gateway", "litellm@1.0.0"]).exits(2).says(&says);
    sandbox.probity(&["run", "--gateway", "toy@1"]).exits(0);
}

#[test]
fn a_gateway_that_says_it_is_another_version_is_not_tested_under_a_false_name() {
    let sandbox = Sandbox::new();
    let ended = sandbox.probity(&["run", "--gateway", "reference@9.9.9"]);
    let actual = format!("reference@{}", env!("CARGO_PKG_VERSION"));
    assert!(ended.exits(3).stdout.contains("reference@9.9.9 was asked for"), "{}", ended.stdout);
    assert!(ended.stdout.contains(&actual), "{}", ended.stdout);
    sandbox.gateway("silent", REFERENCE);
    sandbox.edit("gateways/silent/gateway.yaml", "version: \"1\"", "version: \"1\"\nversion_probe: { get: /nothing }");
    let ended = sandbox.probity(&["run", "--gateway", "silent"]);
    assert!(ended.exits(3).stdout.contains("does not say which it is: GET /nothing answers 404"), "{}", ended.stdout);
}

#[test]
fn a_setting_may_be_a_credential_and_is_not_repeated() {
    let sandbox = Sandbox::new();
    sandbox.gateway("generous", &format!("echo started with \"$4\"; exec {REFERENCE}"));
    let manifest = "gateways/generous/gateway.yaml";
    sandbox.edit(manifest, "\"{{ port }}\"]", "\"{{ port }}\", \"{{ settings.token }}\"]");
    sandbox.edit(manifest, "capabilities:", "settings: { token: { about: a token, default: \"\" } }\ncapabilities:");
    sandbox.edit("gateways/generous/config.json.j2", "{{ budget.limit | dollars }}", "1{{ budget.limit | dollars }}");
    let ended = sandbox.probity(&["run", "--gateway", "generous", "--set", "token=planted-4711"]);
    assert!(ended.exits(1).stdout.contains("--set token=…"), "{}", ended.stdout);
    let written = sandbox.files().iter().map(|name| sandbox.read(&format!("out/{name}"))).collect::<String>();
    assert!(written.contains("started with <setting token>"), "{written}");
    for text in [&ended.stdout, &ended.stderr, &written] {
        assert!(!text.contains("planted-4711"), "{text}");
    }
}

#[test]
fn what_killed_runs_left_can_only_be_removed_where_docker_is() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["gc"]);
    command.env("DOCKER_HOST", "unix:///nonexistent.sock");
    Running::spawn(command).end().exits(3).says(&["no Docker daemon answers"]);
}

#[test]
fn docker_that_is_forced_and_absent_means_not_ready() {
    let sandbox = Sandbox::new();
    let words = ["run", "--seed", "7"];
    let mut command = sandbox.command(&words);
    command.env("PROBITY_RUNTIME", "container").env("DOCKER_HOST", "unix:///nonexistent.sock");
    let ended = Running::spawn(command).end();
    sandbox.snapshot("no_docker", &words, &ended);
    ended.exits(3);
}

#[test]
fn a_target_without_docker_leaves_no_green_report_and_keeps_no_other_from_being_tested() {
    let sandbox = Sandbox::new();
    sandbox.probity(&["run"]).exits(0);
    sandbox.gateway("contained", REFERENCE);
    sandbox.edit(
        "gateways/contained/gateway.yaml",
        "launch:\n  process:",
        "launch:\n  container:\n    image: none:1\n    port: 1\n    data: /data",
    );
    let mut command = sandbox.command(&["run", "--gateway", "contained", "--gateway", "reference"]);
    command.env_remove("PROBITY_RUNTIME").env("DOCKER_HOST", "unix:///nonexistent.sock");
    let ended = Running::spawn(command).end();
    assert_eq!(ended.exits(3).stdout.matches("no Docker daemon answers").count(), 1, "{}", ended.stdout);
    let report: Value = serde_json::from_str(&sandbox.read("out/report.json")).unwrap();
    let targets = [&report["targets"][0], &report["targets"][1]];
    assert_eq!(targets.map(|target| target["conformance"].as_str().unwrap()), ["not_tested", "conformant"]);
    assert!(targets[0]["problem"].as_str().unwrap().contains("no Docker daemon answers"), "{report:#}");
}

#[test]
fn a_runtime_that_does_not_exist_is_wrong_usage() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["run"]);
    command.env("PROBITY_RUNTIME", "balloon");
    Running::spawn(command).end().exits(2).says(&["balloon"]);
}

#[test]
fn a_gateway_of_somebody_elses_without_its_address_is_wrong_usage_and_told_once() {
    let sandbox = Sandbox::new();
    let ended = sandbox.probity(&["run", "--runtime", "external"]);
    ended.exits(2);
    assert_eq!(ended.stderr, "probity: the runtime `external` cannot be used without --url\n");
    assert_eq!(ended.stdout, "");
    assert!(!sandbox.path("out").exists(), "nothing was to be written");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let words = ["serve", "upstream", "--port", &port];
    let sandbox = Sandbox::new();
    let ended = sandbox.probity(&words);
    sandbox.snapshot("upstream_port_taken", &["serve", "upstream", "--port", "[port]"], &ended);
    ended.exits(3).says(&[&port]);
}

#[test]
fn a_script_of_the_upstream_that_is_wrong_is_shown_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.write("script.yaml", "providers:\n  primary:\n    fautls: []\n");
    let words = ["serve", "upstream", "--config", "script.yaml"];
    sandbox.probity(&words).exits(2).says(&["script.yaml:3: ", "did you mean `faults`?"]);
    sandbox.write(
        "script.yaml",
        "providers:\n  primary:\n    faults:\n      - fault: hang\n      - first: 0\n        fault: ok\n",
    );
    let says = ["script.yaml:5: providers.primary.faults[1]: ", "`first: 0` matches no call"];
    sandbox.probity(&words).exits(2).says(&says);
}

#[test]
fn a_script_that_cannot_be_played_is_shown_before_its_scenario_runs() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/cap", &format!("upstream:\n  models:\n    mock-1: {{ chunks: 0 }}\n{CAP}"));
    let says = ["budgets/cap.yaml:6: upstream.models.mock-1: ", "`chunks` is 0, and can be 1 to 100000"];
    sandbox.probity(&["check"]).exits(2).says(&says);
}

#[test]
fn a_file_where_the_report_folder_should_be_is_told_before_anything_starts() {
    let sandbox = Sandbox::new();
    sandbox.write("out", "a file");
    sandbox.golden("unwritable_out", &["run"]).exits(74);
    assert_eq!(sandbox.read("out"), "a file");
}

#[test]
fn a_report_that_cannot_be_written_is_told_after_the_verdict() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("out/junit.xml")).unwrap();
    let ended = sandbox.probity(&["run"]);
    ended.exits(74).says(&["cannot write out/junit.xml: "]);
    assert!(ended.stdout.contains("reference@"), "{}", ended.stdout);
    sandbox.assert_nothing_is_left();
}

#[test]
fn a_second_run_in_the_same_folder_is_refused_and_hinders_the_first_in_nothing() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/hang", HANG);
    let first = sandbox.start(&["run", "=budgets/hang", "--seed", "7"]);
    sandbox.wait_for_burst();
    sandbox.golden("two_runs_at_once", &["run", "budgets/cap"]).exits(74);
    first.signal(Signal::SIGINT);
    first.end().exits(5);
    assert_eq!(sandbox.events().first().unwrap()["event"], "run_started");
    assert_eq!(sandbox.events().last().unwrap()["event"], "run_finished");
    sandbox.assert_nothing_is_left();
}
