//! Budgets and limits of customers, teams, providers and models: each trips exactly, names
//! its level, and is kept.

use serde_json::{Value, json};

use crate::support::{Answer, KEY, PROMPT, World, body, virtual_key};

pub(crate) const OTHER: &str = "sk-other";

/// A budget of four calls, for an hour.
pub(crate) fn four_calls() -> Value {
    json!({"max_limit": "number:0.005", "reset_duration": "1h"})
}

pub(crate) fn two_requests() -> Value {
    json!({"request_max_limit": 2, "request_reset_duration": "1m"})
}

/// The world with a second virtual key and an edited section `governance`. Without a key
/// a request is served too.
pub(crate) async fn governed(edit: impl FnOnce(&mut Value)) -> World {
    World::start(|config| {
        config["client"]["enforce_auth_on_inference"] = json!(false);
        let governance = &mut config["governance"];
        governance["virtual_keys"] = json!([virtual_key("agent", KEY), virtual_key("other", OTHER)]);
        edit(governance);
    })
    .await
}

/// One call of a model with a virtual key, or with none.
pub(crate) async fn call(world: &World, key: Option<&str>, model: &str) -> Answer {
    let mut body = body();
    body["model"] = json!(model);
    let request = match key {
        Some(key) => world.chat(key, &body),
        None => world.request(reqwest::Method::POST, "/v1/chat/completions").json(&body),
    };
    world.send(request).await
}

/// Whose cap it was, as the answer's fields say.
pub(crate) fn named(answer: &Answer) -> (u16, String, String) {
    let error = &answer.json()["error"];
    let field = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), field("scope"), field("entity"))
}

pub(crate) fn refusal(status: u16, scope: &str, entity: &str) -> (u16, String, String) {
    (status, scope.to_owned(), entity.to_owned())
}

/// A level, the entity that a refusal names, what the file says for it, and who asks for
/// which model.
type Case = (&'static str, &'static str, fn(&mut Value, &Value), Option<&'static str>, &'static str);

fn levels() -> Vec<Case> {
    [owners().as_slice(), &models(), &models_of_agent()].concat()
}

fn owners() -> [Case; 5] {
    [
        (
            "customer",
            "acme",
            |governance, limits| {
                governance["customers"] = json!([with(json!({"id": "c", "name": "acme"}), limits)]);
                governance["virtual_keys"][0]["customer_id"] = json!("c");
            },
            Some(KEY),
            "mock-1",
        ),
        (
            "team",
            "evals",
            |governance, limits| {
                governance["teams"] = json!([with(json!({"id": "t", "name": "evals"}), limits)]);
                governance["virtual_keys"][0]["team_id"] = json!("t");
            },
            Some(KEY),
            "mock-1",
        ),
        (
            "virtual_key",
            "agent",
            |governance, limits| {
                let key = governance["virtual_keys"][0].take();
                governance["virtual_keys"][0] = with(key, limits);
            },
            Some(KEY),
            "mock-1",
        ),
        (
            "virtual_key_provider",
            "agent/primary",
            |governance, limits| {
                let grant = governance["virtual_keys"][0]["provider_configs"][0].take();
                governance["virtual_keys"][0]["provider_configs"][0] = with(grant, limits);
            },
            Some(KEY),
            "primary/mock-1",
        ),
        (
            "provider",
            "primary",
            |governance, limits| governance["providers"] = json!([with(json!({"name": "primary"}), limits)]),
            None,
            "primary/mock-1",
        ),
    ]
}

fn models() -> [Case; 4] {
    [
        (
            "model",
            "mock-1",
            |governance, limits| governance["model_configs"] = json!([with(json!({"model_name": "mock-1"}), limits)]),
            None,
            "mock-1",
        ),
        (
            "model",
            "primary/mock-1",
            |governance, limits| {
                let model = json!({"model_name": "mock-1", "provider": "primary", "scope": "global"});
                governance["model_configs"] = json!([with(model, limits)]);
            },
            None,
            "primary/mock-1",
        ),
        (
            "model",
            "*",
            |governance, limits| governance["model_configs"] = json!([with(json!({"model_name": "*"}), limits)]),
            None,
            "second/mock-1",
        ),
        (
            "model",
            "primary/*",
            |governance, limits| {
                let model = json!({"model_name": "*", "provider": "primary"});
                governance["model_configs"] = json!([with(model, limits)]);
            },
            None,
            "primary/mock-1",
        ),
    ]
}

fn models_of_agent() -> [Case; 4] {
    [
        (
            "virtual_key_model",
            "agent/mock-1",
            |governance, limits| governance["model_configs"] = json!([with(of_agent("mock-1", None), limits)]),
            Some(KEY),
            "mock-1",
        ),
        (
            "virtual_key_model",
            "agent/*",
            |governance, limits| governance["model_configs"] = json!([with(of_agent("*", None), limits)]),
            Some(KEY),
            "second/mock-1",
        ),
        (
            "virtual_key_model",
            "agent/primary/*",
            |governance, limits| governance["model_configs"] = json!([with(of_agent("*", Some("primary")), limits)]),
            Some(KEY),
            "primary/mock-1",
        ),
        (
            "virtual_key_model",
            "agent/primary/mock-1",
            |governance, limits| {
                governance["model_configs"] = json!([with(of_agent("mock-1", Some("primary")), limits)]);
            },
            Some(KEY),
            "primary/mock-1",
        ),
    ]
}

/// A model for the key `agent` alone, at one provider or at every one.
fn of_agent(model: &str, provider: Option<&str>) -> Value {
    json!({"model_name": model, "provider": provider, "scope": "virtual_key", "scope_id": "vk-agent"})
}

/// The entity with further fields.
pub(crate) fn with(mut entity: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        entity[name] = value.clone();
    }
    entity
}

#[tokio::test]
async fn a_budget_of_each_level_trips_exactly_and_names_its_level() {
    for (scope, entity, edit, key, model) in levels() {
        let world = governed(|governance| edit(governance, &json!({"budgets": [four_calls()]}))).await;
        for _ in 0..4 {
            assert_eq!(call(&world, key, model).await.status, 200, "{scope} {entity}");
        }
        let refused = call(&world, key, model).await;
        assert_eq!(named(&refused), refusal(402, scope, entity), "{}", refused.text);
        assert_eq!(refused.kind(), "budget_exceeded");
        let error = &refused.json()["error"];
        assert_eq!((&error["limit"], &error["usage"]), (&json!("0.005"), &json!("0.005")));
        assert!(error["resets_at"].is_string() && error["message"].as_str().unwrap().contains(entity), "{error}");
        assert_eq!(world.upstream_calls(), 4, "{scope} {entity}");
    }
}

#[tokio::test]
async fn a_budget_of_each_level_holds_against_sixteen_at_once() {
    for (scope, entity, edit, key, model) in levels() {
        let world = governed(|governance| edit(governance, &json!({"budget": four_calls()}))).await;
        world.model(&json!({"latency": {"first_byte": "20ms"}}));
        let answers = futures_util::future::join_all((0..16).map(|_| call(&world, key, model))).await;
        let served = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((served, world.upstream_calls()), (4, 4), "{scope} {entity}");
    }
}

#[tokio::test]
async fn limits_of_each_level_trip_exactly_and_name_their_level() {
    for (scope, entity, edit, key, model) in levels() {
        let limits =
            json!({"rate_limits": [two_requests(), {"token_max_limit": 100_000, "token_reset_duration": "1h"}]});
        let world = governed(|governance| edit(governance, &limits)).await;
        for left in ["1", "0"] {
            let answer = call(&world, key, model).await;
            assert_eq!(answer.status, 200, "{scope} {entity}");
            assert_eq!(answer.header("x-ratelimit-remaining-requests"), left);
        }
        let refused = call(&world, key, model).await;
        assert_eq!(named(&refused), refusal(429, scope, entity), "{}", refused.text);
        assert_eq!(refused.kind(), "request_limited");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 60);
        world.advance("1m").await;
        assert_eq!(call(&world, key, model).await.status, 200, "{scope} {entity}");
    }
}

#[tokio::test]
async fn every_level_keeps_what_was_spent_across_a_stop_and_a_kill() {
    for (scope, entity, edit, key, model) in levels() {
        let mut world = governed(|governance| edit(governance, &json!({"budgets": [four_calls()]}))).await;
        assert_eq!(call(&world, key, model).await.status, 200);
        world.restart().await;
        assert_eq!(call(&world, key, model).await.status, 200);
        world.kill_and_start().await;
        for expected in [200, 200, 402] {
            assert_eq!(call(&world, key, model).await.status, expected, "{scope} {entity}");
        }
    }
}

#[tokio::test]
async fn a_limit_raised_in_the_file_keeps_what_was_spent_at_every_level() {
    for (scope, entity, edit, key, model) in levels() {
        let mut world = governed(|governance| edit(governance, &json!({"budgets": [four_calls()]}))).await;
        for _ in 0..4 {
            assert_eq!(call(&world, key, model).await.status, 200);
        }
        let raised = json!({"budgets": [{"max_limit": "number:0.00625", "reset_duration": "1h"}]});
        edit(&mut world.config["governance"], &raised);
        world.restart().await;
        for expected in [200, 402] {
            assert_eq!(call(&world, key, model).await.status, expected, "{scope} {entity}");
        }
    }
}

#[tokio::test]
async fn a_team_that_left_the_file_limits_no_more_and_its_spend_returns_with_it() {
    let mut world = governed(|governance| {
        governance["teams"] = json!([{"id": "t", "name": "evals", "budgets": [four_calls()]}]);
        governance["virtual_keys"][0]["team_id"] = json!("t");
    })
    .await;
    for expected in [200, 200, 200, 200, 402] {
        assert_eq!(call(&world, Some(KEY), "mock-1").await.status, expected);
    }
    let with_team = world.config.clone();
    world.config["governance"].as_object_mut().unwrap().remove("teams");
    world.config["governance"]["virtual_keys"][0].as_object_mut().unwrap().remove("team_id");
    world.restart().await;
    assert_eq!(call(&world, Some(KEY), "mock-1").await.status, 200);
    world.config = with_team;
    world.restart().await;
    assert_eq!(named(&call(&world, Some(KEY), "mock-1").await), refusal(402, "team", "evals"));
}

#[tokio::test]
async fn a_call_that_a_kill_cut_off_counts_at_every_level() {
    let mut world = governed(|governance| {
        let limits = json!({"budgets": [{"max_limit": "number:0.002", "reset_duration": "1h"}]});
        governance["teams"] = json!([with(json!({"name": "evals"}), &limits)]);
        governance["providers"] = json!([with(json!({"name": "primary"}), &limits)]);
        governance["virtual_keys"][0]["team_id"] = json!("evals");
    })
    .await;
    world.model(&json!({"latency": {"first_byte": "10s"}}));
    let pending = tokio::spawn(world.chat(KEY, &body()).send());
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, crate::support::DEADLINE).await);
    world.kill_and_start().await;
    assert!(pending.await.unwrap().is_err());
    world.model(&json!({"latency": {"first_byte": "0s"}}));
    // What was held, 0.00115, and once more as much are above 0.002.
    assert!(PROMPT.len() == 60);
    assert_eq!(named(&call(&world, Some(KEY), "mock-1").await), refusal(402, "team", "evals"));
    assert_eq!(named(&call(&world, None, "primary/mock-1").await), refusal(402, "provider", "primary"));
}
