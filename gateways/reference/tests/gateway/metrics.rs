//! `/metrics`: Bifrost's names, the figures of the budgets.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::callers::{Caller, request};
use crate::own_words;
use crate::support::{KEY, Process, World, body, streamed, until};

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

/// A sample that is the only one with these labels.
fn sample<'a>(metrics: &'a str, name: &str, labels: &[&str]) -> &'a str {
    match samples(metrics, name, labels)[..] {
        [value] => value,
        ref other => panic!("{name}{labels:?} has {other:?} in {metrics}"),
    }
}

#[tokio::test]
async fn tokens_of_a_cache_are_counted_as_read_as_written_and_by_how_long_they_are_kept() {
    let world = World::start(|config| {
        config["providers"]["primary"]["custom_provider_config"]["base_provider_type"] = json!("anthropic");
    })
    .await;
    let usage = json!({"input": 7000, "output": 3000, "cached": 3000, "cache_write": 2000, "cache_write_hour": 800});
    world.model(&json!({ "usage": usage }));
    assert_eq!(world.call().await.status, 200);
    world.stream("/v1/chat/completions", &streamed()).await;
    let metrics = scrape(&world).await;
    for (name, value) in [
        ("bifrost_input_tokens_total", "14000"),
        ("bifrost_cache_read_input_tokens_total", "6000"),
        ("bifrost_cache_write_input_tokens_total", "4000"),
        ("bifrost_cache_write_input_tokens_5m_total", "2400"),
        ("bifrost_cache_write_input_tokens_1h_total", "1600"),
    ] {
        assert_eq!(sample(&metrics, name, &[r#"model="mock-1""#, r#"provider="primary""#]), value, "{name}");
    }
}

/// Whether a provider's key worked, by the key's name.
fn is_up(metrics: &str, key: &str) -> String {
    sample(metrics, "bifrost_provider_key_up", &[r#"provider="primary""#, &format!("key_name=\"{key}\"")]).to_owned()
}

#[tokio::test]
async fn retries_and_rotations_are_counted_and_a_key_is_up_if_it_served_last() {
    let world = World::start(|config| {
        let key = |name: &str, weight: u64| json!({"name": name, "value": format!("value-{name}"), "weight": weight});
        // The second one has its turn only where the first one is refused.
        config["providers"]["primary"]["keys"] = json!([key("a", 1), key("b", 0)]);
        let network = &mut config["providers"]["primary"]["network_config"];
        network["max_retries"] = json!(2);
        network["retry_backoff_initial"] = json!(1);
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
    })
    .await;
    let status = |code: u16| json!({"status": {"code": code}});
    let fails = async |sequence: Value| {
        world.faults(&json!({"primary": [{ "sequence": sequence }]}));
        world.call().await.status.as_u16()
    };
    // Another key takes over, and is tried again.
    assert_eq!(fails(json!([status(429), status(503)])).await, 200);
    let metrics = scrape(&world).await;
    assert_eq!((is_up(&metrics, "a"), is_up(&metrics, "b")), ("0".to_owned(), "1".to_owned()));
    let rotation = [r#"provider="primary""#, r#"requested_model="mock-1""#, r#"key_name="a""#];
    let reason = [rotation.as_slice(), &[r#"fail_reason="rate_limit_error""#]].concat();
    assert_eq!(sample(&metrics, "bifrost_key_rotation_events_total", &reason), "1");
    assert_eq!(samples(&metrics, "bifrost_key_rotation_events_total", &[]).len(), 1);
    assert_eq!(sample(&metrics, "bifrost_request_retries_sum", &[r#"provider="primary""#]), "2.0");
    // A call that is served at once; the first key has recovered.
    assert_eq!(world.call().await.status, 200);
    let metrics = scrape(&world).await;
    assert_eq!(is_up(&metrics, "a"), "1");
    let tried_once = samples(&metrics, "bifrost_request_retries_bucket", &[r#"le="0.0""#]);
    assert_eq!(tried_once.iter().filter(|count| **count == "1").count(), 1, "{metrics}");
    // What is asked is not the key's failure; what the provider fails at may be.
    assert_eq!(fails(json!([status(400)])).await, 400);
    assert_eq!(is_up(&scrape(&world).await, "a"), "1");
    assert_eq!(fails(json!([status(500), status(500), status(500)])).await, 500);
    assert_eq!(is_up(&scrape(&world).await, "a"), "0");
}

#[tokio::test]
async fn a_key_whose_answer_broke_off_or_was_no_answer_is_not_up() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
    })
    .await;
    let key = "primary-key";
    for fault in
        [json!({"cut": {"after_chunks": 2}}), json!({"error_event": {"after_chunks": 0}}), json!("no_end_marker")]
    {
        world.faults(&json!({}));
        assert_eq!(world.call().await.status, 200);
        assert_eq!(is_up(&scrape(&world).await, key), "1", "{fault}");
        world.faults(&json!({"primary": [{"fault": fault}]}));
        world.stream("/v1/chat/completions", &streamed()).await;
        until(async || is_up(&scrape(&world).await, key) == "0").await;
    }
    world.faults(&json!({}));
    assert_eq!(world.call().await.status, 200);
    // A caller that leaves says nothing about the key.
    world.model(&json!({"latency": {"between_chunks": "60s"}}));
    let mut stream = world.chat(KEY, &streamed()).send().await.unwrap();
    stream.chunk().await.unwrap();
    drop(stream);
    let active =
        |metrics: &str| sample(metrics, "bifrost_active_requests", &[r#"method="chat_completion""#]).to_owned();
    until(async || active(&scrape(&world).await) == "0").await;
    assert_eq!(is_up(&scrape(&world).await, key), "1");
}

#[tokio::test]
async fn an_error_in_spite_of_its_status_says_of_a_key_what_a_plain_one_says() {
    const KEYS: bool = true;
    let (provider, tell) = own_words::as_told().await;
    let world = own_words::world("openai", provider, |config| {
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
    })
    .await;
    let (json, events) = ("application/json", "text/event-stream");
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"});
    let answer = json!({"id": "c", "model": "mock-1", "choices": [choice], "usage": {"prompt_tokens": 1,
        "completion_tokens": 1, "total_tokens": 2}});
    let chunk = json!({"id": "c", "model": "mock-1", "choices": [{"index": 0, "delta": {"content": "a"}}]});
    for (error, is_keys) in [
        (json!({"code": 400, "message": "no"}), !KEYS),
        (json!({"type": "invalid_request_error", "code": null, "message": "no"}), !KEYS),
        (json!({"code": 429, "message": "later"}), KEYS),
        (json!({"type": "invalid_request_error", "code": "invalid_api_key", "message": "no"}), KEYS),
        (json!({"type": "server_error", "message": "broken"}), KEYS),
        (json!("broken"), KEYS),
    ] {
        let error = json!({ "error": error });
        for (caller, is_stream, kind, body) in [
            (Caller::Chat, false, json, error.to_string()),
            (Caller::Messages, false, json, error.to_string()),
            (Caller::Chat, true, json, error.to_string()),
            (Caller::Chat, true, events, format!("data: {error}\n\n")),
            (Caller::Chat, true, events, format!("data: {chunk}\n\ndata: {error}\n\n")),
        ] {
            for (status, before) in [(StatusCode::OK, "1"), (StatusCode::INTERNAL_SERVER_ERROR, "0")] {
                tell.send_replace((status, json, answer.to_string()));
                assert_eq!(world.send(request(&world, Caller::Chat, false)).await.status, status);
                assert_eq!(is_up(&scrape(&world).await, "primary-key"), before);
                tell.send_replace((StatusCode::OK, kind, body.clone()));
                world.stream(caller.path(is_stream), &caller.body(is_stream)).await;
                let after = is_up(&scrape(&world).await, "primary-key");
                assert_eq!(after, if is_keys { "0" } else { before }, "{caller:?} {is_stream} {body}");
            }
        }
    }
    // Beside an answer it says nothing.
    let mut answer = answer;
    answer["error"] = json!({"code": 429});
    tell.send_replace((StatusCode::OK, json, answer.to_string()));
    assert_eq!(world.send(request(&world, Caller::Chat, false)).await.status, 200);
    assert_eq!(is_up(&scrape(&world).await, "primary-key"), "1");
}

#[tokio::test]
async fn requests_on_their_way_are_active_until_they_have_ended() {
    let world = World::start(|_| {}).await;
    world.model(&json!({"latency": {"between_chunks": "60s"}}));
    let active = async |method: &str| {
        let metrics = scrape(&world).await;
        sample(&metrics, "bifrost_active_requests", &[&format!("method=\"{method}\"")]).to_owned()
    };
    let mut stream = world.chat(KEY, &streamed()).send().await.unwrap();
    stream.chunk().await.unwrap();
    assert_eq!(world.send(world.chat("sk-wrong", &body())).await.status, 401);
    assert_eq!((active("chat_completion").await, active("embedding").await), ("1".to_owned(), "0".to_owned()));
    drop(stream);
    until(async || active("chat_completion").await == "0").await;
}

#[tokio::test]
async fn the_pace_of_a_stream_is_told_between_its_events() {
    let world = World::start(|_| {}).await;
    world.model(&json!({"chunks": 4, "latency": {"between_chunks": "300ms"}}));
    let (_, whole) = world.stream("/v1/chat/completions", &streamed()).await;
    assert!(whole);
    let metrics = scrape(&world).await;
    let of = |what: &str| sample(&metrics, &format!("bifrost_stream_inter_token_latency_seconds_{what}"), &[]);
    // The role, four pieces and the reason to finish: five pauses, three of which are long. What is read late,
    // by a process that has to wait for a processor, makes them shorter: half of them is enough.
    assert_eq!(of("count"), "5");
    assert!(of("sum").parse::<f64>().unwrap() >= 0.45, "{metrics}");
    world.call().await;
    let metrics = scrape(&world).await;
    assert_eq!(samples(&metrics, "bifrost_stream_inter_token_latency_seconds_count", &[]), ["5"]);
}

#[tokio::test]
async fn every_answer_is_counted_by_its_route_its_method_and_its_status() {
    let world = World::start(|_| {}).await;
    let (asked, answer) = (body().to_string(), world.call().await);
    world.stream("/v1/chat/completions", &streamed()).await;
    assert_eq!(world.send(world.chat("sk-wrong", &body())).await.status, 401);
    for path in ["/no/such/a", "/no/such/b"] {
        assert_eq!(world.send(world.request(Method::GET, path)).await.status, 404);
    }
    let word = Method::from_bytes(b"FROB").unwrap();
    assert_eq!(world.send(world.request(word, "/health")).await.status, 404);
    let path = "/api/governance/virtual-keys/vk-agent";
    assert_eq!(world.admin(Method::GET, path, None).await.status, 200);
    let metrics = scrape(&world).await;
    let of = |name: &str, path: &str, method: &str, status: u16| {
        let labels = [format!("path=\"{path}\""), format!("method=\"{method}\""), format!("status=\"{status}\"")];
        let labels = labels.each_ref().map(String::as_str);
        samples(&metrics, name, &labels).iter().map(|value| (*value).to_owned()).collect::<Vec<_>>()
    };
    let chat = "/v1/chat/completions";
    assert_eq!(of("http_requests_total", chat, "POST", 200), ["2"]);
    assert_eq!(of("http_requests_total", chat, "POST", 401), ["1"]);
    assert_eq!(of("http_requests_total", "other", "GET", 404), ["2"]);
    assert_eq!(of("http_requests_total", "/health", "other", 404), ["1"]);
    assert_eq!(of("http_requests_total", "/api/governance/virtual-keys/{id}", "GET", 200), ["1"]);
    assert!(!metrics.contains("no/such") && !metrics.contains("virtual-keys/vk-agent"), "{metrics}");
    assert_eq!(of("http_request_duration_seconds_count", chat, "POST", 200), ["2"]);
    let streamed = streamed().to_string().len();
    assert_eq!(of("http_request_size_bytes_sum", chat, "POST", 200), [format!("{}.0", asked.len() + streamed)]);
    // Of a stream nobody knows it beforehand.
    assert_eq!(of("http_response_size_bytes_count", chat, "POST", 200), ["1"]);
    assert_eq!(of("http_response_size_bytes_sum", chat, "POST", 200), [format!("{}.0", answer.text.len())]);
}
