//! What the ledger says of calls that end in every way, against figures computed by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use mock_upstream::{Kind, Latency, Millis, Model, Outcome, Price, Route, Usage, Usd};
use serde_json::json;
use support::{CHAT, Client, DEADLINE, chat, get, model, post, settled, start, telling, usd};

const SLOW: Latency = Latency { first_byte: Millis(600_000), between_chunks: Millis(0) };

#[tokio::test]
async fn a_call_and_its_streaming_twin_are_charged_alike() {
    let upstream = start(telling()).await;
    chat(&upstream, false).await;
    chat(&upstream, true).await;
    let ledger = settled(&upstream, 2).await;
    for entry in &ledger.entries {
        // 7000 × 2.5 + 3000 × 10 = 47,500 millionths
        assert_eq!((entry.charged, entry.outcome), (usd("$0.0475"), Outcome::Answered));
        assert_eq!((entry.tokens.input, entry.tokens.output), (7000, 3000));
    }
    assert_eq!(ledger.charged(), usd("$0.095"));
}

#[tokio::test]
async fn each_part_of_the_usage_is_charged_at_its_price_whatever_the_route() {
    let mut script = telling();
    *model(&mut script) = Model {
        usage: Usage {
            input: 7000,
            output: 3000,
            cached: 4000,
            cache_write: 1000,
            cache_write_hour: 400,
            reasoning: 500,
            ..Usage::default()
        },
        price: Some(Price {
            input: usd("$2.50"),
            output: usd("$10"),
            cached: Some(usd("$0.25")),
            cache_write: Some(usd("$3.125")),
            cache_write_hour: Some(usd("$5")),
            reasoning: Some(usd("$12")),
            ..Price::default()
        }),
        ..Model::default()
    };
    let upstream = start(script).await;
    let body = json!({"model": "mock-1"});
    for path in [
        CHAT,
        "/primary/v1/completions",
        "/primary/v1/responses",
        "/primary/v1/messages",
        "/primary/v1beta/models/mock-1:generateContent",
        "/primary/v1beta/models/mock-1:streamGenerateContent?alt=sse",
        "/primary/v1beta/models/mock-1:streamGenerateContent",
    ] {
        assert_eq!(post(&upstream, path, &body).await.status(), 200, "{path}");
    }
    for entry in settled(&upstream, 7).await.entries {
        // 2000 × 2.5 + 4000 × 0.25 + 600 × 3.125 + 400 × 5 + 2500 × 10 + 500 × 12 = 40,875 millionths
        assert_eq!(entry.charged, usd("$0.040875"), "{}", entry.path);
    }
}

#[tokio::test]
async fn embeddings_cost_their_input_and_counting_costs_nothing() {
    let upstream = start(telling()).await;
    let body = json!({"model": "mock-1", "input": "hello", "content": {}});
    post(&upstream, "/primary/v1/embeddings", &body).await;
    post(&upstream, "/primary/v1beta/models/mock-1:embedContent", &body).await;
    post(&upstream, "/primary/v1/messages/count_tokens", &body).await;
    let charged: Vec<Usd> = settled(&upstream, 3).await.inference().map(|e| e.charged).collect();
    assert_eq!(charged, [usd("$0.0175"), usd("$0.0175"), Usd::ZERO]);
}

#[tokio::test]
async fn a_model_without_a_price_is_charged_nothing_but_counts_its_tokens() {
    let mut script = telling();
    model(&mut script).price = None;
    let upstream = start(script).await;
    assert_eq!(chat(&upstream, false).await.status(), 200);
    let entry = settled(&upstream, 1).await.entries.remove(0);
    assert_eq!((entry.charged, entry.tokens.output), (Usd::ZERO, 3000));
}

#[tokio::test]
async fn what_is_refused_is_charged_nothing() {
    let upstream = start(telling()).await;
    let mut client = Client::to(&upstream).await;
    let key = "authorization: Bearer k";
    for (path, headers, body, status) in [
        ("/nobody/v1/chat/completions", &[key][..], r#"{"model": "mock-1"}"#, 404),
        (CHAT, &[], r#"{"model": "mock-1"}"#, 401),
        (CHAT, &[key], r#"{"model": "mock-2"}"#, 404),
        (CHAT, &[key], "{}", 400),
        (CHAT, &[key], "{", 400),
    ] {
        client.send("POST", path, headers, body).await;
        assert_eq!(client.answer().await.status(), status, "{path} {body}");
    }
    let ledger = settled(&upstream, 5).await;
    assert_eq!(ledger.charged(), Usd::ZERO);
    assert!(ledger.inference().all(|entry| entry.outcome == Outcome::Answered));
    assert_eq!(ledger.entries[0].provider, None);
    assert_eq!(ledger.entries[2].model.as_deref(), Some("mock-2"));
}

#[tokio::test]
async fn a_stream_that_its_client_leaves_owes_what_was_produced() {
    let mut script = telling();
    model(&mut script).latency.between_chunks = SLOW.first_byte;
    let upstream = start(script).await;
    let mut client = Client::to(&upstream).await;
    client.chat(true).await;
    client.until(r#""delta":{"content":"#).await;
    drop(client);
    let entry = settled(&upstream, 1).await.entries.remove(0);
    assert_eq!((entry.outcome, entry.status), (Outcome::ClientLeft, Some(200)));
    // One delta of six: 7000 × 2.5 + 500 × 10 = 22,500 millionths
    assert_eq!((entry.tokens.output, entry.charged), (500, usd("$0.0225")));
}

#[tokio::test]
async fn an_answer_whose_client_left_before_it_is_charged_in_full() {
    let mut script = telling();
    model(&mut script).latency = SLOW;
    let upstream = start(script).await;
    for (stream, charged) in [(false, "$0.0475"), (true, "$0.0175")] {
        let mut client = Client::to(&upstream).await;
        client.chat(stream).await;
        assert!(upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
        drop(client);
        assert!(upstream.wait_until(|ledger| ledger.open() == 0, DEADLINE).await);
        let entry = upstream.ledger().entries.pop().unwrap();
        assert_eq!((entry.outcome, entry.status), (Outcome::ClientLeft, None));
        assert_eq!(entry.charged, usd(charged), "stream: {stream}");
    }
}

#[tokio::test]
async fn latency_is_waited_for_and_no_longer() {
    let mut script = telling();
    model(&mut script).latency = Latency { first_byte: Millis(30), between_chunks: Millis(10) };
    let upstream = start(script).await;
    for (stream, at_least) in [(false, 30), (true, 30 + 5 * 10)] {
        let started = std::time::Instant::now();
        chat(&upstream, stream).await;
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(at_least), "{took:?}");
        assert!(took < Duration::from_millis(at_least + 2000), "{took:?}");
    }
}

#[tokio::test]
async fn the_ledger_holds_every_request_as_it_came() {
    let upstream = start(telling()).await;
    let mut client = Client::to(&upstream).await;
    let body = r#"{"model": "mock-1", "stream": true, "note": "Grüße"}"#;
    client.send("POST", "/primary/chat/completions?a=1", &["X-Api-Key: sk-up", "X-Trace: T"], body).await;
    client.answer().await;
    get(&upstream, "/primary/v1/models", &["api-key: k2"]).await;
    get(&upstream, "/_mock/prices/bifrost.json", &[]).await;
    get(&upstream, "/healthz", &[]).await;
    let ledger = settled(&upstream, 1).await;

    let first = &ledger.entries[0];
    assert_eq!((first.seq, first.kind, first.route), (1, Kind::Inference, Route::ChatCompletions));
    assert_eq!(first.provider.as_deref(), Some("primary"));
    assert_eq!(first.upstream_key.as_deref(), Some("sk-up"));
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/primary/chat/completions?a=1"));
    assert_eq!((first.model.as_deref(), first.stream), (Some("mock-1"), true));
    assert_eq!(first.body, body);
    assert!(first.headers.contains(&("x-trace".into(), "T".into())));

    let rest: Vec<_> = ledger.entries[1..].iter().map(|e| (e.kind, e.route, e.status)).collect();
    assert_eq!(
        rest,
        [
            (Kind::Housekeeping, Route::Models, Some(200)),
            (Kind::Housekeeping, Route::PriceSheet, Some(200)),
            (Kind::Housekeeping, Route::Other, Some(404)),
        ]
    );
    let numbers: Vec<u64> = ledger.entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(ledger.entries.is_sorted_by_key(|entry| entry.at_us));
}

#[tokio::test]
async fn the_upstream_key_is_found_wherever_the_apis_let_it_stand() {
    let upstream = start(telling()).await;
    let mut client = Client::to(&upstream).await;
    for header in ["authorization: bearer k", "x-api-key: k", "x-goog-api-key: k", "api-key: k"] {
        client.send("POST", CHAT, &[header], r#"{"model": "mock-1"}"#).await;
        assert_eq!(client.answer().await.status(), 200, "{header}");
    }
    client.send("POST", &format!("{CHAT}?key=k"), &[], r#"{"model": "mock-1"}"#).await;
    assert_eq!(client.answer().await.status(), 200);
    let ledger = settled(&upstream, 5).await;
    assert!(ledger.entries.iter().all(|entry| entry.upstream_key.as_deref() == Some("k")));
}

#[tokio::test]
async fn calls_at_once_are_all_in_the_ledger_and_in_order() {
    let upstream = start(telling()).await;
    let calls = (0..64).map(|call| {
        let upstream = upstream.clone();
        tokio::spawn(async move { chat(&upstream, call % 2 == 0).await.status() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    let ledger = settled(&upstream, 64).await;
    assert_eq!(ledger.charged(), usd("$3.04"));
    assert!(ledger.entries.iter().map(|entry| entry.seq).eq(1..=64));
}

#[tokio::test]
async fn a_cleared_ledger_forgets_and_numbers_go_on() {
    let mut script = telling();
    model(&mut script).latency = SLOW;
    let upstream = start(script).await;
    let mut left = Client::to(&upstream).await;
    left.chat(false).await;
    assert!(upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
    upstream.clear();
    assert!(upstream.ledger().entries.is_empty());
    upstream.set_script(telling()).unwrap();
    chat(&upstream, false).await;
    // The call that was cleared away ends now, and must not settle somebody else's entry.
    drop(left);
    chat(&upstream, true).await;
    let ledger = settled(&upstream, 2).await;
    let seen: Vec<_> = ledger.entries.iter().map(|entry| (entry.seq, entry.outcome)).collect();
    assert_eq!(seen, [(2, Outcome::Answered), (3, Outcome::Answered)]);
}

#[tokio::test]
async fn images_and_audio_are_charged_by_what_was_asked_for_or_heard() {
    let mut script = telling();
    model(&mut script).usage.seconds = 12;
    let price = model(&mut script).price.as_mut().unwrap();
    (price.image, price.character, price.second) = (Some(usd("$0.04")), Some(usd("$15")), Some(usd("$0.0001")));
    let upstream = start(script).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\nbytes\r\n\
                --b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmock-1\r\n--b--\r\n";
    for (path, body, charge) in [
        ("/primary/v1/images/generations", r#"{"model": "mock-1", "prompt": "a", "n": 3}"#, "$0.12"),
        ("/primary/v1/audio/speech", r#"{"model": "mock-1", "input": "four", "voice": "alloy"}"#, "$0.00006"),
        ("/primary/v1/audio/transcriptions", form, "$0.0012"),
    ] {
        upstream.clear();
        let mut client = Client::to(&upstream).await;
        client.send("POST", path, &["authorization: Bearer k"], body).await;
        assert_eq!(client.answer().await.status(), 200, "{path}");
        assert_eq!(upstream.ledger().charged(), usd(charge), "{path}");
    }
}
