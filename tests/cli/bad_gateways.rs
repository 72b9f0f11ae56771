//! Gateways that do not start, or do not last: told with whose fault it is and their last words.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::sandbox::{CAP, HANG, REFERENCE, Running, Sandbox};

/// A check of the only case of a scenario, as the report has it.
fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    let scenarios = report["targets"][0]["scenarios"].as_array().unwrap();
    let checks = scenarios.iter().flat_map(|scenario| scenario["cases"][0]["checks"].as_array().unwrap());
    checks.into_iter().find(|check| check["check"] == id).unwrap_or_else(|| panic!("no {id} in {report:#}"))
}

#[test]
fn a_gateway_that_exits_at_its_start_is_shown_with_its_last_lines() {
    let sandbox = Sandbox::new();
    sandbox.gateway("broken", "echo reading config; echo 'config.json: no such key' >&2; exit 3");
    sandbox.golden("exits_at_start", &["run", "--gateway", "broken", "--seed", "7"]).exits(3);
    sandbox.assert_nothing_is_left();
}

#[test]
fn a_gateway_that_never_gets_ready_is_shown_with_its_last_lines() {
    let sandbox = Sandbox::new();
    sandbox.gateway("slow", "echo still thinking; exec tail -q -n 0 -f \"$1/config.json\"");
    sandbox.edit("gateways/slow/gateway.yaml", "within: 10s, stops", "within: 300ms, stops");
    sandbox.golden("never_ready", &["run", "--gateway", "slow", "--seed", "7"]).exits(3);
    sandbox.assert_nothing_is_left();
}

#[test]
fn a_gateway_whose_executable_is_not_there_is_told() {
    let sandbox = Sandbox::new();
    sandbox.gateway("absent", "exit 1");
    sandbox.edit("gateways/absent/gateway.yaml", "/bin/sh", "no-such-gateway");
    sandbox.golden("no_executable", &["run", "--gateway", "absent", "--seed", "7"]).exits(3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_on_which_no_gateway_can_start_is_named() {
    let sandbox = Sandbox::new();
    let usual = sandbox.command(&["run"]);
    let mut shell = Command::new("sh");
    // No file may grow beyond 32 KiB: enough for the run log, too little for a gateway's database.
    shell.args(["-c", "trap '' XFSZ; exec prlimit --fsize=32768 \"$0\" \"$@\""]);
    shell.arg(usual.get_program()).args(usual.get_args()).current_dir(usual.get_current_dir().unwrap());
    for (name, value) in usual.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let ended = Running::spawn(shell).end();
    ended.exits(3);
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("could not write anything more into ") && text.contains("File too large"), "{text}");
}

#[test]
fn a_gateway_whose_own_port_is_taken_is_not_ready_and_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let sandbox = Sandbox::new();
    sandbox.gateway("fixed", &REFERENCE.replace("\"$3\"", &port.to_string()));
    let ended = sandbox.probity(&["run", "--gateway", "fixed"]);
    ended.exits(3);
    assert!(ended.stdout.contains("in use"), "{}", ended.stdout);
    assert!(ended.stdout.contains(&port.to_string()), "{}", ended.stdout);
    sandbox.assert_nothing_is_left();
}

#[test]
fn one_target_that_does_not_start_keeps_no_other_from_being_tested() {
    let sandbox = Sandbox::new();
    sandbox.gateway("broken", "exit 3");
    let words = ["run", "--gateway", "broken", "--gateway", "reference", "--format", "json"];
    let report = sandbox.probity(&words).exits(3).json();
    assert_eq!(report["targets"][0]["conformance"], "not_tested", "{report:#}");
    assert_eq!(report["targets"][1]["conformance"], "conformant", "{report:#}");
}

#[test]
fn a_gateway_that_starts_once_but_not_again_fails_and_keeps_its_evidence() {
    let sandbox = Sandbox::new();
    let twice = format!(
        "test -e \"$1/../../seen\" && {{ echo 'no second time'; exit 4; }}; touch \"$1/../../seen\"; exec {REFERENCE}"
    );
    sandbox.gateway("once", &twice);
    let report = sandbox.probity(&["run", "--gateway", "once", "--format", "json"]).exits(1).json();
    let first = check(&report, "budgets/cap#1.status");
    assert_eq!((&first["verdict"], &first["blame"]), (&"fail".into(), &"gateway".into()));
    assert!(first["found"].as_str().unwrap().contains("no second time"), "{first}");
    sandbox.assert_nothing_is_left();
}

#[test]
fn a_gateway_that_is_killed_in_the_middle_fails_with_its_last_lines_and_does_not_hang() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/hang", &HANG.replace("answers: { passed: 0 }", "refused: upstream_failed"));
    let run = sandbox.start(&["run", "=budgets/hang", "--format", "json"]);
    sandbox.wait_for_burst();
    for (gateway, _) in sandbox.gateways() {
        kill(gateway, Signal::SIGKILL).unwrap();
    }
    let report = run.end().exits(1).json();
    let found = check(&report, "budgets/hang#3.refused");
    assert_eq!((&found["verdict"], &found["blame"]), (&"fail".into(), &"gateway".into()));
    let text = found["found"].as_str().unwrap();
    assert!(text.contains("the gateway is gone (killed by signal 9)"), "{text}");
    assert!(text.contains("listening on http://127.0.0.1:"), "{text}");
    assert!(sandbox.files().contains(&"evidence/reference@0.1.0/budgets-hang/gateway.log".to_owned()));
    sandbox.assert_nothing_is_left();
}

#[test]
fn a_case_whose_gateway_does_not_start_keeps_its_evidence() {
    let sandbox = Sandbox::new();
    // The first start of the target is without keys.
    let script = format!(
        "grep -q vk-agent \"$1/config.json\" && {{ grep value \"$1/config.json\"; exit 3; }}; exec {REFERENCE}"
    );
    sandbox.gateway("picky", &script);
    let report = sandbox.probity(&["run", "--gateway", "picky", "--format", "json"]).exits(1).json();
    let found = check(&report, "budgets/cap#1.status");
    assert_eq!((&found["verdict"], &found["blame"]), (&"fail".into(), &"gateway".into()));
    let folder = "out/evidence/picky@1/budgets-cap";
    for (file, holds) in [
        ("findings.json", "exit code 3"),
        ("rerun.txt", "'=budgets/cap'"),
        ("gateway.log", "<virtual key agent>"),
        ("config/config.json", "<virtual key agent>"),
    ] {
        let text = sandbox.read(&format!("{folder}/{file}"));
        assert!(text.contains(holds) && !text.contains("sk-bf-"), "{file}: {text}");
    }
    sandbox.assert_nothing_is_left();
}

#[test]
fn a_scenario_that_does_not_hold_without_a_gateway_keeps_its_evidence() {
    let sandbox = Sandbox::new();
    let faults = "upstream: { providers: { primary: { faults: [{ fault: { status: { code: 500 } } }] } } }";
    sandbox.scenario("budgets/cap", &format!("{faults}{CAP}"));
    let ended = sandbox.probity(&["run"]);
    assert_ne!(ended.stdout, "", "{}", ended.stderr);
    let folder = "out/evidence/reference@0.1.0/budgets-cap";
    assert!(sandbox.read(&format!("{folder}/findings.json")).contains("the control lane: "));
    assert!(sandbox.read(&format!("{folder}/rerun.txt")).contains("'=budgets/cap'"));
}

#[test]
fn a_gateway_that_is_gone_fails_even_where_none_was_to_be_served() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/hang", HANG);
    let run = sandbox.start(&["run", "=budgets/hang", "--format", "json"]);
    sandbox.wait_for_burst();
    for (gateway, _) in sandbox.gateways() {
        kill(gateway, Signal::SIGKILL).unwrap();
    }
    let report = run.end().exits(1).json();
    let found = check(&report, "budgets/hang#3.answers.passed");
    assert_eq!((&found["verdict"], &found["blame"]), (&"fail".into(), &"gateway".into()));
    assert!(found["found"].as_str().unwrap().contains("killed by signal 9"), "{found}");
}

#[test]
fn what_keeps_a_gateway_from_being_started_again_is_not_held_against_it() {
    let sandbox = Sandbox::new();
    // Once it has ended a folder stands where its file is to be written.
    let script = format!(
        "trap 'kill $!; wait $!; rm \"$1/config.json\"; mkdir \"$1/config.json\"; exit' TERM; {REFERENCE} & wait"
    );
    sandbox.gateway("blocked", &script);
    let restart = "  - restart: { signal: term, policy: { virtual_keys: [{ name: agent, budgets: [{ limit: $1, reset: 1h }] }] } }\n";
    sandbox.scenario("budgets/cap", &CAP.replace("steps:\n", &format!("steps:\n{restart}")));
    let report = sandbox.probity(&["run", "--gateway", "blocked", "--format", "json"]).exits(5).json();
    let found = check(&report, "budgets/cap#1.done");
    assert_eq!((&found["verdict"], &found["blame"]), (&"unknown".into(), &"environment".into()), "{found}");
    let text = found["found"].as_str().unwrap();
    assert!(text.contains("it did not come back: could not ") && text.contains("Is a directory"), "{text}");
    sandbox.assert_nothing_is_left();
}

#[test]
fn a_gateway_that_floods_its_log_with_what_is_no_text_leaves_the_end_of_it() {
    let sandbox = Sandbox::new();
    let flood = "head -c 6000000 /dev/zero | tr '\\0' x; printf '\\377\\376 is no text\\n'";
    sandbox.gateway("loud", &format!("{flood}; exec {REFERENCE}"));
    sandbox.scenario("budgets/cap", &CAP.replace("times: 4", "times: 5"));
    sandbox.probity(&["run", "--gateway", "loud"]).exits(1);
    let log = sandbox.read("out/evidence/loud@1/budgets-cap/gateway.log");
    assert!(log.len() < 4_300_000, "{} bytes are kept", log.len());
    assert!(log.contains(" bytes before this are left out)\nxxx") && log.contains("\u{fffd}\u{fffd} is no text\n"));
    sandbox.assert_nothing_is_left();
}

#[test]
fn evidence_that_cannot_be_kept_is_told_and_changes_no_verdict() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/cap", &CAP.replace("times: 4", "times: 5"));
    // No run of ours was here, so this is not ours to remove.
    sandbox.write("out/evidence", "a file");
    let ended = sandbox.probity(&["run", "--format", "json"]);
    ended.exits(1).says(&["the evidence of budgets/cap is not kept, since ", "its verdicts are in the reports"]);
    assert_eq!(ended.json()["targets"][0]["scenarios"][0]["cases"][0]["evidence"], Value::Null);
}

#[test]
fn a_scenario_that_cannot_be_done_is_not_held_against_the_gateway() {
    let sandbox = Sandbox::new();
    let past = "  - advance: { to_end_of: day, less: 48h }\n";
    sandbox.scenario("budgets/cap", &CAP.replace("steps:\n", &format!("steps:\n{past}")));
    let report = sandbox.probity(&["run", "--format", "json"]).exits(5).json();
    let done = check(&report, "budgets/cap#1.done");
    assert_eq!((&done["verdict"], &done["blame"]), (&"unknown".into(), &"scenario".into()), "{done}");
    let behind = check(&report, "budgets/cap#2.status");
    assert_eq!((&behind["verdict"], &behind["blame"]), (&"not_reached".into(), &"scenario".into()), "{behind}");
}

#[test]
fn a_gateway_that_does_not_end_when_asked_to_is_killed_and_fails() {
    let sandbox = Sandbox::new();
    sandbox.gateway("stubborn", &format!("trap 'echo not yet' TERM; {REFERENCE} & while kill -0 $!; do wait; done"));
    sandbox.edit("gateways/stubborn/gateway.yaml", "stops_within: 20s", "stops_within: 300ms");
    sandbox.scenario("budgets/cap", &CAP.replace("steps:\n", "steps:\n  - restart: { signal: term }\n"));
    let report = sandbox.probity(&["run", "--gateway", "stubborn", "--format", "json"]).exits(1).json();
    let found = check(&report, "budgets/cap#1.done");
    assert_eq!((&found["verdict"], &found["blame"]), (&"fail".into(), &"gateway".into()));
    assert!(found["found"].as_str().unwrap().contains("did not stop within"), "{found}");
    sandbox.assert_nothing_is_left();
}
