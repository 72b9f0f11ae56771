//! The management API: for the administrator only, and effective at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, World, body, budget};

const KEYS: &str = "/api/governance/virtual-keys";

fn definition(name: &str) -> Value {
    json!({
        "name": name,
        "provider_configs": [{"provider": "primary", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}],
        "budgets": [{"max_limit": "number:0.0025", "reset_duration": "1h"}],
    })
}

async fn create(world: &World, name: &str) -> (String, String) {
    let answer = world.admin(Method::POST, KEYS, Some(&definition(name))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["message"], "Virtual key created successfully");
    let field = |name: &str| body["virtual_key"][name].as_str().unwrap().to_owned();
    (field("id"), field("value"))
}

#[tokio::test]
async fn only_the_administrator_may_manage() {
    let world = World::start(|_| {}).await;
    let get = |world: &World| world.request(Method::GET, KEYS);
    assert_eq!(world.send(get(&world)).await.status, 401);
    assert_eq!(world.send(get(&world).basic_auth("admin", Some("wrong"))).await.status, 401);
    assert_eq!(world.send(get(&world).bearer_auth(KEY)).await.status, 401);
    assert_eq!(world.admin(Method::GET, KEYS, None).await.status, 200);
    let closed = World::start(|config| {
        config["governance"].as_object_mut().unwrap().remove("auth_config");
    })
    .await;
    let answer = closed.admin(Method::GET, KEYS, None).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("auth_config"), "{}", answer.text);
}

#[tokio::test]
async fn a_created_key_is_enforced_at_once_and_survives_a_kill() {
    let mut world = World::start(|_| {}).await;
    let (id, value) = create(&world, "made").await;
    assert!(value.starts_with("sk-bf-"));
    assert_eq!(world.send(world.chat(&value, &body())).await.status, 200);
    world.kill_and_start().await;
    assert_eq!(world.send(world.chat(&value, &body())).await.status, 200);
    assert_eq!(world.send(world.chat(&value, &body())).await.status, 402);
    let listed = world.admin(Method::GET, KEYS, None).await;
    assert!(listed.text.contains(&id));
    assert!(!listed.text.contains(&value), "a value is shown once only");
    assert_eq!(listed.json()["total_count"], 2);
}

#[tokio::test]
async fn a_changed_key_is_enforced_from_the_next_request_on() {
    let world = World::start(|_| {}).await;
    let (id, value) = create(&world, "made").await;
    let path = format!("{KEYS}/{id}");
    let put = |body: Value| {
        let (world, path) = (&world, &path);
        async move { world.admin(Method::PUT, path, Some(&body)).await }
    };
    let status = || async { world.send(world.chat(&value, &body())).await.status.as_u16() };
    assert_eq!(status().await, 200);
    assert_eq!(put(json!({"is_active": false})).await.status, 200);
    assert_eq!(status().await, 403);
    assert_eq!(put(json!({"is_active": true})).await.status, 200);
    assert_eq!(status().await, 200);
    assert_eq!(status().await, 402);
    // A raised limit keeps what was spent.
    let raised = json!({"budgets": [{"max_limit": "number:0.00375", "reset_duration": "1h"}]});
    assert_eq!(put(raised).await.status, 200);
    assert_eq!(status().await, 200);
    assert_eq!(status().await, 402);
    assert_eq!(put(json!({"budgets": []})).await.status, 200);
    assert_eq!(status().await, 200);
    let limited = json!({"rate_limit": {"request_max_limit": 1, "request_reset_duration": "1h"}});
    assert_eq!(put(limited).await.status, 200);
    assert_eq!(status().await, 200);
    assert_eq!(status().await, 429);
    assert_eq!(put(json!({"rate_limit": {}})).await.status, 200);
    assert_eq!(status().await, 200);
    assert_eq!(put(json!({"provider_configs": []})).await.status, 200);
    assert_eq!(status().await, 403);
    assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 200);
    assert_eq!(status().await, 401);
    assert_eq!(world.admin(Method::GET, &path, None).await.status, 404);
}

#[tokio::test]
async fn a_key_of_the_file_that_was_deleted_stays_deleted_until_the_file_changes() {
    let mut world = World::with_budget("0.005").await;
    assert_eq!(world.call().await.status, 200);
    let path = format!("{KEYS}/vk-agent");
    assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 200);
    world.restart().await;
    assert_eq!(world.call().await.status, 401);
    world.config["governance"]["virtual_keys"][0]["description"] = json!("again");
    world.config["governance"]["budgets"][0]["max_limit"] = json!("number:0.0025");
    world.restart().await;
    assert_eq!(world.spent().await, "0.00125");
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.status, 402);
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let world = World::start(|_| {}).await;
    let (id, _) = create(&world, "made").await;
    let path = format!("{KEYS}/{id}");
    let before = world.admin(Method::GET, &path, None).await.text;
    for wrong in [
        json!({"is_active": false, "is_activ": true}),
        json!({"is_active": false, "budgets": [{"max_limit": "number:0", "reset_duration": "1h"}]}),
        json!({"is_active": false, "budgets": [{"max_limit": "number:1", "reset_duration": "soon"}]}),
        json!({"is_active": false, "budgets": [
            {"max_limit": "number:1", "reset_duration": "1h"}, {"max_limit": "number:2", "reset_duration": "60m"},
        ]}),
        json!({"is_active": false, "rate_limit": {"request_max_limit": 1}}),
        json!({"is_active": false, "provider_configs": [{"provider": "nobody"}]}),
        json!({"is_active": false, "name": ""}),
    ] {
        let answer = world.admin(Method::PUT, &path, Some(&wrong)).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text);
    }
    let taken = world.admin(Method::PUT, &path, Some(&json!({"name": "agent", "is_active": false}))).await;
    assert_eq!(taken.status, 409);
    assert_eq!(world.admin(Method::GET, &path, None).await.text, before);
    let again = world.admin(Method::POST, KEYS, Some(&definition("made"))).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.json()["error"]["message"], "A virtual key with this name already exists");
}

#[tokio::test]
async fn the_clock_can_be_advanced_only_where_the_command_line_says_so() {
    let mut world = World::prepare(|_| {}).await;
    world.run(&[]).await;
    let advance = json!({"advance": "1h"});
    assert_eq!(world.admin(Method::POST, "/api/test/clock", Some(&advance)).await.status, 404);
    let with = World::start(|_| {}).await;
    let anonymous = with.request(Method::POST, "/api/test/clock").json(&advance);
    assert_eq!(with.send(anonymous).await.status, 401);
    assert_eq!(with.admin(Method::POST, "/api/test/clock", Some(&advance)).await.status, 200);
}

#[tokio::test]
async fn the_clock_is_not_advanced_to_where_the_end_of_a_window_is_no_date() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["calendar_aligned"] = json!(true);
        config["governance"]["budgets"] = json!([budget("b", "0.001", "1000Y", "vk-agent")]);
    })
    .await;
    for _ in 0..5 {
        world.advance("1000Y").await;
    }
    let refused = world.admin(Method::POST, "/api/test/clock", Some(&json!({"advance": "1000Y"}))).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    let message = "advance: the clock cannot be later than 8000-01-01T00:00:00Z";
    assert_eq!(refused.json()["error"]["message"], message);
    let refused = world.call().await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["resets_at"]), (402, &json!("7970-01-01T00:00:00Z")));
}

#[tokio::test]
async fn an_unknown_path_is_told_so() {
    let world = World::start(|_| {}).await;
    let answer = world.send(world.request(Method::GET, "/v1/nothing")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["message"], "Route not found: /v1/nothing");
    assert_eq!(world.send(world.request(Method::GET, "/health")).await.json()["status"], "ok");
}

#[tokio::test]
async fn a_budget_that_gets_another_window_keeps_what_was_spent() {
    let world = World::start(|_| {}).await;
    let (id, value) = create(&world, "made").await;
    let path = format!("{KEYS}/{id}");
    assert_eq!(world.send(world.chat(&value, &body())).await.status, 200);
    let daily = json!({"budgets": [{"max_limit": "number:0.0025", "reset_duration": "1d"}]});
    assert_eq!(world.admin(Method::PUT, &path, Some(&daily)).await.status, 200);
    assert_eq!(world.send(world.chat(&value, &body())).await.status, 200);
    let refused = world.send(world.chat(&value, &body())).await;
    assert_eq!(refused.status, 402);
    assert_eq!(refused.json()["error"]["reset_duration"], "1d");
}

#[tokio::test]
async fn the_administrator_can_prove_himself_with_a_bearer_of_his_name_and_password() {
    use base64::Engine as _;
    let world = World::start(|_| {}).await;
    let get = |pair: &str| {
        let bearer = base64::engine::general_purpose::STANDARD.encode(pair);
        world.request(Method::GET, KEYS).bearer_auth(bearer)
    };
    assert_eq!(world.send(get("admin:secret")).await.status, 200);
    for wrong in ["admin:wrong", "other:secret", "admin", ""] {
        assert_eq!(world.send(get(wrong)).await.status, 401, "{wrong}");
    }
}

#[tokio::test]
async fn whoever_asks_is_told_the_version() {
    let world = World::start(|_| {}).await;
    let answer = world.send(world.request(Method::GET, "/api/version")).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!(concat!("v", env!("CARGO_PKG_VERSION")))));
}

#[tokio::test]
async fn an_edit_of_what_a_key_may_spend_at_a_provider_keeps_what_it_spent() {
    let world = World::start(|config| {
        let grants = &mut config["governance"]["virtual_keys"][0]["provider_configs"];
        grants.as_array_mut().unwrap().truncate(1);
        grants[0]["budgets"] = json!([{"id": "own", "max_limit": "number:0.0025", "reset_duration": "1h"}]);
        grants[0]["rate_limits"] = json!([{"id": "calls", "request_max_limit": 2, "request_reset_duration": "1h"}]);
    })
    .await;
    let edit = async |limit: &str, window: &str, calls: u64| {
        let mut grant = world.agent().await["provider_configs"][0].clone();
        let grant = json!({
            "id": grant["id"].take(), "provider": "primary", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"],
            "budgets": [{"id": "own", "max_limit": format!("number:{limit}"), "reset_duration": window}],
            "rate_limits": [{"id": "calls", "request_max_limit": calls, "request_reset_duration": window}],
        });
        let path = format!("{KEYS}/vk-agent");
        let answer = world.admin(Method::PUT, &path, Some(&json!({"provider_configs": [grant]}))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    let told = async || {
        let answer = world.call().await;
        (answer.status.as_u16(), answer.json()["error"]["scope"].as_str().unwrap_or_default().to_owned())
    };
    let served = (200, String::new());
    let refused = |status: u16| (status, "virtual_key_provider".to_owned());
    assert_eq!([told().await, told().await], [served.clone(), served.clone()]);
    assert_eq!(told().await, refused(429));
    // One more of each, in another window.
    edit("0.00375", "1d", 3).await;
    assert_eq!([told().await, told().await], [served.clone(), refused(429)]);
    // Many more calls, and no more money.
    edit("0.00375", "1d", 9).await;
    assert_eq!(told().await, refused(402));
    // Fewer than were made, and less than was spent.
    edit("0.001", "1d", 1).await;
    assert_eq!(told().await, refused(429));
    edit("0.001", "1d", 9).await;
    assert_eq!(told().await, refused(402));
    let grant = world.agent().await["provider_configs"][0].clone();
    assert_eq!(grant["budgets"][0]["current_usage"], "0.00375", "{grant}");
    edit("0.005", "1d", 9).await;
    assert_eq!([told().await, told().await], [served, refused(402)]);
}
