//! Images and audio: they pass through, are held and charged, by the image, the character and
//! the second, or by their tokens; what an answer does not tell is charged as it was held.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{KEY, World, budget};

/// A world with a budget of $10 whose model has these prices and this usage.
async fn world(price: &Value, usage: &Value) -> World {
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([budget("b", "10", "1h", "vk-agent")]);
        // Alone, so that no other takes its place.
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
    })
    .await;
    world.model(&json!({ "price": price, "usage": usage }));
    world.run(&["--test-clock"]).await;
    world
}

fn units() -> Value {
    json!({"input": "$2.50", "output": "$10", "image": "$0.04", "character": "$15", "second": "$0.0001"})
}

fn image(world: &World, count: u64) -> RequestBuilder {
    let body = json!({"model": "primary/mock-1", "prompt": "a cat", "n": count});
    world.request(Method::POST, "/v1/images/generations").bearer_auth(KEY).json(&body)
}

fn speech(world: &World, text: &str) -> RequestBuilder {
    let body = json!({"model": "mock-1", "input": text, "voice": "alloy"});
    world.request(Method::POST, "/v1/audio/speech").bearer_auth(KEY).json(&body)
}

fn transcription(world: &World, bytes: usize, more: &[(&str, &str)]) -> RequestBuilder {
    let mut form = String::new();
    for (name, value) in [("model", "primary/mock-1")].iter().chain(more) {
        form.push_str(&format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    let audio = "a".repeat(bytes);
    form.push_str(&format!(
        "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
         content-type: audio/mpeg\r\n\r\n{audio}\r\n--x--\r\n"
    ));
    let request = world.request(Method::POST, "/openai/v1/audio/transcriptions").bearer_auth(KEY);
    request.header("content-type", "multipart/form-data; boundary=x").body(form)
}

#[tokio::test]
async fn images_speech_and_transcriptions_cost_their_own_units() {
    let world = world(&units(), &json!({"input": 100, "output": 100, "seconds": 12})).await;
    let images = world.send(image(&world, 3)).await;
    assert_eq!((images.status.as_u16(), images.json()["data"].as_array().unwrap().len()), (200, 3));
    assert_eq!(world.spent().await, "0.12");
    let spoken = world.send(speech(&world, "four")).await;
    assert_eq!((spoken.status.as_u16(), spoken.header("content-type")), (200, "audio/mpeg"));
    assert_eq!(world.spent().await, "0.12006");
    let text = world.send(transcription(&world, 10_000, &[("language", "de")])).await;
    assert_eq!((text.status.as_u16(), text.json()["usage"]["seconds"].as_u64()), (200, Some(12)));
    assert_eq!(world.spent().await, "0.12126");
    assert_eq!(world.charged(), "0.12126");
    let ledger = world.upstream.ledger();
    let sent = &ledger.inference().last().unwrap().body;
    assert!(sent.contains("\r\n\r\nmock-1\r\n") && sent.contains("filename=\"a.mp3\""), "{sent}");
}

#[tokio::test]
async fn images_and_audio_are_answered_in_the_media_types_that_are_described() {
    let world = world(&units(), &json!({"input": 100, "output": 100, "seconds": 12})).await;
    let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
    let transcriptions = "/openai/v1/audio/transcriptions";
    for (path, request, media_type) in [
        ("/v1/images/generations", image(&world, 1), "application/json"),
        ("/v1/audio/speech", speech(&world, "four"), "audio/mpeg"),
        (transcriptions, transcription(&world, 100, &[]), "application/json"),
        (transcriptions, transcription(&world, 100, &[("response_format", "text")]), "text/plain"),
    ] {
        let answer = world.send(request).await;
        assert!(answer.header("content-type").starts_with(media_type), "{path}: {:?}", answer.headers);
        crate::answers::hold(&api, "post", path, &answer);
    }
}

#[tokio::test]
async fn images_and_transcriptions_cost_their_tokens_where_those_are_priced() {
    let world = world(&json!({"input": "$2.50", "output": "$10"}), &json!({"input": 100, "output": 1000})).await;
    for request in [image(&world, 1), transcription(&world, 100_000, &[])] {
        let answer = world.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    // Twice 100 at $2.50 and 1000 at $10 a million
    assert_eq!(world.spent().await, "0.0205");
    assert_eq!(world.charged(), "0.0205");
}

#[tokio::test]
async fn what_an_answer_does_not_tell_is_charged_as_it_was_held() {
    let world = world(&units(), &json!({"input": 100, "output": 100, "seconds": 12})).await;
    // The text alone tells no seconds: 10,000 bytes are 20 at most.
    let text = world.send(transcription(&world, 10_000, &[("response_format", "text")])).await;
    assert_eq!(text.status, 200);
    assert_eq!(world.spent().await, "0.002");
}

#[tokio::test]
async fn speech_at_another_speed_holds_a_second_for_each_byte() {
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([budget("b", "10", "1h", "vk-agent")]);
        config["governance"]["pricing_overrides"] = json!([{
            "id": "po", "name": "spoken", "scope_kind": "global", "match_type": "exact",
            "pattern": "mock-1", "request_types": ["speech"], "pricing_patch": "{\"output_cost_per_second\":0.0001}",
        }]);
    })
    .await;
    world.run(&["--test-clock"]).await;
    // Four bytes of text, and a second, or four, of 32 tokens and $0.0001 each
    for (speed, spent) in [(Value::Null, "0.00043"), (json!(1.25), "0.00212")] {
        let body = json!({"model": "primary/mock-1", "input": "four", "voice": "alloy", "speed": speed});
        let request = world.request(Method::POST, "/v1/audio/speech").bearer_auth(KEY).json(&body);
        let spoken = world.send(request).await;
        assert_eq!(spoken.status, 200, "{speed}: {}", spoken.text);
        assert_eq!(world.spent().await, spent, "{speed}");
    }
}

#[tokio::test]
async fn a_budget_holds_for_them_before_the_provider_is_called() {
    let world = world(&units(), &json!({"input": 100, "output": 100, "seconds": 12})).await;
    // The sheet prices tokens too, and nobody knows yet which of the two the answer tells.
    let refused = world.send(image(&world, 300)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["requested"].as_str()), (402, Some("24.5760125")));
    assert_eq!(world.send(speech(&world, &"x".repeat(700_000))).await.status, 402);
    assert_eq!(world.send(transcription(&world, 60_000_000, &[])).await.status, 402);
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name() {
    let world = world(&units(), &json!({"input": 100, "output": 100})).await;
    let post = |path: &str, body: Value| world.request(Method::POST, path).bearer_auth(KEY).json(&body);
    let images = "/v1/images/generations";
    for (request, told) in [
        (post(images, json!({"model": "mock-1", "prompt": "a", "stream": true})), "stream"),
        (post(images, json!({"model": "mock-1", "prompt": "a", "n": 0})), "n must be"),
        (post("/v1/audio/speech", json!({"model": "mock-1", "input": "a", "stream_format": "sse"})), "stream_format"),
        (post("/v1/audio/transcriptions", json!({"model": "mock-1"})), "form"),
        (transcription(&world, 1, &[("stream", "true")]), "stream"),
        (transcription(&world, 1, &[("model", "another")]), "`model` stands there twice"),
    ] {
        let refused = world.send(request).await;
        assert_eq!(refused.status, 400, "{told}: {}", refused.text);
        assert!(refused.text.contains(told), "{told}: {}", refused.text);
    }
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn nobody_makes_images_without_a_key() {
    let world = world(&units(), &json!({"input": 100, "output": 100})).await;
    let request =
        world.request(Method::POST, "/v1/images/generations").json(&json!({"model": "mock-1", "prompt": "a"}));
    assert_eq!(world.send(request).await.status, 401);
    assert_eq!(world.upstream_calls(), 0);
}
