//! `/api/providers` and their keys: effective on the next request, kept over a kill, and no
//! credential shown or stored in clear.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, KEY, Process, World, body};

const PROVIDERS: &str = "/api/providers";
const LITERAL: &str = "sk-upstream-literal-0123456789";

async fn admin(world: &World, method: Method, path: &str, body: Value) -> Answer {
    world.admin(method, path, Some(&body)).await
}

async fn ok(world: &World, method: Method, path: &str, body: Value) -> Value {
    let answer = admin(world, method, path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn get(world: &World, path: &str) -> Value {
    world.admin(Method::GET, path, None).await.json()
}

/// A body that makes the provider `made`, which the mock serves as `second`.
fn made(world: &World) -> Value {
    json!({
        "provider": "made",
        "network_config": {
            "base_url": format!("http://{}/second", world.upstream.addr()),
            "extra_headers": { "x-tenant": "env.UPSTREAM_KEY" },
        },
        "custom_provider_config": { "base_provider_type": "openai" },
    })
}

/// The status of a call to `model` without a virtual key, in a world that asks for none.
async fn call(world: &World, model: &str) -> u16 {
    let mut body = body();
    body["model"] = json!(model);
    let request = world.request(Method::POST, "/v1/chat/completions");
    world.send(request.json(&body)).await.status.as_u16()
}

/// The keys with which the mock was called.
fn keys_used(world: &World) -> Vec<String> {
    let ledger = world.upstream.ledger();
    ledger.inference().map(|entry| entry.upstream_key.clone().unwrap_or_default()).collect()
}

async fn open_world() -> World {
    World::start(|config| config["client"]["enforce_auth_on_inference"] = json!(false)).await
}

/// Everything that the database's files hold.
fn database(world: &World) -> String {
    let files = std::fs::read_dir(world.folder.path()).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("config.db"));
    files.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
}

#[tokio::test]
async fn a_provider_that_is_made_serves_from_the_next_request_on_and_after_a_kill() {
    let mut world = open_world().await;
    let answer = ok(&world, Method::POST, PROVIDERS, made(&world)).await;
    assert_eq!(answer["name"], "made");
    assert_eq!(answer["network_config"]["extra_headers"]["x-tenant"], "env.UPSTREAM_KEY");
    assert_eq!(call(&world, "made/mock-1").await, 400, "it has no key yet");
    let key = json!({"name": "made-key", "value": "env.UPSTREAM_KEY"});
    let key = ok(&world, Method::POST, "/api/providers/made/keys", key).await;
    assert_eq!((key["value"].as_str(), key["enabled"].as_bool()), (Some("env.UPSTREAM_KEY"), Some(true)));
    assert_eq!(call(&world, "made/mock-1").await, 200);
    world.kill_and_start().await;
    assert_eq!(call(&world, "made/mock-1").await, 200);
    assert_eq!(world.called(), ["second", "second"]);
    assert_eq!(keys_used(&world), ["upstream-key", "upstream-key"]);
    let id = key["id"].as_str().unwrap();
    let path = format!("/api/providers/made/keys/{id}");
    ok(&world, Method::PUT, &path, json!({"enabled": false})).await;
    assert_eq!(call(&world, "made/mock-1").await, 400);
    ok(&world, Method::PUT, &path, json!({"enabled": true, "models": ["another"]})).await;
    assert_eq!(call(&world, "made/mock-1").await, 400);
    assert_eq!(get(&world, "/api/keys").await["total"], 4);
    ok(&world, Method::DELETE, &path, json!({})).await;
    assert_eq!(get(&world, "/api/providers/made/keys").await, json!({"total": 0, "keys": []}));
    ok(&world, Method::DELETE, "/api/providers/made", json!({})).await;
    assert_eq!(world.admin(Method::GET, "/api/providers/made", None).await.status, 404);
    world.restart().await;
    assert_eq!(get(&world, PROVIDERS).await["total"], 3);
}

#[tokio::test]
async fn a_credential_is_encrypted_and_needs_the_key_it_was_encrypted_with() {
    let mut world = World::start(|config| {
        config["client"]["enforce_auth_on_inference"] = json!(false);
        config["encryption_key"] = json!("a passphrase");
    })
    .await;
    let mut secret = made(&world);
    secret["network_config"]["extra_headers"]["x-tenant"] = json!("hidden-tenant");
    let answer = ok(&world, Method::POST, PROVIDERS, secret).await;
    assert_eq!(answer["network_config"]["extra_headers"]["x-tenant"], "<redacted>");
    let key = ok(&world, Method::POST, "/api/providers/made/keys", json!({"name": "k", "value": LITERAL})).await;
    assert_eq!(key["value"], "sk-upstrea…");
    assert_eq!(call(&world, "made/mock-1").await, 200);
    // What was shown can be written back.
    let path = format!("/api/providers/made/keys/{}", key["id"].as_str().unwrap());
    ok(&world, Method::PUT, &path, key).await;
    ok(&world, Method::PUT, "/api/providers/made", get(&world, "/api/providers/made").await).await;
    world.kill_and_start().await;
    assert_eq!(call(&world, "made/mock-1").await, 200);
    assert_eq!(keys_used(&world), [LITERAL, LITERAL]);
    let sent = |name: &str| {
        let ledger = world.upstream.ledger();
        let headers = ledger.inference().flat_map(|entry| entry.headers.clone()).filter(|(header, _)| header == name);
        headers.map(|(_, value)| value).collect::<HashSet<_>>()
    };
    assert_eq!(sent("x-tenant"), HashSet::from(["hidden-tenant".to_owned()]));
    for path in [PROVIDERS, "/api/providers/made", "/api/providers/made/keys", &path, "/api/keys"] {
        let answer = world.admin(Method::GET, path, None).await;
        assert!(!answer.text.contains(LITERAL) && !answer.text.contains("hidden-tenant"), "{path}: {}", answer.text);
    }
    assert!(!database(&world).contains(LITERAL) && !database(&world).contains("hidden-tenant"));
    assert!(world.process.take().unwrap().terminate().await);
    for (key, expected) in [
        (json!("another passphrase"), "is not the one with which the database was written"),
        (json!(null), "neither `encryption_key` nor BIFROST_ENCRYPTION_KEY is set"),
    ] {
        world.config["encryption_key"] = key;
        world.write_config();
        let Err(line) = Process::start(world.folder.path(), &[]).await else { panic!("it started") };
        assert!(line.contains(expected), "{line}");
    }
}

#[tokio::test]
async fn without_an_encryption_key_only_references_are_stored() {
    let world = open_world().await;
    ok(&world, Method::POST, PROVIDERS, made(&world)).await;
    let key = json!({"name": "k", "value": LITERAL});
    let answer = admin(&world, Method::POST, "/api/providers/made/keys", key).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("no encryption key is configured"), "{}", answer.text);
    assert!(!answer.text.contains(LITERAL) && !database(&world).contains(LITERAL));
    assert_eq!(get(&world, "/api/providers/made/keys").await["total"], 0);
    let mut header = made(&world);
    header["network_config"]["extra_headers"]["x-token"] = json!(LITERAL);
    let answer = admin(&world, Method::PUT, "/api/providers/made", header).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("the value of the header 'x-token' cannot be stored"), "{}", answer.text);
    assert!(!answer.text.contains(LITERAL) && !database(&world).contains(LITERAL));
    let key = json!({"name": "k", "value": "env.NOT_THERE_AT_ALL"});
    let answer = admin(&world, Method::POST, "/api/providers/made/keys", key).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("NOT_THERE_AT_ALL"), "{}", answer.text);
}

/// Changes that make no sense, each with its status and what its message says.
fn senseless(world: &World) -> Vec<(Method, &'static str, Value, u16, &'static str)> {
    let edited = |edit: fn(&mut Value)| {
        let mut body = made(world);
        body["provider"] = json!("other");
        edit(&mut body);
        body
    };
    let keys = "/api/providers/primary/keys";
    vec![
        (Method::POST, PROVIDERS, made(world), 409, "already exists"),
        (Method::POST, PROVIDERS, json!({}), 400, "the name of the provider is required"),
        (
            Method::POST,
            PROVIDERS,
            edited(|body| body["netwrk"] = json!(1)),
            400,
            "providers.other.netwrk: unknown field",
        ),
        (
            Method::POST,
            PROVIDERS,
            edited(|body| body["network_config"]["base_url"] = json!("http://169.254.169.254")),
            400,
            "link-local and never called",
        ),
        (Method::POST, PROVIDERS, json!({"provider": "bedrock"}), 400, "bedrock"),
        (Method::POST, PROVIDERS, json!({"provider": "a/b"}), 400, "slash"),
        (Method::PUT, "/api/providers/nobody", json!({}), 404, "there is no provider 'nobody'"),
        (
            Method::PUT,
            "/api/providers/made",
            json!({"network_config": {"base_url": "ftp://x"}}),
            400,
            "is no http or https URL",
        ),
        (
            Method::POST,
            PROVIDERS,
            edited(|body| body["network_config"]["default_request_timeout_in_seconds"] = json!(u64::MAX)),
            400,
            "default_request_timeout_in_seconds: must be at most a day (86400 seconds)",
        ),
        // A list in the place of an object: nobody could say which of its values is a credential.
        (Method::PUT, "/api/providers/made", json!({"network_config": [null, 30]}), 400, "expected an object"),
        (Method::PUT, "/api/providers/made", json!({"keys": []}), 400, "/api/providers/made/keys"),
        (Method::PUT, "/api/providers/made", json!({"provider": "another"}), 400, "keeps its name"),
        (Method::DELETE, "/api/providers/primary", json!({}), 409, "is named by the virtual keys 'agent'"),
        (Method::POST, keys, json!({"name": "second-key", "value": "env.UPSTREAM_KEY"}), 409, "already exists"),
        (Method::POST, keys, json!({"value": "env.UPSTREAM_KEY"}), 400, "the name of the key is required"),
        (Method::POST, keys, json!({"name": "n", "value": ""}), 400, "cannot be empty"),
        (Method::POST, keys, json!({"name": "n", "value": "env.UPSTREAM_KEY", "weight": -1}), 400, "weight"),
        (Method::DELETE, "/api/providers/primary/keys/nobody", json!({}), 404, "has no key 'nobody'"),
    ]
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let world = open_world().await;
    ok(&world, Method::POST, PROVIDERS, made(&world)).await;
    let before = get(&world, PROVIDERS).await;
    for (method, path, body, status, expected) in senseless(&world) {
        let answer = admin(&world, method.clone(), path, body.clone()).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text);
        assert!(answer.text.contains(expected), "{method} {path} {body}: {}", answer.text);
        assert_eq!(get(&world, PROVIDERS).await, before);
    }
    let broken = world.request(Method::POST, PROVIDERS).basic_auth("admin", Some("secret")).body("{");
    let answer = world.send(broken).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"]["message"].as_str()), (400, Some("Invalid JSON")));
    assert_eq!(world.send(world.request(Method::GET, PROVIDERS)).await.status, 401);
}

#[tokio::test]
async fn a_key_that_virtual_keys_name_stays() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["provider_configs"][0]["key_ids"] = json!(["primary-key"]);
    })
    .await;
    let path = "/api/providers/primary/keys/primary-key";
    for (method, body) in [(Method::DELETE, json!({})), (Method::PUT, json!({"name": "renamed"}))] {
        let answer = admin(&world, method, path, body).await;
        assert_eq!(answer.status, 409, "{}", answer.text);
        assert!(answer.text.contains("'agent'"), "{}", answer.text);
    }
    ok(&world, Method::DELETE, "/api/providers/second/keys/second-key", json!({})).await;
    assert_eq!(world.send(world.chat(KEY, &body())).await.status, 200);
}

#[tokio::test]
async fn an_edit_of_the_files_provider_holds_until_the_file_changes_it() {
    let mut world = open_world().await;
    let elsewhere = json!({"network_config": {"base_url": format!("http://{}/third", world.upstream.addr())}});
    ok(&world, Method::PUT, "/api/providers/primary", elsewhere).await;
    // The key's value is the file's, and need not be stored again.
    ok(&world, Method::PUT, "/api/providers/primary/keys/primary-key", json!({"weight": 0.5})).await;
    assert_eq!(call(&world, "primary/mock-1").await, 200);
    world.kill_and_start().await;
    assert_eq!(call(&world, "primary/mock-1").await, 200);
    assert_eq!(world.called(), ["third", "third"]);
    let key = get(&world, "/api/providers/primary/keys/primary-key").await;
    assert_eq!((key["weight"].to_string(), key["value"].as_str()), ("0.5".to_owned(), Some("env.UPSTREAM_KEY")));
    world.config["providers"]["primary"]["network_config"]["max_retries"] = json!(1);
    world.restart().await;
    assert_eq!(call(&world, "primary/mock-1").await, 200);
    assert_eq!(world.called(), ["third", "third", "primary"]);
    let key = get(&world, "/api/providers/primary/keys/primary-key").await;
    assert_eq!(key["weight"].to_string(), "0.5", "the file's key is as it was");
}

#[tokio::test]
async fn a_deleted_provider_of_the_file_stays_deleted_until_the_file_changes_it() {
    let mut world = World::start(|config| {
        config["client"]["enforce_auth_on_inference"] = json!(false);
        config["governance"]["virtual_keys"] = json!([]);
    })
    .await;
    ok(&world, Method::DELETE, "/api/providers/third", json!({})).await;
    world.restart().await;
    assert_ne!(call(&world, "third/mock-1").await, 200);
    world.config["providers"]["third"]["network_config"]["max_retries"] = json!(1);
    world.restart().await;
    assert_eq!(call(&world, "third/mock-1").await, 200);
}

#[tokio::test]
async fn a_request_keeps_the_provider_that_it_began_with() {
    let world = World::start(|config| {
        config["client"]["enforce_auth_on_inference"] = json!(false);
        config["governance"]["virtual_keys"] = json!([]);
    })
    .await;
    world.model(&json!({"latency": {"first_byte": "500ms"}}));
    let mut body = body();
    body["model"] = json!("primary/mock-1");
    let running = tokio::spawn(world.request(Method::POST, "/v1/chat/completions").json(&body).send());
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, crate::support::DEADLINE).await);
    ok(&world, Method::DELETE, "/api/providers/primary", json!({})).await;
    assert_ne!(call(&world, "primary/mock-1").await, 200);
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_header_of_the_file_is_not_stored_with_an_edit_and_is_sent_all_the_same() {
    let mut world = World::start(|config| {
        config["client"]["enforce_auth_on_inference"] = json!(false);
        config["providers"]["primary"]["network_config"]["extra_headers"] =
            json!({"x-tenant": "hidden-tenant", "x-team": "hidden-team"});
    })
    .await;
    let mut shown = get(&world, "/api/providers/primary").await;
    shown["network_config"]["max_retries"] = json!(1);
    shown["network_config"]["extra_headers"].as_object_mut().unwrap().remove("x-team");
    ok(&world, Method::PUT, "/api/providers/primary", shown).await;
    for _ in 0..2 {
        assert_eq!(call(&world, "primary/mock-1").await, 200);
        let ledger = world.upstream.ledger();
        let headers = &ledger.inference().last().unwrap().headers;
        let sent = |name: &str| headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.clone());
        assert_eq!((sent("x-tenant").as_deref(), sent("x-team")), (Some("hidden-tenant"), None));
        world.kill_and_start().await;
    }
    assert!(!database(&world).contains("hidden-"));
}

#[tokio::test]
async fn a_key_whose_name_another_provider_has_too_can_be_edited_and_keeps_its_name() {
    let world = World::start(|config| {
        for provider in ["primary", "second"] {
            config["providers"][provider]["keys"][0]["name"] = json!("main");
        }
    })
    .await;
    let path = "/api/providers/primary/keys/main";
    let key = ok(&world, Method::PUT, path, json!({"name": "main", "weight": 0.5})).await;
    assert_eq!(key["weight"].to_string(), "0.5");
    let renamed = admin(&world, Method::PUT, path, json!({"name": "third-key"})).await;
    assert_eq!(renamed.status, 409, "{}", renamed.text);
}

#[tokio::test]
async fn a_provider_that_is_deleted_takes_its_limits_along_and_brings_back_those_of_the_file() {
    let mut world = World::start(|config| {
        config["client"]["enforce_auth_on_inference"] = json!(false);
        config["governance"]["virtual_keys"] = json!([]);
        config["governance"]["providers"] =
            json!([{"name": "primary", "budgets": [{"max_limit": "number:0.00125", "reset_duration": "1h"}]}]);
    })
    .await;
    let limits = json!({"rate_limit": {"request_max_limit": 9, "request_reset_duration": "1h"}});
    ok(&world, Method::PUT, "/api/governance/providers/primary", limits).await;
    assert_eq!(call(&world, "primary/mock-1").await, 200);
    assert_eq!(call(&world, "primary/mock-1").await, 402);
    ok(&world, Method::DELETE, "/api/providers/primary", json!({})).await;
    for list in ["budgets", "rate-limits"] {
        assert_eq!(get(&world, &format!("/api/governance/{list}")).await["count"], 0, "{list}");
    }
    // One of the same name begins without them, also after a kill.
    let mut again = made(&world);
    again["provider"] = json!("primary");
    ok(&world, Method::POST, PROVIDERS, again).await;
    let key = json!({"name": "k", "value": "env.UPSTREAM_KEY"});
    ok(&world, Method::POST, "/api/providers/primary/keys", key).await;
    assert_eq!(call(&world, "primary/mock-1").await, 200);
    world.kill_and_start().await;
    assert_eq!(call(&world, "primary/mock-1").await, 200);
    // That of the file comes back with its budget and what was spent.
    ok(&world, Method::DELETE, "/api/providers/primary", json!({})).await;
    world.config["providers"]["primary"]["network_config"]["max_retries"] = json!(1);
    world.restart().await;
    assert_eq!(call(&world, "primary/mock-1").await, 402);
    assert_eq!(get(&world, "/api/governance/rate-limits").await["count"], 0);
}
