//! `/metrics`: Bifrost's names, the figures of the budgets.

use reqwest::Method;
use serde_json::json;

use crate::support::{KEY, Process, World, body, streamed};

/// The metrics, without times.
async fn scrape(world: &World) -> String {
    let answer = world.admin(Method::GET, "/metrics", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    answer.text
}

/// The sum of a metric's samples whose labels hold all of `labels`.
fn samples<'a>(metrics: &'a str, name: &str, labels: &[&str]) -> Vec<&'a str> {
    let of_name = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
    of_name.filter(|(seen, _)| labels.iter().all(|label| seen.contains(label))).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn requests_are_counted_under_bifrosts_names_with_their_exact_cost() {
    let world = World::with_budget("0.004").await;
    world.call().await;
    world.stream("/v1/chat/completions", &streamed()).await;
    world.call().await;
    assert_eq!(world.call().await.status, 402);
    assert_eq!(world.send(world.chat("sk-wrong", &body())).await.status, 401);
    let metrics = scrape(&world).await;
    let agent =
        [r#"provider="primary""#, r#"model="mock-1""#, r#"virtual_key_name="agent""#, r#"method="chat_completion""#];
    let served = [agent.as_slice(), &[r#"selected_key_name="primary-key""#]].concat();
    for (name, value) in [
        ("bifrost_upstream_requests_total", "3"),
        ("bifrost_success_requests_total", "3"),
        ("bifrost_input_tokens_total", "300"),
        ("bifrost_output_tokens_total", "300"),
        ("bifrost_cost_total", "0.00375"),
        ("bifrost_upstream_latency_seconds_count", "3"),
        ("bifrost_stream_first_token_latency_seconds_count", "1"),
    ] {
        assert_eq!(samples(&metrics, name, &served), [value], "{name}");
    }
    let errors = |status: &str| samples(&metrics, "bifrost_error_requests_total", &[status]);
    assert_eq!(errors(r#"status_code="402""#), ["1"]);
    assert_eq!(errors(r#"status_code="401""#), ["1"]);
    assert_eq!(world.spent().await, "0.00375");
}

#[tokio::test]
async fn each_call_counts_for_its_own_provider() {
    let world = World::with_budget("1").await;
    world.faults(&json!({"primary": [{"fault": "malformed_json"}], "second": [{"fault": {"status": {"code": 503}}}]}));
    world.call().await;
    let metrics = scrape(&world).await;
    let of = |name: &str, provider: &str| {
        let label = format!("provider=\"{provider}\"");
        samples(&metrics, name, &[&label]).iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("bifrost_cost_total", "primary"), ["0.00115"]);
    assert_eq!(of("bifrost_cost_total", "second"), ["0.0"]);
    assert_eq!(of("bifrost_cost_total", "third"), ["0.00125"]);
    assert_eq!(of("bifrost_error_requests_total", "primary"), ["1"]);
    assert_eq!(of("bifrost_success_requests_total", "third"), ["1"]);
    assert!(metrics.contains(r#"status_code="503""#), "{metrics}");
    assert_eq!(samples(&metrics, "bifrost_success_requests_total", &[r#"fallback_index="2""#]), ["1"]);
}

#[tokio::test]
async fn only_the_administrator_reads_metrics_unless_the_route_is_whitelisted() {
    let world = World::start(|_| {}).await;
    for request in [world.request(Method::GET, "/metrics"), world.request(Method::GET, "/metrics").bearer_auth(KEY)] {
        assert_eq!(world.send(request).await.status, 401);
    }
    let world = World::start(|config| config["client"]["whitelisted_routes"] = json!(["/metrics"])).await;
    assert_eq!(world.send(world.request(Method::GET, "/metrics")).await.status, 200);
    assert_eq!(world.send(world.request(Method::GET, "/api/logs")).await.status, 401);
}

#[tokio::test]
async fn nothing_but_the_metrics_can_be_opened_to_all() {
    for route in ["*", "/*", "/api/*", "/api/logs", "/api/governance/virtual-keys*", "/metrics*", "/m*", ""] {
        let world = World::prepare(|config| config["client"]["whitelisted_routes"] = json!(["/metrics", route])).await;
        world.write_config();
        let problem = Process::start(world.folder.path(), &[]).await.map(|_| ()).unwrap_err();
        assert!(problem.contains("client.whitelisted_routes[1]"), "{route}: {problem}");
    }
    let world = World::start(|_| {}).await;
    let edit = json!({"client_config": {"whitelisted_routes": ["/api/*"]}});
    assert_eq!(world.admin(Method::PATCH, "/api/config", Some(&edit)).await.status, 400);
    assert_eq!(world.send(world.request(Method::GET, "/api/config")).await.status, 401);
}

#[tokio::test]
async fn callers_cannot_fill_the_memory_with_names_of_models() {
    let world = World::start(|_| {}).await;
    for model in ["a", "b"] {
        let mut body = body();
        body["model"] = json!(model);
        assert_eq!(world.send(world.chat("sk-wrong", &body)).await.status, 401);
    }
    let metrics = scrape(&world).await;
    assert_eq!(samples(&metrics, "bifrost_error_requests_total", &[r#"model="""#]), ["2"]);
    assert!(!metrics.contains(r#"model="a""#));
}
