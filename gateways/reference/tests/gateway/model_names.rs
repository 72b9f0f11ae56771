//! One model has one name, however it is written: limits and lists hold for every spelling.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, World, body};

/// A provider that speaks Gemini's protocol, with an edited configuration.
async fn gemini(edit: impl FnOnce(&mut Value)) -> World {
    World::start(|config| {
        let primary = &mut config["providers"]["primary"];
        primary["custom_provider_config"]["base_provider_type"] = json!("gemini");
        config["governance"]["virtual_keys"][0]["provider_configs"] =
            json!([{"provider": "primary", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}]);
        edit(config);
    })
    .await
}

/// What a call is answered that names the model in its body, or in Gemini's path.
async fn asked_for(world: &World, model: &str) -> [u16; 2] {
    let mut chat = body();
    chat["model"] = json!(model);
    let content = json!({"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {"maxOutputTokens": 100}});
    let path = format!("/genai/v1beta/models/{model}:generateContent");
    let content = world.request(Method::POST, &path).header("x-goog-api-key", KEY).json(&content);
    let [chat, content] = [world.send(world.chat(KEY, &chat)).await, world.send(content).await];
    [chat.status.as_u16(), content.status.as_u16()]
}

/// Every way to name one and the same model of Gemini's.
const SPELLINGS: [&str; 6] = [
    "mock-1",
    "models/mock-1",
    "models/models/mock-1",
    "primary/mock-1",
    "primary/models/mock-1",
    "primary/Models/MOCK-1",
];

#[tokio::test]
async fn geminis_collection_before_a_model_is_no_way_around_its_cap() {
    for capped in ["mock-1", "models/mock-1"] {
        let world = gemini(|config| {
            config["governance"]["model_configs"] =
                json!([{"model_name": capped, "budgets": [{"max_limit": "number:0.0025", "reset_duration": "1h"}]}]);
        })
        .await;
        assert_eq!(asked_for(&world, "primary/models/mock-1").await, [200, 200], "{capped}");
        for model in SPELLINGS {
            assert!(!asked_for(&world, model).await.contains(&200), "{capped}: {model}");
        }
        assert_eq!(asked_for(&world, "primary/mock-1").await, [402, 402], "{capped}");
        assert_eq!((world.upstream_calls(), world.charged().as_str()), (2, "0.0025"), "{capped}");
    }
}

#[tokio::test]
async fn geminis_collection_before_a_model_is_no_way_around_a_list_of_models() {
    type Edit = fn(&mut Value);
    let lists: [Edit; 6] = [
        |config| grant(config)["blacklisted_models"] = json!(["mock-1"]),
        |config| grant(config)["blacklisted_models"] = json!(["models/mock-1"]),
        |config| grant(config)["allowed_models"] = json!(["models/other"]),
        |config| config["providers"]["primary"]["keys"][0]["blacklisted_models"] = json!(["mock-1"]),
        |config| config["providers"]["primary"]["keys"][0]["blacklisted_models"] = json!(["models/mock-1"]),
        |config| config["providers"]["primary"]["keys"][0]["models"] = json!(["models/other"]),
    ];
    for (at, edit) in lists.into_iter().enumerate() {
        let world = gemini(edit).await;
        for model in SPELLINGS {
            assert!(!asked_for(&world, model).await.contains(&200), "list {at}: {model}");
        }
        assert_eq!(world.upstream_calls(), 0, "list {at}");
    }
    let allowed: [Edit; 2] = [
        |config| grant(config)["allowed_models"] = json!(["models/mock-1"]),
        |config| config["providers"]["primary"]["keys"][0]["models"] = json!(["models/mock-1"]),
    ];
    for (at, edit) in allowed.into_iter().enumerate() {
        let world = gemini(edit).await;
        assert_eq!(asked_for(&world, "primary/models/mock-1").await, [200, 200], "list {at}");
        assert_eq!(asked_for(&world, "mock-1").await, [200, 200], "list {at}");
    }
}

#[tokio::test]
async fn a_fallback_with_geminis_collection_is_the_model_that_was_tried() {
    let world = gemini(|_| {}).await;
    world.faults(&json!({"primary": [{"fault": {"status": {"code": 500}}}]}));
    let mut chat = body();
    chat["model"] = json!("primary/mock-1");
    chat["fallbacks"] = json!(["primary/models/mock-1"]);
    assert_eq!(world.send(world.chat(KEY, &chat)).await.status, 500);
    assert_eq!(world.upstream_calls(), 1);
}

#[tokio::test]
async fn the_kelvin_sign_finds_no_alias() {
    let world = World::start(|config| {
        config["providers"]["primary"]["keys"][0]["aliases"] = json!({"kimi": "mock-1"});
        config["governance"]["model_configs"] =
            json!([{"model_name": "kimi", "rate_limit": {"request_max_limit": 1, "request_reset_duration": "1h"}}]);
    })
    .await;
    let mut chat = body();
    chat["model"] = json!("primary/\u{212a}imi");
    assert_ne!(world.send(world.chat(KEY, &chat)).await.status, 200);
    let ledger = world.upstream.ledger();
    assert!(ledger.inference().all(|call| !call.body.contains("mock-1")));
}

fn grant(config: &mut Value) -> &mut Value {
    &mut config["governance"]["virtual_keys"][0]["provider_configs"][0]
}
