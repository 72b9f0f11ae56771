//! A gateway that somebody else has configured and runs: it is driven with keys of its own API alone, and
//! keeps none of them.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
};

use base64::Engine as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::sandbox::{Ended, HANG, Running, Sandbox, root, wait_for};

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

    /// `probity run` against it, of scenarios of the catalogue.
    fn run_catalogue(&self, sandbox: &Sandbox, words: &[&str]) -> Ended {
        let config = root().join("runner.yaml").display().to_string();
        let out = sandbox.path("out").display().to_string();
        let usual = ["run", "--gateway", "reference", "--url", &self.url, "--upstream", &self.upstream];
        let beside = ["--config", &config, "--out", &out, "--format", "json"];
        let mut command = sandbox.command(&[&usual[..], &beside, words].concat());
        // Its folders are named relative to the repository.
        command.env("PROBITY_ADMIN", LOGIN).current_dir(root());
        Running::spawn(command).end()
    }

    /// What its management API lists.
    fn listed(&self, path: &str) -> Value {
        let basic = base64::engine::general_purpose::STANDARD.encode(LOGIN);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = probity::drive::client().unwrap().get(format!("{}{path}", self.url));
            request.header("authorization", format!("Basic {basic}")).send().await.unwrap().json().await.unwrap()
        })
    }

    /// The names of the keys that it has.
    fn keys(&self) -> Vec<String> {
        let listed = self.listed("/api/governance/virtual-keys");
        let names =
            listed["virtual_keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned());
        names.collect()
    }

    /// The prices and settings that it goes by.
    fn settings(&self) -> [Value; 2] {
        ["/api/governance/pricing-overrides", "/api/config"].map(|path| self.listed(path))
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
    let before = owned.settings();
    let ended = owned.run_catalogue(&sandbox, &[]);
    let report = ended.exits(0).json();
    ended.says(&[&format!("provider `primary`, of OpenAI's kind, at http://{}/primary", owned.upstream), "mock-1"]);
    let verdict = |id: &str| {
        let scenarios = report["targets"][0]["scenarios"].as_array().unwrap();
        let found = scenarios.iter().find(|scenario| scenario["id"] == id);
        found.map(|found| found["verdict"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    let pass = [
        "budgets/virtual-key-trips",
        "budgets/limit-raised-by-api",
        "keys/missing",
        "keys/deleted-by-api",
        "management/closed",
    ];
    for id in pass {
        assert_eq!(verdict(id), "pass", "{id}");
    }
    let unsupported = [
        "budgets/unpriced-model",
        "keys/optional",
        "keys/disabled",
        "management/provider-keys-hidden",
        "management/rejected-change-changes-nothing",
        "persistence/spend-survives",
        "pricing/set-by-api",
    ];
    for id in unsupported {
        assert_eq!(verdict(id), "unsupported", "{id}");
    }
    let text = report.to_string();
    assert!(text.contains(r#""unsupported":"configuration""#) && text.contains(r#""unsupported":"restart""#), "{text}");
    assert_eq!(owned.keys(), ["agent"], "keys of ours were left behind");
    assert_eq!(owned.settings(), before, "a price or a setting of ours was left behind");
}

#[test]
fn at_a_gateway_that_stands_open_no_key_stays_and_none_is_shown() {
    let sandbox = Sandbox::new();
    let mut owned = Owned::start(&sandbox);
    owned.url = open_door(owned.url.clone());
    let ended = owned.run_catalogue(&sandbox, &["=management/closed"]);
    ended.exits(1);
    assert_eq!(owned.keys(), ["agent"], "{}", ended.stderr);
    let files = sandbox.files();
    let har = files.iter().find(|name| name.ends_with("wire.har")).unwrap();
    let har = sandbox.read(&format!("out/{har}"));
    assert!(har.contains("<virtual key trespasser>"), "{har}");
    // The gateway itself shows the beginning of a key.
    assert!(har.split("sk-bf-").skip(1).all(|rest| rest.chars().nth(4) == Some('…')), "{har}");
}

/// A way into a gateway on which everybody is its administrator.
fn open_door(url: String) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let door = format!("http://{}", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pass = move |request: axum::extract::Request| {
        let url = url.clone();
        async move {
            let (mut head, body) = request.into_parts();
            head.headers.remove("host");
            if head.uri.path().starts_with("/api/") {
                let basic = base64::engine::general_purpose::STANDARD.encode(LOGIN);
                head.headers.insert("authorization", format!("Basic {basic}").parse().unwrap());
            }
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let client = probity::drive::client().unwrap();
            let asked = client.request(head.method, format!("{url}{}", head.uri)).headers(head.headers).body(body);
            let answer = asked.send().await.unwrap();
            let status = answer.status();
            let kind = answer.headers().get("content-type").cloned();
            let mut response = axum::response::Response::new(axum::body::Body::from(answer.bytes().await.unwrap()));
            *response.status_mut() = status;
            response.headers_mut().extend(kind.map(|kind| (axum::http::header::CONTENT_TYPE, kind)));
            response
        }
    };
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, axum::Router::new().fallback(pass)).await.unwrap();
        });
    });
    door
}

#[test]
fn a_key_of_whose_creation_nothing_is_heard_is_told_with_its_name() {
    let sandbox = Sandbox::new();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    thread::spawn(move || silent.incoming().for_each(|connection| answer_unless_created(&connection.unwrap())));
    let upstream = free().to_string();
    let usual = ["run", "--gateway", "reference", "--url", &url, "--upstream", &upstream, "--admin", LOGIN];
    let ended = sandbox.probity(&[&usual[..], &["=budgets/cap"]].concat());
    ended.exits(1).says(&["the virtual key probity-", "-agent may be at the gateway", "must be removed by hand"]);
}

/// A gateway that is ready and of the right version, and hangs up on whoever makes a key.
fn answer_unless_created(mut connection: &TcpStream) {
    let mut head = BufReader::new(connection).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let is_question = head.next().is_some_and(|line| line.starts_with("GET "));
    head.for_each(drop);
    if is_question {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\n\"v0.1.0\"";
        connection.write_all(answer.as_bytes()).unwrap();
    }
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
fn wrong_credentials_of_the_administrator_are_no_fault_that_hides_and_none_of_the_gateways() {
    let sandbox = Sandbox::new();
    let owned = Owned::start(&sandbox);
    let ended = owned.run(&sandbox, &["--admin", "owner:guessed-4711", "--format", "json"]).end();
    let report = ended.exits(5).json();
    let check = &report["targets"][0]["scenarios"][0]["cases"][0]["checks"][0];
    assert_eq!((&check["verdict"], &check["blame"]), (&"unknown".into(), &"environment".into()), "{check}");
    let report = report.to_string();
    assert!(report.contains("the scenario's virtual keys could not be made: POST /api/governance/virtual-keys: 401"));
    assert!(report.contains("are the credentials of --admin right?"), "{report}");
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
    sandbox.edit("runner.yaml", "[reference]", "[reference, bifrost]");
    with(&["--upstream", "127.0.0.1:9000"]).exits(2).says(&["give one --gateway"]);
}
