//! Virtual keys that expire, and values that are rotated away.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{DEADLINE, KEY, World, body, give_up_after, virtual_key};

const KEYS: &str = "/api/governance/virtual-keys";
const AGENT: &str = "/api/governance/virtual-keys/vk-agent";
const ROTATE: &str = "/api/governance/virtual-keys/vk-agent/rotate";

/// The status and type of a call with this value, and the message of a refusal.
async fn call(world: &World, value: &str) -> (u16, String, String) {
    let answer = world.send(world.chat(value, &body())).await;
    let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), answer.kind(), message)
}

async fn status(world: &World, value: &str) -> u16 {
    call(world, value).await.0
}

async fn edit(world: &World, edit: Value) -> u16 {
    world.admin(Method::PUT, AGENT, Some(&edit)).await.status.as_u16()
}

/// A time so many seconds from now by the gateway's clock.
async fn in_seconds(world: &World, seconds: i64) -> String {
    let answer = world.admin(Method::POST, "/api/test/clock", Some(&json!({"advance": "1ms"}))).await;
    let now: jiff::Timestamp = answer.json()["now"].as_str().unwrap().parse().unwrap();
    (now + jiff::SignedDuration::from_secs(seconds)).to_string()
}

async fn rotate(world: &World) -> String {
    let answer = world.admin(Method::POST, ROTATE, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["message"], "Virtual key rotated successfully");
    body["virtual_key"]["value"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_of_the_file_that_has_expired_is_403() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["expires_at"] = json!("2026-01-01T00:00:00+01:00");
    })
    .await;
    let refused = call(&world, KEY).await;
    let expected = (403, "virtual_key_blocked".to_owned(), "Virtual key has expired".to_owned());
    assert_eq!(refused, expected);
    assert_eq!(world.agent().await["expires_at"], "2025-12-31T23:00:00Z");
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn a_key_expires_when_its_time_comes_and_not_before_also_after_a_kill() {
    let mut world = World::start(|_| {}).await;
    let end = in_seconds(&world, 3_600).await;
    assert_eq!(edit(&world, json!({"expires_at": end})).await, 200);
    world.kill_and_start().await;
    assert_eq!(world.agent().await["expires_at"], end);
    world.advance("3500s").await;
    assert_eq!(status(&world, KEY).await, 200);
    world.advance("101s").await;
    assert_eq!(status(&world, KEY).await, 403);
    // Without an end again.
    assert_eq!(edit(&world, json!({"expires_at": ""})).await, 200);
    assert_eq!(status(&world, KEY).await, 200);
    assert_eq!(world.agent().await["expires_at"], Value::Null);
}

#[tokio::test]
async fn an_end_that_is_past_or_no_time_is_refused() {
    let world = World::start(|_| {}).await;
    for wrong in ["2020-01-01T00:00:00Z", "tomorrow", "2030-01-01"] {
        assert_eq!(edit(&world, json!({"expires_at": wrong, "is_active": false})).await, 400, "{wrong}");
    }
    assert_eq!(status(&world, KEY).await, 200);
    let made = json!({"name": "made", "expires_at": "2020-01-01T00:00:00Z"});
    assert_eq!(world.admin(Method::POST, KEYS, Some(&made)).await.status, 400);
}

#[tokio::test]
async fn a_key_that_expires_during_a_call_has_no_fallback_left() {
    // Long enough for what happens to the key meanwhile.
    let world = World::start(|config| give_up_after(config, 4, "primary")).await;
    world.faults(&json!({"primary": [{"fault": "hang"}]}));
    let end = in_seconds(&world, 600).await;
    assert_eq!(edit(&world, json!({"expires_at": end})).await, 200);
    let call = tokio::spawn(world.chat(KEY, &body()).send());
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
    world.advance("10m").await;
    let answer = call.await.unwrap().unwrap();
    let attempts = answer.headers().get("x-gateway-attempts").unwrap();
    assert_eq!(attempts, "primary:timeout,second:virtual_key_blocked,third:virtual_key_blocked");
}

#[tokio::test]
async fn a_rotated_value_is_dead_at_once_and_the_new_one_keeps_the_keys_budget() {
    let mut world = World::with_budget("0.00375").await;
    assert_eq!(status(&world, KEY).await, 200);
    let new = rotate(&world).await;
    assert!(new.starts_with("sk-bf-"));
    let refused = call(&world, KEY).await;
    assert_eq!((refused.0, refused.1.as_str()), (401, "virtual_key_not_found"));
    assert_eq!(status(&world, &new).await, 200);
    assert!(!world.admin(Method::GET, AGENT, None).await.text.contains(&new), "a value is shown once only");
    world.kill_and_start().await;
    assert_eq!(status(&world, KEY).await, 401);
    assert_eq!(status(&world, &new).await, 200);
    assert_eq!(status(&world, &new).await, 402);
}

#[tokio::test]
async fn the_file_does_not_bring_back_a_value_that_was_rotated_away() {
    let mut world = World::start(|_| {}).await;
    let new = rotate(&world).await;
    let newer = rotate(&world).await;
    world.config["governance"]["virtual_keys"][0]["description"] = json!("edited");
    world.restart().await;
    assert_eq!(world.agent().await["description"], "edited");
    for (value, expected) in [(KEY, 401), (new.as_str(), 401), (newer.as_str(), 200)] {
        assert_eq!(status(&world, value).await, expected);
    }
    // A value that its author wrote anew counts.
    world.config["governance"]["virtual_keys"][0]["value"] = json!("sk-new");
    world.restart().await;
    assert_eq!(status(&world, "sk-new").await, 200);
    assert_eq!(status(&world, &newer).await, 401);
}

#[tokio::test]
async fn several_keys_are_rotated_together_or_not_at_all() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"] = json!([virtual_key("agent", KEY), virtual_key("other", "sk-other")]);
    })
    .await;
    let rotate = async |ids: Value| world.admin(Method::POST, &format!("{KEYS}/rotate"), Some(&ids)).await;
    assert_eq!(rotate(json!({"ids": []})).await.status, 400);
    assert_eq!(rotate(json!({"ids": ["vk-agent", "vk-nobody"]})).await.status, 404);
    assert_eq!(status(&world, KEY).await, 200);
    let answer = rotate(json!({"ids": ["vk-agent", "vk-other", "vk-agent"]})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for (index, old) in [KEY, "sk-other"].into_iter().enumerate() {
        assert_eq!(status(&world, old).await, 401, "{old}");
        let new = answer.json()["virtual_keys"][index]["value"].as_str().unwrap().to_owned();
        assert_eq!(status(&world, &new).await, 200, "{old}");
    }
    assert_eq!(answer.json()["virtual_keys"].as_array().unwrap().len(), 2);
    let anonymous = world.request(Method::POST, ROTATE);
    assert_eq!(world.send(anonymous).await.status, 401);
}
