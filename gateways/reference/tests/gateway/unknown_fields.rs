//! What neither gateway nor mock knows passes through, where caller and provider speak the same
//! protocol: in requests, in answers, and in the events of streams.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::response::IntoResponse as _;
use serde_json::Value;

use crate::callers::{Caller, events};
use crate::support::{KEY, World, budget};

/// A field of nobody's. Its figure and its letter are as they are written.
const UNKNOWN: &str = r#""x_unknown":{"deep":[1.50,null,"é"]}"#;

const NATIVE: [(Caller, &str); 5] = [
    (Caller::Chat, "openai"),
    (Caller::Completions, "openai"),
    (Caller::Responses, "openai"),
    (Caller::Messages, "anthropic"),
    (Caller::Gemini, "gemini"),
];

/// The same JSON with the unknown field at its beginning.
fn with_unknown(json: &str) -> String {
    json.replacen('{', &format!("{{{UNKNOWN},"), 1)
}

/// A provider that answers as the mock does, with the unknown field in each answer and each event.
async fn adding(upstream: SocketAddr) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let add = move |request: Request| {
        let client = client.clone();
        async move {
            let (mut head, body) = request.into_parts();
            head.headers.remove(header::HOST);
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let asked = client.request(head.method, format!("http://{upstream}{}", head.uri));
            let answer = asked.headers(head.headers).body(body).send().await.unwrap();
            let (status, kind) = (answer.status(), answer.headers()[header::CONTENT_TYPE].clone());
            let text = answer.text().await.unwrap();
            let text = if text.starts_with('{') {
                with_unknown(&text)
            } else {
                text.replace("data: {", &with_unknown("data: {"))
            };
            (status, [(header::CONTENT_TYPE, kind)], text).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/primary", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(add)).await });
    url
}

/// A world whose provider has unknown fields in all that it says.
async fn world(base: &str) -> World {
    let mut world = World::prepare(|config| {
        config["providers"]["primary"]["custom_provider_config"]["base_provider_type"] = serde_json::json!(base);
        config["governance"]["budgets"] = serde_json::json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    let url = adding(world.upstream.addr()).await;
    world.config["providers"]["primary"]["network_config"]["base_url"] = Value::from(url);
    world.run(&["--test-clock"]).await;
    world
}

#[tokio::test]
async fn a_field_that_nobody_knows_passes_through_both_ways() {
    for (caller, base) in NATIVE {
        for is_stream in [false, true] {
            let world = world(base).await;
            let asked = with_unknown(&caller.body(is_stream).to_string());
            let request = world.request(reqwest::Method::POST, caller.path(is_stream)).header("x-bf-vk", KEY);
            let answer = world.send(request.body(asked)).await;
            assert_eq!(answer.status, 200, "{caller:?}: {}", answer.text);
            let told = world.upstream.ledger().inference().map(|entry| entry.body.clone()).collect::<Vec<_>>();
            assert!(told.len() == 1 && told[0].contains(UNKNOWN), "{caller:?}, stream: {is_stream}: {told:?}");
            if is_stream {
                let events = events(&answer);
                assert!(events.len() > 2 && caller.has_end(&answer), "{caller:?}: {}", answer.text);
                assert_eq!(answer.text.matches(UNKNOWN).count(), events.len(), "{caller:?}: {}", answer.text);
            } else {
                assert!(answer.text.contains(UNKNOWN), "{caller:?}: {}", answer.text);
            }
            assert_eq!(world.spent().await, "0.00125", "{caller:?}, stream: {is_stream}");
        }
    }
}
