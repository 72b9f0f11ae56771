//! Statuses and types that no other test is about.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, KEY, World, body};

/// A world whose virtual key has one provider, so that none takes another's place.
async fn world(edit: impl FnOnce(&mut Value)) -> World {
    World::start(|config| {
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
        edit(config);
    })
    .await
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.kind())
}

fn expected(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

#[tokio::test]
async fn each_failure_of_a_provider_has_its_status_and_type() {
    for (fault, patience, status, kind) in [
        ("reset_before", 30, 502, "upstream_reset"),
        ("malformed_json", 30, 502, "upstream_broken"),
        ("hang", 1, 504, "upstream_timeout"),
    ] {
        let world = world(|config| {
            config["providers"]["primary"]["network_config"]["default_request_timeout_in_seconds"] = json!(patience);
        })
        .await;
        world.faults(&json!({ "primary": [{ "fault": fault }] }));
        assert_eq!(told(&world.call().await), expected(status, kind), "{fault}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let world = world(|config| config["providers"]["primary"]["network_config"]["base_url"] = json!(nowhere)).await;
    assert_eq!(told(&world.call().await), expected(502, "upstream_unreachable"));
}

#[tokio::test]
async fn a_request_that_leads_nowhere_is_400_and_says_why() {
    let world = World::start(|config| {
        config["client"] = json!({});
        for provider in ["primary", "second", "third"] {
            config["providers"][provider]["keys"][0]["models"] = json!(["mock-1"]);
        }
    })
    .await;
    let mut call = body();
    call["model"] = json!("a-model-of-nobody");
    let request = world.request(Method::POST, "/v1/chat/completions").json(&call);
    let unresolved = world.send(request).await;
    assert_eq!(unresolved.status, 400);
    assert!(unresolved.text.contains("could not auto resolve a provider"), "{}", unresolved.text);
    call["model"] = json!("primary/another");
    let no_key = world.send(world.chat(KEY, &call)).await;
    assert_eq!(no_key.status, 400);
    assert!(no_key.text.contains("no keys found for provider: primary"), "{}", no_key.text);
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let world = world(|config| config["client"]["max_request_body_size_mb"] = json!(1)).await;
    let mut large = body();
    large["messages"][0]["content"] = json!("x".repeat(1 << 20));
    assert_eq!(told(&world.send(world.chat(KEY, &large)).await), expected(413, "request_too_large"));
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn without_an_administrator_the_management_api_is_closed() {
    let world = world(|config| {
        config["governance"].as_object_mut().unwrap().remove("auth_config");
    })
    .await;
    for path in ["/api/governance/virtual-keys", "/api/config", "/api/governance/pricing-overrides"] {
        let closed = world.admin(Method::GET, path, None).await;
        assert_eq!(told(&closed), expected(403, "management_closed"), "{path}");
    }
}

#[tokio::test]
async fn budgets_that_make_no_sense_are_400_in_the_api() {
    let world = world(|_| {}).await;
    let budget = |limit: u64, reset: &str| json!({"max_limit": limit, "reset_duration": reset});
    for (budgets, message) in [
        (json!([budget(0, "1h")]), "max_limit must be above 0"),
        (json!([budget(1, "1h"), budget(2, "60m")]), "Duplicate reset_duration"),
        (json!([budget(1, "an hour")]), "reset_duration"),
    ] {
        let key = json!({"name": "new", "provider_configs": [], "budgets": budgets});
        let refused = world.admin(Method::POST, "/api/governance/virtual-keys", Some(&key)).await;
        assert_eq!(refused.status, 400, "{message}: {}", refused.text);
        assert!(refused.text.contains(message), "{message}: {}", refused.text);
    }
    let twice = json!({"name": "agent", "provider_configs": []});
    assert_eq!(world.admin(Method::POST, "/api/governance/virtual-keys", Some(&twice)).await.status, 409);
}
