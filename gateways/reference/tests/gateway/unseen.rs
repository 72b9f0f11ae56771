//! What a body does not show the length of is held at all that a model reads at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, World, body, budget};

/// `primary` alone, of this kind, under a budget of a dollar. All that a model reads at once,
/// 2,097,152 tokens, costs five.
async fn world(base: &str) -> World {
    World::start(|config| {
        config["providers"]["primary"]["custom_provider_config"]["base_provider_type"] = json!(base);
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await
}

fn with(part: &Value) -> Value {
    let mut body = body();
    body["messages"][0]["content"] = json!([{"type": "text", "text": "what is this?"}, part]);
    body
}

fn picture(url: &str) -> Value {
    with(&json!({"type": "image_url", "image_url": {"url": url}}))
}

#[tokio::test]
async fn a_picture_by_link_is_one_for_gemini_only_where_its_link_says_so() {
    for (base, url, status) in [
        ("gemini", "https://example.com/a.png", 200),
        ("gemini", "https://www.youtube.com/watch?v=1", 402),
        ("gemini", "https://example.com/a.pdf", 402),
        ("gemini", "https://example.com/a", 402),
        ("openai", "https://example.com/a", 200),
    ] {
        let world = world(base).await;
        let answer = world.send(world.chat(KEY, &picture(url))).await;
        assert_eq!(answer.status, status, "{base}, {url}: {}", answer.text);
        assert_eq!(world.upstream_calls(), usize::from(status == 200), "{base}, {url}");
    }
    let data = json!({"mimeType": "image/png", "fileUri": "https://www.youtube.com/watch?v=1"});
    let content = json!({"contents": [{"parts": [{"fileData": data}]}], "generationConfig": {"maxOutputTokens": 10}});
    let world = world("gemini").await;
    let request = world.request(Method::POST, "/genai/v1beta/models/mock-1:generateContent");
    let answer = world.send(request.bearer_auth(KEY).json(&content)).await;
    assert_eq!(answer.status, 402, "{}", answer.text);
}

#[tokio::test]
async fn a_document_or_a_sound_by_link_is_held_under_whatever_name_it_has() {
    for part in [
        json!({"type": "document_url", "document_url": "https://example.com/a.pdf"}),
        json!({"type": "audio_url", "audio_url": {"url": "https://example.com/a.mp3"}}),
        json!({"type": "of_tomorrow", "of_tomorrow": {"asset_id": "a"}}),
    ] {
        let world = world("openai").await;
        let answer = world.send(world.chat(KEY, &with(&part))).await;
        assert_eq!((answer.status.as_u16(), world.upstream_calls()), (402, 0), "{}", answer.text);
    }
}

#[tokio::test]
async fn no_output_is_no_bound_on_it() {
    // Sixty bytes and the 4,096 tokens of a model that is new come to $0.04111.
    for (limit, status) in [("0.0411", 402), ("0.0412", 200)] {
        let world = World::with_budget(limit).await;
        let mut body = body();
        body["max_tokens"] = json!(0);
        body["model"] = json!("primary/mock-1");
        let answer = world.send(world.chat(KEY, &body)).await;
        assert_eq!(answer.status, status, "{limit}: {}", answer.text);
    }
}
