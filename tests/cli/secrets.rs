//! No credential appears in any log, report or evidence folder.

use std::fs;

use regex::Regex;

use crate::sandbox::{Ended, REFERENCE, Sandbox, from_the_third_start};

/// Administrator's password, the same as Basic credentials, made virtual keys, upstream keys, and the
/// value that the scenario plants.
const CREDENTIALS: &str = r"Pb1![0-9a-f]|cHJvYml0eTpQYjEh|sk-bf-[0-9a-f]{8}-|up-[0-9a-f]{8}-|sk-planted-4711";

/// A gateway that writes its configuration into its log, and ends.
const SHOWS_AND_ENDS: &str = "tr -d '\\n' < \"$1/config.json\"; exit 3";

/// Everything that a run prints and writes, by name.
fn everything(sandbox: &Sandbox, ended: &Ended) -> Vec<(String, String)> {
    let read = |name: String| {
        let bytes = fs::read(sandbox.path("out").join(&name)).unwrap();
        (name, String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut texts: Vec<_> = sandbox.files().into_iter().map(read).collect();
    texts.push(("stdout".to_owned(), ended.stdout.clone()));
    texts.push(("stderr".to_owned(), ended.stderr.clone()));
    texts
}

#[track_caller]
fn assert_no_credential(texts: &[(String, String)]) {
    let credential = Regex::new(CREDENTIALS).unwrap();
    for (name, text) in texts {
        if let Some(found) = credential.find(text) {
            let around = text.get(found.start().saturating_sub(80)..(found.end() + 40).min(text.len()));
            panic!("{name} holds a credential: …{}…", around.unwrap_or(found.as_str()));
        }
    }
}

/// A credential was there, and this is shown in its place.
#[track_caller]
fn assert_gives_none_away(sandbox: &Sandbox, ended: &Ended, shown: &str) {
    assert_no_credential(&everything(sandbox, ended));
    assert!(ended.stdout.contains(shown), "{}", ended.stdout);
}

#[test]
fn a_case_that_fails_keeps_its_evidence_without_them() {
    let sandbox = Sandbox::new();
    // It shows what it was given.
    sandbox.gateway("talkative", &format!("cat \"$1/config.json\"; exec {REFERENCE}"));
    sandbox.scenario(
        "budgets/cap",
        "
policy:
  virtual_keys:
    - { name: made }
    - { name: literal, value: sk-planted-4711 }
steps:
  - call: { as: made }
    expect: { status: 200 }
  - call: { key: sk-planted-4711, via: bearer }
    expect: { status: 200 }
  - call: { as: made, headers: { x-also: sk-planted-4711 } }
    expect: { body: { /never: there } }
",
    );
    let ended = sandbox.probity(&["run", "--gateway", "talkative"]);
    let texts = everything(&sandbox, ended.exits(1));
    assert_no_credential(&texts);
    let text = |end: &str| &texts.iter().find(|(name, _)| name.ends_with(end)).unwrap_or_else(|| panic!("{end}")).1;
    // They were there, and were replaced.
    for (file, words) in [
        ("gateway.log", &["<admin password>", "<upstream key of primary>", "<virtual key made>"][..]),
        ("config/config.json", &["<admin password>", "<virtual key literal>"][..]),
        ("wire.har", &["Bearer <virtual key made>", "<virtual key literal>"][..]),
        ("ledger.json", &["<upstream key of primary>"][..]),
    ] {
        for word in words {
            assert!(text(file).contains(word), "no {word} in {file}:\n{}", text(file));
        }
    }
}

#[test]
fn a_gateway_that_shows_its_configuration_and_ends_gives_none_away() {
    let sandbox = Sandbox::new();
    sandbox.gateway("talkative", SHOWS_AND_ENDS);
    let ended = sandbox.probity(&["run", "--gateway", "talkative"]);
    assert_gives_none_away(&sandbox, ended.exits(3), "<admin password>");
}

#[test]
fn a_gateway_that_shows_its_configuration_and_does_not_come_back_gives_none_away() {
    let sandbox = Sandbox::new();
    sandbox.gateway("late", &from_the_third_start(&format!("{{ {SHOWS_AND_ENDS}; }}")));
    sandbox.scenario(
        "budgets/cap",
        "
policy:
  virtual_keys: [{ name: made }]
steps:
  - restart: { signal: kill }
  - call: { as: made }
    expect: { status: 200 }
",
    );
    let ended = sandbox.probity(&["run", "--gateway", "late"]);
    assert_gives_none_away(&sandbox, ended.exits(1), "<virtual key made>");
}

#[test]
fn a_run_that_passes_writes_none() {
    let sandbox = Sandbox::new();
    let ended = sandbox.probity(&["run", "--format", "json"]);
    assert_no_credential(&everything(&sandbox, ended.exits(0)));
}
