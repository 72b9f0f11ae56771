//! Each fault, as a client sees it on its socket, and what the ledger says of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use mock_upstream::{Fault, FaultRule, Millis, Outcome, Usd};
use serde_json::json;
use support::{CHAT, Client, End, chat, model, post, settled, start, telling, usd, with_fault};

/// What one chat call under this fault showed: the client's view, outcome, status, output, charge.
async fn under(fault: Fault, stream: bool) -> (support::Seen, Outcome, Option<u16>, u64, Usd) {
    let upstream = start(with_fault(telling(), fault)).await;
    let seen = chat(&upstream, stream).await;
    let entry = settled(&upstream, 1).await.entries.remove(0);
    (seen, entry.outcome, entry.status, entry.tokens.output, entry.charged)
}

#[tokio::test]
async fn without_a_fault_a_stream_is_whole_and_charged_in_full() {
    let (seen, outcome, status, output, charged) = under(Fault::Ok, true).await;
    assert_eq!((seen.status(), seen.end, seen.deltas()), (200, End::Complete, 6));
    assert!(seen.text().ends_with("data: [DONE]\n\n"));
    assert_eq!((outcome, status, output), (Outcome::Answered, Some(200), 3000));
    assert_eq!(charged, usd("$0.0475"));
}

#[tokio::test]
async fn a_status_is_an_error_in_the_words_of_the_route() {
    let fault = || Fault::Status { code: 429, retry_after: Some(7), message: Some("slow".into()) };
    for stream in [false, true] {
        let (seen, outcome, status, output, charged) = under(fault(), stream).await;
        assert_eq!((seen.status(), seen.header("retry-after")), (429, Some("7")));
        assert_eq!(
            seen.json(),
            json!({"error": {
                "message": "slow", "type": "requests", "param": null, "code": "rate_limit_exceeded",
            }})
        );
        assert_eq!((outcome, status, output), (Outcome::Faulted, Some(429), 0));
        assert_eq!(charged, Usd::ZERO);
    }
    let upstream = start(with_fault(telling(), fault())).await;
    let seen = post(&upstream, "/primary/v1/messages", &json!({"model": "mock-1"})).await;
    let error = json!({"type": "rate_limit_error", "message": "slow"});
    assert_eq!(seen.json()["error"], error);
    let seen = post(&upstream, "/primary/v1beta/models/mock-1:generateContent", &json!({})).await;
    let error = json!({"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"});
    assert_eq!(seen.json()["error"], error);
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_leaves_and_costs_nothing() {
    let upstream = start(with_fault(telling(), Fault::Hang)).await;
    let mut client = Client::to(&upstream).await;
    client.chat(false).await;
    assert!(upstream.wait_until(|ledger| ledger.open() == 1, support::DEADLINE).await);
    assert!(client.stays_open().await);
    drop(client);
    let entry = settled(&upstream, 1).await.entries.remove(0);
    assert_eq!((entry.outcome, entry.status), (Outcome::ClientLeft, None));
    assert_eq!(entry.charged, Usd::ZERO);
}

#[tokio::test]
async fn a_reset_before_sends_no_byte() {
    for stream in [false, true] {
        let (seen, outcome, status, _, charged) = under(Fault::ResetBefore, stream).await;
        assert_eq!((seen.head.as_str(), seen.end), ("", End::Reset));
        assert_eq!((outcome, status, charged), (Outcome::Faulted, None, Usd::ZERO));
    }
}

#[tokio::test]
async fn a_reset_in_the_body_comes_after_its_deltas() {
    let fault = || Fault::ResetInBody { after_chunks: 2 };
    let (seen, outcome, status, output, charged) = under(fault(), true).await;
    assert_eq!((seen.status(), seen.end, seen.deltas()), (200, End::Reset, 2));
    assert_eq!((outcome, status, output), (Outcome::Faulted, Some(200), 1000));
    // 7000 × 2.5 + 1000 × 10 = 27,500 millionths
    assert_eq!(charged, usd("$0.0275"));

    let (seen, outcome, _, output, charged) = under(fault(), false).await;
    let promised: usize = seen.header("content-length").unwrap().parse().unwrap();
    assert_eq!((seen.bytes().len(), seen.end), (promised / 2, End::Reset));
    assert_eq!((outcome, output, charged), (Outcome::Faulted, 3000, usd("$0.0475")));
}

#[tokio::test]
async fn a_cut_stream_ends_properly_but_too_early() {
    let (seen, outcome, _, output, charged) = under(Fault::Cut { after_chunks: 2 }, true).await;
    assert_eq!((seen.end, seen.deltas()), (End::Complete, 2));
    for absent in ["[DONE]", r#""finish_reason":"stop""#, "prompt_tokens"] {
        assert!(!seen.text().contains(absent), "{absent}");
    }
    assert_eq!((outcome, output, charged), (Outcome::Faulted, 1000, usd("$0.0275")));

    let (seen, _, _, _, charged) = under(Fault::Cut { after_chunks: 2 }, false).await;
    assert_eq!((seen.status(), seen.end), (200, End::Complete));
    assert!(serde_json::from_slice::<serde_json::Value>(&seen.bytes()).is_err());
    assert_eq!(charged, usd("$0.0475"));
}

#[tokio::test]
async fn a_stream_cut_before_its_first_delta_owes_its_input() {
    let (seen, _, _, output, charged) = under(Fault::Cut { after_chunks: 0 }, true).await;
    assert_eq!((seen.end, seen.deltas(), output), (End::Complete, 0, 0));
    assert_eq!(charged, usd("$0.0175"));

    // A stream of completions has nothing before its first delta: not one byte of body.
    let upstream = start(with_fault(telling(), Fault::Cut { after_chunks: 0 })).await;
    let body = json!({"model": "mock-1", "stream": true});
    let seen = post(&upstream, "/primary/v1/completions", &body).await;
    assert_eq!((seen.status(), seen.bytes().len(), seen.end), (200, 0, End::Complete));
    let entry = settled(&upstream, 1).await.entries.remove(0);
    assert_eq!((entry.outcome, entry.status), (Outcome::Faulted, Some(200)));
    assert_eq!(entry.charged, usd("$0.0175"));
}

#[tokio::test]
async fn a_truncated_stream_closes_without_its_final_chunk() {
    let fault = || Fault::Truncate { after_chunks: 2 };
    let (seen, outcome, _, output, charged) = under(fault(), true).await;
    assert_eq!((seen.end, seen.deltas()), (End::Closed, 2));
    assert_eq!((outcome, output, charged), (Outcome::Faulted, 1000, usd("$0.0275")));

    let (seen, _, _, _, _) = under(fault(), false).await;
    let promised: usize = seen.header("content-length").unwrap().parse().unwrap();
    assert_eq!((seen.bytes().len(), seen.end), (promised / 2, End::Closed));
}

#[tokio::test]
async fn an_error_event_ends_a_stream_and_is_a_status_without_one() {
    let fault = || Fault::ErrorEvent { after_chunks: 2 };
    let (seen, outcome, status, output, charged) = under(fault(), true).await;
    assert_eq!((seen.end, seen.deltas()), (End::Complete, 2));
    let last = seen.text().split("\n\n").filter(|event| !event.is_empty()).last().unwrap().to_owned();
    assert_eq!(
        last,
        r#"data: {"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#
    );
    assert_eq!((outcome, status, output), (Outcome::Faulted, Some(200), 1000));
    assert_eq!(charged, usd("$0.0275"));

    let (seen, outcome, status, _, charged) = under(fault(), false).await;
    assert_eq!((seen.status(), status, outcome), (500, Some(500), Outcome::Faulted));
    assert_eq!(charged, Usd::ZERO);
}

#[tokio::test]
async fn a_stream_without_its_end_marker_is_charged_in_full() {
    let (seen, outcome, _, output, charged) = under(Fault::NoEndMarker, true).await;
    assert_eq!((seen.end, seen.deltas()), (End::Complete, 6));
    assert!(seen.text().contains(r#""finish_reason":"stop""#));
    assert!(!seen.text().contains("[DONE]"));
    assert_eq!((outcome, output, charged), (Outcome::Faulted, 3000, usd("$0.0475")));
}

#[tokio::test]
async fn a_stream_left_open_without_its_end_marker_is_charged_in_full_and_stays_open() {
    let upstream = start(with_fault(telling(), Fault::NoEndMarkerOpen)).await;
    let mut client = Client::to(&upstream).await;
    client.chat(true).await;
    client.until(r#""finish_reason":"stop""#).await;
    let entry = settled(&upstream, 1).await.entries.remove(0);
    assert!(client.stays_open().await);
    assert!(!client.buffered().contains("[DONE]"));
    assert_eq!((entry.outcome, entry.charged), (Outcome::Faulted, usd("$0.0475")));
}

#[tokio::test]
async fn malformed_json_does_not_parse_and_is_charged() {
    let (seen, outcome, _, _, charged) = under(Fault::MalformedJson, false).await;
    assert!(serde_json::from_slice::<serde_json::Value>(&seen.bytes()).is_err());
    assert_eq!(seen.end, End::Complete);
    assert_eq!((outcome, charged), (Outcome::Faulted, usd("$0.0475")));

    let (seen, _, _, _, charged) = under(Fault::MalformedJson, true).await;
    let text = seen.text();
    let bad = text.split("\n\n").filter_map(|event| event.strip_prefix("data: {"));
    let bad = bad.filter(|rest| serde_json::from_str::<serde_json::Value>(&format!("{{{rest}")).is_err());
    assert_eq!((bad.count(), seen.end), (1, End::Complete));
    assert_eq!(charged, usd("$0.0475"));
}

#[tokio::test]
async fn missing_usage_is_charged_all_the_same() {
    let (seen, outcome, _, _, charged) = under(Fault::MissingUsage, false).await;
    assert_eq!(seen.json().get("usage"), None);
    assert_eq!((outcome, charged), (Outcome::Faulted, usd("$0.0475")));

    let upstream = start(with_fault(telling(), Fault::MissingUsage)).await;
    let asks = json!({"model": "mock-1", "stream": true, "stream_options": {"include_usage": true}});
    let seen = post(&upstream, CHAT, &asks).await;
    assert!(!seen.text().contains("usage"), "{}", seen.text());
    let ledger = settled(&upstream, 1).await;
    assert_eq!(ledger.charged(), usd("$0.0475"));
}

#[tokio::test]
async fn a_split_of_one_sends_every_byte_alone() {
    let whole = under(Fault::Ok, true).await.0;
    let (seen, outcome, _, _, charged) = under(Fault::Split { sizes: vec![1] }, true).await;
    assert!(seen.chunks.iter().all(|chunk| chunk.len() == 1));
    assert_eq!(masked(&seen.text()), masked(&whole.text()));
    assert_eq!((outcome, charged), (Outcome::Answered, usd("$0.0475")));
}

#[tokio::test]
async fn a_split_cycles_through_its_sizes() {
    let (seen, ..) = under(Fault::Split { sizes: vec![3, 50] }, true).await;
    let sizes: Vec<usize> = seen.chunks.iter().map(Vec::len).collect();
    let but_last = sizes.len() - 1;
    assert!(sizes[..but_last].iter().zip([3, 50].iter().cycle()).all(|(a, b)| a == b));

    // Also where the body is whole and promises its length.
    let (seen, ..) = under(Fault::Split { sizes: vec![3, 50] }, false).await;
    assert_eq!(seen.json()["usage"]["total_tokens"], 10_000);
}

#[tokio::test]
async fn a_slow_drip_takes_its_time_and_arrives_whole() {
    let started = std::time::Instant::now();
    let fault = Fault::SlowDrip { bytes: 200, every: Millis(10) };
    let (seen, outcome, _, _, _) = under(fault, false).await;
    let pieces = seen.bytes().len().div_ceil(200);
    assert!(pieces > 2);
    assert!(started.elapsed().as_millis() >= u128::try_from((pieces - 1) * 10).unwrap());
    assert_eq!((seen.json()["usage"]["total_tokens"].as_u64(), outcome), (Some(10_000), Outcome::Answered));
}

#[tokio::test]
async fn a_key_of_its_own_can_fail_in_a_sequence() {
    let mut script = telling();
    let status = |code| Fault::Status { code, retry_after: None, message: None };
    script.providers["primary"].faults = vec![FaultRule {
        key: Some("bad".into()),
        sequence: Some(vec![status(500), Fault::Ok, status(503)]),
        ..FaultRule::default()
    }];
    let upstream = start(script.clone()).await;
    let mut client = Client::to(&upstream).await;
    let mut statuses = Vec::new();
    for key in ["bad", "good", "bad", "bad", "bad"] {
        client.send("POST", CHAT, &[&format!("x-api-key: {key}")], r#"{"model": "mock-1"}"#).await;
        statuses.push(client.answer().await.status());
    }
    assert_eq!(statuses, [500, 200, 200, 503, 200]);

    // A script that is set again counts anew.
    upstream.set_script(script).unwrap();
    client.send("POST", CHAT, &["x-api-key: bad"], r#"{"model": "mock-1"}"#).await;
    assert_eq!(client.answer().await.status(), 500);
}

#[tokio::test]
async fn a_connection_survives_what_does_not_break_it() {
    let mut script = telling();
    script.providers["primary"].faults = vec![FaultRule {
        sequence: Some(vec![
            Fault::Cut { after_chunks: 1 },
            Fault::ErrorEvent { after_chunks: 1 },
            Fault::NoEndMarker,
            Fault::Split { sizes: vec![7] },
        ]),
        ..FaultRule::default()
    }];
    model(&mut script).chunks = 3;
    let upstream = start(script).await;
    let mut client = Client::to(&upstream).await;
    for deltas in [1, 1, 3, 3, 3] {
        client.chat(true).await;
        let seen = client.answer().await;
        assert_eq!((seen.end, seen.deltas()), (End::Complete, deltas));
    }
}

/// Without the parts that differ from call to call.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(r#""created":"#) {
        masked.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    masked + rest
}

#[tokio::test]
async fn a_body_that_breaks_off_was_left_by_its_client() {
    let upstream = start(with_fault(telling(), Fault::Hang)).await;
    let mut client = Client::to(&upstream).await;
    client.begin_post(CHAT, 1_000, r#"{"model": "mock-1""#).await;
    drop(client);
    let entry = settled(&upstream, 1).await.entries.remove(0);
    assert_eq!((entry.outcome, entry.status, entry.charged), (Outcome::ClientLeft, None, Usd::ZERO));
}

#[tokio::test]
async fn a_body_that_is_too_long_is_413() {
    let upstream = start(telling()).await;
    let mut client = Client::to(&upstream).await;
    client.begin_post(CHAT, (64 << 20) + 1, &"x".repeat((64 << 20) + 1)).await;
    client.until("HTTP/1.1 413 ").await;
}

#[tokio::test]
async fn a_fault_that_finds_nothing_to_change_leaves_the_answer_as_it_is() {
    for fault in [Fault::NoEndMarker, Fault::NoEndMarkerOpen] {
        let (_, outcome, ..) = under(fault, false).await;
        assert_eq!(outcome, Outcome::Answered);
    }
    // A stream tells its usage only to a caller who asks.
    let (_, outcome, ..) = under(Fault::MissingUsage, true).await;
    assert_eq!(outcome, Outcome::Answered);
    let (_, outcome, ..) = under(Fault::MissingUsage, false).await;
    assert_eq!(outcome, Outcome::Faulted);
}
