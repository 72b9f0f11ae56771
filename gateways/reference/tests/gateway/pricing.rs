//! Prices: overrides through the file and the API, the sheet, and what each kind of token costs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, World, body, budget};

const OVERRIDES: &str = "/api/governance/pricing-overrides";

/// An override that makes the usual call cost so many dollars a token of input.
fn fixed(pattern: &str, input: &str) -> Value {
    json!({
        "name": "fixed", "scope_kind": "global", "match_type": "exact", "pattern": pattern,
        "request_types": ["chat_completion"],
        "patch": {"input_cost_per_token": format!("number:{input}"), "output_cost_per_token": 0},
    })
}

async fn created(world: &World, body: &Value) -> Value {
    let answer = world.admin(Method::POST, OVERRIDES, Some(body)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["pricing_override"].clone()
}

async fn listed(world: &World) -> Vec<Value> {
    let answer = world.admin(Method::GET, OVERRIDES, None).await.json();
    assert_eq!(answer["count"].as_u64(), answer["pricing_overrides"].as_array().map(|list| list.len() as u64));
    answer["pricing_overrides"].as_array().unwrap().clone()
}

/// What one more call is charged.
async fn charged(world: &World) -> String {
    let before = crate::support::usd(&world.spent().await);
    let answer = world.call().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    (crate::support::usd(&world.spent().await) - before).normalize().to_string()
}

#[tokio::test]
async fn an_override_counts_from_the_next_request_on_and_survives_a_kill() {
    let mut world = World::with_budget("100").await;
    assert_eq!(charged(&world).await, "0.00125");
    let known = created(&world, &fixed("mock-1", "0.0001")).await;
    assert_eq!(known["patch"], json!({"input_cost_per_token": 0.0001, "output_cost_per_token": 0}));
    assert_eq!(charged(&world).await, "0.01");
    world.kill_and_start().await;
    assert_eq!(charged(&world).await, "0.01");
    let path = format!("{OVERRIDES}/{}", known["id"].as_str().unwrap());
    let patch = json!({"patch": {"input_cost_per_token": "number:0.000200", "output_cost_per_token": 0}});
    let edited = world.admin(Method::PUT, &path, Some(&patch)).await;
    assert_eq!((edited.status.as_u16(), edited.json()["pricing_override"]["name"].as_str()), (200, Some("fixed")));
    assert!(edited.text.contains("0.000200"), "every digit stays: {}", edited.text);
    assert_eq!(charged(&world).await, "0.02");
    world.kill_and_start().await;
    assert_eq!(charged(&world).await, "0.02");
    assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 200);
    assert_eq!(charged(&world).await, "0.00125");
    world.kill_and_start().await;
    assert_eq!(charged(&world).await, "0.00125");
    assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 404);
    assert_eq!(world.admin(Method::PUT, &path, Some(&patch)).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name_and_changes_nothing() {
    let world = World::with_budget("1").await;
    created(&world, &fixed("mock-1", "0.0001")).await;
    let with = |field: &str, value: Value| {
        let mut body = fixed("mock-2", "0.0001");
        body[field] = value;
        body
    };
    for (body, status, told) in [
        (with("name", json!("")), 400, "name"),
        (with("scope_kind", json!("world")), 400, "scope_kind"),
        (with("scope_kind", json!("provider")), 400, "provider_id"),
        (with("provider_id", json!("primary")), 400, "provider_id"),
        (with("match_type", json!("regex")), 400, "match_type"),
        (with("pattern", json!("")), 400, "pattern"),
        (with("request_types", json!([])), 400, "request_types"),
        (with("request_types", json!(["rerank"])), 400, "request_types: `rerank`"),
        (with("patch", json!({})), 400, "patch"),
        (with("patch", json!({"input_cost_per_tokens": 1})), 400, "patch.input_cost_per_tokens"),
        (with("patch", json!({"input_cost_per_token": -1})), 400, "patch.input_cost_per_token"),
        (with("patch", json!({"input_cost_per_pixel": 1})), 400, "patch.input_cost_per_pixel"),
        (with("patches", json!({})), 400, "patches"),
        (with("pattern", json!("mock-1")), 409, "same scope, pattern and request"),
    ] {
        let refused = world.admin(Method::POST, OVERRIDES, Some(&body)).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.text);
        assert!(refused.text.contains(told), "{told}: {}", refused.text);
    }
    let mut missing = fixed("mock-2", "0.0001");
    missing["scope_kind"] = json!("virtual_key");
    missing["virtual_key_id"] = json!("vk-nobody");
    let refused = world.admin(Method::POST, OVERRIDES, Some(&missing)).await;
    assert!(refused.status == 400 && refused.text.contains("vk-nobody"), "{}", refused.text);
    assert_eq!(listed(&world).await.len(), 1);
    assert_eq!(world.send(world.request(Method::GET, OVERRIDES)).await.status, 401);
}

#[tokio::test]
async fn the_list_can_be_narrowed_to_a_scope() {
    let world = World::with_budget("1").await;
    created(&world, &fixed("mock-1", "0.0001")).await;
    let mut own = fixed("mock-1", "0.0002");
    own["scope_kind"] = json!("virtual_key");
    own["virtual_key_id"] = json!("vk-agent");
    created(&world, &own).await;
    assert_eq!(charged(&world).await, "0.02");
    let narrowed = world.admin(Method::GET, &format!("{OVERRIDES}?virtual_key_id=vk-agent"), None).await.json();
    assert_eq!(
        (narrowed["count"].as_u64(), narrowed["pricing_overrides"][0]["scope_kind"].as_str()),
        (Some(1), Some("virtual_key"))
    );
    assert_eq!(world.admin(Method::GET, &format!("{OVERRIDES}?scope=global"), None).await.status, 400);
}

/// A world with one override in its file.
async fn with_file_override(input: &str) -> World {
    let input = input.to_owned();
    World::start(move |config| {
        config["governance"]["budgets"] = json!([budget("b", "100", "1h", "vk-agent")]);
        config["governance"]["pricing_overrides"] = of_file(&input);
    })
    .await
}

fn of_file(input: &str) -> Value {
    let mut known = fixed("mock-1", input);
    known["id"] = json!("po");
    let patch = format!(r#"{{"input_cost_per_token":{input},"output_cost_per_token":0}}"#);
    known.as_object_mut().unwrap().remove("patch");
    known["pricing_patch"] = json!(patch);
    json!([known])
}

#[tokio::test]
async fn an_edit_of_the_files_override_holds_until_the_file_changes() {
    let mut world = with_file_override("0.0001").await;
    assert_eq!(charged(&world).await, "0.01");
    let patch = json!({"patch": {"input_cost_per_token": "number:0.0002", "output_cost_per_token": 0}});
    assert_eq!(world.admin(Method::PUT, &format!("{OVERRIDES}/po"), Some(&patch)).await.status, 200);
    world.restart().await;
    assert_eq!(charged(&world).await, "0.02");
    world.config["governance"]["pricing_overrides"] = of_file("0.0003");
    world.restart().await;
    assert_eq!(charged(&world).await, "0.03");
    // What the file overruled is forgotten, also when the file is as before.
    world.config["governance"]["pricing_overrides"] = of_file("0.0001");
    world.restart().await;
    assert_eq!(charged(&world).await, "0.01");
}

#[tokio::test]
async fn a_deleted_override_of_the_file_stays_deleted_until_the_file_changes() {
    let mut world = with_file_override("0.0001").await;
    assert_eq!(world.admin(Method::DELETE, &format!("{OVERRIDES}/po"), None).await.status, 200);
    assert_eq!(charged(&world).await, "0.00125");
    world.restart().await;
    assert_eq!(charged(&world).await, "0.00125");
    world.config["governance"]["pricing_overrides"] = of_file("0.0003");
    world.restart().await;
    assert_eq!(charged(&world).await, "0.03");
}

#[tokio::test]
async fn the_providers_key_that_serves_is_charged_and_the_dearest_is_held() {
    let world = World::start(|config| {
        let key = |name: &str, weight: u64| json!({"id": format!("{name}-id"), "name": name, "value": "env.UPSTREAM_KEY", "models": ["*"], "weight": weight});
        config["providers"]["primary"]["keys"] = json!([key("cheap", 1), key("dear", 0)]);
        // Alone, so that no cheaper one takes its place.
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
        let own = |named: &str, key: &str, price: &str| {
            let mut known = fixed("mock-1", price);
            known["scope_kind"] = json!("virtual_key_provider_key");
            known["virtual_key_id"] = json!("vk-agent");
            known[named] = json!(key);
            known
        };
        config["governance"]["pricing_overrides"] =
            json!([own("provider_key_name", "cheap", "0.001"), own("provider_key_id", "dear-id", "0.1")]);
    })
    .await;
    // Sixty bytes at the dear key's price are $6; the cheap one serves 100 tokens for $0.10.
    let refused = world.call().await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["requested"].as_str()), (402, Some("6")));
    let raised = json!({"budgets": [{"id": "b", "max_limit": 10, "reset_duration": "1h"}]});
    assert_eq!(world.admin(Method::PUT, "/api/governance/virtual-keys/vk-agent", Some(&raised)).await.status, 200);
    assert_eq!(charged(&world).await, "0.1");
}

#[tokio::test]
async fn a_sheet_that_is_read_again_counts_and_one_that_cannot_be_leaves_prices_as_they_are() {
    let sheet =
        |price: &str| format!(r#"{{"mock-1": {{"input_cost_per_token": {price}, "output_cost_per_token": 0}}}}"#);
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([budget("b", "100", "1h", "vk-agent")]);
    })
    .await;
    let path = world.folder.path().join("prices.json");
    std::fs::write(&path, sheet("0.0001")).unwrap();
    world.config["framework"]["pricing"]["pricing_url"] = json!(format!("file://{}", path.display()));
    world.run(&["--test-clock"]).await;
    assert_eq!(charged(&world).await, "0.01");
    std::fs::write(&path, sheet("0.0002")).unwrap();
    assert_eq!(charged(&world).await, "0.01");
    assert_eq!(world.admin(Method::POST, "/api/pricing/force-sync", None).await.status, 200);
    assert_eq!(charged(&world).await, "0.02");
    std::fs::write(&path, "no sheet").unwrap();
    let failed = world.admin(Method::POST, "/api/pricing/force-sync", None).await;
    assert_eq!(failed.status, 500);
    assert!(failed.text.contains("prices stay as they are"), "{}", failed.text);
    assert_eq!(charged(&world).await, "0.02");
}

#[tokio::test]
async fn without_a_sheet_of_its_own_the_shipped_one_prices_well_known_models() {
    let mut world = World::prepare(|config| {
        config["framework"] = json!({});
        config["governance"]["budgets"] = json!([budget("b", "0.001", "1h", "vk-agent")]);
    })
    .await;
    let mut script = serde_json::to_value(world.upstream.script()).unwrap();
    script["models"]["gpt-4o-mini"] = json!({"usage": {"input": 7000, "output": 3000}});
    world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    world.run(&["--test-clock"]).await;
    assert_eq!(world.call().await.status, 403, "mock-1 has no price");
    let mut call = body();
    call["model"] = json!("gpt-4o-mini");
    assert_eq!(world.send(world.chat(KEY, &call)).await.status, 200);
    // 7000 at $0.15 and 3000 at $0.60 a million
    assert_eq!(world.spent().await, "0.00285");
}

#[tokio::test]
async fn a_long_prompt_costs_its_own_price_from_the_first_token_on() {
    let world = World::with_budget("100").await;
    let mut long = fixed("mock-1", "0.000001");
    long["patch"]["input_cost_per_token_above_200k_tokens"] = json!("number:0.000002");
    long["patch"]["cache_read_input_token_cost"] = json!("number:0.000001");
    created(&world, &long).await;
    for (input, cost) in [(200_000, "0.2"), (200_001, "0.400002")] {
        world.model(&json!({"usage": {"input": input, "output": 1}}));
        assert_eq!(charged(&world).await, cost, "{input}");
    }
}

#[tokio::test]
async fn cached_and_written_and_thought_tokens_cost_what_the_provider_charges() {
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    world.model(&json!({
        "usage": {"input": 1000, "output": 500, "cached": 600, "cache_write": 300, "reasoning": 200},
        "price": {"input": "$2.50", "output": "$10.00", "cached": "$0.25", "cache_write": "$3.125"},
    }));
    world.run(&["--test-clock"]).await;
    // 100 at $2.50, 600 at $0.25, 300 at $3.125, 500 at $10 a million
    assert_eq!(charged(&world).await, "0.0063375");
    assert_eq!(world.charged(), "0.0063375");
}

#[tokio::test]
async fn a_sheet_is_read_again_after_its_interval() {
    let sheet =
        |price: &str| format!(r#"{{"mock-1": {{"input_cost_per_token": {price}, "output_cost_per_token": 0}}}}"#);
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([budget("b", "1000000", "1h", "vk-agent")]);
        config["framework"]["pricing"]["pricing_sync_interval"] = json!(1);
    })
    .await;
    let path = world.folder.path().join("prices.json");
    std::fs::write(&path, sheet("0.0001")).unwrap();
    world.config["framework"]["pricing"]["pricing_url"] = json!(format!("file://{}", path.display()));
    world.run(&["--test-clock"]).await;
    std::fs::write(&path, sheet("0.0002")).unwrap();
    let renewed = async { while charged(&world).await != "0.02" {} };
    tokio::time::timeout(crate::support::DEADLINE, renewed).await.expect("the sheet was not read again");
}

#[tokio::test]
async fn the_models_of_the_parameters_bound_what_they_answer() {
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([budget("b", "0.001", "1h", "vk-agent")]);
    })
    .await;
    let known = r#"{"mock-1": {"input_cost_per_token": 0, "output_cost_per_token": 0.00001}}"#;
    for (name, text) in [("prices.json", known), ("parameters.json", r#"{"mock-1": {"max_output_tokens": 200}}"#)] {
        std::fs::write(world.folder.path().join(name), text).unwrap();
    }
    let url = |name: &str| json!(format!("file://{}", world.folder.path().join(name).display()));
    let urls = json!({"pricing_url": url("prices.json"), "model_parameters_url": url("parameters.json")});
    world.config["framework"]["pricing"] = urls;
    world.run(&["--test-clock"]).await;
    let mut unbounded = body();
    unbounded.as_object_mut().unwrap().remove("max_tokens");
    let refused = world.send(world.chat(KEY, &unbounded)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["requested"].as_str()), (402, Some("0.002")));
}
