//! What callers' connections may cost the gateway: heads, bodies, silence, and the end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{DEADLINE, KEY, Process, World, body, streamed};

/// The world with an edited `server` section.
async fn with_server(server: Value) -> World {
    World::start(|config| config["server"] = server).await
}

/// A connection to the gateway, without a client's help.
async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.url("").trim_start_matches("http://")).await.unwrap()
}

/// What comes until the gateway closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has ended too.
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
    drop(read.expect("the connection stays open"));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_head_that_is_too_large_or_has_too_many_lines_is_431() {
    let world = with_server(json!({"read_buffer_size": 8192})).await;
    let long = world.chat(KEY, &body()).header("x-long", "x".repeat(9_000));
    assert_eq!(world.send(long).await.status, 431);
    let many = (0..120).fold(world.chat(KEY, &body()), |request, at| request.header(format!("x-{at}"), "1"));
    assert_eq!(world.send(many).await.status, 431);
    assert_eq!(world.upstream_calls(), 0);
    let usual = world.chat(KEY, &body()).header("x-long", "x".repeat(4_000));
    assert_eq!(world.send(usual).await.status, 200);
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_ends_the_connection() {
    let world = with_server(json!({"head_timeout_in_seconds": 1})).await;
    let mut stream = connect(&world).await;
    stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_408_and_costs_nothing() {
    let mut world = World::with_budget("1").await;
    world.config["server"] = json!({"body_timeout_in_seconds": 1});
    world.restart().await;
    let mut stream = connect(&world).await;
    let body = body().to_string();
    stream.write_all(head(body.len()).as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..20]).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
    assert_eq!((world.upstream_calls(), world.spent().await.as_str()), (0, "0"));
}

#[tokio::test]
async fn a_caller_who_does_not_read_its_stream_is_left_and_pays() {
    let mut world = World::with_budget("1").await;
    world.config["server"] = json!({"write_timeout_in_seconds": 1});
    world.restart().await;
    // More than the buffers between the two can hold.
    world.model(&json!({"reply": "x".repeat(12 << 20), "chunks": 100}));
    let body = streamed().to_string();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let address = world.url("").trim_start_matches("http://").parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(head(body.len()).as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(world.upstream.wait_until(|ledger| ledger.inference().count() == 1, DEADLINE).await);
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 0, DEADLINE).await, "its provider is still read");
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while world.spent().await == "0" {
        assert!(tokio::time::Instant::now() < deadline, "nothing was charged");
    }
    drop(stream);
}

#[tokio::test]
async fn connections_beyond_the_most_wait_their_turn() {
    let world = with_server(json!({"max_connections": 2, "head_timeout_in_seconds": 1})).await;
    // These say nothing, and are given up after a second.
    let silent = [connect(&world).await, connect(&world).await];
    let begun = tokio::time::Instant::now();
    assert_eq!(world.call().await.status, 200);
    assert!(begun.elapsed() > Duration::from_millis(500), "it was served beside two others");
    drop(silent);
}

#[tokio::test]
async fn a_stop_lets_a_stream_end_and_refuses_new_connections() {
    let world = World::prepare(|config| config["server"] = json!({"drain_timeout_in_seconds": 8})).await;
    world.model(&json!({"chunks": 6, "latency": {"between_chunks": "300ms"}}));
    let mut world = world;
    world.run(&[]).await;
    let request = world.request(Method::POST, "/v1/chat/completions").bearer_auth(KEY).json(&streamed());
    let mut response = request.send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    let address = world.url("").trim_start_matches("http://").to_owned();
    let process = world.process.take().unwrap();
    process.signal_term();
    let refused = async {
        while TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.expect("it still takes connections");
    let mut text = first.to_vec();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend(chunk);
    }
    assert!(String::from_utf8(text).unwrap().ends_with("data: [DONE]\n\n"));
    assert!(process.terminate().await, "it did not end well");
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_it_may() {
    let mut world = World::prepare(|config| {
        config["server"] = json!({"drain_timeout_in_seconds": 1});
        config["governance"]["budgets"] = json!([crate::support::budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    world.faults(&json!({"primary": [{"fault": "hang"}]}));
    world.run(&[]).await;
    let call = tokio::spawn(world.chat(KEY, &body()).send());
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
    let process = world.process.take().unwrap();
    assert!(process.terminate().await);
    assert!(call.await.unwrap().is_err(), "the call was answered");
    // What was held counts as spent, since nobody knows.
    world.run(&[]).await;
    assert_eq!(world.spent().await, "0.00115");
}

#[tokio::test]
async fn a_server_section_that_makes_no_sense_is_refused() {
    for (field, value) in [
        ("read_buffer_size", json!(100)),
        ("head_timeout_in_seconds", json!(0)),
        ("max_connections", json!(0)),
        ("write_timeout", json!(1)),
    ] {
        let world = World::prepare(|config| config["server"] = json!({ field: value })).await;
        world.write_config();
        let Err(line) = Process::start(world.folder.path(), &[]).await else { panic!("it started") };
        assert!(line.contains(&format!("server.{field}")), "{line}");
    }
}
