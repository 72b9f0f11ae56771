//! `/api/config`: what an administrator changes holds from the next request on, survives a
//! kill, and is never half a change.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, World, body, until};

const CONFIG: &str = "/api/config";

async fn settings(world: &World) -> Value {
    let answer = world.admin(Method::GET, CONFIG, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["client_config"].clone()
}

async fn patch(world: &World, fields: Value) -> Answer {
    world.admin(Method::PATCH, CONFIG, Some(&json!({ "client_config": fields }))).await
}

/// The status of a call that brings no virtual key.
async fn anonymous(world: &World) -> u16 {
    let request = world.request(Method::POST, "/v1/chat/completions");
    let mut body = body();
    body["model"] = json!("primary/mock-1");
    world.send(request.json(&body)).await.status.as_u16()
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_keeps_the_rest() {
    let world = World::start(|config| config["client"]["max_request_body_size_mb"] = json!(20)).await;
    assert_eq!(anonymous(&world).await, 401);
    let answer = patch(&world, json!({"enforce_auth_on_inference": false})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["status"], "success");
    assert_eq!(anonymous(&world).await, 200);
    let now = settings(&world).await;
    assert_eq!(now["enforce_auth_on_inference"], false);
    assert_eq!(now["max_request_body_size_mb"], 20);
    assert_eq!(now["budget_admission"], "reserved");
    assert_eq!(patch(&world, json!({"enforce_auth_on_inference": true})).await.status, 200);
    assert_eq!(anonymous(&world).await, 401);
}

#[tokio::test]
async fn a_rejected_change_changes_nothing_in_memory_or_on_disk() {
    let mut world = World::start(|_| {}).await;
    let before = settings(&world).await;
    for (method, body, expected) in [
        (Method::PUT, json!({"client_config": {}}), "client_config.enforce_auth_on_inference is true now"),
        (Method::PUT, json!({}), "client_config is required"),
        (
            Method::PATCH,
            json!({"client_config": {"enforce_auth_on_inference": false, "enforce_aut": 1}}),
            "client_config.enforce_aut: unknown field",
        ),
        (
            Method::PATCH,
            json!({"client_config": {"enforce_auth_on_inference": false, "max_request_body_size_mb": 0}}),
            "client_config.max_request_body_size_mb: must be between",
        ),
        (
            Method::PATCH,
            json!({"client_config": {"enforce_auth_on_inference": false, "durability": "power_loss"}}),
            "client_config.durability is read at a start",
        ),
        (
            Method::PATCH,
            json!({"client_config": {"enforce_auth_on_inference": false}, "framework_config": {"pricing_url": "file:///x"}}),
            "framework_config is read from config.json",
        ),
        (Method::PATCH, json!({"client_config": {"enforce_governance_header": false}}), "enforce_governance_header"),
        (
            Method::PATCH,
            json!({"client_config": {"enforce_auth_on_inference": false}, "clint": 1}),
            "clint: unknown field, expected one of",
        ),
    ] {
        let answer = world.admin(method, CONFIG, Some(&body)).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(expected), "{body}: {message}");
        assert_eq!(anonymous(&world).await, 401, "{body}");
    }
    assert_eq!(settings(&world).await, before);
    world.kill_and_start().await;
    assert_eq!(settings(&world).await, before);
    assert_eq!(world.send(world.request(Method::PATCH, CONFIG)).await.status, 401);
    let broken = world.request(Method::PUT, CONFIG).basic_auth("admin", Some("secret")).body("{");
    assert_eq!(world.send(broken).await.json()["error"]["message"], "Invalid JSON");
}

#[tokio::test]
async fn a_replacement_says_all_that_is_set_and_what_was_read_can_be_written_back() {
    let world = World::start(|_| {}).await;
    let mut read = world.admin(Method::GET, CONFIG, None).await.json();
    for field in ["is_db_connected", "auth_config"] {
        read.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(world.admin(Method::PUT, CONFIG, Some(&read)).await.status, 200);
    assert_eq!(anonymous(&world).await, 401);
    read["client_config"]["enforce_auth_on_inference"] = json!(false);
    assert_eq!(world.admin(Method::PUT, CONFIG, Some(&read)).await.status, 200);
    assert_eq!(anonymous(&world).await, 200);
}

#[tokio::test]
async fn a_change_survives_a_kill_until_the_file_says_something_new() {
    let mut world = World::start(|_| {}).await;
    assert_eq!(patch(&world, json!({"enforce_auth_on_inference": false})).await.status, 200);
    world.kill_and_start().await;
    assert_eq!(anonymous(&world).await, 200);
    world.config["client"]["max_request_body_size_mb"] = json!(20);
    world.restart().await;
    assert_eq!(anonymous(&world).await, 401);
    // And the change does not come back with the file's old words.
    world.config["client"].as_object_mut().unwrap().remove("max_request_body_size_mb");
    world.restart().await;
    assert_eq!(anonymous(&world).await, 401);
}

#[tokio::test]
async fn health_says_whether_the_database_can_be_written() {
    let world = World::start(|_| {}).await;
    let health = || async {
        let answer = world.send(world.request(Method::GET, "/health")).await;
        (answer.status.as_u16(), answer.json()["components"]["db_pings"].as_str().unwrap().to_owned())
    };
    let (ok, lost) = ((200, "ok".to_owned()), (503, "config store not available".to_owned()));
    assert_eq!(health().await, ok);
    let mut database = world.database("config.db").await;
    sqlx::query("ALTER TABLE holds RENAME TO broken").execute(&mut database).await.unwrap();
    until(async || health().await == lost).await;
    sqlx::query("ALTER TABLE broken RENAME TO holds").execute(&mut database).await.unwrap();
    until(async || health().await == ok).await;
    let changed = patch(&world, json!({"disable_db_pings_in_health": true})).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(health().await, (200, "disabled".to_owned()));
}

#[tokio::test]
async fn budgets_are_admitted_as_the_changed_setting_says() {
    let world = World::with_budget("0.00125").await;
    assert_eq!(patch(&world, json!({"budget_admission": "post_paid"})).await.status, 200);
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.status, 402);
    assert_eq!(world.spent().await, "0.00125");
    assert_eq!(patch(&world, json!({"unpriced_models": "allow"})).await.status, 200);
    let mut unpriced = body();
    unpriced["model"] = json!("unpriced-1");
    // Not for its price any more: for the budget, which is spent.
    assert_eq!(world.send(world.chat(crate::support::KEY, &unpriced)).await.status, 402);
}
