//! Configurations as people publish them: they start as they are, and protect what their
//! authors believe that they protect. Only where a provider is gets filled in: at the mock.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, PROMPT, World};

/// The world of a file in `tests/fixtures`, with models that answer with 100 and 100 tokens
/// at $2.50 and $10.00 a million.
async fn world(file: &str, models: &[&str]) -> World {
    let mut world = World::prepare(|_| {}).await;
    world.config = serde_json::from_str(file).unwrap();
    let address = world.upstream.addr();
    let mut script = json!({ "providers": {}, "models": {} });
    for (name, provider) in world.config["providers"].as_object_mut().unwrap() {
        provider["network_config"]["base_url"] = json!(format!("http://{address}/{name}"));
        script["providers"][name] = json!({});
    }
    for model in models {
        script["models"][model] =
            json!({ "usage": { "input": 100, "output": 100 }, "price": { "input": "$2.50", "output": "$10.00" } });
    }
    world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    world.run(&["--test-clock", "--seed", "7"]).await;
    world
}

fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": PROMPT }], "max_tokens": 100 })
}

fn ask(world: &World, model: &str) -> RequestBuilder {
    world.request(Method::POST, "/v1/chat/completions").json(&chat(model))
}

async fn told(world: &World, request: RequestBuilder) -> (u16, String) {
    let answer: Answer = world.send(request).await;
    let kind = if answer.status == 200 { String::new() } else { answer.kind() };
    (answer.status.as_u16(), kind)
}

fn refused(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

fn served() -> (u16, String) {
    (200, String::new())
}

const SDK_GATEWAY: &str = include_str!("../fixtures/sdk-gateway.json");
const SDK_MODELS: [&str; 3] = ["z-ai/glm-4.6", "gpt-4o", "text-embedding-3-small"];

#[tokio::test]
async fn the_sdks_gateway_serves_its_key_its_models_and_nobody_else() {
    let world = world(SDK_GATEWAY, &SDK_MODELS).await;
    let key = "sdk-virtual-key";
    assert_eq!(told(&world, ask(&world, "z-ai/glm-4.6").bearer_auth(key)).await, served());
    assert_eq!(world.called(), ["openrouter"]);
    let embedding = world.request(Method::POST, "/v1/embeddings").bearer_auth(key);
    let embedding = embedding.json(&json!({"model": "openai/text-embedding-3-small", "input": "a"}));
    assert_eq!(told(&world, embedding).await, served());
    let before = world.upstream_calls();
    assert_eq!(told(&world, ask(&world, "z-ai/glm-4.6")).await, refused(401, "virtual_key_required"));
    assert_eq!(
        told(&world, ask(&world, "z-ai/glm-4.6").bearer_auth("another")).await,
        refused(401, "virtual_key_not_found")
    );
    for model in ["openai/gpt-4o", "openrouter/gpt-4o"] {
        assert_eq!(told(&world, ask(&world, model).bearer_auth(key)).await, refused(403, "model_blocked"), "{model}");
    }
    assert_eq!(world.upstream_calls(), before);
}

#[tokio::test]
async fn the_sdks_gateway_keeps_its_administration_closed_and_its_provider_keys_to_itself() {
    let world = world(SDK_GATEWAY, &SDK_MODELS).await;
    let keys = "/api/governance/virtual-keys";
    assert_eq!(world.send(world.request(Method::GET, keys)).await.status, 401);
    let with_virtual_key = world.request(Method::GET, keys).bearer_auth("sdk-virtual-key");
    assert_eq!(world.send(with_virtual_key).await.status, 401);
    assert_eq!(world.admin(Method::GET, keys, None).await.status, 200);
    // The administrator's password is no virtual key.
    let as_administrator = ask(&world, "z-ai/glm-4.6").basic_auth("admin", Some("secret"));
    assert_eq!(told(&world, as_administrator).await, refused(401, "virtual_key_required"));
}

#[tokio::test]
async fn the_sdks_gateway_uses_both_provider_keys_by_weight_and_tries_again_as_often_as_it_says() {
    let world = world(SDK_GATEWAY, &SDK_MODELS).await;
    for _ in 0..40 {
        assert_eq!(told(&world, ask(&world, "z-ai/glm-4.6").bearer_auth("sdk-virtual-key")).await, served());
    }
    let ledger = world.upstream.ledger();
    let with = |key: &str| ledger.inference().filter(|entry| entry.upstream_key.as_deref() == Some(key)).count();
    let (main, spare) = (with("openrouter-key"), with("openrouter-spare-key"));
    assert_eq!(main + spare, 40);
    assert!(spare > 0 && main > 2 * spare, "{main} and {spare}");
    let mut script = serde_json::to_value(world.upstream.script()).unwrap();
    let fault = json!([{"first": 2, "fault": {"status": {"code": 503}}}]);
    script["providers"]["openrouter"]["faults"] = fault;
    world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    assert_eq!(told(&world, ask(&world, "z-ai/glm-4.6").bearer_auth("sdk-virtual-key")).await, served());
    assert_eq!(world.upstream_calls(), 43);
}

const EVAL_HARNESS: &str = include_str!("../fixtures/eval-harness.json");

/// Every header in which a client may send its key.
fn with_key(request: RequestBuilder, form: usize) -> RequestBuilder {
    match form {
        0 => request.bearer_auth("sk-proxy"),
        1 => request.header("x-bf-vk", "sk-proxy"),
        2 => request.header("x-api-key", "sk-proxy"),
        _ => request.header("x-goog-api-key", "sk-proxy"),
    }
}

#[tokio::test]
async fn the_eval_harness_stops_at_its_cap_however_the_key_is_sent() {
    let world = world(EVAL_HARNESS, &["evaluated-model"]).await;
    for form in 0..4 {
        assert_eq!(told(&world, with_key(ask(&world, "evaluated-model"), form)).await, served(), "{form}");
    }
    for form in 0..4 {
        let request = with_key(ask(&world, "evaluated-model"), form);
        assert_eq!(told(&world, request).await, refused(402, "budget_exceeded"), "{form}");
    }
    assert_eq!((world.upstream_calls(), world.charged().as_str()), (4, "0.005"));
}

#[tokio::test]
async fn the_eval_harness_refuses_who_has_no_key_and_what_has_no_price() {
    let world = world(EVAL_HARNESS, &["evaluated-model", "another-model"]).await;
    assert_eq!(told(&world, ask(&world, "evaluated-model")).await, refused(401, "virtual_key_required"));
    let other = ask(&world, "evaluated-model").bearer_auth("sk-prox");
    assert_eq!(told(&world, other).await, refused(401, "virtual_key_not_found"));
    let unpriced = ask(&world, "another-model").bearer_auth("sk-proxy");
    assert_eq!(told(&world, unpriced).await, refused(403, "model_unpriced"));
    assert_eq!(world.send(world.request(Method::GET, "/api/governance/virtual-keys")).await.status, 403);
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn the_eval_harness_forgets_nothing_when_it_is_killed() {
    let mut world = world(EVAL_HARNESS, &["evaluated-model"]).await;
    let mut streamed = chat("evaluated-model");
    streamed["stream"] = json!(true);
    for _ in 0..4 {
        let request = world.request(Method::POST, "/v1/chat/completions").bearer_auth("sk-proxy").json(&streamed);
        assert_eq!(told(&world, request).await, served());
    }
    world.kill_and_start().await;
    let request = ask(&world, "evaluated-model").bearer_auth("sk-proxy");
    assert_eq!(told(&world, request).await, refused(402, "budget_exceeded"));
}

const TEAM_CAPS: &str = include_str!("../fixtures/team-caps.json");
const AGENT: &str = "sk-bf-agent";
const GRADER: &str = "sk-bf-grader";

/// So many calls are served; the next one is refused by this scope's budget of this window.
async fn serves(world: &World, key: &str, model: &str, times: usize, scope: &str, window: &str) {
    for call in 0..times {
        assert_eq!(told(world, ask(world, model).bearer_auth(key)).await, served(), "{scope} {window}: call {call}");
    }
    let refused = world.send(ask(world, model).bearer_auth(key)).await;
    let error = &refused.json()["error"];
    let told = (refused.status.as_u16(), error["scope"].as_str(), error["reset_duration"].as_str());
    assert_eq!(told, (402, Some(scope), Some(window)), "{}", refused.text);
}

#[tokio::test]
async fn the_teams_caps_hold_for_the_provider_the_key_each_window_and_the_team() {
    let mut world = world(TEAM_CAPS, &["gpt-5-mini", "openai/gpt-5-mini"]).await;
    serves(&world, AGENT, "openrouter/openai/gpt-5-mini", 2, "virtual_key_provider", "1d").await;
    serves(&world, AGENT, "gpt-5-mini", 2, "virtual_key", "1h").await;
    world.advance("1h").await;
    serves(&world, AGENT, "openai/gpt-5-mini", 2, "virtual_key", "1d").await;
    // The other key of the team has no cap of its own.
    serves(&world, GRADER, "gpt-5-mini", 2, "team", "1w").await;
    assert_eq!((world.upstream_calls(), world.charged().as_str()), (8, "0.01"));
    world.kill_and_start().await;
    for key in [AGENT, GRADER] {
        let refused_still = ask(&world, "gpt-5-mini").bearer_auth(key);
        assert_eq!(told(&world, refused_still).await, refused(402, "budget_exceeded"), "{key}");
    }
    assert_eq!(told(&world, ask(&world, "gpt-5-mini")).await, refused(401, "virtual_key_required"));
    let other_model = ask(&world, "openai/gpt-5").bearer_auth(GRADER);
    assert_eq!(told(&world, other_model).await, refused(403, "model_blocked"));
    assert_eq!(world.upstream_calls(), 8);
}
