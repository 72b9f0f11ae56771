//! What holds on every route of inference, as the description of the API lists them: a route that
//! is new is asked too.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::support::{Answer, KEY, World};

/// What Gemini's path asks of a model, in place of the rest of the path.
const ACTIONS: [&str; 5] =
    ["generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "countTokens"];

/// Every path that a virtual key is for, with its method.
pub(crate) async fn routes(world: &World) -> Vec<(Method, String)> {
    let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
    let for_a_key = serde_json::json!({"virtualKey": []});
    let mut routes = Vec::new();
    for (path, methods) in api["paths"].as_object().unwrap() {
        // What a key's holder may ask of the management API is no inference.
        for (method, operation) in methods.as_object().unwrap().iter().filter(|_| !path.starts_with("/api/")) {
            if !operation["security"].as_array().unwrap().contains(&for_a_key) {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.replace("{deployment}", "mock-1");
            match path.strip_suffix("{rest}") {
                Some(path) => {
                    routes.extend(ACTIONS.map(|action| (method.clone(), format!("{path}mock-1:{action}"))));
                }
                None => routes.push((method, path)),
            }
        }
    }
    // Three prefixes; OpenAI's eight three times, Azure's six, Anthropic's three, Gemini's six.
    assert!(routes.len() >= 3 * (3 * 8 + 6 + 3 + 6), "{routes:?}");
    routes
}

/// The governance type of an error, wherever the route's protocol has it, and its message.
pub(crate) fn reason(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let reason = text("/error/details/0/reason").or_else(|| text("/error/code")).unwrap_or_default();
    (answer.status.as_u16(), reason, text("/error/message").unwrap_or_default())
}

/// Asks every route, with a body that is none.
async fn refused(world: &World, asking: impl Fn(RequestBuilder) -> RequestBuilder, status: u16, kind: &str) {
    for (method, path) in routes(world).await {
        let answer = world.send(asking(world.request(method, &path)).body("{")).await;
        let (told, reason, _) = reason(&answer);
        assert_eq!((told, reason.as_str()), (status, kind), "{path}: {}", answer.text);
    }
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn who_has_no_key_is_refused_before_the_body_is_read() {
    let world = World::start(|_| {}).await;
    refused(&world, |request| request, 401, "virtual_key_required").await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_before_the_body_is_read() {
    let world = World::start(|_| {}).await;
    refused(&world, |request| request.bearer_auth("garbage"), 401, "virtual_key_not_found").await;
}

#[tokio::test]
async fn two_different_keys_are_refused_before_the_body_is_read() {
    let world = World::start(|_| {}).await;
    let two = |request: RequestBuilder| request.bearer_auth(KEY).header("x-goog-api-key", "another");
    refused(&world, two, 400, "virtual_key_conflict").await;
}
