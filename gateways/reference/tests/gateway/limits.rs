//! Rate limits: they trip exactly, say when to come back, and open again.

use serde_json::{Value, json};

use crate::callers::{CALLERS, Caller, request};
use crate::support::{Answer, World};

async fn limited(limit: Value) -> World {
    World::start(|config| {
        config["governance"]["virtual_keys"][0]["rate_limit_id"] = json!("rl");
        let mut limit = limit;
        limit["id"] = json!("rl");
        config["governance"]["rate_limits"] = json!([limit]);
    })
    .await
}

/// What an answer tells of a limit: how much it is, how much of it is left, and in how many seconds
/// there is more.
fn told(answer: &Answer, metric: &str) -> (String, String, u64) {
    let header = |what: &str| answer.header(&format!("x-ratelimit-{what}-{metric}")).to_owned();
    let reset = header("reset");
    let seconds = reset.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
    (header("limit"), header("remaining"), seconds.unwrap_or_else(|| panic!("no seconds: '{reset}'")))
}

#[tokio::test]
async fn a_request_limit_answers_429_with_retry_after_and_opens_again() {
    let world = limited(json!({"request_max_limit": 3, "request_reset_duration": "1m"})).await;
    for left in ["2", "1", "0"] {
        let answer = world.call().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "3");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), left);
    }
    let refused = world.call().await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (429, "request_limited"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let error = &refused.json()["error"];
    assert_eq!(
        (&error["scope"], &error["metric"], &error["limit"]),
        (&json!("virtual_key"), &json!("requests"), &json!("3"))
    );
    assert_eq!(told(&refused, "requests"), ("3".to_owned(), "0".to_owned(), wait));
    assert_eq!(world.upstream_calls(), 3);
    world.advance(&format!("{wait}s")).await;
    assert_eq!(world.call().await.status, 200);
}

#[tokio::test]
async fn a_token_limit_trips_at_the_request_after_the_one_that_reached_it() {
    let world = limited(json!({"token_max_limit": 500, "token_reset_duration": "1m"})).await;
    for expected in [200, 200, 200] {
        assert_eq!(world.call().await.status, expected);
    }
    let refused = world.call().await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (429, "token_limited"));
    assert_eq!(refused.json()["error"]["usage"], "600");
    world.advance("1m").await;
    assert_eq!(world.call().await.status, 200);
}

#[tokio::test]
async fn both_limits_reached_are_told_as_one() {
    let world = limited(json!({
        "request_max_limit": 1, "request_reset_duration": "1m",
        "token_max_limit": 100, "token_reset_duration": "1m",
    }))
    .await;
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.kind(), "rate_limited");
}

#[tokio::test]
async fn sixty_four_at_once_on_a_limit_of_five_get_exactly_five() {
    let world = limited(json!({"request_max_limit": 5, "request_reset_duration": "1m"})).await;
    world.model(&json!({ "latency": { "first_byte": "20ms" } }));
    let answers = futures_util::future::join_all((0..64).map(|_| world.call())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
    assert_eq!(world.upstream_calls(), 5);
}

#[tokio::test]
async fn a_failed_request_does_not_count() {
    let world = limited(json!({"request_max_limit": 1, "request_reset_duration": "1m"})).await;
    let fails = json!([{"first": 1, "fault": {"status": {"code": 500}}}]);
    world.faults(&json!({"primary": fails, "second": fails, "third": fails}));
    assert_eq!(world.call().await.status, 500);
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.status, 429);
}

#[tokio::test]
async fn every_protocol_is_told_what_is_left_also_with_a_stream_and_a_refusal() {
    for caller in CALLERS {
        for is_stream in [false, true] {
            let world = limited(json!({
                "request_max_limit": 9, "request_reset_duration": "1m",
                "token_max_limit": 300, "token_reset_duration": "1h",
            }))
            .await;
            let call = async || world.send(request(&world, caller, is_stream)).await;
            let first = call().await;
            assert_eq!(first.status, 200, "{caller:?}: {}", first.text);
            let (limit, left, seconds) = told(&first, "requests");
            assert_eq!((limit.as_str(), left.as_str()), ("9", "8"), "{caller:?}");
            assert!((1..=60).contains(&seconds), "{caller:?}: {seconds}");
            // The head of a stream goes out while the sixty bytes and the hundred tokens are still held.
            let (limit, left, seconds) = told(&first, "tokens");
            let expected = if is_stream { "140" } else { "100" };
            assert_eq!((limit.as_str(), left.as_str()), ("300", expected), "{caller:?}");
            assert!((3540..=3600).contains(&seconds), "{caller:?}: {seconds}");
            assert_eq!(told(&call().await, "tokens").1, "0", "{caller:?}");
            let refused = call().await;
            assert_eq!((refused.status.as_u16(), caller.error(&refused.json()).0.as_str()), (429, "token_limited"));
            let (limit, left, seconds) = told(&refused, "tokens");
            assert_eq!((limit.as_str(), left.as_str()), ("300", "0"), "{caller:?}");
            assert_eq!(refused.header("retry-after"), seconds.to_string(), "{caller:?}");
            // The other limit refused nothing.
            assert_eq!(refused.header("x-ratelimit-remaining-requests"), "", "{caller:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_by_both_limits_tells_both_and_one_by_a_budget_neither() {
    let world = limited(json!({
        "request_max_limit": 1, "request_reset_duration": "1m",
        "token_max_limit": 100, "token_reset_duration": "1h",
    }))
    .await;
    assert_eq!(world.call().await.status, 200);
    let refused = world.call().await;
    assert_eq!((told(&refused, "requests").1, told(&refused, "tokens").1), ("0".to_owned(), "0".to_owned()));
    assert!(told(&refused, "requests").2 < told(&refused, "tokens").2);
    let world = World::with_budget("0.001").await;
    let refused = world.call().await;
    assert_eq!(refused.status, 402);
    assert!(!refused.headers.keys().any(|name| name.as_str().starts_with("x-ratelimit")), "{:?}", refused.headers);
}

#[tokio::test]
async fn sixty_four_at_once_on_a_token_limit_get_as_many_as_fit() {
    for is_stream in [false, true] {
        let world = limited(json!({"token_max_limit": 500, "token_reset_duration": "1m"})).await;
        // As many tokens as a call holds: so it is of no matter which of them settle first.
        world.model(&json!({ "usage": {"input": 60, "output": 100}, "latency": { "first_byte": "20ms" } }));
        let calls = (0..64).map(|_| world.send(request(&world, Caller::Chat, is_stream)));
        let answers = futures_util::future::join_all(calls).await;
        // 480 tokens of three leave room for a fourth.
        let served = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((served, world.upstream_calls()), (4, 4), "stream: {is_stream}");
        let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
        assert!(refused.iter().all(|answer| answer.kind() == "token_limited"), "stream: {is_stream}");
    }
}

#[tokio::test]
async fn several_windows_of_tokens_hold_at_once() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["rate_limits"] = json!([
            {"token_max_limit": 400, "token_reset_duration": "1m"},
            {"token_max_limit": 600, "token_reset_duration": "1h"},
        ]);
    })
    .await;
    for expected in [200, 200] {
        assert_eq!(world.call().await.status, expected);
    }
    let refused = world.call().await;
    assert_eq!((refused.kind().as_str(), &refused.json()["error"]["limit"]), ("token_limited", &json!("400")));
    world.advance("1m").await;
    let third = world.call().await;
    assert_eq!((third.status.as_u16(), told(&third, "tokens").0.as_str()), (200, "600"));
    world.advance("1m").await;
    let refused = world.call().await;
    assert_eq!((refused.kind().as_str(), &refused.json()["error"]["limit"]), ("token_limited", &json!("600")));
    assert_eq!(refused.json()["error"]["reset_duration"], "1h");
    assert!(told(&refused, "tokens").2 > 60);
    assert_eq!(world.upstream_calls(), 3);
}
