//! A gateway that somebody else has configured and runs: it is driven with keys of its own API alone, and
//! keeps none of them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use base64::Engine as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::sandbox::{HANG, Running, Sandbox, root, wait_for};

const LOGIN: &str = "owner:Their-0wn-password";

/// The reference gateway as its owner has configured it; stopped when it is dropped.
struct Owned {
    process: Child,
    url: String,
    upstream: String,
}

fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

impl Owned {
    fn start(sandbox: &Sandbox) -> Self {
        let (gateway, upstream) = (free(), free().to_string());
        let (username, password) = LOGIN.split_once(':').unwrap();
        let kinds = ["chat_completion", "text_completion", "responses", "embedding"];
        let config = json!({
            "client": { "enforce_auth_on_inference": true },
            "providers": { "primary": {
                "keys": [{ "name": "primary", "value": "any", "models": ["*"], "weight": 1 }],
                "network_config": {
                    "base_url": format!("http://{upstream}/primary"), "allow_private_network": true, "max_retries": 0,
                },
                "custom_provider_config": { "base_provider_type": "openai" },
            } },
            "governance": {
                "auth_config": { "is_enabled": true, "admin_username": username, "admin_password": password },
                "virtual_keys": [{ "id": "vk-1", "name": "agent", "value": "sk-bf-theirs", "is_active": true }],
                "pricing_overrides": [{
                    "id": "mock-1", "name": "mock-1", "scope_kind": "global", "match_type": "exact",
                    "pattern": "mock-1", "request_types": kinds,
                    "patch": { "input_cost_per_token": 0.000_002_5, "output_cost_per_token": 0.000_01 },
                }],
            },
        });
        sandbox.write("theirs/config.json", &config.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_probity"));
        command.args(["serve", "reference", "-app-dir"]).arg(sandbox.path("theirs"));
        command.args(["-host", "127.0.0.1", "-port", &gateway.port().to_string()]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let owned = Self { process, url: format!("http://{gateway}"), upstream };
        wait_for("the owner's gateway", || TcpStream::connect(gateway).is_ok());
        owned
    }

    /// `probity run` against it, with these words after the usual.
    fn run(&self, sandbox: &Sandbox, words: &[&str]) -> Running {
        // Credentials in the address are not used, and appear nowhere.
        let url = self.url.replace("http://", "http://me:in-the-address@");
        let usual = ["run", "--gateway", "reference", "--url", &url, "--upstream", &self.upstream];
        let mut command = sandbox.command(&[&usual[..], words].concat());
        command.env("PROBITY_ADMIN", LOGIN);
        Running::spawn(command)
    }

    /// The names of the keys that it has.
    fn keys(&self) -> Vec<String> {
        let basic = base64::engine::general_purpose::STANDARD.encode(LOGIN);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listed: Value = runtime.block_on(async {
            let request = probity::drive::client().unwrap().get(format!("{}/api/governance/virtual-keys", self.url));
            request.header("authorization", format!("Basic {basic}")).send().await.unwrap().json().await.unwrap()
        });
        let names =
            listed["virtual_keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned());
        names.collect()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_needs_no_configuration_of_ours_is_judged_and_the_rest_is_unsupported() {
    let sandbox = Sandbox::new();
    let owned = Owned::start(&sandbox);
    let config = root().join("runner.yaml").display().to_string();
    let out = sandbox.path("out").display().to_string();
    let words = ["--config", &config, "--out", &out, "--format", "json", "budgets/", "keys/", "persistence/"];
    // Its folders are named relative to the repository.
    let usual = ["run", "--gateway", "reference", "--url", &owned.url, "--upstream", &owned.upstream];
    let mut command = sandbox.command(&[&usual[..], &words].concat());
    command.env("PROBITY_ADMIN", LOGIN).current_dir(root());
    let ended = Running::spawn(command).end();
    let report = ended.exits(0).json();
    ended.says(&[&format!("provider `primary`, of OpenAI's kind, at http://{}/primary", owned.upstream), "mock-1"]);
    let verdict = |id: &str| {
        let scenarios = report["targets"][0]["scenarios"].as_array().unwrap();
        let found = scenarios.iter().find(|scenario| scenario["id"] == id);
        found.map(|found| found["verdict"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    for id in ["budgets/virtual-key-trips", "budgets/limit-raised-by-api", "keys/missing", "keys/deleted-by-api"] {
        assert_eq!(verdict(id), "pass", "{id}");
    }
    for id in ["budgets/unpriced-model", "keys/optional", "keys/disabled", "persistence/spend-survives"] {
        assert_eq!(verdict(id), "unsupported", "{id}");
    }
    let text = report.to_string();
    assert!(text.contains(r#""unsupported":"configuration""#) && text.contains(r#""unsupported":"restart""#), "{text}");
    assert_eq!(owned.keys(), ["agent"], "keys of ours were left behind");
}

#[test]
fn a_run_that_is_interrupted_leaves_no_key_either_and_shows_no_credential() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/hang", HANG);
    let owned = Owned::start(&sandbox);
    let run = owned.run(&sandbox, &["=budgets/hang"]);
    wait_for("a key of ours", || owned.keys().len() == 2);
    assert!(owned.keys().iter().any(|name| name.starts_with("probity-") && name.ends_with("-agent")));
    run.signal(Signal::SIGINT);
    let ended = run.end();
    ended.exits(5);
    assert_eq!(owned.keys(), ["agent"], "keys of ours were left behind");
    let written = sandbox.files().iter().map(|name| sandbox.read(&format!("out/{name}"))).collect::<String>();
    for secret in ["in-the-address", "0wn-password"] {
        assert!(![&ended.stdout, &ended.stderr, &written].iter().any(|text| text.contains(secret)), "{ended:?}");
    }
}

#[test]
fn wrong_credentials_of_the_administrator_are_no_fault_that_hides() {
    let sandbox = Sandbox::new();
    let owned = Owned::start(&sandbox);
    let ended = owned.run(&sandbox, &["--admin", "owner:guessed-4711", "--format", "json"]).end();
    let report = ended.exits(1).json().to_string();
    assert!(report.contains("the scenario's virtual keys could not be made: POST /api/governance/virtual-keys: 401"));
    assert!(!report.contains("guessed-4711") && !ended.stderr.contains("guessed-4711"), "{report}");
    assert_eq!(owned.keys(), ["agent"]);
}

#[test]
fn an_address_without_its_mock_or_its_credentials_in_the_wrong_form_is_wrong_usage() {
    let sandbox = Sandbox::new();
    let url = ["run", "--url", "http://127.0.0.1:1"];
    sandbox.probity(&url).exits(2).says(&["--upstream"]);
    sandbox.probity(&["run", "--upstream", "127.0.0.1:9000"]).exits(2).says(&["--url"]);
    let with = |words: &[&str]| sandbox.probity(&[&url[..], words].concat());
    with(&["--upstream", "127.0.0.1:0"]).exits(2).says(&["the port must be fixed"]);
    with(&["--upstream", "nowhere"]).exits(2).says(&["--upstream nowhere"]);
    let wrong = with(&["--upstream", "127.0.0.1:9000", "--admin", "only-a-password"]);
    wrong.exits(2).says(&["USER:PASSWORD"]);
    assert!(!wrong.stderr.contains("only-a-password"), "{}", wrong.stderr);
    let two = ["--upstream", "127.0.0.1:9000", "--gateway", "reference", "--gateway", "bifrost"];
    with(&two).exits(2).says(&["give one --gateway"]);
}
