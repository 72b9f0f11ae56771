//! A provider's error reaches its caller, whatever form the provider gives it.

use serde_json::json;

use crate::callers::{Caller, request};
use crate::own_words;
use crate::support::KEY;

#[tokio::test]
async fn an_error_of_another_form_is_told_to_every_caller() {
    for (status, body, message) in [
        (
            400,
            json!({"message": "Please reduce the length", "type": "invalid_request_error", "code": "context_length_exceeded"}),
            "Please reduce the length",
        ),
        (422, json!({"object": "error", "message": {"detail": ["extra"]}, "type": "t"}), r#"{"detail":["extra"]}"#),
        (404, json!({"detail": "no such model"}), "no such model"),
        (400, json!({"code": "c", "error": "no such tool"}), "no such tool"),
    ] {
        let provider = own_words::says(status, &body).await;
        let world = own_words::world("openai", provider, |config| {
            config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
        })
        .await;
        let native = world.send(request(&world, Caller::Chat, false)).await;
        assert_eq!((native.status.as_u16(), native.json()), (status, body.clone()));
        for caller in [Caller::Messages, Caller::Gemini] {
            let answer = world.send(request(&world, caller, false)).await;
            assert_eq!(answer.status.as_u16(), status, "{caller:?}: {}", answer.text);
            assert_eq!(answer.json()["error"]["message"], message, "{caller:?}: {}", answer.text);
        }
        assert_eq!(world.spent().await, "0");
    }
}

#[tokio::test]
async fn a_refused_key_of_the_gateways_is_not_the_callers_in_any_form() {
    let provider = own_words::says(401, &json!({"detail": "bad key"})).await;
    let world = own_words::world("openai", provider, |_| {}).await;
    let mut body = crate::support::body();
    body["model"] = json!("primary/mock-1");
    let answer = world.send(world.chat(KEY, &body)).await;
    assert_eq!(answer.json(), json!({"detail": "the provider 'primary' answered with 401: bad key"}));
}
