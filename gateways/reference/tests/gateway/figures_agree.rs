//! One cost: in the log of requests, the metrics, the spans and the budgets it is the same
//! figure, and the provider's.

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::callers::{BASES, CALLERS, request};
use crate::support::{DEADLINE, KEY, World, budget, give_up_after, until, virtual_key};
use crate::traces::{Collector, as_json};

const OTHER_KEY: &str = "sk-other";

/// Dollars as whole pico-dollars.
fn pico(text: &str) -> i128 {
    let (dollars, rest) = text.split_once('.').unwrap_or((text, ""));
    format!("{dollars}{rest:0<12}").parse().unwrap()
}

/// The numbers behind each `"name":` of a JSON text, digit by digit.
fn figures(text: &str, name: &str) -> Vec<i128> {
    let before = format!("\"{name}\":");
    // An attempt's own cost is a text there.
    let parts = text.split(&before).skip(1).filter(|part| !part.starts_with('"'));
    parts.map(|part| pico(&part[..part.find([',', '}']).unwrap()])).collect()
}

/// What each witness says that everything cost.
#[derive(Debug, PartialEq, Eq)]
struct Witnesses {
    logs: i128,
    stats: i128,
    metrics: i128,
    spans: i128,
    budgets: i128,
}

impl Witnesses {
    async fn ask(world: &World, collector: &Collector) -> Witnesses {
        let get = async |path: &str| world.admin(Method::GET, path, None).await.text;
        let metrics = get("/metrics").await;
        let costs = metrics.lines().filter_map(|line| line.strip_prefix("bifrost_cost_total{")?.split_once("} "));
        let spans = collector.spans();
        let spans = spans.iter().map(|span| as_json(&span.attributes)["gen_ai.usage.cost"].clone());
        Witnesses {
            logs: figures(&get("/api/logs?limit=1000").await, "cost").into_iter().sum(),
            stats: figures(&get("/api/logs/stats").await, "total_cost").into_iter().sum(),
            metrics: costs.map(|(_, cost)| pico(cost)).sum(),
            spans: spans.map(|cost| pico(cost.as_str().unwrap())).sum(),
            budgets: figures(&get("/api/governance/virtual-keys").await, "current_usage").into_iter().sum(),
        }
    }

    fn all(cost: i128) -> Witnesses {
        Witnesses { logs: cost, stats: cost, metrics: cost, spans: cost, budgets: cost }
    }
}

async fn world(collector: &Collector) -> World {
    edited_world(collector, |_| {}).await
}

async fn edited_world(collector: &Collector, edit: impl FnOnce(&mut Value)) -> World {
    priced_world(collector, &json!({}), edit).await
}

/// The same with another model, at its prices.
async fn priced_world(collector: &Collector, model: &Value, edit: impl FnOnce(&mut Value)) -> World {
    let mut world = World::prepare(|config| {
        config["governance"]["virtual_keys"] = json!([virtual_key("agent", KEY), virtual_key("other", OTHER_KEY)]);
        config["governance"]["budgets"] =
            json!([budget("b", "0.5", "1h", "vk-agent"), budget("c", "0.005", "1h", "vk-other")]);
        edit(config);
    })
    .await;
    world.model(model);
    world.env = collector.env();
    world.run(&["--seed", "7"]).await;
    world
}

/// A hundred bytes: what is held for a call is what it costs.
fn call() -> Value {
    json!({"model": "mock-1", "messages": [{"role": "user", "content": "x".repeat(100)}], "max_tokens": 100})
}

fn stream() -> Value {
    let mut call = call();
    call["stream"] = json!(true);
    call
}

/// How many requests have ended.
async fn ended(world: &World) -> u64 {
    world.admin(Method::GET, "/api/logs/stats", None).await.json()["total_requests"].as_u64().unwrap()
}

/// Waits until so many requests have ended, for every witness.
async fn settled(world: &World, collector: &Collector, count: u64) {
    until(async || ended(world).await >= count).await;
    collector.wait_for(usize::try_from(count).unwrap()).await;
    assert_eq!(ended(world).await, count);
}

#[tokio::test]
async fn under_a_mixed_load_every_witness_tells_the_providers_figure() {
    let collector = Collector::start().await;
    let world = world(&collector).await;
    // The first calls of each kind fail and fall back; only one of them costs something.
    world.faults(&json!({
        "primary": [{"sequence": [{"status": {"code": 503}}, "reset_before", {"status": {"code": 429}}, "ok"]}],
        "second": [{"first": 2, "fault": {"status": {"code": 500}}}],
    }));
    let requests = (0..60).map(|number| {
        let key = match number % 6 {
            4 => OTHER_KEY,
            5 => "sk-wrong",
            _ => KEY,
        };
        let body = if number % 2 == 0 { call() } else { stream() };
        let request = world.chat(key, &body);
        async move {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            answer.bytes().await.unwrap();
            status
        }
    });
    let statuses = join_all(requests).await;
    let count = |status: u16| statuses.iter().filter(|seen| **seen == status).count();
    assert_eq!((count(401), count(402) > 0), (10, true), "{statuses:?}");
    settled(&world, &collector, 60).await;
    let cost = pico(&world.charged()) + pico("0.00125");
    assert_eq!(Witnesses::ask(&world, &collector).await, Witnesses::all(cost), "with what the reset may have cost");
}

#[tokio::test]
async fn of_calls_without_an_answer_every_witness_tells_what_was_held() {
    let collector = Collector::start().await;
    let world = edited_world(&collector, |config| {
        give_up_after(config, 1, "primary");
        let network = &mut config["providers"]["second"]["network_config"];
        network["max_retries"] = json!(1);
        network["retry_backoff_initial"] = json!(1);
    })
    .await;
    // What hangs is not tried again, what was reset is: five calls that nobody answers.
    let failure = json!({"status": {"code": 400}});
    world.faults(&json!({
        "primary": [{"sequence": ["hang", "hang", failure]}],
        "second": [{"sequence": ["reset_before", "reset_before", failure, "reset_before", failure]}],
    }));
    for body in [call(), stream(), call()] {
        let answer = world.send(world.chat(KEY, &body)).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-bifrost-provider")), (200, "third"));
    }
    settled(&world, &collector, 3).await;
    // Each of the five costs what was held, which is as much as each of the three answers.
    assert_eq!(Witnesses::ask(&world, &collector).await, Witnesses::all(pico("0.01")));
    assert_eq!(world.charged(), "0.00375");
}

#[tokio::test]
async fn of_answers_that_nobody_got_every_witness_tells_the_same_and_never_less_than_the_provider() {
    let collector = Collector::start().await;
    let world = world(&collector).await;
    world.faults(&json!({
        "primary": [{"sequence": [
            {"cut": {"after_chunks": 2}}, "malformed_json", {"error_event": {"after_chunks": 1}}, "missing_usage", "ok",
        ]}],
    }));
    let read = (0..20).map(|number| {
        let request = world.chat(KEY, &if number % 2 == 0 { call() } else { stream() });
        async move {
            // Some break off.
            let _ = request.send().await.unwrap().bytes().await;
        }
    });
    join_all(read).await;
    world.faults(&json!({}));
    world.model(&json!({"chunks": 50, "latency": {"between_chunks": "20ms"}}));
    for _ in 0..5 {
        let mut response = world.chat(KEY, &stream()).send().await.unwrap();
        response.chunk().await.unwrap();
    }
    let left = |ledger: &mock_upstream::Ledger| ledger.open() == 0;
    assert!(world.upstream.wait_until(left, DEADLINE).await);
    settled(&world, &collector, 25).await;
    let witnesses = Witnesses::ask(&world, &collector).await;
    assert_eq!(witnesses, Witnesses::all(witnesses.budgets));
    let charged = pico(&world.charged());
    assert!(witnesses.budgets >= charged, "{witnesses:?} is less than {charged}");
    let ledger = world.upstream.ledger();
    // Above it only by what was held for answers that broke off.
    let broken = ledger.inference().filter(|entry| entry.tokens.output < 100).count();
    let most = charged + pico("0.00125") * i128::try_from(broken).unwrap();
    assert!(witnesses.budgets <= most, "{witnesses:?} is more than {most}");
}

#[tokio::test]
async fn in_every_protocol_and_of_every_part_of_the_usage_the_witnesses_tell_the_providers_figure() {
    for base in BASES {
        let collector = Collector::start().await;
        // Gemini's protocol has no count of what was written to a cache.
        let written = if base == "gemini" { 0 } else { 1000 };
        let model = json!({
            "usage": {"input": 7000, "output": 3000, "cached": 4000, "cache_write": written, "reasoning": 500},
            "price": {"input": "$2.50", "output": "$10.00", "cached": "$0.25", "cache_write": "$3.125"},
        });
        let world = priced_world(&collector, &model, |config| {
            config["providers"]["primary"]["custom_provider_config"]["base_provider_type"] = json!(base);
            config["governance"]["budgets"] = json!([budget("b", "10", "1h", "vk-agent")]);
        })
        .await;
        for caller in CALLERS {
            for is_stream in [false, true] {
                let answer = world.send(request(&world, caller, is_stream)).await;
                assert_eq!(answer.status, 200, "{caller:?} on {base}: {}", answer.text);
            }
        }
        settled(&world, &collector, 10).await;
        // 7000 of input, of which 4000 are cheaper, and for 1000 another price; 3000 of output.
        let each = if base == "gemini" { "0.0385" } else { "0.039125" };
        assert_eq!(pico(&world.charged()), pico(each) * 10, "{base}");
        assert_eq!(Witnesses::ask(&world, &collector).await, Witnesses::all(pico(each) * 10), "{base}");
    }
}

#[tokio::test]
async fn of_embeddings_images_and_speech_every_witness_tells_the_providers_figure() {
    let collector = Collector::start().await;
    let price = json!({"input": "$2.50", "output": "$10.00", "image": "$0.04", "character": "$15"});
    let world = priced_world(&collector, &json!({ "price": price }), |_| {}).await;
    let ask =
        |path: &str, body: Value| -> RequestBuilder { world.request(Method::POST, path).bearer_auth(KEY).json(&body) };
    for asked in [
        ask("/v1/embeddings", json!({"model": "mock-1", "input": "four"})),
        ask("/v1/images/generations", json!({"model": "mock-1", "prompt": "a cat", "n": 3})),
        ask("/v1/audio/speech", json!({"model": "mock-1", "input": "four", "voice": "alloy"})),
    ] {
        let answer = world.send(asked).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    settled(&world, &collector, 3).await;
    // A hundred tokens, three images, four characters.
    let cost = pico("0.00025") + pico("0.12") + pico("0.00006");
    assert_eq!(pico(&world.charged()), cost);
    assert_eq!(Witnesses::ask(&world, &collector).await, Witnesses::all(cost));
}
