//! Calls that were sent to a provider and got no answer: it may have computed one, and charge
//! for it, so they cost what was held.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

use crate::support::{DEADLINE, KEY, World, body, budget, give_up_after, streamed};

/// What is held for a call, and costs one without an answer.
const BOUND: &str = "0.00115";

/// A world with a budget for the key `agent`, which may ask so many times, and so many retries
/// at `primary`.
async fn world(retries: u32, edit: impl FnOnce(&mut Value)) -> World {
    World::start(|config| {
        let network = &mut config["providers"]["primary"]["network_config"];
        network["max_retries"] = json!(retries);
        network["retry_backoff_initial"] = json!(1);
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
        config["governance"]["virtual_keys"][0]["rate_limit"] =
            json!({"request_max_limit": 90, "request_reset_duration": "1h"});
        edit(config);
    })
    .await
}

/// What leaves a call without an answer, and after how many seconds `primary` is given up.
const WITHOUT_ANSWER: [(&str, u64); 2] = [("hang", 1), ("reset_before", 30)];

/// A world whose key may use `primary` only, which is at this address.
async fn world_at(provider: SocketAddr, retries: u32, patience: u64) -> World {
    world(retries, |config| {
        give_up_after(config, patience, "primary");
        config["providers"]["primary"]["network_config"]["base_url"] = json!(format!("http://{provider}"));
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
    })
    .await
}

/// How many requests the key has made, as its limit counts them.
async fn counted(world: &World) -> u64 {
    world.agent().await["rate_limit"]["request_current_usage"].as_u64().unwrap()
}

#[tokio::test]
async fn a_call_without_an_answer_costs_what_was_held_and_counts_as_no_request() {
    for (fault, patience) in WITHOUT_ANSWER {
        for call in [body(), streamed()] {
            let world = world(0, |config| give_up_after(config, patience, "primary")).await;
            world.faults(&json!({"primary": [{"fault": fault}]}));
            let mut alone = call;
            alone["model"] = json!("primary/mock-1");
            let answer = world.send(world.chat(KEY, &alone)).await;
            assert!([502, 504].contains(&answer.status.as_u16()), "{fault}: {}", answer.text);
            assert!(answer.text.contains("and may charge for the call"), "{fault}: {}", answer.text);
            assert_eq!(world.spent().await, BOUND, "{fault}: {alone}");
            assert_eq!(counted(&world).await, 0, "{fault}: {alone}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_broke_off_before_its_caller_had_any_of_it_is_no_request_either() {
    for fault in [
        json!("malformed_json"),
        json!({"reset_in_body": {"after_chunks": 0}}),
        json!({"truncate": {"after_chunks": 0}}),
    ] {
        let world = world(0, |config| {
            config["governance"]["virtual_keys"][0]["rate_limit"]["request_max_limit"] = json!(1);
        })
        .await;
        world.faults(&json!({"primary": [{"fault": fault}]}));
        let answer = world.call().await;
        assert_eq!(answer.status, 200, "{fault}: {}", answer.text);
        assert_eq!(world.called(), ["primary", "second"], "{fault}");
        assert_eq!((world.spent().await.as_str(), counted(&world).await), ("0.0024", 1), "{fault}");
    }
}

#[tokio::test]
async fn a_fallback_is_charged_beside_the_call_that_got_no_answer() {
    for (fault, patience) in WITHOUT_ANSWER {
        let world = world(0, |config| give_up_after(config, patience, "primary")).await;
        world.faults(&json!({"primary": [{"fault": fault}]}));
        assert_eq!(world.call().await.status, 200);
        assert_eq!(world.called(), ["primary", "second"]);
        // 0.00115 held at the one, 0.00125 used at the other.
        assert_eq!((world.spent().await.as_str(), counted(&world).await), ("0.0024", 1), "{fault}");
    }
}

#[tokio::test]
async fn a_try_after_a_reset_is_another_call_and_the_request_counts_once() {
    let world = world(2, |_| {}).await;
    world.faults(&json!({"primary": [{"sequence": ["reset_before", "reset_before"]}]}));
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.called(), ["primary", "primary", "primary"]);
    assert_eq!((world.spent().await.as_str(), counted(&world).await), ("0.00355", 1));
}

#[tokio::test]
async fn a_try_that_no_longer_fits_is_not_made_and_a_fallback_serves() {
    let world = world(2, |config| {
        let mut capped = budget("primary", "0.002", "1h", "");
        capped["provider_config_id"] = json!("agent-primary");
        capped.as_object_mut().unwrap().remove("virtual_key_id");
        config["governance"]["budgets"].as_array_mut().unwrap().push(capped);
    })
    .await;
    world.faults(&json!({"primary": [{"fault": "reset_before"}]}));
    let answer = world.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-attempts")), (200, "primary:budget_exceeded"));
    assert_eq!(world.called(), ["primary", "second"]);
    let agent = world.agent().await;
    assert_eq!(agent["provider_configs"][0]["budgets"][0]["current_usage"], BOUND);
    assert_eq!(world.spent().await, "0.0024");
}

#[tokio::test]
async fn where_no_try_fits_any_more_the_answer_is_the_budgets() {
    let world = world(5, |config| {
        config["governance"]["budgets"] = json!([budget("b", "0.003", "1h", "vk-agent")]);
    })
    .await;
    world.faults(&json!({"primary": [{"fault": "reset_before"}], "second": [{"fault": "reset_before"}]}));
    let answer = world.call().await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (402, "budget_exceeded"));
    assert_eq!(world.called(), ["primary", "primary"]);
    assert_eq!(world.spent().await, "0.0023");
}

#[tokio::test]
async fn a_provider_to_which_nothing_could_be_sent_costs_nothing() {
    // It listens, and never takes a connection: those beyond its queue are never made.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    let quick = std::time::Duration::from_millis(200);
    while let Ok(stream) = tokio::time::timeout(quick, TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    let world = world_at(address, 0, 1).await;
    let answer = world.call().await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (504, "upstream_timeout"));
    assert!(answer.text.contains("could not be connected to in time"), "{}", answer.text);
    assert_eq!((world.spent().await.as_str(), counted(&world).await), ("0", 0));
}

/// An answer with as many tokens as the mock's.
fn served() -> String {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 100});
    plain(200, &json!({"choices": [{"message": {"role": "assistant", "content": "hi"}}], "usage": usage}))
}

fn plain(status: u16, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A provider that gives each connection its one answer, and then closes it without a word. It
/// tells when it has.
async fn closing(answers: Vec<String>) -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    (address, receiver)
}

async fn read_request(stream: &mut TcpStream) {
    let mut text = String::new();
    let mut piece = [0; 4096];
    while !text.contains("max_tokens") || !text.ends_with('}') {
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "the request breaks off: {text}");
        text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_before_it_was_used_again_is_no_unanswered_call() {
    let (provider, mut closed) = closing(vec![served(); 20]).await;
    let world = world_at(provider, 0, 30).await;
    for _ in 0..20 {
        assert_eq!(world.call().await.status, 200);
        tokio::time::timeout(DEADLINE, closed.recv()).await.unwrap();
    }
    // Twenty times 0.00125.
    assert_eq!(world.spent().await, "0.025");
}

#[tokio::test]
async fn an_error_that_reports_usage_is_charged_also_where_another_try_serves() {
    let used = json!({"error": {"message": "cut off"}, "usage": {"prompt_tokens": 100, "completion_tokens": 10}});
    let (provider, _closed) = closing(vec![plain(500, &used), served()]).await;
    let world = world_at(provider, 1, 30).await;
    assert_eq!(world.call().await.status, 200);
    // 0.00035 for the one that failed, 0.00125 for the one that served.
    assert_eq!((world.spent().await.as_str(), counted(&world).await), ("0.0016", 1));
}

#[tokio::test]
async fn a_stream_that_fails_with_its_first_event_is_no_request() {
    let event = "data: {\"error\": {\"message\": \"no\"}}\n\n";
    let length = event.len();
    let stream =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{event}");
    let (provider, _closed) = closing(vec![stream]).await;
    let world = world_at(provider, 0, 30).await;
    let answer = world.send(world.chat(KEY, &streamed())).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (502, "upstream_broken"), "{}", answer.text);
    assert_eq!((world.spent().await.as_str(), counted(&world).await), (BOUND, 0));
}

#[tokio::test]
async fn an_error_status_costs_nothing_also_where_its_body_breaks_off() {
    let broken = plain(400, &json!({"error": {"message": "no"}})).replace("content-length: ", "content-length: 9");
    let (provider, _closed) = closing(vec![broken]).await;
    let world = world_at(provider, 3, 30).await;
    let answer = world.call().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-attempts")), (400, "primary:400"));
    assert_eq!(world.spent().await, "0");
}
