//! Real providers behind the reference gateway, under a cap of a tenth of a cent: calls are served
//! until the cap refuses one, and then the books must balance. They are ignored, since they need a
//! credential and spend money:
//!
//! ```sh
//! OPENAI_API_KEY=… cargo test --test live -- --ignored openai --nocapture
//! ```
//!
//! The tests that are not ignored run these as a child process, with the mock as the provider.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what a live test spent is said with --nocapture")]

mod support;

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};

use mock_upstream::{Fault, FaultRule, Model, Script, Upstream, Usage};
use probity::{
    drive::{Outgoing, Secrets, answer::Answer, client, method, send},
    money::Usd,
    runtime::{Instance, ProcessRuntime, Runtime},
    scenario::call::RouteName,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use support::{out, served, wait};

/// Dollars. What a token costs is stated here and not the provider's affair: the gateway is told the
/// same, so that the cap is reached in a handful of calls whatever the model.
const CAP: &str = "0.001";
const INPUT_TOKEN: &str = "0.0000025";
const OUTPUT_TOKEN: &str = "0.00001";

/// A call costs about a fifth of the cap.
const MOST_CALLS: usize = 20;
const MOST_OUTPUT: u64 = 16;
const PROMPT: &str = "Count from one to twenty in words.";
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// What a process needs to reach the world from where this machine stands.
const NETWORK: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"];

const OPENAI: Provider = Provider {
    name: "openai",
    credential: "OPENAI_API_KEY",
    base: "OPENAI_API_BASE",
    model: ("EVAL_MODEL", "gpt-4o-mini"),
    route: RouteName::Chat,
    path: "/v1/chat/completions",
};
const ANTHROPIC: Provider = Provider {
    name: "anthropic",
    credential: "ANTHROPIC_API_KEY",
    base: "ANTHROPIC_BASE_URL",
    model: ("ANTHROPIC_MODEL", "claude-haiku-4-5"),
    route: RouteName::Messages,
    path: "/anthropic/v1/messages",
};

#[test]
#[ignore = "calls OpenAI with OPENAI_API_KEY, and spends less than a cent"]
fn openai_is_called_until_the_cap_refuses_and_the_books_balance() {
    wait(OPENAI.is_called_until_the_cap_refuses());
}

#[test]
#[ignore = "calls Anthropic with ANTHROPIC_API_KEY, and spends less than a cent"]
fn anthropic_is_called_until_the_cap_refuses_and_the_books_balance() {
    wait(ANTHROPIC.is_called_until_the_cap_refuses());
}

/// A provider, and the variables that say how it is reached.
struct Provider {
    name: &'static str,
    credential: &'static str,
    base: &'static str,
    /// The variable, and the model if it is not set: a small one.
    model: (&'static str, &'static str),
    /// The route of the gateway, in the provider's own protocol.
    route: RouteName,
    path: &'static str,
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Provider {
    async fn is_called_until_the_cap_refuses(&self) {
        let credential = variable(self.credential)
            .unwrap_or_else(|| panic!("{} is not set, and this test calls a real provider with it", self.credential));
        let mut secrets = Secrets::default();
        secrets.plant(&credential, self.credential);
        let live = Live { provider: self, credential, secrets, password: uuid::Uuid::new_v4().to_string() };
        let gateway = live.gateway().await;
        let mut reported = Vec::new();
        let refused = loop {
            assert!(reported.len() < MOST_CALLS, "{MOST_CALLS} calls were served, and none was refused");
            // What is streamed must be charged as what is not.
            let answer = live.call(&*gateway, reported.len() % 2 == 1).await;
            if answer.status == Some(402) {
                break answer;
            }
            assert!(answer.served(), "{}", live.secrets.redact(&answer.describe()));
            reported.push(usage(&answer).unwrap_or_else(|| panic!("{} reported no usage", self.name)));
        };
        assert_eq!(refused.json()["error"]["code"], "budget_exceeded", "{}", refused.describe());
        assert!(reported.len() >= 2, "the cap must leave room for a plain call and a streamed one: {reported:?}");
        let expected: Usd = reported.iter().map(|(input, output)| cost(*input, *output)).sum();
        let figure = live.spent(&*gateway).await;
        gateway.discard().await;
        assert_eq!(figure, expected, "the gateway's figure, and the reported usage at the stated prices: {reported:?}");
        println!("{}: {} calls were served, then 402; {reported:?} cost {figure}", self.name, reported.len());
    }

    fn model(&self) -> String {
        variable(self.model.0).unwrap_or_else(|| self.model.1.to_owned())
    }

    /// Where the provider is, as the gateway wants it: without the version of the API.
    fn base(&self) -> Option<String> {
        let base = variable(self.base)?;
        let base = base.trim_end_matches('/');
        Some(base.strip_suffix("/v1").unwrap_or(base).to_owned())
    }
}

fn cost(input: u64, output: u64) -> Usd {
    let of = |price: &str, tokens: u64| Usd::new(Usd::from_plain(price).unwrap().dollars() * Decimal::from(tokens));
    of(INPUT_TOKEN, input) + of(OUTPUT_TOKEN, output)
}

/// A provider with its credential.
struct Live<'a> {
    provider: &'a Provider,
    credential: String,
    secrets: Secrets,
    password: String,
}

impl Live<'_> {
    /// The reference gateway, always as a process: its container has no certificates for TLS.
    async fn gateway(&self) -> Box<dyn Instance> {
        let runtime = ProcessRuntime::new(out("live")).unwrap();
        let site = runtime.site(None).await.unwrap();
        let words = [support::probity().display().to_string(), "serve".to_owned(), "reference".to_owned()];
        let options = ["-app-dir", &site.data, "-host", &site.host, "-port", &site.port.to_string()].map(str::to_owned);
        // The credential is in the gateway's environment alone: in no file, and in no list of processes.
        let credential = (self.provider.credential.to_owned(), self.credential.clone());
        let network = NETWORK.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?)));
        let command = words.into_iter().chain(options).collect();
        let env = network.chain([credential]).collect();
        let launched = served::process(&runtime, site, command, &self.config(), env).await;
        launched.unwrap_or_else(|error| {
            let log = error.log_tail().unwrap_or_default();
            panic!("{}", self.secrets.redact(&format!("{error}\n{log}")))
        })
    }

    fn config(&self) -> Value {
        let Provider { name, credential, .. } = self.provider;
        let dollars = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let mut network = json!({ "allow_private_network": true });
        if let Some(base) = self.provider.base() {
            network["base_url"] = json!(base);
        }
        json!({
            "client": { "enforce_auth_on_inference": true },
            "providers": {
                (*name): { "keys": [{ "name": "live", "value": format!("env.{credential}") }], "network_config": network },
            },
            "governance": {
                "auth_config": { "is_enabled": true, "admin_username": "live", "admin_password": self.password },
                "virtual_keys": [{
                    "id": "vk-live",
                    "name": "live",
                    "value": self.key(),
                    "budgets": [{ "max_limit": dollars(CAP), "reset_duration": "1d" }],
                    "provider_configs": [{ "provider": name, "weight": 1, "allowed_models": ["*"] }],
                }],
                "pricing_overrides": [{
                    "scope_kind": "global",
                    "match_type": "exact",
                    "pattern": self.provider.model(),
                    "request_types": ["chat_completion", "responses"],
                    "patch": {
                        "input_cost_per_token": dollars(INPUT_TOKEN),
                        "output_cost_per_token": dollars(OUTPUT_TOKEN),
                    },
                }],
            },
        })
    }

    fn key(&self) -> String {
        format!("sk-bf-{}", self.password)
    }

    async fn call(&self, gateway: &dyn Instance, stream: bool) -> Answer {
        let mut body = json!({
            "model": self.provider.model(),
            "messages": [{ "role": "user", "content": PROMPT }],
            "stream": stream,
        });
        let bound = if self.provider.route == RouteName::Chat { "max_completion_tokens" } else { "max_tokens" };
        body[bound] = json!(MOST_OUTPUT);
        if stream && self.provider.route == RouteName::Chat {
            body["stream_options"] = json!({ "include_usage": true });
        }
        let call = Outgoing {
            marker: String::new(),
            method: method(self.provider.route),
            url: format!("{}{}", gateway.base_url(), self.provider.path),
            headers: vec![("x-bf-vk".to_owned(), self.key())],
            body: Some(body),
            route: self.provider.route,
            hang_up_after: None,
            deadline: ANSWERED_WITHIN,
        };
        send(&client().unwrap(), &call).await
    }

    /// What the gateway says that the key has spent.
    async fn spent(&self, gateway: &dyn Instance) -> Usd {
        let url = format!("{}/api/governance/virtual-keys/vk-live", gateway.base_url());
        let request = client().unwrap().get(url).basic_auth("live", Some(&self.password)).timeout(ANSWERED_WITHIN);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let figure = answer.pointer("/virtual_key/budgets/0/current_usage").and_then(Usd::from_json);
        figure.unwrap_or_else(|| panic!("the gateway must have a figure: {answer}"))
    }
}

/// The tokens that the provider reports, in and out. The parts of a stream report what there was
/// so far, so the largest figure is the last.
fn usage(answer: &Answer) -> Option<(u64, u64)> {
    let body = answer.body();
    let parts = body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line)).map(str::to_owned);
    let parts: Vec<String> = if answer.streamed { parts.collect() } else { vec![body.to_string()] };
    let parts = parts.iter().filter_map(|part| serde_json::from_str::<Value>(part).ok());
    let usages = parts.filter_map(|part| {
        let usage = part.get("usage").or_else(|| part.pointer("/message/usage"))?;
        let sum = |names: &[&str]| names.iter().filter_map(|name| usage[*name].as_u64()).sum::<u64>();
        // Anthropic counts what a cache was asked for apart from the rest of the prompt.
        let input = ["prompt_tokens", "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
        usage.is_object().then(|| (sum(&input), sum(&["completion_tokens", "output_tokens"])))
    });
    usages.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))
}

/// A credential that is worth nothing.
const CREDENTIAL: &str = "sk-stand-in-for-a-credential";

/// The mock as a provider whose every answer reports so much, and whom this befalls.
fn stand_in(usage: Usage, fault: Fault) -> Upstream {
    let mut script = Script::usual();
    let usual = script.models["mock-1"].clone();
    for provider in [OPENAI, ANTHROPIC] {
        script.models.insert(provider.model.1.to_owned(), Model { usage, ..usual.clone() });
    }
    script.providers["primary"].faults = vec![FaultRule { fault: Some(fault), ..FaultRule::default() }];
    wait(Upstream::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script)).unwrap()
}

/// As much as a real provider reports for the prompt.
fn usual() -> Usage {
    Usage { input: 15, output: MOST_OUTPUT, ..Usage::default() }
}

/// Runs a live test as a child process; whether it passed, and all that it wrote.
fn live_test(provider: &Provider, credential: Option<&str>, base: &str) -> (bool, String) {
    let test = format!("{}_is_called_until_the_cap_refuses_and_the_books_balance", provider.name);
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args(["--ignored", "--exact", &test, "--nocapture"])
        .env_remove(provider.model.0)
        .env_remove("RUST_BACKTRACE");
    child.env_remove(provider.credential).env(provider.base, base);
    child.envs(credential.map(|credential| (provider.credential, credential)));
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains(CREDENTIAL), "a credential was written:\n{text}");
    assert!(text.contains("running 1 test"), "{text}");
    (output.status.success(), text.into_owned())
}

#[track_caller]
fn balances(provider: &Provider, version: &str) {
    let upstream = stand_in(usual(), Fault::Ok);
    let (passed, text) = live_test(provider, Some(CREDENTIAL), &format!("http://{}/primary{version}", upstream.addr()));
    assert!(passed, "{text}");
    let ledger = upstream.ledger();
    let calls = ledger.inference().count();
    // The mock sums for itself what it charged at the same prices.
    let said = format!("{}: {calls} calls were served, then 402; ", provider.name);
    assert!(text.contains(&said) && text.contains(&format!("cost ${}\n", ledger.charged().decimal())), "{text}");
    assert!(ledger.inference().all(|call| call.upstream_key.as_deref() == Some(CREDENTIAL)), "{ledger:?}");
    let streamed = ledger.inference().filter(|call| call.stream).count();
    assert_eq!(streamed, calls / 2, "every second call is a stream");
}

#[test]
fn the_live_test_of_openai_passes_with_the_mock_as_openai() {
    balances(&OPENAI, "/v1");
}

#[test]
fn the_live_test_of_anthropic_passes_with_the_mock_as_anthropic() {
    balances(&ANTHROPIC, "");
}

#[test]
fn without_its_credential_a_live_test_fails_and_names_the_variable() {
    for provider in [OPENAI, ANTHROPIC] {
        for credential in [None, Some("")] {
            let (passed, text) = live_test(&provider, credential, "http://127.0.0.1:1");
            assert!(!passed, "{text}");
            assert!(text.contains(&format!("{} is not set", provider.credential)), "{text}");
        }
    }
}

#[test]
fn a_live_test_whose_credential_is_refused_fails_without_writing_it() {
    for provider in [OPENAI, ANTHROPIC] {
        let message = Some(format!("Incorrect API key provided: {CREDENTIAL}"));
        let upstream = stand_in(usual(), Fault::Status { code: 401, retry_after: None, message });
        let (passed, text) = live_test(&provider, Some(CREDENTIAL), &format!("http://{}/primary", upstream.addr()));
        assert!(!passed, "{text}");
        assert!(text.contains("401") && text.contains("Incorrect API key provided"), "{text}");
    }
}

#[test]
fn a_live_test_whose_cap_never_trips_fails() {
    for provider in [OPENAI, ANTHROPIC] {
        let upstream = stand_in(Usage::default(), Fault::Ok);
        let (passed, text) = live_test(&provider, Some(CREDENTIAL), &format!("http://{}/primary", upstream.addr()));
        assert!(!passed, "{text}");
        assert!(text.contains("20 calls were served, and none was refused"), "{text}");
        assert_eq!(upstream.ledger().inference().count(), MOST_CALLS);
    }
}
