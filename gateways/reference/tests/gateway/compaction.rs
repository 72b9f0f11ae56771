//! Conversations that Anthropic sums up before it answers: the summary is charged, and held.

use reqwest::Method;
use serde_json::{Value, json};

use crate::own_words;
use crate::support::{Answer, KEY, PROMPT, World, budget};

const PATH: &str = "/anthropic/v1/messages";

/// Anthropic's own example: the counts at the top leave the summary out.
fn usage() -> Value {
    json!({"input_tokens": 23_000, "output_tokens": 1_000, "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
    ]})
}

fn message(stop_reason: &str, usage: &Value) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "mock-1", "content": [],
        "stop_reason": stop_reason, "usage": usage})
}

fn asking(edit: &str) -> Value {
    json!({"model": "primary/mock-1", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}],
        "context_management": {"edits": [{"type": edit}]}})
}

async fn send(world: &World, body: &Value) -> Answer {
    world.send(world.request(Method::POST, PATH).header("x-api-key", KEY).json(body)).await
}

#[tokio::test]
async fn a_summary_is_charged_beside_the_answer_plain_and_streamed() {
    let provider = own_words::says(200, &message("end_turn", &usage())).await;
    let world = own_words::world("anthropic", provider, |_| {}).await;
    let answer = send(&world, &asking("compact_20260112")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["usage"]), (200, &usage()));
    // 203,000 tokens of input and 4,500 of output.
    assert_eq!(world.spent().await, "0.5525");
    let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 23_000, "output_tokens": 1}}});
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage()});
    let events = format!("data: {start}\n\ndata: {delta}\n\ndata: {{\"type\":\"message_stop\"}}\n\n");
    let world = own_words::world("anthropic", own_words::streams(&events).await, |_| {}).await;
    let mut streamed = asking("compact_20260112");
    streamed["stream"] = json!(true);
    let (answer, whole) = world.stream(PATH, &streamed).await;
    assert!(whole, "{}", answer.text);
    assert_eq!(world.spent().await, "0.5525");
}

#[tokio::test]
async fn a_summary_that_was_asked_for_is_charged_though_the_counts_at_the_top_are_nothing() {
    let usage = json!({"input_tokens": 0, "output_tokens": 0,
        "iterations": [{"type": "compaction", "input_tokens": 7_000, "output_tokens": 3_000}]});
    let provider = own_words::says(200, &message("compaction", &usage)).await;
    let world = own_words::world("anthropic", provider, |_| {}).await;
    let mut body = asking("");
    body.as_object_mut().unwrap().remove("context_management");
    body["compaction"] = json!({"type": "summarize"});
    assert_eq!(send(&world, &body).await.status, 200);
    assert_eq!(world.spent().await, "0.0475");
}

#[tokio::test]
async fn a_request_that_may_be_summed_up_holds_a_second_reading_and_a_second_text() {
    // One reading and one text are less than $0.0015, two of each more than $0.0023.
    for (edit, limit, status) in [
        ("clear_tool_uses_20250919", "0.002", 200),
        ("compact_20260112", "0.002", 402),
        ("compact_20260112", "0.004", 200),
        ("unheard_of", "0.002", 402),
    ] {
        let world = World::start(|config| {
            config["providers"]["primary"]["custom_provider_config"]["base_provider_type"] = json!("anthropic");
            config["governance"]["budgets"] = json!([budget("b", limit, "1h", "vk-agent")]);
        })
        .await;
        let answer = send(&world, &asking(edit)).await;
        assert_eq!(answer.status, status, "{edit}, {limit}: {}", answer.text);
        assert_eq!(world.upstream_calls(), usize::from(status == 200));
    }
}
