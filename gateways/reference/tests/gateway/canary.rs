//! Planted credentials are in nothing that the gateway writes, answers or sends.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{KEY, PROMPT, Process, World, body, command, streamed};
use crate::traces::Collector;

const VIRTUAL_KEY: &str = "canary-virtual-key-5f3a";
const WRONG_KEY: &str = "canary-wrong-key-91bc";
const PROVIDER_KEY: &str = "canary-provider-key-77de";
const PASSWORD: &str = "canary-password-02aa";
const COLLECTOR_KEY: &str = "canary-collector-key-3b1c";
const IN_QUERY: &str = "canary-in-query-c41d";
const IN_BAD_JSON: &str = "canary-in-bad-json-e8f0";

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

/// A provider that refuses, and repeats the credential that it was sent wherever it can.
async fn echoing() -> String {
    let refuse = async |headers: HeaderMap| {
        let credential = headers.get("authorization").unwrap().clone();
        let body = json!({"error": {"message": credential.to_str().unwrap()}}).to_string();
        let mut response = (StatusCode::UNAUTHORIZED, body).into_response();
        for name in ["content-type", "retry-after", "www-authenticate", "x-request-id", "location", "set-cookie"] {
            response.headers_mut().insert(name, credential.clone());
        }
        response
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(refuse)).await });
    url
}

async fn world(collector: &Collector) -> World {
    let echo = echoing().await;
    let mut world = World::prepare(|config| {
        config["client"]["disable_content_logging"] = json!(false);
        config["governance"]["auth_config"]["admin_password"] = json!(PASSWORD);
        config["governance"]["virtual_keys"][0]["value"] = json!(VIRTUAL_KEY);
        config["governance"]["budgets"] = json!([crate::support::budget("b", "0.01", "1h", "vk-agent")]);
        config["providers"]["echo"] = config["providers"]["third"].clone();
        config["providers"]["echo"]["network_config"]["base_url"] = json!(echo);
        let grant = json!({"provider": "echo", "weight": 0, "allowed_models": ["*"], "key_ids": ["*"]});
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().push(grant);
    })
    .await;
    let mut script = serde_json::to_value(world.upstream.script()).unwrap();
    script["providers"]["echo"] = json!({});
    world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    world.write_config();
    let log = File::create(world.folder.path().join("stderr.log")).unwrap();
    let mut command = command(world.folder.path(), &["-log-level", "trace"]);
    command.env("UPSTREAM_KEY", PROVIDER_KEY).envs(collector.env()).stderr(Stdio::from(log));
    command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{COLLECTOR_KEY}"));
    world.process = Some(Process::launch(&mut command).await.unwrap());
    world
}

/// Requests as callers make them, right and wrong.
fn callers(world: &World) -> Vec<RequestBuilder> {
    let chat = "/v1/chat/completions";
    let post = |path: &str| world.request(Method::POST, path);
    let mut echoed = body();
    echoed["model"] = json!("echo/mock-1");
    let message = json!({"model": "mock-1", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}]});
    vec![
        world.chat(VIRTUAL_KEY, &body()),
        world.chat(VIRTUAL_KEY, &streamed()),
        world.chat(WRONG_KEY, &body()),
        world.chat(VIRTUAL_KEY, &echoed),
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
    let collector = Collector::start().await;
    let mut world = world(&collector).await;
    let mut told = answers(callers(&world)).await;
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
    assert!(told.contains("the provider 'echo' answered with 401"), "{told}");

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
        for secret in [VIRTUAL_KEY, WRONG_KEY, PROVIDER_KEY, COLLECTOR_KEY, PASSWORD, IN_QUERY, IN_BAD_JSON, &session] {
            assert!(!text.contains(secret), "{secret} is in {name}: {}", around(text, secret));
        }
    }
    // What is looked through is what was written, not an empty log.
    let log = &written.iter().find(|(name, _)| name == "stderr.log").unwrap().1;
    assert!(log.contains("\"level\":\"DEBUG\"") || log.contains("\"level\":\"TRACE\""), "{log}");
    assert!(log.contains("\"error_type\":\"virtual_key_conflict\""), "{log}");
    assert!(!log.contains(KEY));
}

/// The place of a finding.
fn around<'a>(text: &'a str, secret: &str) -> &'a str {
    let at = text.find(secret).unwrap_or_default();
    let from = text.floor_char_boundary(at.saturating_sub(200));
    &text[from..text.floor_char_boundary(at + 200)]
}
