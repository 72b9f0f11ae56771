//! Comments in a stream, by which a provider keeps a connection alive: they are no part of an
//! answer, and buy no time.

use serde_json::{Value, json};

use crate::own_words;
use crate::support::{World, give_up_after, streamed};

const CHAT: &str = "/v1/chat/completions";
const CHUNK: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const END: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":100}}\n\ndata: [DONE]\n\n";

/// Whether `second` answered, though `primary` began with comments.
async fn falls_back(world: &World) {
    let (answer, whole) = world.stream(CHAT, &streamed()).await;
    assert!(whole && answer.status == 200, "{}", answer.text);
    assert_eq!(answer.header("x-gateway-attempts"), "primary:broken");
    assert_eq!(answer.header("x-bifrost-provider"), "second");
}

#[tokio::test]
async fn an_error_after_a_comment_still_falls_back() {
    let failing = ": OPENROUTER PROCESSING\n\ndata: {\"error\":{\"code\":502,\"message\":\"overloaded\"}}\n\n";
    let world = own_words::world("openai", own_words::streams(failing).await, |_| {}).await;
    falls_back(&world).await;
}

#[tokio::test]
async fn a_provider_that_sends_nothing_but_comments_is_given_up_in_time() {
    let provider = own_words::hangs_behind_comments(": wait\n\n").await;
    let world = own_words::world("openai", provider, |config| give_up_after(config, 1, "primary")).await;
    falls_back(&world).await;
}

#[tokio::test]
async fn a_stream_that_goes_on_with_nothing_but_comments_ends_as_a_failure() {
    let provider = own_words::hangs_behind_comments(CHUNK).await;
    let world = own_words::world("openai", provider, |config| {
        config["providers"]["primary"]["network_config"]["stream_idle_timeout_in_seconds"] = json!(1);
    })
    .await;
    let (answer, whole) = world.stream(CHAT, &streamed()).await;
    assert!(!whole && answer.text.contains("idle for too long"), "{}", answer.text);
}

#[tokio::test]
async fn comments_before_and_between_events_leave_a_stream_whole() {
    let events = format!(": one\n\n{CHUNK}: two\n\n{END}");
    let world = own_words::world("openai", own_words::streams(&events).await, |_| {}).await;
    let (answer, whole) = world.stream(CHAT, &streamed()).await;
    assert!(whole, "{}", answer.text);
    assert_eq!(answer.text, format!("{CHUNK}: two\n\n{END}"));
    assert_eq!(world.spent().await, "0.00125");
}

#[tokio::test]
async fn comments_are_no_items_of_geminis_array() {
    let last = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 100, "totalTokenCount": 200}});
    let events = format!(": one\n\ndata: {last}\n\n: two\n\n");
    let world = own_words::world("gemini", own_words::streams(&events).await, |_| {}).await;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]});
    let (answer, whole) = world.stream("/genai/v1beta/models/mock-1:streamGenerateContent", &body).await;
    assert!(whole, "{}", answer.text);
    assert_eq!(answer.json(), Value::Array(vec![last]));
}
