//! `/anthropic/v1/messages`: natively, and translated for a provider that speaks
//! chat completions.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, PROMPT, World};

const PATH: &str = "/anthropic/v1/messages";

fn message() -> Value {
    json!({"model": "mock-1", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}]})
}

fn streamed() -> Value {
    let mut message = message();
    message["stream"] = json!(true);
    message
}

async fn world(base: &str) -> World {
    World::start(|config| {
        for provider in ["primary", "second", "third"] {
            config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
        }
        config["governance"]["budgets"] = json!([crate::support::budget("b", "0.0025", "1h", "vk-agent")]);
    })
    .await
}

#[tokio::test]
async fn a_message_costs_the_same_natively_and_translated_and_trips_with_402() {
    for base in ["anthropic", "openai"] {
        let world = world(base).await;
        let call = || world.send(world.request(Method::POST, PATH).header("x-api-key", KEY).json(&message()));
        let answer = call().await;
        assert_eq!(answer.status, 200, "{base}: {}", answer.text);
        let body = answer.json();
        assert_eq!(body["type"], "message", "{base}");
        assert_eq!(body["usage"]["input_tokens"], 100, "{base}");
        assert!(!body["content"][0]["text"].as_str().unwrap().is_empty(), "{base}");
        assert_eq!(call().await.status, 200, "{base}");
        let refused = call().await;
        assert_eq!(refused.status, 402, "{base}");
        assert_eq!(refused.json()["type"], "error");
        assert_eq!(refused.json()["error"]["type"], "billing_error");
        assert_eq!(refused.json()["error"]["code"], "budget_exceeded");
        assert_eq!(world.spent().await, "0.0025", "{base}");
    }
}

#[tokio::test]
async fn a_streamed_message_ends_with_its_stop_natively_and_translated() {
    for base in ["anthropic", "openai"] {
        let world = world(base).await;
        let (answer, whole) = world.stream(PATH, &streamed()).await;
        assert!(whole, "{base}");
        let events: Vec<_> = answer.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(events.first(), Some(&"message_start"), "{base}");
        assert_eq!(events.last(), Some(&"message_stop"), "{base}");
        assert!(answer.text.contains("\"output_tokens\":100"), "{base}: {}", answer.text);
        assert_eq!(world.spent().await, "0.00125", "{base}");
    }
}

#[tokio::test]
async fn a_broken_stream_of_messages_ends_with_an_error_event() {
    for base in ["anthropic", "openai"] {
        let world = world(base).await;
        world.faults(&json!({"primary": [{"fault": {"cut": {"after_chunks": 2}}}]}));
        let (answer, whole) = world.stream(PATH, &streamed()).await;
        assert!(!whole, "{base}");
        assert!(answer.text.contains("event: error\ndata: {\"type\":\"error\""), "{base}: {}", answer.text);
        assert!(!answer.text.contains("message_stop"), "{base}");
    }
}

#[tokio::test]
async fn an_openai_providers_error_is_told_in_anthropics_words() {
    let world = world("openai").await;
    let fails = json!([{"fault": {"status": {"code": 429, "message": "slow down", "retry_after": 3}}}]);
    world.faults(&json!({"primary": fails, "second": fails, "third": fails}));
    let answer = world.send(world.request(Method::POST, PATH).bearer_auth(KEY).json(&message())).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "3");
    let body = answer.json();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("rate_limit_error")));
    assert_eq!(body["error"]["message"], "slow down");
}

#[tokio::test]
async fn what_cannot_be_translated_is_refused_and_not_dropped() {
    let world = world("openai").await;
    let mut with_search = message();
    with_search["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    let answer = world.send(world.request(Method::POST, PATH).bearer_auth(KEY).json(&with_search)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("web_search_20250305"), "{}", answer.text);
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn the_mark_of_a_cache_on_a_tools_result_is_no_reason_to_refuse() {
    for base in ["anthropic", "openai", "gemini"] {
        let world = world(base).await;
        let mut call = message();
        let result = json!({"type": "tool_result", "tool_use_id": "t", "content": "noon",
            "cache_control": {"type": "ephemeral"}});
        call["messages"].as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "now", "input": {}}]}),
            json!({"role": "user", "content": [result]}),
        ]);
        let answer = world.send(world.request(Method::POST, PATH).bearer_auth(KEY).json(&call)).await;
        assert_eq!(answer.status, 200, "{base}: {}", answer.text);
    }
}
