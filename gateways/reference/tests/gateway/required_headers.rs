//! `client.required_headers`: asked for before anything else is done.

use reqwest::Method;
use serde_json::json;

use crate::every_route::{reason, routes};
use crate::support::{KEY, World, body};

async fn world() -> World {
    World::start(|config| config["client"]["required_headers"] = json!(["X-Team", "x-run"])).await
}

#[tokio::test]
async fn a_missing_header_is_400_on_every_route_before_the_key_and_the_body_are_looked_at() {
    let world = world().await;
    for (method, path) in routes(&world).await {
        let ask = || world.request(method.clone(), &path);
        for request in [ask(), ask().bearer_auth("garbage").body("{")] {
            let answer = world.send(request.header("x-team", "a")).await;
            let expected = ("missing_required_headers".to_owned(), "missing required headers: x-run".to_owned());
            let (status, kind, message) = reason(&answer);
            assert_eq!((status, (kind, message)), (400, expected), "{method} {path}");
        }
    }
    let empty = world.request(Method::GET, "/v1/models").bearer_auth(KEY).header("x-team", "").header("x-run", "1");
    assert_eq!(world.send(empty).await.json()["error"]["message"], "missing required headers: x-team");
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn with_every_header_a_request_is_served_and_only_inference_asks_for_them() {
    let world = world().await;
    let request = world.chat(KEY, &body()).header("x-team", "a").header("X-Run", "1");
    assert_eq!(world.send(request).await.status, 200);
    assert_eq!(world.send(world.request(Method::GET, "/health")).await.status, 200);
    assert_eq!(world.admin(Method::GET, "/api/governance/virtual-keys", None).await.status, 200);
    assert_eq!(world.call().await.status, 400);
}

#[tokio::test]
async fn they_can_be_changed_while_the_gateway_runs() {
    let world = world().await;
    let none = json!({"client_config": {"required_headers": []}});
    assert_eq!(world.admin(Method::PATCH, "/api/config", Some(&none)).await.status, 200);
    assert_eq!(world.call().await.status, 200);
    let wrong = json!({"client_config": {"required_headers": ["no header"]}});
    let answer = world.admin(Method::PATCH, "/api/config", Some(&wrong)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("required_headers[0]"), "{}", answer.text);
}
