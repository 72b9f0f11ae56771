//! The log of requests: one row each, with the same cost as the budget's.

use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::{Answer, KEY, Process, World, body, streamed, until};

/// A request of the log. Figures keep their digits.
#[derive(Debug, Deserialize)]
struct Log {
    id: String,
    request_id: Option<String>,
    provider: String,
    model: String,
    model_requested: String,
    object: String,
    stream: bool,
    status: String,
    status_code: u16,
    error_type: Option<String>,
    fallback_index: usize,
    attempt_trail: Value,
    virtual_key_id: Option<String>,
    virtual_key_name: Option<String>,
    team_name: Option<String>,
    customer_id: Option<String>,
    stop_reason: Option<String>,
    token_usage: Value,
    cost: Box<RawValue>,
    time_to_first_chunk: Option<Box<RawValue>>,
    input: Option<String>,
    output: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    logs: Vec<Log>,
    stats: Box<RawValue>,
    pagination: Value,
}

async fn ask(world: &World, path: &str) -> Answer {
    world.admin(Method::GET, path, None).await
}

async fn list(world: &World, query: &str) -> Listed {
    let answer = ask(world, &format!("/api/logs{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

async fn only(world: &World, query: &str) -> Log {
    let mut logs = list(world, query).await.logs;
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs.remove(0)
}

#[tokio::test]
async fn a_request_is_logged_with_who_what_and_the_cost_of_its_budget() {
    let world = World::with_budget("1").await;
    let call = world.chat(KEY, &body()).header("x-request-id", "mine-1");
    assert_eq!(world.send(call).await.status, 200);
    let log = only(&world, "").await;
    assert_eq!(log.request_id.as_deref(), Some("mine-1"));
    assert_eq!(
        (log.provider.as_str(), log.model.as_str(), log.object.as_str()),
        ("primary", "mock-1", "chat_completion")
    );
    assert_eq!((log.status.as_str(), log.status_code, log.stream), ("success", 200, false));
    assert_eq!(log.stop_reason.as_deref(), Some("stop"));
    assert_eq!(log.virtual_key_id.as_deref(), Some("vk-agent"));
    assert_eq!(log.virtual_key_name.as_deref(), Some("agent"));
    assert_eq!(log.token_usage["prompt_tokens"], 100);
    assert_eq!(log.token_usage["completion_tokens"], 100);
    assert_eq!(log.cost.get(), "0.00125");
    assert_eq!(world.spent().await, log.cost.get());
    let one = ask(&world, &format!("/api/logs/{}", log.id)).await;
    assert_eq!(one.json()["id"], log.id.as_str());
    assert_eq!(ask(&world, "/api/logs/nobody").await.status, 404);
}

#[tokio::test]
async fn a_keys_team_and_customer_are_told_wherever_its_requests_are() {
    let world = World::start(|config| {
        let governance = &mut config["governance"];
        governance["customers"] = json!([{"id": "c-1", "name": "acme"}]);
        governance["teams"] = json!([{"id": "t-1", "name": "red", "customer_id": "c-1"}]);
        governance["virtual_keys"][0]["team_id"] = json!("t-1");
    })
    .await;
    world.call().await;
    let log = only(&world, "?team_ids=t-1&customer_ids=c-1").await;
    assert_eq!((log.team_name.as_deref(), log.customer_id.as_deref()), (Some("red"), Some("c-1")));
    assert!(list(&world, "?team_ids=t-2").await.logs.is_empty());
    let metrics = ask(&world, "/metrics").await.text;
    assert!(metrics.contains(r#"team_id="t-1",team_name="red",customer_id="c-1",customer_name="acme""#), "{metrics}");
}

#[tokio::test]
async fn a_stream_is_logged_when_it_ends_and_one_that_its_caller_left_too() {
    let world = World::with_budget("1").await;
    world.stream("/v1/chat/completions", &streamed()).await;
    let log = only(&world, "").await;
    assert!(log.stream && log.time_to_first_chunk.is_some());
    assert_eq!((log.status.as_str(), log.cost.get()), ("success", "0.00125"));

    world.model(&json!({"chunks": 50, "latency": {"between_chunks": "20ms"}}));
    let request = world.request(Method::POST, "/v1/chat/completions").bearer_auth(KEY).json(&streamed());
    let mut response = request.send().await.unwrap();
    response.chunk().await.unwrap();
    drop(response);
    until(async || !list(&world, "?status=error").await.logs.is_empty()).await;
    let log = only(&world, "?status=error").await;
    assert_eq!((log.status_code, log.error_type.as_deref()), (499, Some("client_closed_request")));
    assert_eq!(log.cost.get(), "0.00115", "what was held");
    assert_eq!(world.spent().await, "0.0024");
}

#[tokio::test]
async fn a_refusal_is_logged_with_its_type_and_costs_nothing() {
    let world = World::with_budget("0.00125").await;
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.status, 402);
    assert_eq!(world.send(world.chat("sk-wrong", &body())).await.status, 401);
    let logs = list(&world, "?status=error&sort_by=timestamp&order=asc").await.logs;
    let seen: Vec<_> = logs.iter().map(|log| (log.status_code, log.error_type.as_deref(), log.cost.get())).collect();
    let expected = [(402, Some("budget_exceeded"), "0"), (401, Some("virtual_key_not_found"), "0")];
    assert_eq!(seen, expected);
    assert_eq!(logs[0].attempt_trail[0]["called"], false);
    assert_eq!((logs[1].virtual_key_id.as_deref(), logs[1].model_requested.as_str()), (None, ""));
}

#[tokio::test]
async fn what_a_failed_attempt_was_charged_is_part_of_the_cost() {
    let world = World::with_budget("1").await;
    world.faults(&json!({"primary": [{"fault": "malformed_json"}]}));
    assert_eq!(world.call().await.status, 200);
    let log = only(&world, "").await;
    assert_eq!((log.provider.as_str(), log.fallback_index), ("second", 1));
    assert_eq!(log.attempt_trail[0]["provider"], "primary");
    assert_eq!(log.attempt_trail[0]["failure"], "broken");
    assert_eq!(log.attempt_trail[0]["cost"], "0.00115");
    assert_eq!(log.attempt_trail[1]["cost"], "0.00125");
    assert_eq!(log.cost.get(), "0.0024");
    assert_eq!(world.spent().await, "0.0024");
}

#[tokio::test]
async fn requests_are_found_by_what_they_were_and_summed_exactly() {
    let world = World::with_budget("0.0025").await;
    world.call().await;
    world.stream("/v1/chat/completions", &streamed()).await;
    world.call().await;
    for (query, count) in [
        ("", 3),
        ("?stream=true", 1),
        ("?virtual_key_ids=vk-agent,vk-other", 3),
        ("?virtual_key_ids=vk-other", 0),
        ("?providers=primary&models=mock-1", 3),
        ("?status=success", 2),
        ("?min_cost=0.00125", 2),
        ("?max_cost=0.001249999999", 1),
        ("?min_tokens=1&max_tokens=200", 2),
        ("?start_time=2020-01-01T00:00:00Z&end_time=2020-01-02T00:00:00Z", 0),
        ("?start_time=2020-01-01T00:00:00Z", 3),
        ("?limit=1&offset=2", 1),
    ] {
        assert_eq!(list(&world, query).await.logs.len(), count, "{query}");
    }
    let listed = list(&world, "?limit=1&sort_by=cost&order=desc").await;
    assert_eq!(listed.pagination["total_count"], 3);
    assert!(listed.stats.get().contains(r#""total_cost":0.0025"#), "{}", listed.stats);
    let stats = ask(&world, "/api/logs/stats").await;
    for part in [r#""total_requests":3"#, r#""success_rate":66.66"#, r#""total_tokens":400"#, r#""total_cost":0.0025"#]
    {
        assert!(stats.text.contains(part), "{part} in {}", stats.text);
    }
    assert_eq!(ask(&world, "/api/logs/dropped").await.json()["dropped_requests"], 0);
    for query in ["?limit=1001", "?colour=red", "?min_cost=cheap", "?sort_by=colour"] {
        assert_eq!(ask(&world, &format!("/api/logs{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn only_the_administrator_reads_the_log() {
    let world = World::with_budget("1").await;
    for path in ["/api/logs", "/api/logs/stats", "/api/logs/dropped", "/api/logs/x"] {
        assert_eq!(world.send(world.request(Method::GET, path)).await.status, 401, "{path}");
        assert_eq!(world.send(world.request(Method::GET, path).bearer_auth(KEY)).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn what_was_said_is_kept_only_where_the_configuration_says_so() {
    let world = World::with_budget("1").await;
    world.call().await;
    let log = only(&world, "").await;
    assert_eq!((log.input, log.output), (None, None));

    let world = World::start(|config| config["client"]["disable_content_logging"] = json!(false)).await;
    let answer = world.call().await;
    let log = only(&world, "").await;
    assert_eq!(serde_json::from_str::<Value>(&log.input.unwrap()).unwrap(), body());
    assert_eq!(log.output.unwrap(), answer.text);
    let (answer, _) = world.stream("/v1/chat/completions", &streamed()).await;
    assert_eq!(only(&world, "?stream=true").await.output.unwrap(), answer.text);
}

#[tokio::test]
async fn without_a_log_nothing_is_kept_and_its_route_says_why() {
    let world = World::start(|config| config["logs_store"] = json!({"enabled": false})).await;
    world.call().await;
    let answer = ask(&world, "/api/logs").await;
    assert_eq!((answer.status.as_u16(), answer.kind()), (404, "logs_disabled".to_owned()));
    assert!(!world.folder.path().join("logs.db").exists());

    let world = World::start(|config| config["client"]["enable_logging"] = json!(false)).await;
    world.call().await;
    assert!(list(&world, "").await.logs.is_empty());
}

#[tokio::test]
async fn the_log_survives_a_stop_and_forgets_what_is_too_old() {
    let mut world = World::start(|config| {
        config["client"]["log_retention_days"] = json!(7);
        config["logs_store"] = json!({"enabled": true, "type": "sqlite", "config": {"path": "requests.db"}});
    })
    .await;
    world.call().await;
    world.restart().await;
    assert_eq!(list(&world, "").await.logs.len(), 1);
    world.advance("6d").await;
    world.call().await;
    assert_eq!(list(&world, "").await.logs.len(), 2);
    world.advance("2d").await;
    world.call().await;
    assert_eq!(list(&world, "").await.logs.len(), 2, "the first is eight days old");
    assert!(world.folder.path().join("requests.db").exists());
}

#[tokio::test]
async fn a_damaged_or_newer_log_is_an_error_and_is_left_alone() {
    use sqlx::Connection as _;
    let world = World::prepare(|_| {}).await;
    world.write_config();
    let path = world.folder.path().join("logs.db");
    let refused = async || Process::start(world.folder.path(), &[]).await.err().unwrap();
    std::fs::write(&path, "no database").unwrap();
    assert!(refused().await.contains("logs.db is damaged"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "no database");

    std::fs::remove_file(&path).unwrap();
    drop(Process::start(world.folder.path(), &[]).await.unwrap());
    let mut database = world.database("logs.db").await;
    sqlx::query("UPDATE _sqlx_migrations SET version = 999 WHERE version = 1").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    assert!(refused().await.contains("is newer than this gateway knows"));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_costs_no_request_and_is_counted() {
    let world = World::with_budget("1").await;
    let mut database = world.database("logs.db").await;
    sqlx::query("ALTER TABLE logs RENAME TO broken").execute(&mut database).await.unwrap();
    assert_eq!(world.call().await.status, 200);
    until(async || ask(&world, "/api/logs/dropped").await.json()["dropped_requests"] == 1).await;
    assert_eq!(ask(&world, "/api/logs").await.status, 500);
    assert!(ask(&world, "/metrics").await.text.contains("probity_dropped_records_total{sink=\"logs\"} 1"));
    sqlx::query("ALTER TABLE broken RENAME TO logs").execute(&mut database).await.unwrap();
    assert_eq!(world.call().await.status, 200);
    until(async || !list(&world, "").await.logs.is_empty()).await;
    assert_eq!(world.spent().await, "0.0025");
}
