//! Customers, teams, model configurations and providers through the management API:
//! effective at once, and kept.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, KEY, World, body};

const KEYS: &str = "/api/governance/virtual-keys";
pub(crate) const TEAMS: &str = "/api/governance/teams";
const CUSTOMERS: &str = "/api/governance/customers";
const MODELS: &str = "/api/governance/model-configs";

pub(crate) fn budget(limit: &str) -> Value {
    json!([{"max_limit": format!("number:{limit}"), "reset_duration": "1h"}])
}

/// A change that is accepted; what it answers.
async fn change(world: &World, method: Method, path: &str, body: &Value) -> Value {
    let answer = world.admin(method, path, Some(body)).await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text);
    answer.json()
}

/// Makes an entity and gives its path.
async fn made(world: &World, path: &str, singular: &str, body: &Value) -> (String, String) {
    let answer = change(world, Method::POST, path, body).await;
    let id = answer[singular]["id"].as_str().unwrap().to_owned();
    (format!("{path}/{id}"), id)
}

pub(crate) async fn put(world: &World, path: &str, body: Value) -> Value {
    change(world, Method::PUT, path, &body).await
}

pub(crate) async fn get(world: &World, path: &str) -> Value {
    let answer = world.admin(Method::GET, path, None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

pub(crate) async fn delete(world: &World, path: &str) -> Answer {
    world.admin(Method::DELETE, path, None).await
}

/// The status of one call, and whose cap it was if it was refused.
pub(crate) async fn call(world: &World, key: &str) -> (u16, String) {
    let answer = world.send(world.chat(key, &body())).await;
    let scope = answer.json()["error"]["scope"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), scope)
}

pub(crate) fn ok() -> (u16, String) {
    (200, String::new())
}

pub(crate) fn refused(scope: &str) -> (u16, String) {
    (402, scope.to_owned())
}

pub(crate) const AGENT: &str = "/api/governance/virtual-keys/vk-agent";

#[tokio::test]
async fn a_team_that_is_made_limits_its_keys_from_the_next_request_on_and_after_a_kill() {
    let mut world = World::start(|_| {}).await;
    let team = change(&world, Method::POST, TEAMS, &json!({"name": "evals", "budgets": budget("0.0025")})).await;
    assert_eq!(team["message"], "Team created successfully");
    let id = team["team"]["id"].as_str().unwrap().to_owned();
    let path = format!("{TEAMS}/{id}");
    assert_eq!(call(&world, KEY).await, ok());
    put(&world, AGENT, json!({"team_id": id})).await;
    assert_eq!(call(&world, KEY).await, ok());
    world.kill_and_start().await;
    assert_eq!(call(&world, KEY).await, ok());
    assert_eq!(call(&world, KEY).await, refused("team"));
    // A raised limit keeps what was spent.
    put(&world, &path, json!({"budgets": budget("0.00375")})).await;
    assert_eq!(call(&world, KEY).await, ok());
    assert_eq!(call(&world, KEY).await, refused("team"));
    world.restart().await;
    let team = get(&world, &path).await["team"].clone();
    assert_eq!(team["virtual_keys"], json!([{"id": "vk-agent", "name": "agent"}]));
    assert_eq!((&team["virtual_key_count"], &team["budgets"][0]["team_id"]), (&json!(1), &json!(id)));
    assert_eq!(call(&world, KEY).await, refused("team"));
    // Its key lives on without it.
    let deleted = delete(&world, &path).await;
    assert_eq!(deleted.json()["message"], "Team deleted successfully");
    assert_eq!(call(&world, KEY).await, ok());
    assert_eq!(get(&world, AGENT).await["virtual_key"]["team_id"], Value::Null);
    assert_eq!(world.admin(Method::GET, &path, None).await.json()["error"]["message"], "Team not found");
    world.kill_and_start().await;
    assert_eq!(call(&world, KEY).await, ok());
    assert_eq!(world.admin(Method::GET, &path, None).await.status, 404);
}

#[tokio::test]
async fn a_customer_limits_its_teams_and_its_own_keys() {
    let world = World::start(|_| {}).await;
    let (customer_path, customer) =
        made(&world, CUSTOMERS, "customer", &json!({"name": "acme", "budgets": budget("0.0025")})).await;
    let (team_path, team) = made(&world, TEAMS, "team", &json!({"name": "evals", "customer_id": customer})).await;
    put(&world, AGENT, json!({"team_id": team})).await;
    for expected in [ok(), ok(), refused("customer")] {
        assert_eq!(call(&world, KEY).await, expected);
    }
    let shown = get(&world, &customer_path).await["customer"].clone();
    assert_eq!(shown["teams"], json!([{"id": team, "name": "evals"}]));
    assert_eq!(shown["virtual_keys"], json!([]));
    // The team leaves the customer.
    put(&world, &team_path, json!({"customer_id": null})).await;
    assert_eq!(call(&world, KEY).await, ok());
    // The key becomes the customer's own.
    put(&world, AGENT, json!({"customer_id": customer})).await;
    assert_eq!(call(&world, KEY).await, refused("customer"));
    let shown = get(&world, &customer_path).await["customer"].clone();
    assert_eq!(shown["virtual_keys"], json!([{"id": "vk-agent", "name": "agent"}]));
    assert_eq!(get(&world, AGENT).await["virtual_key"]["customer"]["name"], "acme");
    assert_eq!(delete(&world, &customer_path).await.json()["message"], "Customer deleted successfully");
    assert_eq!(call(&world, KEY).await, ok());
}

#[tokio::test]
async fn a_key_that_moves_to_another_team_spends_there_from_the_next_request_on() {
    let world = World::start(|_| {}).await;
    let (_, spent) = made(&world, TEAMS, "team", &json!({"name": "spent", "budgets": budget("0.00125")})).await;
    let (_, fresh) = made(&world, TEAMS, "team", &json!({"name": "fresh", "budgets": budget("0.00125")})).await;
    put(&world, AGENT, json!({"team_id": spent})).await;
    assert_eq!(call(&world, KEY).await, ok());
    assert_eq!(call(&world, KEY).await, refused("team"));
    put(&world, AGENT, json!({"team_id": fresh})).await;
    assert_eq!(call(&world, KEY).await, ok());
    assert_eq!(call(&world, KEY).await, refused("team"));
    put(&world, AGENT, json!({"team_id": null})).await;
    assert_eq!(call(&world, KEY).await, ok());
}

#[tokio::test]
async fn a_provider_is_limited_for_everyone_until_its_limits_are_deleted() {
    let mut world = World::start(|config| {
        config["client"]["enforce_auth_on_inference"] = json!(false);
    })
    .await;
    let path = "/api/governance/providers/primary";
    let limits =
        json!({"budgets": budget("0.0025"), "rate_limit": {"request_max_limit": 9, "request_reset_duration": "1h"}});
    let answer = put(&world, path, limits).await;
    assert_eq!(answer["message"], "Provider governance updated successfully");
    let mut named = body();
    named["model"] = json!("primary/mock-1");
    let status = |world: &World, key: Option<&str>| {
        let request = match key {
            Some(key) => world.chat(key, &named),
            None => world.request(Method::POST, "/v1/chat/completions").json(&named),
        };
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(status(&world, Some(KEY)).await, 200);
    world.kill_and_start().await;
    assert_eq!(status(&world, None).await, 200);
    assert_eq!(status(&world, Some(KEY)).await, 402);
    assert_eq!(status(&world, None).await, 402);
    let listed = get(&world, "/api/governance/providers").await;
    assert_eq!(listed["count"], 3);
    let shown = get(&world, path).await["provider"].clone();
    assert_eq!((&shown["provider"], &shown["rate_limit"]["request_current_usage"]), (&json!("primary"), &json!(2)));
    assert_eq!(delete(&world, path).await.json()["message"], "Provider governance deleted successfully");
    assert_eq!(status(&world, None).await, 200);
    assert_eq!(world.admin(Method::GET, "/api/governance/providers/nobody", None).await.status, 404);
}

#[tokio::test]
async fn a_model_config_limits_a_model_for_all_or_for_one_key() {
    let mut world = World::start(|_| {}).await;
    let (global, _) =
        made(&world, MODELS, "model_config", &json!({"model_name": "mock-1", "budgets": budget("0.0025")})).await;
    for expected in [ok(), ok(), refused("model")] {
        assert_eq!(call(&world, KEY).await, expected);
    }
    world.kill_and_start().await;
    assert_eq!(call(&world, KEY).await, refused("model"));
    assert_eq!(delete(&world, &global).await.json()["message"], "Model config deleted successfully");
    assert_eq!(call(&world, KEY).await, ok());
    let own = json!({"model_name": "*", "scope": "virtual_key", "scope_id": "vk-agent", "budgets": budget("0.00125")});
    let (path, _) = made(&world, MODELS, "model_config", &own).await;
    assert_eq!(call(&world, KEY).await, ok());
    assert_eq!(call(&world, KEY).await, refused("virtual_key_model"));
    let shown = get(&world, &path).await["model_config"].clone();
    assert_eq!((&shown["scope"], &shown["scope_name"]), (&json!("virtual_key"), &json!("agent")));
    // The name that a refusal shows follows the key's.
    put(&world, AGENT, json!({"name": "renamed"})).await;
    let answer = world.send(world.chat(KEY, &body())).await;
    assert_eq!(answer.json()["error"]["entity"], "renamed/*");
    // To another model: its budget goes with it.
    put(&world, &path, json!({"model_name": "other"})).await;
    assert_eq!(call(&world, KEY).await, ok());
}

#[tokio::test]
async fn a_key_that_is_deleted_takes_its_budgets_and_its_models_with_it() {
    let world = World::start(|_| {}).await;
    let key = json!({
        "name": "made", "budgets": budget("1"),
        "provider_configs": [{"provider": "primary", "weight": 1, "allowed_models": ["*"], "budgets": budget("1")}],
    });
    let (path, id) = made(&world, KEYS, "virtual_key", &key).await;
    let model = json!({"model_name": "*", "scope": "virtual_key", "scope_id": id, "budgets": budget("1")});
    let (model_path, _) = made(&world, MODELS, "model_config", &model).await;
    let listed = get(&world, "/api/governance/budgets").await;
    assert_eq!(listed["count"], 3, "{listed}");
    assert_eq!(delete(&world, &path).await.status, 200);
    assert_eq!(world.admin(Method::GET, &model_path, None).await.status, 404);
    assert_eq!(get(&world, "/api/governance/budgets").await, json!({"budgets": [], "count": 0}));
}

#[tokio::test]
async fn all_budgets_and_limits_stand_in_one_list_with_their_owners() {
    let world = World::start(|config| {
        let governance = &mut config["governance"];
        governance["customers"] = json!([{"id": "c", "name": "acme", "budgets": budget("1")}]);
        governance["teams"] = json!([{"id": "t", "name": "evals", "customer_id": "c", "budgets": budget("1"), "rate_limits": [
            {"id": "r1", "request_max_limit": 1, "request_reset_duration": "1m"},
            {"id": "r2", "token_max_limit": 1, "token_reset_duration": "1m"},
        ]}]);
        governance["providers"] = json!([{"name": "primary", "budgets": budget("1")}]);
        governance["model_configs"] = json!([{"id": "m", "model_name": "*", "budgets": budget("1")}]);
        governance["virtual_keys"][0]["budgets"] = budget("1");
        governance["virtual_keys"][0]["provider_configs"][0]["budgets"] = budget("1");
    })
    .await;
    let listed = get(&world, "/api/governance/budgets").await;
    assert_eq!(listed["count"], 6);
    for (field, id) in [
        ("customer_id", "c"),
        ("team_id", "t"),
        ("virtual_key_id", "vk-agent"),
        ("provider_config_id", "agent-primary"),
        ("provider", "primary"),
        ("model_config_id", "m"),
    ] {
        let owned = listed["budgets"].as_array().unwrap().iter().filter(|budget| budget[field] == id).count();
        assert_eq!(owned, 1, "{field} {listed}");
    }
    let limits = get(&world, "/api/governance/rate-limits").await;
    assert_eq!((&limits["count"], &limits["rate_limits"][0]["id"]), (&json!(2), &json!("r1")));
}

#[tokio::test]
async fn names_are_there_and_unique_and_what_is_not_there_is_told_so() {
    let world = World::start(|config| {
        config["governance"]["teams"] = json!([{"id": "t", "name": "evals"}]);
    })
    .await;
    made(&world, CUSTOMERS, "customer", &json!({"name": "acme"})).await;
    made(&world, MODELS, "model_config", &json!({"model_name": "mock-1", "provider": "primary"})).await;
    let limit = json!({"request_max_limit": 1, "request_reset_duration": "1m"});
    let cases = [
        (TEAMS, json!({"name": "evals"}), 409, "A team with this name already exists"),
        (CUSTOMERS, json!({"name": "acme"}), 409, "A customer with this name already exists"),
        (
            MODELS,
            json!({"model_name": "MOCK-1", "provider": "primary"}),
            409,
            "A model config for this model, provider and scope already exists",
        ),
        (TEAMS, json!({}), 400, "Team name is required"),
        (CUSTOMERS, json!({"name": " "}), 400, "Customer name is required"),
        (MODELS, json!({}), 400, "model_name is required"),
        (MODELS, json!({"model_name": "m", "provider": "nobody"}), 400, "there is no provider 'nobody'"),
        (MODELS, json!({"model_name": "m", "scope": "virtual_key"}), 400, "scope_id is required"),
        (MODELS, json!({"model_name": "m", "scope": "user", "scope_id": "u"}), 400, "scope is `global` or"),
        (TEAMS, json!({"name": "n", "customer_id": "nobody"}), 400, "there is no customer 'nobody'"),
        (TEAMS, json!({"name": "n", "budget": budget("1")[0], "budgets": budget("1")}), 400, "only one of 'budget'"),
        (TEAMS, json!({"name": "n", "rate_limit": limit, "rate_limits": [limit]}), 400, "only one of 'rate_limit'"),
        (TEAMS, json!({"name": "n", "rate_limits": [limit, limit]}), 400, "Duplicate reset_duration in rate_limits"),
        (TEAMS, json!({"name": "n", "rate_limits": [{}]}), 400, "it has no limit"),
        (TEAMS, json!({"name": "n", "budgets": budget("0")}), 400, "Budget max_limit must be above 0"),
        (TEAMS, json!({"name": "n", "calendar_align": true}), 400, "unknown field; did you mean `calendar_aligned`?"),
        (
            KEYS,
            json!({"name": "n", "team_id": "t", "customer_id": "c"}),
            400,
            "cannot be attached to both Team and Customer",
        ),
        (KEYS, json!({"name": "n", "team_id": "nobody"}), 400, "there is no team 'nobody'"),
    ];
    for (path, body, status, message) in cases {
        let answer = world.admin(Method::POST, path, Some(&body)).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        let told = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(message), "{told}");
    }
    for path in [TEAMS, CUSTOMERS, MODELS] {
        let missing = world.admin(Method::PUT, &format!("{path}/nobody"), Some(&json!({}))).await;
        assert_eq!(missing.status, 404, "{path}");
        assert_eq!(delete(&world, &format!("{path}/nobody")).await.status, 404);
        let anonymous = world.request(Method::GET, path);
        assert_eq!(world.send(anonymous).await.status, 401);
    }
    // A change that is refused changes nothing.
    let renamed = json!({"name": "renamed", "budgets": budget("0")});
    assert_eq!(world.admin(Method::PUT, &format!("{TEAMS}/t"), Some(&renamed)).await.status, 400);
    assert_eq!(get(&world, &format!("{TEAMS}/t")).await["team"]["name"], "evals");
}

#[tokio::test]
async fn entities_are_listed_page_by_page_and_by_name() {
    let world = World::start(|config| {
        config["governance"]["customers"] = json!([{"name": "acme"}]);
        config["governance"]["teams"] = json!([{"name": "a"}, {"name": "b", "customer_id": "acme"}, {"name": "ab"}]);
    })
    .await;
    let names = |listed: &Value| -> Vec<String> {
        listed["teams"].as_array().unwrap().iter().map(|team| team["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = get(&world, TEAMS).await;
    assert_eq!((names(&all), &all["total_count"]), (vec!["a".into(), "b".into(), "ab".into()], &json!(3)));
    assert_eq!(names(&get(&world, &format!("{TEAMS}?limit=1&offset=1")).await), ["b"]);
    assert_eq!(names(&get(&world, &format!("{TEAMS}?search=A")).await), ["a", "ab"]);
    assert_eq!(names(&get(&world, &format!("{TEAMS}?customer_id=acme")).await), ["b"]);
    assert_eq!(world.admin(Method::GET, &format!("{TEAMS}?limit=some"), None).await.status, 400);
}

#[tokio::test]
async fn several_limits_are_replaced_as_a_list_and_keep_their_usage() {
    let world = World::start(|_| {}).await;
    let limit = |limit: u64, reset: &str| json!({"request_max_limit": limit, "request_reset_duration": reset});
    put(&world, AGENT, json!({"rate_limits": [limit(9, "1m"), limit(9, "1h")]})).await;
    assert_eq!(call(&world, KEY).await, ok());
    let edited = put(&world, AGENT, json!({"rate_limits": [limit(5, "1h"), limit(5, "1d")]})).await;
    let shown = edited["virtual_key"]["rate_limits"].as_array().unwrap().clone();
    let usage = |reset: &str| {
        let one = shown.iter().find(|one| one["request_reset_duration"] == reset).unwrap();
        (one["request_max_limit"].as_u64().unwrap(), one["request_current_usage"].as_u64().unwrap())
    };
    // The hour stays the hour, and the minute, the only one that went, became the day.
    assert_eq!((usage("1h"), usage("1d")), ((5, 1), (5, 1)));
    // One without a window that is there says nothing about which is meant.
    let other = json!({"rate_limit": limit(1, "2h")});
    assert_eq!(world.admin(Method::PUT, AGENT, Some(&other)).await.status, 400);
    put(&world, AGENT, json!({"rate_limit": limit(1, "1h")})).await;
    assert_eq!(call(&world, KEY).await.0, 429);
    put(&world, AGENT, json!({"rate_limits": []})).await;
    assert_eq!(call(&world, KEY).await, ok());
}

#[tokio::test]
async fn the_usage_of_budgets_can_be_reset_and_stays_so_after_a_kill() {
    let mut world = World::with_budget("0.0025").await;
    for expected in [ok(), ok(), refused("virtual_key")] {
        assert_eq!(call(&world, KEY).await, expected);
    }
    put(&world, AGENT, json!({"reset_budget_usage": true})).await;
    assert_eq!(world.spent().await, "0");
    assert_eq!(call(&world, KEY).await, ok());
    world.kill_and_start().await;
    assert_eq!(world.spent().await, "0.00125");
    assert_eq!(call(&world, KEY).await, ok());
    assert_eq!(call(&world, KEY).await, refused("virtual_key"));
}

#[tokio::test]
async fn whoever_holds_a_key_reads_what_is_left_of_it() {
    let world = World::start(|config| {
        let governance = &mut config["governance"];
        governance["customers"] = json!([{"name": "acme", "budgets": budget("9")}]);
        governance["teams"] = json!([{"name": "evals", "customer_id": "acme", "budgets": budget("3")}]);
        governance["virtual_keys"][0]["team_id"] = json!("evals");
        governance["virtual_keys"][0]["budgets"] = budget("1");
        governance["model_configs"] = json!([
            {"model_name": "mock-1", "scope": "virtual_key", "scope_id": "vk-agent", "budgets": budget("2")},
        ]);
    })
    .await;
    assert_eq!(call(&world, KEY).await, ok());
    let path = "/api/governance/virtual-keys/quota";
    let answer = world.send(world.request(Method::GET, path).header("x-bf-vk", KEY)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let quota = answer.json();
    assert_eq!((&quota["virtual_key_name"], &quota["is_active"]), (&json!("agent"), &json!(true)));
    for at in [&quota, &quota["team"], &quota["customer"], &quota["model_configs"][0]] {
        assert_eq!(at["budgets"][0]["current_usage"].to_string(), "0.00125", "{at}");
    }
    assert_eq!(quota["provider_configs"].as_array().unwrap().len(), 3);
    assert!(!answer.text.contains(KEY));
    let missing = world.send(world.request(Method::GET, path)).await;
    assert_eq!(missing.status, 401);
    let said = missing.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(
        said,
        "Missing virtual key. Provide one as `Authorization: Bearer <key>`, or in x-bf-vk, x-api-key, x-goog-api-key or api-key."
    );
    let unknown = world.send(world.request(Method::GET, path).bearer_auth("sk-nobody")).await;
    assert_eq!((unknown.status.as_u16(), unknown.kind().as_str()), (401, "virtual_key_not_found"));
}
