//! What the READMEs tell to type, typed: their command lines as they stand there, by curl.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitCode, Stdio},
};

use libtest_mimic::{Arguments, Completion, Trial};
use mock_upstream::{Fault, Model, Script};
use serde_json::{Value, json};
use support::{
    not_run, probity,
    readme::{self, ADMIN_PASSWORD, MOCK, REFERENCE},
    root,
};

fn main() -> ExitCode {
    let trials = vec![
        trial("the reference gateway serves its key, and nobody else, until its budget is spent", reference),
        trial("the mock answers, and has the call in its ledger", mock),
        Trial::test("the mock knows the scripts and the faults of the READMEs", || {
            scripts();
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(sentence: &str, test: fn()) -> Trial {
    Trial::ignorable_test(sentence, move || match Command::new("curl").arg("--version").output() {
        Ok(_) => {
            test();
            Ok(Completion::Completed)
        }
        Err(error) => not_run(&format!("`curl` cannot be run: {error}")),
    })
}

/// What command lines print, where a server that they call at this port listens at another one.
fn typed(lines: &str, port: u16, at: &str) -> String {
    let lines = lines.replace(&format!("localhost:{port}"), at);
    assert!(lines.contains(at), "nobody is called at {port}: {lines}");
    let mut shell = Command::new("/bin/sh");
    // A configuration of curl's, or a proxy, is not the README's.
    shell.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).args(["-ec", &lines]);
    let output = shell.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{lines}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn reference() {
    let model = json!({ "usage": { "input": 100, "output": 100 }, "price": { "input": "$0.15", "output": "$0.60" } });
    let served = readme::serve("curl", &json!({ "gpt-4o-mini": model }));
    let at = served.url.strip_prefix("http://").unwrap();
    let lines = REFERENCE.block("In another terminal", "sh");
    let header = "-H 'Authorization: Bearer sk-proxy'";
    assert!(lines.contains(header), "{lines}");
    let stranger = parsed(&typed(&lines.replace(header, ""), 8080, at));
    assert_eq!((&stranger["status_code"], &stranger["type"]), (&json!(401), &json!("virtual_key_required")));
    for _ in 0..2 {
        let answer = parsed(&typed(&lines, 8080, at));
        assert_eq!(answer["usage"]["total_tokens"], 200, "{answer}");
    }
    let refused = parsed(&typed(&lines, 8080, at));
    assert_eq!(refused["status_code"], 402, "{refused}");
    let told = parsed(&REFERENCE.block("its `error`\nhas, among others", "json"));
    for (name, value) in told.as_object().unwrap() {
        assert_eq!(&refused["error"][name], value, "{name}: {refused}");
    }
    let keys = format!("curl -s -u admin:{ADMIN_PASSWORD} localhost:8080/api/governance/virtual-keys");
    let keys = parsed(&typed(&keys, 8080, at));
    assert_eq!(keys["virtual_keys"][0]["name"], "agent", "{keys}");
    assert_eq!((served.calls(), served.ledger().charged().to_string().as_str()), (2, "$0.00015"));
}

/// A server that ends with its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mock() {
    let start = MOCK.block("# The mock upstream", "sh");
    let words = start.trim().strip_prefix("cargo run -- ").and_then(|words| words.strip_suffix(" --port 9000"));
    let words = words.unwrap_or_else(|| panic!("{start}")).split(' ');
    let mut command = Command::new(probity());
    command.args(words).args(["--port", "0"]).current_dir(root()).stdout(Stdio::piped());
    let mut server = Server(command.spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let (_, at) = ready.split_once("listens on http://").unwrap_or_else(|| panic!("{ready}"));
    let printed = typed(&MOCK.block("In another terminal", "sh"), 9000, at.split(' ').next().unwrap());
    // Neither the answer nor the ledger ends its line.
    let mut printed = serde_json::Deserializer::from_str(&printed).into_iter::<Value>().map(Result::unwrap);
    let [answer, ledger] = [printed.next().unwrap(), printed.next().unwrap()];
    assert_eq!(answer["usage"]["total_tokens"], 200, "{answer}");
    assert_eq!(ledger["entries"][0]["charged"], "$0.00125", "{ledger}");
}

fn scripts() {
    let openai = REFERENCE.block("Without an account", "sh");
    let openai: Script = serde_json::from_str(openai.split('\'').nth(1).unwrap()).unwrap();
    openai.validate().unwrap();
    assert!(openai.models.contains_key("gpt-4o-mini"));
    let script: Script = serde_json::from_str(&MOCK.block("## A script", "json")).unwrap();
    script.validate().unwrap();
    let answer = MOCK.block("`answer` says what else", "json");
    let model: Model = serde_json::from_str(&format!("{{{answer}}}")).unwrap();
    assert_eq!(model.answer.tool_calls[0].name, "weather");
    let faults = MOCK.table("The faults:");
    let whole = faults.iter().filter(|fault| fault.starts_with('{'));
    let parsed: Vec<Fault> = whole.map(|fault| serde_json::from_str(fault).unwrap()).collect();
    assert!(parsed.contains(&Fault::Cut { after_chunks: 2 }), "{faults:?}");
}
