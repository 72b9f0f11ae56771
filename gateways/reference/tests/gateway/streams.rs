//! Streams: whole ones end as they should, broken ones end as failures, and all are
//! charged.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{DEADLINE, KEY, World, body, budget, streamed};

const CHAT: &str = "/v1/chat/completions";

/// The texts of all chunks.
fn text(stream: &str) -> String {
    stream
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
async fn what_the_provider_sends_arrives_in_whatever_pieces() {
    let world = World::start(|_| {}).await;
    let plain = world.call().await.json();
    world.faults(&json!({"primary": [{"fault": {"split": {"sizes": [1, 3, 2]}}}]}));
    let (answer, whole) = world.stream(CHAT, &streamed()).await;
    assert!(whole);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(json!(text(&answer.text)), plain["choices"][0]["message"]["content"]);
    assert!(answer.text.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn the_usage_chunk_reaches_only_a_caller_who_asked_for_it() {
    let world = World::with_budget("1").await;
    let (without, _) = world.stream(CHAT, &streamed()).await;
    assert!(!without.text.contains("prompt_tokens"), "{}", without.text);
    let mut asks = streamed();
    asks["stream_options"] = json!({"include_usage": true});
    let (with, _) = world.stream(CHAT, &asks).await;
    assert!(with.text.contains("\"prompt_tokens\":100"), "{}", with.text);
    assert_eq!(world.spent().await, "0.0025");
}

#[tokio::test]
async fn usage_is_charged_wherever_in_the_stream_it_stands() {
    let world = World::with_budget("1").await;
    for (count, place) in ["own_chunk", "finish_chunk", "first_chunk", "every_chunk"].iter().enumerate() {
        world.model(&json!({"usage_at": place}));
        let (_, whole) = world.stream(CHAT, &streamed()).await;
        assert!(whole, "{place}");
        let spent: Vec<_> = ["0.00125", "0.0025", "0.00375", "0.005"].into();
        assert_eq!(world.spent().await, spent[count], "{place}");
    }
}

#[tokio::test]
async fn an_answer_or_a_stream_without_usage_is_charged_what_was_held() {
    let world = World::with_budget("1").await;
    world.faults(&json!({"primary": [{"fault": "missing_usage"}]}));
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.spent().await, "0.00115");
    let (_, whole) = world.stream(CHAT, &streamed()).await;
    assert!(whole);
    assert_eq!(world.spent().await, "0.0023");
}

#[tokio::test]
async fn a_broken_stream_ends_as_a_failure_and_is_charged() {
    for (fault, charge) in [
        (json!({"cut": {"after_chunks": 2}}), "0.00115"),
        (json!({"truncate": {"after_chunks": 2}}), "0.00115"),
        (json!({"reset_in_body": {"after_chunks": 2}}), "0.00115"),
        (json!({"error_event": {"after_chunks": 2}}), "0.00115"),
        // Everything came but the marker, the usage among it.
        (json!("no_end_marker"), "0.00125"),
        (json!("no_end_marker_open"), "0.00125"),
    ] {
        let world = World::start(|config| {
            config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
            if fault == "no_end_marker_open" {
                config["providers"]["primary"]["network_config"]["stream_idle_timeout_in_seconds"] = json!(1);
            }
        })
        .await;
        world.faults(&json!({"primary": [{"fault": fault}]}));
        let (answer, whole) = world.stream(CHAT, &streamed()).await;
        assert!(!whole, "{fault}: the connection ended as if all were well");
        assert!(!answer.text.contains("[DONE]"), "{fault}");
        let last = answer.text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with("data: {\"error\":"), "{fault}: {last}");
        assert_eq!(world.spent().await, charge, "{fault}");
        assert_eq!(world.called(), ["primary"], "{fault}: no fallback after the first byte");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_a_stream_stops_the_provider_and_pays() {
    let world = World::with_budget("1").await;
    world.model(&json!({"chunks": 50, "latency": {"between_chunks": "100ms"}}));
    let request = world.request(Method::POST, CHAT).bearer_auth(KEY).json(&streamed());
    let mut response = request.send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let left = |ledger: &mock_upstream::Ledger| {
        ledger.inference().any(|entry| entry.outcome == mock_upstream::Outcome::ClientLeft)
    };
    assert!(world.upstream.wait_until(left, DEADLINE).await, "the provider's stream stays open");
    assert_eq!(world.spent().await, "0.00115");
}

#[tokio::test]
async fn a_caller_who_leaves_a_plain_call_pays_what_it_cost() {
    let world = World::with_budget("1").await;
    world.model(&json!({"latency": {"first_byte": "500ms"}}));
    let call = tokio::spawn(world.chat(KEY, &body()).send());
    let is_asked = |ledger: &mock_upstream::Ledger| ledger.inference().count() == 1;
    assert!(world.upstream.wait_until(is_asked, DEADLINE).await);
    call.abort();
    let answered = |ledger: &mock_upstream::Ledger| {
        ledger.inference().any(|entry| entry.outcome == mock_upstream::Outcome::Answered)
    };
    assert!(world.upstream.wait_until(answered, DEADLINE).await);
    // The next call waits its turn behind the settlement.
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.spent().await, "0.0025");
}

#[tokio::test]
async fn responses_stream_with_their_own_end() {
    let world = World::with_budget("1").await;
    let body = json!({"model": "mock-1", "input": "a", "max_output_tokens": 100, "stream": true});
    let (answer, whole) = world.stream("/v1/responses", &body).await;
    assert!(whole);
    assert!(answer.text.contains("event: response.completed"), "{}", answer.text);
    assert_eq!(world.spent().await, "0.00125");
}
