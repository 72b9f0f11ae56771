//! Servers that are compatible with OpenAI's, each of which refuses something that another demands:
//! what such a provider is told by its name.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, KEY, PROMPT, World, budget, streamed};

const MESSAGES: &str = "/anthropic/v1/messages";
const RESPONSES: &str = "/v1/responses";

/// The standard provider `name` at the mock, and nothing else.
async fn world(name: &str) -> World {
    World::start(|config| {
        let network = json!({"base_url": config["providers"]["primary"]["network_config"]["base_url"]});
        let keys = json!([{"name": "k", "value": "upstream-key", "weight": 1}]);
        config["providers"] = json!({ name: {"keys": keys, "network_config": network} });
        config["governance"]["virtual_keys"][0]["provider_configs"] =
            json!([{"provider": name, "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}]);
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
        // The sheet knows the mock's models by other providers' names.
        config["governance"]["pricing_overrides"] = json!([{
            "id": "p", "name": "p", "scope_kind": "global", "match_type": "exact", "pattern": "mock-1",
            "request_types": ["chat_completion", "responses"],
            "pricing_patch": r#"{"input_cost_per_token":0.0000025,"output_cost_per_token":0.00001}"#,
        }]);
    })
    .await
}

async fn post(world: &World, path: &str, body: &Value) -> Answer {
    world.send(world.request(Method::POST, path).bearer_auth(KEY).json(body)).await
}

/// Where the provider was asked last, and what it was told.
fn told(world: &World) -> (String, Value) {
    let ledger = world.upstream.ledger();
    let last = ledger.inference().last().expect("the provider was not called");
    (last.path.clone(), serde_json::from_str(&last.body).unwrap())
}

/// What the provider is told of its own thinking when a tool's result is brought to it.
async fn told_of_its_thoughts(name: &str) -> Vec<(String, Value)> {
    let world = world(name).await;
    world.model(&json!({"answer": {"reasoning": "Hm.", "tool_calls": [{"name": "now"}]}}));
    let mut body = json!({"model": "mock-1", "max_tokens": 100, "tools": [{"name": "now", "input_schema": {}}],
        "messages": [{"role": "user", "content": PROMPT}]});
    let first = post(&world, MESSAGES, &body).await;
    assert_eq!(first.status, 200, "{name}: {}", first.text);
    let said = first.json()["content"].clone();
    assert_eq!((&said[0]["type"], &said[0]["thinking"]), (&json!("thinking"), &json!("Hm.")), "{name}");
    let call = said.as_array().unwrap().last().unwrap()["id"].clone();
    let result = json!([{"type": "tool_result", "tool_use_id": call, "content": "noon"}]);
    let turns = body["messages"].as_array_mut().unwrap();
    turns.extend([json!({"role": "assistant", "content": said}), json!({"role": "user", "content": result})]);
    let second = post(&world, MESSAGES, &body).await;
    assert_eq!(second.status, 200, "{name}: {}", second.text);
    let message = told(&world).1["messages"][1].take();
    assert_eq!(message["tool_calls"][0]["id"], call, "{name}: {message}");
    let fields = message.as_object().unwrap().clone();
    fields.into_iter().filter(|(field, _)| field.starts_with("reasoning")).collect()
}

#[tokio::test]
async fn each_provider_is_told_of_its_thinking_in_the_field_that_it_takes() {
    for name in ["openai", "groq", "cerebras", "mistral"] {
        assert_eq!(told_of_its_thoughts(name).await, [], "{name}");
    }
    for name in ["vllm", "fireworks"] {
        assert_eq!(told_of_its_thoughts(name).await, [("reasoning_content".to_owned(), json!("Hm."))], "{name}");
    }
    let details = told_of_its_thoughts("openrouter").await;
    assert_eq!(details.len(), 1, "{details:?}");
    assert_eq!((details[0].0.as_str(), &details[0].1[0]["text"]), ("reasoning_details", &json!("Hm.")));
}

#[tokio::test]
async fn mistral_is_asked_for_no_usage_in_a_stream_and_is_charged_by_what_it_tells() {
    let world = world("mistral").await;
    world.model(&json!({"usage_at": "finish_chunk"}));
    let mut chat = streamed();
    chat["stream_options"] = json!({"include_usage": true});
    let message = json!({"model": "mock-1", "max_tokens": 100, "stream": true,
        "messages": [{"role": "user", "content": PROMPT}]});
    for (path, body) in [("/v1/chat/completions", chat), (MESSAGES, message)] {
        let (answer, whole) = world.stream(path, &body).await;
        assert!(answer.status == 200 && whole, "{path}: {}", answer.text);
        let (_, told) = told(&world);
        assert_eq!((&told["stream"], told.get("stream_options")), (&json!(true), None), "{path}: {told}");
    }
    assert_eq!((world.spent().await, world.charged()), ("0.0025".to_owned(), "0.0025".to_owned()));
}

#[tokio::test]
async fn responses_are_served_by_chat_completions_where_a_provider_has_nothing_else() {
    for name in ["cerebras", "mistral", "nebius", "ollama", "parasail", "sgl"] {
        let world = world(name).await;
        let mut body = json!({"model": "mock-1", "max_output_tokens": 100, "input": PROMPT});
        let answer = post(&world, RESPONSES, &body).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
        assert_eq!((&answer.json()["object"], &answer.json()["status"]), (&json!("response"), &json!("completed")));
        assert_eq!(told(&world).0, "/primary/v1/chat/completions", "{name}");
        body["stream"] = json!(true);
        if name == "mistral" {
            world.model(&json!({"usage_at": "finish_chunk"}));
        }
        let (answer, whole) = world.stream(RESPONSES, &body).await;
        assert!(whole && answer.text.contains("event: response.completed"), "{name}: {}", answer.text);
        let spent = world.spent().await;
        assert_eq!((spent.as_str(), world.charged().as_str()), ("0.0025", "0.0025"), "{name}");
    }
    for name in ["groq", "openai", "vllm", "xai"] {
        let world = world(name).await;
        let answer = post(&world, RESPONSES, &json!({"model": "mock-1", "input": PROMPT})).await;
        assert_eq!((answer.status.as_u16(), told(&world).0.as_str()), (200, "/primary/v1/responses"), "{name}");
    }
}

#[tokio::test]
async fn perplexity_serves_responses_and_no_other_route_for_text() {
    let world = world("perplexity").await;
    let answer = post(&world, RESPONSES, &json!({"model": "mock-1", "max_output_tokens": 100, "input": PROMPT})).await;
    assert_eq!((answer.status.as_u16(), told(&world).0.as_str()), (200, "/primary/v1/responses"), "{}", answer.text);
    let refused = world.call().await;
    assert_eq!(refused.status, 400);
    let reason = "the provider 'perplexity' cannot serve this route";
    assert!(refused.text.contains(reason), "{}", refused.text);
    assert_eq!(world.upstream_calls(), 1);
}
