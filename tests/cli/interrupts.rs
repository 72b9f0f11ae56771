//! Ctrl-C and SIGTERM at any moment: the run ends as incomplete, its log holds what happened and no
//! more, and nothing is left behind.

use nix::sys::signal::Signal;

use crate::sandbox::{CAP, Ended, HANG, REFERENCE, Running, Sandbox, from_the_third_start, wait_for};

const SIGNALS: [Signal; 2] = [Signal::SIGINT, Signal::SIGTERM];

/// Interrupts a run once something holds, and checks what becomes of it.
#[track_caller]
fn interrupted(sandbox: &Sandbox, signal: Signal, words: &[&str], what: &str, holds: impl FnMut() -> bool) -> Ended {
    let run = sandbox.start(words);
    wait_for(what, holds);
    run.signal(signal);
    let ended = run.end();
    ended.exits(5);
    sandbox.assert_nothing_is_left();
    ended
}

/// The log of an interrupted run has its foot, and no check that was not judged counts as judged.
#[track_caller]
fn assert_log_is_honest(sandbox: &Sandbox, judged: usize) {
    let events = sandbox.events();
    let foot = events.last().unwrap();
    assert_eq!((&foot["event"], &foot["interrupted"]), (&"run_finished".into(), &true.into()));
    assert!(!events.iter().any(|event| event["event"] == "target_finished"), "its turn was not over");
    assert_eq!(events.iter().filter(|event| event["event"] == "check_judged").count(), judged);
    let report: serde_json::Value = serde_json::from_str(&sandbox.read("out/report.json")).unwrap();
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["targets"][0]["summary"]["checks"]["judged"], judged);
}

fn is_begun(sandbox: &Sandbox) -> bool {
    sandbox.events().iter().any(|event| event["event"] == "target_started")
}

#[test]
fn while_a_gateway_starts() {
    for signal in SIGNALS {
        let sandbox = Sandbox::new();
        sandbox.gateway("slow", "trap '' TERM INT; exec tail -q -n 0 -f \"$1/config.json\"");
        let words = ["run", "--gateway", "slow", "--seed", "7"];
        let starts = || !sandbox.gateways().is_empty();
        let ended = interrupted(&sandbox, signal, &words, "the gateway's process", starts);
        assert_log_is_honest(&sandbox, 0);
        sandbox.snapshot("interrupted_at_start", &words, &ended);
    }
}

#[test]
fn while_calls_are_under_way() {
    for signal in SIGNALS {
        let sandbox = Sandbox::new();
        sandbox.scenario("budgets/hang", HANG);
        let words = ["run", "=budgets/hang", "--seed", "7"];
        let run = sandbox.start(&words);
        sandbox.wait_for_burst();
        run.signal(signal);
        let ended = run.end();
        ended.exits(5);
        sandbox.assert_nothing_is_left();
        // A case is judged as a whole: what came late counts, so one that was broken off counts for nothing.
        assert_log_is_honest(&sandbox, 0);
        sandbox.snapshot("interrupted_in_a_burst", &words, &ended);
    }
}

#[test]
fn while_a_gateway_is_stopped() {
    for signal in SIGNALS {
        let sandbox = Sandbox::new();
        let script = format!("trap 'touch \"$1/../../told\"' TERM; {REFERENCE} & while kill -0 $!; do wait; done");
        sandbox.gateway("stubborn", &script);
        sandbox.scenario("budgets/cap", &CAP.replace("steps:\n", "steps:\n  - restart: { signal: term }\n"));
        // The first start is stopped as well, without waiting for what comes of it: that is the moment.
        let words = ["run", "--gateway", "stubborn"];
        interrupted(&sandbox, signal, &words, "the gateway's being told to stop", || sandbox.path("out/told").exists());
        assert_log_is_honest(&sandbox, 0);
    }
}

#[test]
fn while_a_gateway_starts_again() {
    for signal in SIGNALS {
        let sandbox = Sandbox::new();
        // The first start and the case's own are quick, the one after the restart never ends.
        sandbox.gateway("late", &from_the_third_start("exec tail -q -n 0 -f \"$1/config.json\""));
        sandbox.scenario(
            "budgets/cap",
            &CAP.replace("  - call: { as: agent }\n", "  - restart: { signal: term }\n  - call: { as: agent }\n"),
        );
        let third = || sandbox.gateways().iter().any(|(_, words)| words.starts_with("tail"));
        interrupted(&sandbox, signal, &["run", "--gateway", "late"], "the start after the restart", third);
        assert_log_is_honest(&sandbox, 0);
    }
}

#[test]
fn at_moments_that_nobody_chose() {
    // From right after the log's first line to the middle of the cases: each try sees the run further on.
    for seen in 1..=12 {
        let sandbox = Sandbox::new();
        for number in 1..=4 {
            sandbox.scenario(&format!("budgets/cap-{number}"), CAP);
        }
        let run = sandbox.start(&["run", "--jobs", "2"]);
        wait_for("the next line of the run log", || sandbox.events().len() >= seen);
        run.signal(Signal::SIGINT);
        let ended = run.end();
        ended.exits(5);
        let judged = sandbox.events().iter().filter(|event| event["event"] == "check_judged").count();
        assert_log_is_honest(&sandbox, judged);
        assert!(judged < 20, "the run was over before it was interrupted");
        sandbox.assert_nothing_is_left();
    }
}

#[test]
fn before_the_run_begins() {
    let sandbox = Sandbox::new();
    // Python packages that are being installed: it says so, and takes its time.
    sandbox.gateway("snake", "exit 1");
    sandbox.edit(
        "gateways/snake/gateway.yaml",
        "    command:",
        "    install: { requirements: requirements.txt }\n    command:",
    );
    sandbox.write("gateways/snake/requirements.txt", "");
    let pause = "#!/bin/sh\ntest \"$1\" = --version && { echo Python 3.0.0; exit; }\necho $$ > \"$PIDS\"; exec tail -f /dev/null\n";
    sandbox.write("bin/python3", pause);
    std::fs::set_permissions(sandbox.path("bin/python3"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = sandbox.command(&["run", "--gateway", "snake"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", sandbox.path("bin").display())).env("PIDS", sandbox.path("pid"));
    let run = Running::spawn(command);
    let pid = || std::fs::read_to_string(sandbox.path("pid")).unwrap_or_default().trim().to_owned();
    wait_for("the installation", || !pid().is_empty());
    run.signal(Signal::SIGINT);
    run.end().exits(5).says(&["interrupted before the run began"]);
    assert!(!std::path::Path::new(&format!("/proc/{}", pid())).exists(), "the installation outlived its run");
    assert!(!is_begun(&sandbox));
}

#[test]
fn twice_is_no_worse_than_once() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/hang", HANG);
    let run = sandbox.start(&["run", "=budgets/hang"]);
    sandbox.wait_for_burst();
    run.signal(Signal::SIGINT);
    run.signal(Signal::SIGTERM);
    run.signal(Signal::SIGINT);
    run.end().exits(5);
    assert_log_is_honest(&sandbox, 0);
    sandbox.assert_nothing_is_left();
}
