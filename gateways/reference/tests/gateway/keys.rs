//! Virtual keys: who is let in, and in which header.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::callers::CALLERS;
use crate::support::{DEADLINE, KEY, World, body, give_up_after, virtual_key};

const ROUTES: [&str; 5] =
    ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/anthropic/v1/messages"];
const HEADERS: [(&str, &str); 4] =
    [("x-bf-vk", ""), ("authorization", "Bearer "), ("x-api-key", ""), ("x-goog-api-key", "")];

/// The governance type, wherever the route's wording has it.
fn reason(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn an_unknown_key_is_401_in_every_header_on_every_route() {
    let world = World::start(|config| config["client"] = json!({})).await;
    for route in ROUTES {
        for (header, scheme) in HEADERS {
            let request = world.request(Method::POST, route).header(header, format!("{scheme}garbage"));
            let answer = world.send(request.json(&body())).await;
            assert_eq!(answer.status, 401, "{route} {header}");
            assert_eq!(reason(&answer.json()), "virtual_key_not_found", "{route} {header}");
        }
    }
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn a_literal_key_is_let_in_in_every_header_and_does_not_reach_the_provider() {
    let world = World::start(|_| {}).await;
    for caller in CALLERS {
        for (header, scheme) in HEADERS {
            let request = world.request(Method::POST, caller.path(false)).header(header, format!("{scheme}{KEY}"));
            let answer = world.send(request.json(&caller.body(false))).await;
            assert_eq!(answer.status, 200, "{caller:?} {header}");
        }
    }
    assert_eq!(world.upstream_calls(), CALLERS.len() * HEADERS.len());
    for entry in world.upstream.ledger().inference() {
        assert_eq!(entry.upstream_key.as_deref(), Some("upstream-key"));
        assert!(!entry.headers.iter().any(|(_, value)| value.contains(KEY)));
    }
}

#[tokio::test]
async fn a_disabled_key_is_403() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["is_active"] = json!(false);
    })
    .await;
    let answer = world.call().await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (403, "virtual_key_blocked"));
}

#[tokio::test]
async fn two_different_keys_in_one_request_are_refused_and_the_same_one_twice_is_not() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"] = json!([virtual_key("agent", KEY), virtual_key("other", "sk-other")]);
    })
    .await;
    let two = world.chat(KEY, &body()).header("x-bf-vk", "sk-other");
    let answer = world.send(two).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (400, "virtual_key_conflict"));
    let same = world.chat(KEY, &body()).header("x-api-key", KEY);
    assert_eq!(world.send(same).await.status, 200);
    assert_eq!(world.upstream_calls(), 1);
}

#[tokio::test]
async fn every_historic_switch_makes_the_key_mandatory() {
    for edit in [
        json!({"client": {"enforce_governance_header": true}}),
        json!({"client": {}, "plugins": [{"enabled": true, "name": "governance", "config": {"is_vk_mandatory": true}}]}),
    ] {
        let world = World::start(|config| {
            for (name, value) in edit.as_object().unwrap() {
                config[name] = value.clone();
            }
        })
        .await;
        let answer = world.send(world.request(Method::POST, "/v1/chat/completions").json(&body())).await;
        assert_eq!(answer.status, 401, "{edit}");
        assert_eq!(world.call().await.status, 200, "{edit}");
    }
}

#[tokio::test]
async fn providers_and_models_that_a_key_does_not_allow_are_403() {
    let world = World::start(|config| {
        let mut key = virtual_key("agent", KEY);
        key["provider_configs"] = json!([{"provider": "primary", "weight": 1, "allowed_models": ["mock-1"]}]);
        config["governance"]["virtual_keys"] = json!([key]);
    })
    .await;
    for (model, reason) in
        [("second/mock-1", "provider_blocked"), ("other-1", "model_blocked"), ("primary/other-1", "model_blocked")]
    {
        let mut call = body();
        call["model"] = json!(model);
        let answer = world.send(world.chat(KEY, &call)).await;
        assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (403, reason), "{model}");
    }
    assert_eq!(world.upstream_calls(), 0);
    let models = world.send(world.request(Method::GET, "/v1/models").bearer_auth(KEY)).await;
    assert_eq!(models.json()["data"], json!([{"id": "primary/mock-1", "object": "model", "owned_by": "primary"}]));
}

/// A call of which the gateway has let in the head and read half the body.
struct HalfSent {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl HalfSent {
    async fn to(world: &World) -> HalfSent {
        let body = body().to_string().into_bytes();
        let (half, rest) = body.split_at(body.len() / 2);
        let address = world.url("").trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {KEY}\r\n\
             content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        // The gateway asks for the body only after it has let the key in.
        let read = tokio::time::timeout(DEADLINE, stream.read_exact(&mut go_on)).await;
        read.expect("the gateway does not ask for the body").unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(half).await.unwrap();
        HalfSent { stream, rest: rest.to_vec() }
    }

    /// Sends the rest; gives the answer's status line and body.
    async fn finish(mut self) -> String {
        self.stream.write_all(&self.rest).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(DEADLINE, self.stream.read_to_string(&mut answer)).await;
        read.expect("the gateway does not answer").unwrap();
        answer
    }
}

#[tokio::test]
async fn what_became_of_a_key_while_the_body_was_on_its_way_counts() {
    let path = "/api/governance/virtual-keys/vk-agent";
    let lowered = json!({"budgets": [{"max_limit": "number:0.0001", "reset_duration": "1d"}]});
    for (method, edit, status, reason) in [
        (Method::DELETE, None, 401, "virtual_key_not_found"),
        (Method::PUT, Some(json!({"is_active": false})), 403, "virtual_key_blocked"),
        (Method::PUT, Some(lowered), 402, "budget_exceeded"),
        (Method::PUT, Some(json!({"provider_configs": []})), 403, "provider_blocked"),
    ] {
        let world = World::with_budget("1").await;
        let call = HalfSent::to(&world).await;
        assert_eq!(world.admin(method, path, edit.as_ref()).await.status, 200, "{reason}");
        let answer = call.finish().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{reason}: {answer}");
        assert!(answer.contains(reason), "{reason}: {answer}");
        assert_eq!(world.upstream_calls(), 0, "{reason}");
    }
}

#[tokio::test]
async fn a_key_that_is_deleted_or_rotated_during_a_call_has_no_fallback_left() {
    for (method, path) in [
        (Method::DELETE, "/api/governance/virtual-keys/vk-agent"),
        (Method::POST, "/api/governance/virtual-keys/vk-agent/rotate"),
    ] {
        // Long enough for what happens to the key meanwhile.
        let world = World::start(|config| give_up_after(config, 4, "primary")).await;
        world.faults(&json!({"primary": [{"fault": "hang"}]}));
        let call = tokio::spawn(world.chat(KEY, &body()).send());
        assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
        assert_eq!(world.admin(method, path, None).await.status, 200, "{path}");
        let answer = call.await.unwrap().unwrap();
        let attempts = answer.headers().get("x-gateway-attempts").unwrap();
        assert_eq!(attempts, "primary:timeout,second:virtual_key_not_found,third:virtual_key_not_found", "{path}");
        assert_eq!(world.called(), ["primary"], "{path}");
    }
}
