//! The README's example does what the README says. Only where its provider is gets filled in: at the mock.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::World;

const README: &str = include_str!("../../README.md");

/// What stands between the first of these after `before` and the next of those.
fn between<'a>(before: &str, open: &str, close: &str) -> &'a str {
    let (_, rest) = README.split_once(before).unwrap_or_else(|| panic!("the README does not say {before:?}"));
    let (_, rest) = rest.split_once(open).unwrap();
    rest.split_once(close).unwrap().0
}

/// The README's configuration, in front of a model that answers with 100 and 100 tokens.
async fn world() -> World {
    let mut world = World::prepare(|_| {}).await;
    world.config = serde_json::from_str(between("A whole `config.json`", "```json\n", "```")).unwrap();
    let address = world.upstream.addr();
    world.config["providers"]["openai"]["network_config"] = json!({ "base_url": format!("http://{address}/openai") });
    let model = json!({ "usage": { "input": 100, "output": 100 }, "price": { "input": "$0.15", "output": "$0.60" } });
    let script = json!({ "providers": { "openai": {} }, "models": { "gpt-4o-mini": model } });
    world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    world.run(&[]).await;
    world
}

/// The README's curl command, without its header.
fn curl(world: &World) -> RequestBuilder {
    let body = between("curl localhost:8080/v1/chat/completions -H 'Authorization: Bearer sk-proxy'", "-d '", "'");
    world.request(Method::POST, "/v1/chat/completions").body(body)
}

#[tokio::test]
async fn the_readmes_example_serves_its_key_and_nobody_else_until_its_budget_is_spent() {
    let world = world().await;
    let stranger = world.send(curl(&world)).await;
    assert_eq!((stranger.status.as_u16(), stranger.kind().as_str()), (401, "virtual_key_required"));
    let served = world.send(curl(&world).bearer_auth("sk-proxy")).await;
    assert_eq!(served.status, 200, "{}", served.text);
    assert_eq!(served.json()["usage"]["total_tokens"], 200);
    let refused = world.send(curl(&world).bearer_auth("sk-proxy")).await;
    assert_eq!(refused.status, 402, "{}", refused.text);
    let told: Value = serde_json::from_str(between("`error`\nhas, among others:", "```json\n", "```")).unwrap();
    for (name, value) in told.as_object().unwrap() {
        assert_eq!(&refused.json()["error"][name], value, "{name}: {}", refused.text);
    }
    assert_eq!((world.upstream_calls(), world.charged().as_str()), (1, "0.000075"));
}
