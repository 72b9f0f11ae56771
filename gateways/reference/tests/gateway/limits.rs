//! Rate limits: they trip exactly, say when to come back, and open again.

use serde_json::{Value, json};

use crate::support::World;

async fn limited(limit: Value) -> World {
    World::start(|config| {
        config["governance"]["virtual_keys"][0]["rate_limit_id"] = json!("rl");
        let mut limit = limit;
        limit["id"] = json!("rl");
        config["governance"]["rate_limits"] = json!([limit]);
    })
    .await
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
