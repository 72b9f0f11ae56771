//! A gateway process, a mock provider behind it, and what a caller does.
//!
//! Unless a test says otherwise: the providers `primary`, `second` and `third`; the
//! model `mock-1` at $2.50 and $10.00 per million tokens, which answers every call
//! with 100 and 100 tokens, $0.00125; the virtual key `agent` with the value
//! `sk-proxy`, mandatory.

mod database;
mod process;

use std::net::SocketAddr;
use std::time::Duration;

use mock_upstream::{Script, Upstream};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use process::{Process, command};

pub(crate) const KEY: &str = "sk-proxy";
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// Sixty bytes: with 100 tokens of output the bound is $0.00115.
pub(crate) const PROMPT: &str = "Sixty bytes of prompt, no more and no less, are in this text";

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }
}

/// The gateway, its provider and its folder.
pub(crate) struct World {
    pub(crate) upstream: Upstream,
    pub(crate) folder: TempDir,
    pub(crate) config: Value,
    pub(crate) process: Option<Process>,
    /// What the gateway finds in its environment besides.
    pub(crate) env: Vec<(&'static str, String)>,
    client: Client,
}

impl World {
    /// The world with one budget of so many dollars on the virtual key, for an hour.
    pub(crate) async fn with_budget(limit: &str) -> World {
        World::start(|config| {
            config["governance"]["budgets"] = json!([budget("b", limit, "1h", "vk-agent")]);
        })
        .await
    }

    /// The world with an edited configuration.
    pub(crate) async fn start(edit: impl FnOnce(&mut Value)) -> World {
        let mut world = World::prepare(edit).await;
        world.run(&["--test-clock", "--seed", "7"]).await;
        world
    }

    /// The same without a gateway that runs.
    pub(crate) async fn prepare(edit: impl FnOnce(&mut Value)) -> World {
        // Another test may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let upstream = Upstream::start(([127, 0, 0, 1], 0).into(), script(&json!({}))).await.unwrap();
        let mut config = config(upstream.addr());
        edit(&mut config);
        let folder = TempDir::new().unwrap();
        let client = Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        World { upstream, folder, config, process: None, env: Vec::new(), client }
    }

    /// Writes the configuration and starts the gateway.
    pub(crate) async fn run(&mut self, options: &[&str]) {
        self.write_config();
        self.process = Some(Process::start_with(self.folder.path(), options, &self.env).await.unwrap());
    }

    pub(crate) fn write_config(&self) {
        std::fs::write(self.folder.path().join("config.json"), money_as_numbers(&self.config)).unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        assert!(self.process.take().unwrap().terminate().await);
        self.run(&["--test-clock"]).await;
    }

    pub(crate) async fn kill_and_start(&mut self) {
        self.process.take().unwrap().kill();
        self.run(&["--test-clock"]).await;
    }

    /// Faults for some providers, like `{"primary": [{"fault": "hang"}]}`.
    pub(crate) fn faults(&self, faults: &Value) {
        self.upstream.set_script(script(faults)).unwrap();
    }

    /// Changes the model's answers, like `{"usage_at": "first_chunk"}`.
    pub(crate) fn model(&self, edit: &Value) {
        let mut script = serde_json::to_value(self.upstream.script()).unwrap();
        for (name, value) in edit.as_object().unwrap() {
            script["models"]["mock-1"][name] = value.clone();
        }
        self.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.as_ref().unwrap().address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn chat(&self, key: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, "/v1/chat/completions").bearer_auth(key).json(body)
    }

    /// One chat call with the virtual key `agent`.
    pub(crate) async fn call(&self) -> Answer {
        self.send(self.chat(KEY, &body())).await
    }

    /// One streamed chat call, read to its end. An answer that breaks off keeps what came.
    pub(crate) async fn stream(&self, path: &str, body: &Value) -> (Answer, bool) {
        let request = self.request(Method::POST, path).bearer_auth(KEY).json(body);
        let mut response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend(chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        (Answer { status, headers, text: String::from_utf8(bytes).unwrap() }, whole)
    }

    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.request(method, path).basic_auth("admin", Some("secret"));
        if let Some(body) = body {
            request = request.body(money_as_numbers(body));
        }
        self.send(request).await
    }

    pub(crate) async fn advance(&self, time: &str) {
        let answer = self.admin(Method::POST, "/api/test/clock", Some(&json!({"advance": time}))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// The virtual key `agent` as the management API shows it.
    pub(crate) async fn agent(&self) -> Value {
        let answer = self.admin(Method::GET, "/api/governance/virtual-keys/vk-agent", None).await;
        let text = figures_as_texts(&answer.text);
        serde_json::from_str::<Value>(&text).unwrap()["virtual_key"].clone()
    }

    /// What the first budget of `agent` has used, in the digits of the answer.
    pub(crate) async fn spent(&self) -> String {
        self.agent().await["budgets"][0]["current_usage"].as_str().unwrap().to_owned()
    }

    pub(crate) fn upstream_calls(&self) -> usize {
        self.upstream.ledger().inference().count()
    }

    /// The providers that were called, in their order.
    pub(crate) fn called(&self) -> Vec<String> {
        let ledger = self.upstream.ledger();
        ledger.inference().map(|entry| entry.provider.clone().unwrap()).collect()
    }

    /// What the provider charged, without its sign of currency.
    pub(crate) fn charged(&self) -> String {
        self.upstream.ledger().charged().to_string().trim_start_matches('$').to_owned()
    }
}

/// Asks again and again until it is so.
pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let asking = async { while !condition().await {} };
    tokio::time::timeout(DEADLINE, asking).await.expect("it does not become so");
}

/// The body of a chat call that costs $0.00125.
pub(crate) fn body() -> Value {
    json!({
        "model": "mock-1",
        "messages": [{ "role": "user", "content": PROMPT }],
        "max_tokens": 100,
    })
}

pub(crate) fn streamed() -> Value {
    let mut body = body();
    body["stream"] = json!(true);
    body
}

/// A budget; its limit is written into the file digit by digit.
pub(crate) fn budget(id: &str, limit: &str, reset: &str, key: &str) -> Value {
    json!({
        "id": id, "max_limit": format!("number:{limit}"),
        "reset_duration": reset, "virtual_key_id": key,
    })
}

/// Writes `"number:0.005"` as `0.005`, so that no figure passes through floating point.
fn money_as_numbers(value: &Value) -> String {
    let text = value.to_string();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("\"number:") {
        let (number, after) = after.split_once('"').unwrap();
        out.push_str(before);
        out.push_str(number);
        rest = after;
    }
    out + rest
}

/// Quotes the figures of the answer's usage, to read their digits.
pub(crate) fn figures_as_texts(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\"current_usage\":") {
        let end = after.find([',', '}']).unwrap();
        out.push_str(&format!("{before}\"current_usage\":\"{}\"", &after[..end]));
        rest = &after[end..];
    }
    out + rest
}

fn script(faults: &Value) -> Script {
    let mut providers = json!({ "primary": {}, "second": {}, "third": {} });
    for (provider, rules) in faults.as_object().unwrap() {
        providers[provider]["faults"] = rules.clone();
    }
    let price = json!({ "input": "$2.50", "output": "$10.00" });
    let usage = json!({ "input": 100, "output": 100 });
    serde_json::from_value(json!({
        "providers": providers,
        "models": {
            "mock-1": { "usage": usage, "price": price },
            "unpriced-1": { "usage": usage },
        },
    }))
    .unwrap()
}

fn config(upstream: SocketAddr) -> Value {
    let provider = |name: &str| {
        json!({
            "keys": [{ "name": format!("{name}-key"), "value": "env.UPSTREAM_KEY", "models": ["*"], "weight": 1 }],
            "network_config": {
                "base_url": format!("http://{upstream}/{name}"),
                // A busy machine must not turn an answer into a time-out, which costs what was held.
                "default_request_timeout_in_seconds": 30,
                "stream_idle_timeout_in_seconds": 30,
            },
            "custom_provider_config": { "base_provider_type": "openai" },
        })
    };
    json!({
        "version": 2,
        "client": { "enforce_auth_on_inference": true },
        "framework": { "pricing": { "pricing_url": format!("http://{upstream}/_mock/prices/bifrost.json") } },
        "providers": { "primary": provider("primary"), "second": provider("second"), "third": provider("third") },
        "governance": {
            "auth_config": { "is_enabled": true, "admin_username": "admin", "admin_password": "secret" },
            "virtual_keys": [virtual_key("agent", KEY)],
        },
    })
}

/// A provider that is given up after so many seconds: for a test in which it hangs.
pub(crate) fn give_up_after(config: &mut Value, seconds: u64, provider: &str) {
    config["providers"][provider]["network_config"]["default_request_timeout_in_seconds"] = json!(seconds);
}

/// A virtual key that tries `primary`, `second`, `third` in this order.
pub(crate) fn virtual_key(name: &str, value: &str) -> Value {
    let grant = |provider: &str, weight: u64| {
        json!({
            "id": format!("{name}-{provider}"), "provider": provider, "weight": weight,
            "allowed_models": ["*"], "key_ids": ["*"],
        })
    };
    json!({
        "id": format!("vk-{name}"), "name": name, "value": value,
        "provider_configs": [grant("primary", 1), grant("second", 0), grant("third", 0)],
    })
}

/// An amount as the gateway writes it.
pub(crate) fn usd(text: &str) -> rust_decimal::Decimal {
    text.parse().unwrap()
}
