//! The same routes under the prefixes of other clients.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, World, body};

const PREFIXES: [&str; 3] = ["", "/litellm", "/langchain"];

fn chat_paths() -> Vec<String> {
    let bases = ["/v1", "/openai/v1", "/openai"];
    PREFIXES.iter().flat_map(|prefix| bases.map(|base| format!("{prefix}{base}/chat/completions"))).collect()
}

/// A body that every route understands.
fn any_body() -> Value {
    let mut any = body();
    any["prompt"] = json!("p");
    any["input"] = json!("i");
    any["max_output_tokens"] = json!(100);
    any
}

#[tokio::test]
async fn a_chat_completion_is_served_and_charged_under_every_prefix() {
    let world = World::with_budget("1").await;
    for path in chat_paths() {
        let request = world.request(Method::POST, &path).bearer_auth(KEY).json(&body());
        let answer = world.send(request).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    assert_eq!(world.spent().await, "0.01125");
}

#[tokio::test]
async fn every_route_of_openais_is_served_and_charged_under_every_prefix() {
    let world = World::with_budget("1").await;
    let mut served = Vec::new();
    for prefix in PREFIXES {
        for base in ["/v1", "/openai/v1", "/openai"] {
            for route in ["completions", "responses", "embeddings"] {
                let path = format!("{prefix}{base}/{route}");
                let mut body = any_body();
                // What OpenAI itself would not take there.
                body.as_object_mut().unwrap().remove(if route == "completions" { "input" } else { "prompt" });
                let request = world.request(Method::POST, &path).bearer_auth(KEY).json(&body);
                let answer = world.send(request).await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.text);
                served.push(format!("/primary/v1/{route}"));
            }
        }
    }
    let ledger = world.upstream.ledger();
    assert_eq!(ledger.inference().map(|entry| entry.path.clone()).collect::<Vec<_>>(), served);
    assert_eq!(world.spent().await, world.charged());
}

#[tokio::test]
async fn no_prefix_lets_a_stranger_in() {
    let world = World::start(|_| {}).await;
    for prefix in PREFIXES {
        for base in ["/v1", "/openai/v1", "/openai"] {
            for route in ["chat/completions", "completions", "responses", "embeddings"] {
                let path = format!("{prefix}{base}/{route}");
                assert_eq!(
                    world.send(world.request(Method::POST, &path).json(&any_body())).await.status,
                    401,
                    "{path}"
                );
            }
            let models = format!("{prefix}{base}/models");
            assert_eq!(world.send(world.request(Method::GET, &models)).await.status, 401, "{models}");
        }
        let path = format!("{prefix}/anthropic/v1/messages");
        let answer = world.send(world.request(Method::POST, &path).json(&any_body())).await;
        assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (401, "error"), "{path}");
        let unknown = world.send(world.request(Method::POST, &format!("{prefix}/anthropic/v1/nothing"))).await;
        assert_eq!((unknown.status.as_u16(), unknown.kind().as_str()), (404, "error"), "{prefix}");
    }
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn a_models_name_may_have_any_number_of_slashes() {
    let world = World::start(|_| {}).await;
    let mut script = serde_json::to_value(world.upstream.script()).unwrap();
    script["models"]["a/b/c"] = script["models"]["mock-1"].clone();
    world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    for model in ["a/b/c", "primary/a/b/c"] {
        let mut call = body();
        call["model"] = json!(model);
        let answer = world.send(world.chat(KEY, &call)).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text);
        assert_eq!(answer.header("x-bifrost-resolved-model"), "a/b/c");
    }
}

#[tokio::test]
async fn azures_paths_name_the_model_whatever_the_body_says() {
    let world = World::with_budget("1").await;
    let path = "/openai/deployments/mock-1/chat/completions?api-version=2024-10-21";
    let mut unnamed = body();
    unnamed.as_object_mut().unwrap().remove("model");
    let mut other = body();
    other["model"] = json!("unpriced-1");
    for (path, body) in [(path.to_owned(), &unnamed), (path.to_owned(), &other), (format!("/litellm{path}"), &unnamed)]
    {
        let answer = world.send(world.request(Method::POST, &path).header("api-key", KEY).json(body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(answer.header("x-bifrost-resolved-model"), "mock-1");
    }
    assert_eq!(world.spent().await, "0.00375");
    let stranger = world.request(Method::POST, path).json(&unnamed);
    assert_eq!(world.send(stranger).await.status, 401);
    let two = world.request(Method::POST, path).header("api-key", KEY).bearer_auth("another").json(&unnamed);
    assert_eq!(world.send(two).await.status, 400);
    assert_eq!(world.upstream_calls(), 3);
}
