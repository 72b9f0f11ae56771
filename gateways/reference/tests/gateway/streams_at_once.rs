//! A chunk is forwarded when it arrives, whoever speaks which protocol: the provider sends the next one only
//! once the caller has read the one before.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{DEADLINE, KEY, PROMPT, World, budget};

/// The reply's pieces: a chunk each.
const PIECES: [&str; 4] = ["stone", "cloud", "river", "tiger"];

/// A provider that asks the mock, and hands its stream on. Each piece of the reply but the first waits until
/// it may be sent.
async fn patient(mock: String, may_send: Arc<Semaphore>) -> String {
    let serve = move |request: Request| {
        let (mock, may_send) = (mock.clone(), Arc::clone(&may_send));
        async move {
            let (mut head, body) = request.into_parts();
            head.headers.remove("host");
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let client = Client::builder().no_proxy().build().unwrap();
            let asked = client.request(head.method, format!("{mock}{}", head.uri)).headers(head.headers).body(body);
            let answered = asked.send().await.unwrap();
            let mut response = Response::builder().status(answered.status());
            response = response.header("content-type", answered.headers()["content-type"].clone());
            let text = answered.text().await.unwrap();
            let lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
            let paced = stream::unfold((lines.into_iter(), may_send), |(mut lines, may_send)| async move {
                let line = lines.next()?;
                if PIECES[1..].iter().any(|piece| brings(&line, piece)) {
                    may_send.acquire().await.unwrap().forget();
                }
                Some((Ok::<_, Infallible>(Bytes::from(line)), (lines, may_send)))
            });
            response.body(Body::from_stream(paced)).unwrap()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(serve)).await });
    url
}

/// Whether a line holds this piece of the reply and no other: one of the last may repeat the whole.
fn brings(line: &str, piece: &str) -> bool {
    PIECES.iter().all(|other| line.contains(other) == (*other == piece))
}

/// Each protocol of callers: a path and the body of a streamed call.
fn callers() -> [(&'static str, Value); 6] {
    let messages = json!([{"role": "user", "content": PROMPT}]);
    let contents = json!({
        "contents": [{"role": "user", "parts": [{"text": PROMPT}]}], "generationConfig": {"maxOutputTokens": 100},
    });
    [
        ("/v1/chat/completions", json!({"model": "mock-1", "messages": messages, "max_tokens": 100, "stream": true})),
        ("/v1/completions", json!({"model": "mock-1", "prompt": PROMPT, "max_tokens": 100, "stream": true})),
        ("/v1/responses", json!({"model": "mock-1", "input": PROMPT, "max_output_tokens": 100, "stream": true})),
        ("/anthropic/v1/messages", json!({"model": "mock-1", "messages": messages, "max_tokens": 100, "stream": true})),
        ("/genai/v1beta/models/mock-1:streamGenerateContent?alt=sse", contents.clone()),
        ("/genai/v1beta/models/mock-1:streamGenerateContent", contents),
    ]
}

/// Reads a stream, and lets the provider send a piece whenever the one before has come.
async fn read(world: &World, path: &str, body: &Value, may_send: &Semaphore) {
    let mut response = world.request(Method::POST, path).bearer_auth(KEY).json(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut text = String::new();
    for piece in PIECES {
        while !text.contains(piece) {
            let chunk = tokio::time::timeout(DEADLINE, response.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("{piece:?} was sent, and does not arrive: {text}"));
            text.push_str(std::str::from_utf8(&chunk.unwrap().expect("the stream ended early")).unwrap());
        }
        may_send.add_permits(1);
    }
    while response.chunk().await.unwrap().is_some() {}
}

async fn every_piece_arrives_before_the_next_is_sent(base: &str) {
    let may_send = Arc::new(Semaphore::new(0));
    let mut world = World::prepare(|config| {
        config["providers"]["primary"]["custom_provider_config"]["base_provider_type"] = json!(base);
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    let mock = format!("http://{}", world.upstream.addr());
    let provider = patient(mock, Arc::clone(&may_send)).await;
    world.config["providers"]["primary"]["network_config"]["base_url"] = json!(format!("{provider}/primary"));
    world.model(&json!({"reply": PIECES.concat(), "chunks": PIECES.len()}));
    world.run(&["--test-clock"]).await;
    for (path, body) in callers() {
        read(&world, path, &body, &may_send).await;
        assert_eq!(may_send.forget_permits(PIECES.len()), 1, "{path} on {base}: the provider was not waited for");
    }
    assert_eq!(
        (world.called(), world.spent().await),
        (vec!["primary".to_owned(); 6], "0.0075".to_owned()),
        "on {base}"
    );
}

#[tokio::test]
async fn every_piece_of_an_openai_stream_arrives_before_the_next_is_sent() {
    every_piece_arrives_before_the_next_is_sent("openai").await;
}

#[tokio::test]
async fn every_piece_of_an_anthropic_stream_arrives_before_the_next_is_sent() {
    every_piece_arrives_before_the_next_is_sent("anthropic").await;
}

#[tokio::test]
async fn every_piece_of_a_gemini_stream_arrives_before_the_next_is_sent() {
    every_piece_arrives_before_the_next_is_sent("gemini").await;
}
