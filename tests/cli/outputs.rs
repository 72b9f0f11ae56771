//! What programs read: JSON that keeps to its schema, JUnit, and pipes.

use std::process::Stdio;

use probity::report::{log::read_log, model::Report};
use serde_json::Value;

use crate::sandbox::{CAP, REFERENCE, Running, Sandbox, root};

fn schema(subject: &str) -> Value {
    Sandbox::new().probity(&["schema", subject]).exits(0).json()
}

/// Asserts that a value keeps to the schema that `probity schema` prints.
#[track_caller]
fn keeps_to(subject: &str, values: &[Value]) {
    let validator = jsonschema::draft202012::new(&schema(subject)).unwrap();
    assert!(!values.is_empty());
    for value in values {
        let objections: Vec<_> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(objections, Vec::<String>::new(), "{value:#}");
    }
}

#[test]
fn every_schema_that_is_printed_is_one() {
    for subject in ["scenario", "gateway", "runner", "report", "list", "run-log"] {
        assert!(jsonschema::draft202012::meta::is_valid(&schema(subject)), "{subject}");
    }
}

#[test]
fn a_listing_of_this_repository_keeps_to_its_schema() {
    let config = root().join("runner.yaml").display().to_string();
    let ended = Sandbox::new().probity(&["list", "--config", &config, "budgets", "--format", "json"]);
    let listed = ended.exits(0).json();
    keeps_to("list", std::slice::from_ref(&listed));
    let listed = listed.as_array().unwrap();
    assert!(listed.iter().any(|entry| entry["id"] == "budgets/virtual-key-trips" && entry["requirement"] == "BUD-1"));
    assert!(listed.iter().all(|entry| entry["area"] == "budgets"), "{listed:#?}");
}

#[test]
fn the_reports_of_a_run_keep_to_their_schemas_and_say_the_same() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/again", &format!("{CAP}matrix:\n  nothing: [1, 2]\n"));
    sandbox.gateway("generous", REFERENCE);
    sandbox.edit("gateways/generous/config.json.j2", "{{ budget.limit | dollars }}", "1{{ budget.limit | dollars }}");
    let words = ["run", "--gateway", "reference", "--gateway", "generous", "--format", "json", "--seed", "7"];
    let ended = sandbox.probity(&words);
    let report = ended.exits(1).json();
    keeps_to("report", std::slice::from_ref(&report));
    assert_eq!(report, serde_json::from_str::<Value>(&sandbox.read("out/report.json")).unwrap());
    keeps_to("run-log", &sandbox.events());
    let events = read_log(&sandbox.path("out/run.ndjson")).unwrap();
    assert_eq!(report, serde_json::to_value(Report::from_events(&events)).unwrap(), "the log says something else");

    let [reference, generous] = report["targets"].as_array().unwrap().as_slice() else { panic!("{report:#}") };
    let checks = &reference["summary"]["checks"];
    assert_eq!(checks["declared"], 12);
    assert!(checks["applicable"] == 12 && checks["judged"] == 12, "{checks}");
    assert_eq!(generous["summary"]["verdicts"]["fail"], 2, "{}", generous["summary"]);

    let junit = quick_junit::Report::deserialize_from_str(&sandbox.read("out/junit.xml")).unwrap();
    assert!(junit.tests > 0 && junit.failures > 0, "{junit:?}");
}

#[test]
fn the_same_seed_makes_the_same_report_but_for_times() {
    let sandbox = Sandbox::new();
    let verdicts = |report: &Value| {
        let checks = report["targets"][0]["scenarios"][0]["cases"][0]["checks"].as_array().unwrap();
        let judged = checks.iter().map(|check| format!("{} {}", check["check"], check["verdict"]));
        judged.collect::<Vec<_>>()
    };
    let run = || sandbox.probity(&["run", "--seed", "11", "--format", "json"]).exits(0).json();
    let (first, second) = (run(), run());
    assert_eq!(first["seed"], 11);
    assert_eq!(verdicts(&first), verdicts(&second));
    assert_eq!(verdicts(&first).len(), 4);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let sandbox = Sandbox::new();
    for words in [&["list"][..], &["--help"], &["help"], &["schema", "scenario"], &["explain", "BUD-1"], &["run", "-q"]]
    {
        let mut command = sandbox.command(words);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{words:?}");
        assert_eq!(ended.status.code(), Some(0), "{words:?}");
    }
}

#[test]
fn a_stdout_that_is_full_is_told_and_no_success() {
    let sandbox = Sandbox::new();
    for words in [&["list"][..], &["schema", "runner"], &["run", "-q"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = sandbox.command(words).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(stderr.contains("cannot write to the standard output: "), "{words:?}: {stderr}");
        assert_eq!(ended.status.code(), Some(74), "{words:?}");
    }
    assert!(!sandbox.read("out/report.json").is_empty(), "the files are written all the same");
}

#[test]
fn two_runs_at_once_do_not_hinder_each_other_in_folders_of_their_own() {
    let sandbox = Sandbox::new();
    let runs: Vec<Running> = ["out/a", "out/b"].iter().map(|out| sandbox.start(&["run", "--out", out])).collect();
    for run in runs {
        run.end().exits(0);
    }
    assert!(sandbox.path("out/a/report.json").is_file() && sandbox.path("out/b/report.json").is_file());
    sandbox.assert_nothing_is_left();
}
