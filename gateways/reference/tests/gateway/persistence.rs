//! What a restart must not forget.

use std::time::Duration;

use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::json;

use crate::support::{DEADLINE, KEY, PROMPT, World, body, streamed};

#[tokio::test]
async fn spend_survives_a_stop_right_after_the_last_call() {
    let mut world = World::with_budget("0.005").await;
    for _ in 0..3 {
        assert_eq!(world.call().await.status, 200);
    }
    world.restart().await;
    assert_eq!(world.spent().await, "0.00375");
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.status, 402);
}

#[tokio::test]
async fn spend_survives_a_kill_right_after_the_last_call() {
    let mut world = World::with_budget("0.005").await;
    for expected in ["0.00125", "0.0025", "0.00375", "0.005"] {
        assert_eq!(world.call().await.status, 200);
        world.kill_and_start().await;
        assert_eq!(world.spent().await, expected);
    }
    assert_eq!(world.call().await.status, 402);
}

#[tokio::test]
async fn a_call_that_a_kill_cut_off_counts_as_spent() {
    let mut world = World::with_budget("0.005").await;
    world.model(&json!({"latency": {"first_byte": "10s"}}));
    let call = world.chat(KEY, &body()).send();
    let call = tokio::spawn(call);
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
    world.kill_and_start().await;
    assert!(call.await.unwrap().is_err());
    assert_eq!(world.spent().await, "0.00115");
    // And not once more at the next start.
    world.restart().await;
    assert_eq!(world.spent().await, "0.00115");
}

#[tokio::test]
async fn twenty_kills_under_load_lose_nothing_that_the_provider_charged() {
    const CLIENTS: usize = 16;
    let mut world = World::with_budget("100").await;
    // As many bytes as the model counts tokens: the hold is what a call costs.
    let prompt = PROMPT.repeat(2)[..100].to_owned();
    let mut started = 0;
    for round in 0..20 {
        let calls: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let mut body = if client % 2 == 0 { body() } else { streamed() };
                body["messages"][0]["content"] = json!(prompt);
                let request = world.chat(KEY, &body);
                tokio::spawn(async move { request.send().await?.bytes().await })
            })
            .collect();
        started += CLIENTS;
        // A kill after the first call, after the second, and so on.
        let before = world.upstream_calls();
        let reached = |ledger: &mock_upstream::Ledger| ledger.inference().count() > before + round % CLIENTS;
        assert!(world.upstream.wait_until(reached, DEADLINE).await);
        world.kill_and_start().await;
        // Those that were cut off fail, and that is all that is asked of them.
        futures_util::future::join_all(calls).await;
    }
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 0, DEADLINE).await);
    let spent: Decimal = world.spent().await.parse().unwrap();
    let charged: Decimal = world.charged().parse().unwrap();
    let most = Decimal::new(125, 5) * Decimal::from(started);
    assert!(charged <= spent && spent <= most, "{charged} charged, {spent} spent, {most} at most");
}

#[tokio::test]
async fn a_call_whose_hold_cannot_be_written_is_refused_and_not_sent() {
    let world = World::with_budget("1").await;
    let mut database = world.database("config.db").await;
    sqlx::query("ALTER TABLE holds RENAME TO broken").execute(&mut database).await.unwrap();
    let refused = world.call().await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (503, "spend_not_recorded"));
    assert_eq!(world.upstream_calls(), 0);
    sqlx::query("ALTER TABLE broken RENAME TO holds").execute(&mut database).await.unwrap();
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.spent().await, "0.00125");
}

#[tokio::test]
async fn another_process_that_writes_holds_up_only_what_is_to_be_written() {
    let world = World::with_budget("1").await;
    let mut database = world.database("config.db").await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut database).await.unwrap();
    let call = tokio::spawn(world.chat(KEY, &body()).send());
    // More connections than the gateway has threads, so that one shares the call's.
    let workers = std::thread::available_parallelism().unwrap().get();
    let models = (0..workers * 2).map(|_| world.request(Method::GET, "/v1/models").bearer_auth(KEY).send());
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        for answer in futures_util::future::join_all(models.clone()).await {
            assert_eq!(answer.unwrap().status(), 200);
        }
    }
    assert!(!call.is_finished());
    assert_eq!(world.upstream_calls(), 0);
    sqlx::query("ROLLBACK").execute(&mut database).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    assert_eq!(world.spent().await, "0.00125");
}

#[tokio::test]
async fn an_outcome_that_could_not_be_written_is_written_when_it_can() {
    use sqlx::Connection as _;
    let mut world = World::with_budget("1").await;
    world.model(&json!({"latency": {"first_byte": "200ms"}}));
    let call = tokio::spawn(world.chat(KEY, &body()).send());
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
    let mut database = world.database("config.db").await;
    sqlx::query("ALTER TABLE meters RENAME TO broken").execute(&mut database).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    sqlx::query("ALTER TABLE broken RENAME TO meters").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    assert_eq!(world.call().await.status, 200);
    world.kill_and_start().await;
    assert_eq!(world.spent().await, "0.0025");
}

#[tokio::test]
async fn a_limit_raised_in_the_file_keeps_what_was_spent() {
    let mut world = World::with_budget("0.0025").await;
    for expected in [200, 200, 402] {
        assert_eq!(world.call().await.status, expected);
    }
    world.config["governance"]["budgets"][0]["max_limit"] = json!("number:0.00375");
    world.restart().await;
    assert_eq!(world.spent().await, "0.0025");
    for expected in [200, 402] {
        assert_eq!(world.call().await.status, expected);
    }
}

#[tokio::test]
async fn rate_limits_survive_a_kill() {
    let mut world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["rate_limit"] =
            json!({"request_max_limit": 2, "request_reset_duration": "1h"});
    })
    .await;
    assert_eq!(world.call().await.status, 200);
    world.kill_and_start().await;
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.status, 429);
}

#[tokio::test]
async fn a_stop_lets_a_stream_finish_and_takes_no_new_connections() {
    let mut world = World::with_budget("1").await;
    world.model(&json!({"chunks": 10, "latency": {"between_chunks": "50ms"}}));
    let request = world.request(Method::POST, "/v1/chat/completions").bearer_auth(KEY).json(&streamed());
    let mut response = request.send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    let url = world.url("/health");
    let process = world.process.take().unwrap();
    process.signal_term();
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend(chunk);
    }
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    assert!(process.terminate().await);
    assert!(reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap_err().is_connect());
    world.run(&["--test-clock"]).await;
    assert_eq!(world.spent().await, "0.00125");
}

#[tokio::test]
async fn a_key_that_left_the_file_is_no_longer_valid_and_its_spend_returns_with_it() {
    let mut world = World::with_budget("0.0025").await;
    assert_eq!(world.call().await.status, 200);
    let governance = world.config["governance"].clone();
    world.config["governance"]["virtual_keys"] = json!([]);
    world.config["governance"]["budgets"] = json!([]);
    world.restart().await;
    assert_eq!(world.call().await.status, 401);
    world.config["governance"] = governance;
    world.restart().await;
    assert_eq!(world.spent().await, "0.00125");
}

#[tokio::test]
async fn what_was_on_its_way_when_its_budget_was_deleted_returns_with_the_budget() {
    let mut world = World::with_budget("1").await;
    assert_eq!(world.call().await.status, 200);
    world.model(&json!({"latency": {"first_byte": "400ms"}}));
    let call = tokio::spawn(world.chat(KEY, &body()).send());
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, DEADLINE).await);
    let deleted = world.admin(Method::DELETE, "/api/governance/virtual-keys/vk-agent", None).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text);
    assert!(!call.is_finished());
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    assert_eq!(world.call().await.status, 401);
    world.config["governance"]["virtual_keys"][0]["description"] = json!("again");
    world.config["governance"]["budgets"][0]["max_limit"] = json!("number:2");
    world.restart().await;
    assert_eq!(world.spent().await, "0.0025");
}

#[tokio::test]
async fn thousands_of_keys_are_read_again_and_each_keeps_what_it_spent() {
    const KEYS: usize = 2_500;
    let mut world = World::start(|config| {
        let keys: Vec<_> = (0..KEYS)
            .map(|number| {
                let mut key = crate::support::virtual_key(&format!("agent-{number}"), &format!("sk-{number}"));
                key["budgets"] = json!([{"max_limit": "number:0.00125", "reset_duration": "1h"}]);
                key
            })
            .collect();
        config["governance"]["virtual_keys"] = json!(keys);
    })
    .await;
    let call = |world: &World, number: usize| {
        let request = world.chat(&format!("sk-{number}"), &body());
        async move { request.send().await.unwrap().status().as_u16() }
    };
    for number in [0, 999, 1_000, KEYS - 1] {
        assert_eq!(call(&world, number).await, 200);
    }
    world.kill_and_start().await;
    for number in [0, 999, 1_000, KEYS - 1] {
        assert_eq!(call(&world, number).await, 402, "{number}");
    }
    for number in [1, 998, 1_001, KEYS - 2] {
        assert_eq!(call(&world, number).await, 200, "{number}");
    }
}
