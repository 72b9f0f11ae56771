//! Planted credentials are in nothing that the gateway writes, answers or sends.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::callers::{CALLERS, Caller};
use crate::support::{KEY, PROMPT, Process, World, body, command, streamed};
use crate::traces::Collector;

const VIRTUAL_KEY: &str = "canary-virtual-key-5f3a";
const WRONG_KEY: &str = "canary-wrong-key-91bc";
const PROVIDER_KEY: &str = "canary-provider-key-77de";
const ANTHROPIC_KEY: &str = "canary-anthropic-key-c0a1";
const GEMINI_KEY: &str = "canary-gemini-key-4f92";
const AZURE_KEY: &str = "canary-azure-key-b7e3";
const MADE_KEY: &str = "canary-made-provider-key-d815";
const EXTRA: &str = "canary-extra-header-60bd";
const ENCRYPTION: &str = "canary-encryption-key-a2c6";
const PASSWORD: &str = "canary-password-02aa";
const COLLECTOR_KEY: &str = "canary-collector-key-3b1c";
const IN_QUERY: &str = "canary-in-query-c41d";
const IN_BAD_JSON: &str = "canary-in-bad-json-e8f0";

const SECRETS: [&str; 13] = [
    VIRTUAL_KEY,
    WRONG_KEY,
    PROVIDER_KEY,
    ANTHROPIC_KEY,
    GEMINI_KEY,
    AZURE_KEY,
    MADE_KEY,
    EXTRA,
    ENCRYPTION,
    PASSWORD,
    COLLECTOR_KEY,
    IN_QUERY,
    IN_BAD_JSON,
];

/// What each request was answered, head and body.
async fn answers(requests: Vec<RequestBuilder>) -> String {
    let mut all = String::new();
    for request in requests {
        let response = request.send().await.unwrap();
        all.push_str(&format!("{:?} ", response.headers()));
        // A broken stream keeps what came before.
        let mut response = response;
        while let Ok(Some(chunk)) = response.chunk().await {
            all.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
    all
}

/// The headers in which a provider gets a credential, the configuration's own among them.
const CREDENTIALS: [&str; 5] = ["authorization", "x-api-key", "x-goog-api-key", "api-key", "x-extra-token"];

/// A provider of every kind that refuses, and repeats the credentials that it was sent wherever it can.
struct Echo {
    url: String,
    /// Each header that was a credential, with its value.
    seen: Arc<Mutex<BTreeSet<(&'static str, String)>>>,
}

impl Echo {
    async fn start() -> Echo {
        let seen = Arc::<Mutex<BTreeSet<(&'static str, String)>>>::default();
        let noted = Arc::clone(&seen);
        let refuse = async move |headers: HeaderMap| {
            let sent =
                CREDENTIALS.into_iter().filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?.to_owned())));
            let sent: Vec<(&str, String)> = sent.collect();
            let all = sent.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" and ");
            noted.lock().unwrap().extend(sent);
            let body = json!({"error": {"message": all}}).to_string();
            let mut response = (StatusCode::UNAUTHORIZED, body).into_response();
            for name in ["content-type", "retry-after", "www-authenticate", "x-request-id", "location", "set-cookie"] {
                response.headers_mut().insert(name, all.parse().unwrap());
            }
            response
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(refuse)).await });
        Echo { url, seen }
    }

    /// Whether such a credential came in such a header.
    fn saw(&self, header: &'static str, value: &str) -> bool {
        self.seen.lock().unwrap().contains(&(header, value.to_owned()))
    }
}

/// The providers that echo: of each kind, and in whose header each gets which key.
const ECHOES: [(&str, &str, &str); 4] = [
    ("echo", "authorization", PROVIDER_KEY),
    ("echo-anthropic", "x-api-key", ANTHROPIC_KEY),
    ("echo-gemini", "x-goog-api-key", GEMINI_KEY),
    ("azure", "api-key", AZURE_KEY),
];

/// An echoing provider of the file.
fn echoing(name: &str, key: &str, url: &str) -> Value {
    let network = json!({"base_url": url, "extra_headers": {"x-extra-token": EXTRA}});
    let mut key = json!({"name": format!("{name}-key"), "value": key, "models": ["*"], "weight": 1});
    if name == "azure" {
        key["azure_key_config"] = json!({"endpoint": url, "api_version": "2025-01-01"});
        return json!({"keys": [key], "network_config": {"extra_headers": {"x-extra-token": EXTRA}}});
    }
    let base = name.strip_prefix("echo-").unwrap_or("openai");
    json!({"keys": [key], "network_config": network, "custom_provider_config": {"base_provider_type": base}})
}

async fn world(collector: &Collector, echo: &Echo) -> World {
    let mut world = World::prepare(|config| {
        config["encryption_key"] = json!(ENCRYPTION);
        config["client"]["disable_content_logging"] = json!(false);
        config["governance"]["auth_config"]["admin_password"] = json!(PASSWORD);
        config["governance"]["virtual_keys"][0]["value"] = json!(VIRTUAL_KEY);
        config["governance"]["budgets"] = json!([crate::support::budget("b", "0.01", "1h", "vk-agent")]);
        for (name, _, key) in ECHOES {
            let key = if key == PROVIDER_KEY { "env.UPSTREAM_KEY" } else { key };
            config["providers"][name] = echoing(name, key, &echo.url);
            let grant = json!({"provider": name, "weight": 0, "allowed_models": ["*"], "key_ids": ["*"]});
            config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().push(grant);
        }
    })
    .await;
    let mut script = serde_json::to_value(world.upstream.script()).unwrap();
    for (name, ..) in ECHOES {
        script["providers"][name] = json!({});
    }
    world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    world.write_config();
    let log = File::create(world.folder.path().join("stderr.log")).unwrap();
    let mut command = command(world.folder.path(), &["-log-level", "trace"]);
    command.env("UPSTREAM_KEY", PROVIDER_KEY).envs(collector.env()).stderr(Stdio::from(log));
    command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{COLLECTOR_KEY}"));
    world.process = Some(Process::launch(&mut command).await.unwrap());
    world
}

/// Calls of each echoing provider, by callers of each protocol.
fn echoed(world: &World) -> Vec<RequestBuilder> {
    let calls = ECHOES.iter().flat_map(|(provider, ..)| {
        CALLERS.into_iter().filter(|caller| *caller != Caller::Gemini).map(move |caller| {
            let mut body = caller.body(false);
            body["model"] = json!(format!("{provider}/mock-1"));
            world.request(Method::POST, caller.path(false)).bearer_auth(VIRTUAL_KEY).json(&body)
        })
    });
    let gemini = world.request(Method::POST, "/genai/v1beta/models/echo-gemini/mock-1:generateContent");
    calls.chain([gemini.bearer_auth(VIRTUAL_KEY).json(&Caller::Gemini.body(false))]).collect()
}

/// Makes credentials through the API: a virtual key's value, the value after a rotation (both are
/// shown once), and a provider's key. Returns the values, and what was answered beside them.
async fn made(world: &World) -> (Vec<String>, String) {
    let admin = async |path: &str, body: Value| {
        let request = world.request(Method::POST, path).basic_auth("admin", Some(PASSWORD)).json(&body);
        let answer = world.send(request).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer
    };
    let grants = json!([{"provider": "primary", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}]);
    let keys = "/api/governance/virtual-keys";
    let key = admin(keys, json!({"name": "made", "provider_configs": grants})).await.json();
    let value = |answer: &Value| answer["virtual_key"]["value"].as_str().unwrap().to_owned();
    let rotate = format!("{keys}/{}/rotate", key["virtual_key"]["id"].as_str().unwrap());
    let rotated = admin(&rotate, json!({})).await.json();
    let values = vec![value(&key), value(&rotated)];
    let of_provider = admin("/api/providers/echo/keys", json!({"name": "made-key", "value": MADE_KEY})).await;
    let mut told = of_provider.text;
    let mut by_name = body();
    by_name["model"] = json!("echo/mock-1");
    let pinned = world.chat(VIRTUAL_KEY, &by_name).header("x-bf-api-key", "made-key");
    told += &answers(vec![world.chat(&values[0], &body()), world.chat(&values[1], &body()), pinned]).await;
    (values, told)
}

/// Requests as callers make them, right and wrong.
fn callers(world: &World) -> Vec<RequestBuilder> {
    let chat = "/v1/chat/completions";
    let post = |path: &str| world.request(Method::POST, path);
    let message = json!({"model": "mock-1", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}]});
    vec![
        world.chat(VIRTUAL_KEY, &body()),
        world.chat(VIRTUAL_KEY, &streamed()),
        world.chat(WRONG_KEY, &body()),
        post(chat).header("x-bf-vk", VIRTUAL_KEY).header("x-api-key", WRONG_KEY).json(&body()),
        post("/anthropic/v1/messages").header("x-api-key", VIRTUAL_KEY).json(&message),
        post("/anthropic/v1/messages").header("x-api-key", WRONG_KEY).json(&message),
        post(&format!("{chat}?key={IN_QUERY}")).bearer_auth(VIRTUAL_KEY).json(&body()),
        post(&format!("{chat}?key={IN_QUERY}")).json(&body()),
        world.request(Method::GET, &format!("/nowhere?key={IN_QUERY}")),
        world.request(Method::GET, &format!("/v1/models?key={IN_QUERY}")).bearer_auth(VIRTUAL_KEY),
        post(chat).bearer_auth(VIRTUAL_KEY).body(format!("{{\"model\": {IN_BAD_JSON}")),
        post(chat).bearer_auth(VIRTUAL_KEY).body(format!("{{\"model\": {{\"{IN_BAD_JSON}\": 1}}}}")),
        post(chat).bearer_auth(VIRTUAL_KEY).body(format!("{{\"model\": \"m\", \"stream\": \"{IN_BAD_JSON}\"}}")),
    ]
}

/// Requests as administrators make them, right and wrong.
fn administrators(world: &World) -> Vec<RequestBuilder> {
    let admin = |method: Method, path: &str| world.request(method, path).basic_auth("admin", Some(PASSWORD));
    vec![
        admin(Method::GET, "/api/logs"),
        admin(Method::GET, "/api/governance/virtual-keys"),
        admin(Method::GET, "/api/config"),
        admin(Method::GET, "/metrics"),
        admin(Method::GET, &format!("/api/logs?key={IN_QUERY}")),
        admin(Method::POST, "/api/governance/virtual-keys").body(format!("{{\"name\": {IN_BAD_JSON}")),
        admin(Method::PUT, "/api/config").body(format!("{{\"auth_config\": {IN_BAD_JSON}}}")),
        world.request(Method::GET, "/api/logs").basic_auth("admin", Some(WRONG_KEY)),
        world.request(Method::GET, "/api/logs").bearer_auth(VIRTUAL_KEY),
    ]
}

/// Logs the administrator in, and once in vain. The token is in its cookie and nowhere else.
async fn session(world: &World) -> String {
    let login = |password: &str| {
        let body = json!({"username": "admin", "password": password});
        world.request(Method::POST, "/api/session/login").json(&body)
    };
    assert_eq!(world.send(login(WRONG_KEY)).await.status, 401);
    let answer = world.send(login(PASSWORD)).await;
    let token = answer.header("set-cookie").split(['=', ';']).nth(1).unwrap().to_owned();
    assert!(token.len() >= 16 && !answer.text.contains(&token), "{answer:?}");
    token
}

/// Every file that the gateway wrote, by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let all = entries.map(|entry| (entry.file_name().into_string().unwrap(), read(&entry.path())));
    all.filter(|(name, _)| name != "config.json").collect()
}

#[tokio::test]
async fn planted_credentials_are_nowhere() {
    let (collector, echo) = (Collector::start().await, Echo::start().await);
    let mut world = world(&collector, &echo).await;
    let mut told = answers(callers(&world)).await;
    told += &answers(echoed(&world)).await;
    let (made, beside) = made(&world).await;
    told += &beside;
    let rude = |fault: Value| json!([{ "fault": fault }]);
    for fault in [
        rude(json!({"status": {"code": 401, "message": format!("no such key: {PROVIDER_KEY}")}})),
        rude(json!({"status": {"code": 500, "message": format!("{PROVIDER_KEY} broke it")}})),
        rude(json!("malformed_json")),
        rude(json!("reset_before")),
        rude(json!({"error_event": {"after_chunks": 1}})),
    ] {
        world.faults(&json!({"primary": fault, "second": fault, "third": fault}));
        told += &answers(vec![world.chat(VIRTUAL_KEY, &body()), world.chat(VIRTUAL_KEY, &streamed())]).await;
    }
    told += &answers(administrators(&world)).await;
    let session = session(&world).await;
    // It reads with the session, and shows it as a caller's key, where it is none.
    let get = |path: &str| world.request(Method::GET, path).bearer_auth(&session);
    assert_eq!(world.send(get("/api/logs")).await.status, 200);
    told += &answers(vec![get("/api/config"), get("/metrics"), get("/api/nowhere")]).await;
    told += &answers(vec![world.chat(&session, &body())]).await;
    let stats = world.request(Method::GET, "/api/logs/stats").basic_auth("admin", Some(PASSWORD));
    let count = world.send(stats).await.json()["total_requests"].as_u64().unwrap();
    collector.wait_for(usize::try_from(count).unwrap()).await;
    assert!(count >= 20, "{count}");
    assert_eq!(collector.credential(), Some(format!("Bearer {COLLECTOR_KEY}")));
    check_echoes(&echo, &told);

    // While it runs the write-ahead logs are there too; once more after its end.
    let mut written = files(world.folder.path());
    assert!(world.process.take().unwrap().terminate().await);
    written.extend(files(world.folder.path()));
    written.extend([("answers".to_owned(), told), ("spans".to_owned(), collector.everything())]);
    let names: Vec<_> = written.iter().map(|(name, _)| name.as_str()).collect();
    for expected in ["config.db", "config.db-wal", "logs.db", "logs.db-wal", "stderr.log", "answers", "spans"] {
        assert!(names.contains(&expected), "{expected} is not among {names:?}");
    }
    for (name, text) in &written {
        for secret in SECRETS.into_iter().chain([session.as_str()]).chain(made.iter().map(String::as_str)) {
            assert!(!text.contains(secret), "{secret} is in {name}: {}", around(text, secret));
        }
    }
    // What is looked through is what was written, not an empty log.
    let log = &written.iter().find(|(name, _)| name == "stderr.log").unwrap().1;
    assert!(log.contains("\"level\":\"DEBUG\"") || log.contains("\"level\":\"TRACE\""), "{log}");
    assert!(log.contains("\"error_type\":\"virtual_key_conflict\""), "{log}");
    assert!(!log.contains(KEY));
}

/// Each provider saw its credential where its protocol has it, and what was told of its refusal
/// has none.
fn check_echoes(echo: &Echo, told: &str) {
    for (name, header, key) in ECHOES {
        let value = if header == "authorization" { format!("Bearer {key}") } else { key.to_owned() };
        assert!(echo.saw(header, &value), "{name} did not see its key");
        assert!(told.contains(&format!("the provider '{name}' answered with 401")), "{name}: {told}");
    }
    assert!(echo.saw("x-extra-token", EXTRA) && echo.saw("authorization", &format!("Bearer {MADE_KEY}")));
}

/// The place of a finding.
fn around<'a>(text: &'a str, secret: &str) -> &'a str {
    let at = text.find(secret).unwrap_or_default();
    let from = text.floor_char_boundary(at.saturating_sub(200));
    &text[from..text.floor_char_boundary(at + 200)]
}
