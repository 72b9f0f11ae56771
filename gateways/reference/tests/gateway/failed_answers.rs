//! Answers of status 200 that failed, as Gemini's do when it cannot read its own call: no caller
//! takes one for whole, and they cost what their usage says.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{Caller, request};
use crate::own_words;
use crate::support::KEY;

fn failed() -> Value {
    json!({"candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}],
        "usageMetadata": {"promptTokenCount": 100, "totalTokenCount": 200}, "modelVersion": "mock-1", "responseId": "r"})
}

/// The caller's request to `primary` alone.
fn body(caller: Caller, is_stream: bool) -> Value {
    let mut body = caller.body(is_stream);
    body["model"] = json!("primary/mock-1");
    body
}

#[tokio::test]
async fn a_plain_answer_that_failed_is_told_as_a_failure() {
    let provider = own_words::says(200, &failed()).await;
    let world = own_words::world("gemini", provider, |_| {}).await;
    let send = async |caller: Caller| {
        let request = world.request(Method::POST, caller.path(false)).bearer_auth(KEY);
        world.send(request.json(&body(caller, false))).await
    };
    let message = send(Caller::Messages).await;
    assert_eq!((message.status.as_u16(), &message.json()["error"]["code"]), (502, &json!("upstream_broken")));
    assert!(message.text.contains("MALFORMED_FUNCTION_CALL"), "{}", message.text);
    let response = send(Caller::Responses).await;
    assert_eq!(response.json()["status"], "failed", "{}", response.text);
    assert_eq!(send(Caller::Chat).await.json()["choices"][0]["finish_reason"], "error");
    assert_eq!(world.spent().await, "0.00375");
}

#[tokio::test]
async fn an_error_with_a_status_of_success_is_told_to_callers_of_other_protocols_and_costs_what_was_held() {
    for (code, status, word) in [(json!(429), 429, "RESOURCE_EXHAUSTED"), (json!("overloaded"), 502, "UNAVAILABLE")] {
        let error = json!({"error": {"code": code, "message": "try later, upstream-key"}, "user_id": "u"});
        // Such a server has no responses: for their callers too it is asked for a chat completion.
        let world = own_words::world("nebius", own_words::says(200, &error).await, |config| {
            config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
        })
        .await;
        let send = async |caller: Caller| world.send(request(&world, caller, false)).await;
        for caller in [Caller::Messages, Caller::Responses, Caller::Gemini] {
            let answer = send(caller).await;
            assert_eq!(answer.status.as_u16(), status, "{caller:?}: {}", answer.text);
            let message = &answer.json()["error"]["message"];
            assert_eq!(message, "try later, [provider key]", "{caller:?}: {}", answer.text);
            assert_eq!(answer.header("x-gateway-attempts"), format!("primary:{status}"), "{caller:?}");
        }
        assert_eq!(send(Caller::Gemini).await.json()["error"]["status"], word);
        let native = send(Caller::Chat).await;
        assert_eq!((native.status.as_u16(), &native.json()["error"]["code"]), (200, &code), "{}", native.text);
        assert_eq!(world.spent().await, "0.00575");
    }
}

#[tokio::test]
async fn an_error_in_place_of_an_image_is_shown_without_the_providers_key() {
    let error = json!({"error": {"code": 503, "message": "try later, upstream-key"}});
    let world = own_words::world("openai", own_words::says(200, &error).await, |_| {}).await;
    let image = json!({"model": "primary/mock-1", "prompt": "a cat"});
    let answer = world.send(world.request(Method::POST, "/v1/images/generations").bearer_auth(KEY).json(&image)).await;
    assert_eq!(answer.json()["error"]["message"], "try later, [provider key]", "{}", answer.text);
}

#[tokio::test]
async fn a_stream_that_failed_ends_as_a_failure_and_costs_what_it_says() {
    let provider = own_words::streams(&format!("data: {}\n\n", failed())).await;
    let world = own_words::world("gemini", provider, |_| {}).await;
    let (message, whole) = world.stream(Caller::Messages.path(true), &body(Caller::Messages, true)).await;
    assert!(!whole && message.text.contains("event: error\n"), "{}", message.text);
    assert!(!message.text.contains("message_stop"), "{}", message.text);
    assert_eq!(world.spent().await, "0.00125");
    let (response, whole) = world.stream(Caller::Responses.path(true), &body(Caller::Responses, true)).await;
    assert!(whole && response.text.contains("event: response.failed\n"), "{}", response.text);
    assert!(!response.text.contains("response.completed"), "{}", response.text);
    assert_eq!(world.spent().await, "0.0025");
}

#[tokio::test]
async fn another_provider_serves_a_caller_who_could_not_be_told() {
    // Of what the first answers the caller gets nothing: the only request that the key may make is the second's.
    let world = own_words::world("gemini", own_words::says(200, &failed()).await, |config| {
        config["governance"]["virtual_keys"][0]["rate_limit"] =
            json!({"request_max_limit": 1, "request_reset_duration": "1h"});
    })
    .await;
    let request = world.request(Method::POST, Caller::Messages.path(false)).bearer_auth(KEY);
    let answer = world.send(request.json(&Caller::Messages.body(false))).await;
    let attempts = answer.header("x-gateway-attempts");
    assert_eq!((answer.status.as_u16(), attempts), (200, "primary:broken"), "{}", answer.text);
}

#[tokio::test]
async fn an_answer_beside_which_an_error_stands_that_says_nothing_is_an_answer() {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200});
    let answer = json!({"id": "c", "model": "mock-1", "choices": [choice], "usage": usage, "error": {}});
    let world = own_words::world("nebius", own_words::says(200, &answer).await, |_| {}).await;
    for caller in [Caller::Messages, Caller::Responses, Caller::Gemini, Caller::Chat] {
        let told = world.send(request(&world, caller, false)).await;
        assert_eq!((told.status.as_u16(), told.header("x-gateway-attempts")), (200, ""), "{caller:?}: {}", told.text);
    }
    assert_eq!(world.spent().await, "0.005");
}

#[tokio::test]
async fn a_plain_error_where_a_stream_was_asked_for_is_told_with_its_message_and_costs_what_it_says_or_what_was_held() {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100});
    for (usage, spent) in [(Value::Null, "0.0046"), (usage, "0.001")] {
        let error = json!({"error": {"code": 429, "message": "try later, upstream-key"}, "usage": usage});
        let world = own_words::world("nebius", own_words::says(200, &error).await, |config| {
            config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
        })
        .await;
        for caller in [Caller::Chat, Caller::Messages, Caller::Responses, Caller::Gemini] {
            let answer = world.send(request(&world, caller, true)).await;
            assert_eq!(answer.status.as_u16(), 429, "{caller:?}: {}", answer.text);
            let message = &answer.json()["error"]["message"];
            assert_eq!(message, "try later, [provider key]", "{caller:?}: {}", answer.text);
            assert_eq!(answer.header("x-gateway-attempts"), "primary:429", "{caller:?}");
        }
        assert_eq!(world.spent().await, spent);
    }
    // Another provider has its turn.
    let provider = own_words::says(200, &json!({"error": "broken"})).await;
    let world = own_words::world("openai", provider, |_| {}).await;
    let (answer, whole) = world.stream("/v1/chat/completions", &crate::support::streamed()).await;
    assert!(whole, "{}", answer.text);
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-attempts")), (200, "primary:502"));
}

#[tokio::test]
async fn a_plain_answer_where_a_stream_was_asked_for_is_a_failure_that_says_so() {
    let answer =
        json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]});
    let world = own_words::world("openai", own_words::says(200, &answer).await, |_| {}).await;
    let request = world.request(Method::POST, "/v1/chat/completions").bearer_auth(KEY);
    let told = world.send(request.json(&body(Caller::Chat, true))).await;
    assert_eq!((told.status.as_u16(), told.kind().as_str()), (502, "upstream_broken"), "{}", told.text);
    assert!(told.text.contains("no stream"), "{}", told.text);
}
