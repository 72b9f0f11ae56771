#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::*;

/// What the objects of a message come to.
fn messages(objects: &[Value]) -> Option<Usage> {
    let mut count = MessageCount::default();
    objects.iter().fold(None, |before, object| count.read(object).or(before))
}

#[test]
fn parts_are_read_from_chat_completions_and_responses_alike() {
    let expected = Some(Usage { input: 100, output: 50, cached: 40, reasoning: 20, ..Usage::default() });
    let chat = json!({
        "prompt_tokens": 100, "completion_tokens": 50,
        "prompt_tokens_details": { "cached_tokens": 40 },
        "completion_tokens_details": { "reasoning_tokens": 20 },
    });
    let responses = json!({
        "input_tokens": 100, "output_tokens": 50,
        "input_tokens_details": { "cached_tokens": 40 },
        "output_tokens_details": { "reasoning_tokens": 20 },
    });
    assert_eq!(Usage::of_openai(&chat), expected);
    assert_eq!(Usage::of_openai(&responses), expected);
}

#[test]
fn reasoning_that_stands_beside_the_answer_is_output_too() {
    let xai = json!({
        "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
        "completion_tokens_details": { "reasoning_tokens": 94 },
    });
    let usage = Usage::of_openai(&xai).unwrap();
    assert_eq!((usage.output, usage.reasoning, usage.total()), (103, 94, 135));
}

#[test]
fn an_object_without_counts_is_no_usage() {
    assert_eq!(Usage::of_openai(&json!({})), None);
    assert_eq!(Usage::of_openai(&Value::Null), None);
    assert_eq!(messages(&[json!({"service_tier": "x"})]), None);
}

#[test]
fn usage_without_what_was_answered_says_too_little() {
    assert!(has_output(Some(&json!({"prompt_tokens": 7, "completion_tokens": 0}))));
    assert!(has_output(Some(&json!({"input_tokens": 7, "output_tokens": 3}))));
    assert!(!has_output(Some(&json!({"prompt_tokens": 7}))));
    assert!(!has_output(Some(&json!({"prompt_tokens": 7, "completion_tokens": null}))));
    assert!(!has_output::<Value>(None));
}

#[test]
fn anthropics_cached_tokens_are_added_to_its_input() {
    let start = json!({
        "input_tokens": 10, "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30, "output_tokens": 1,
    });
    let expected = Usage { input: 100, output: 50, cached: 60, cache_write: 30, ..Usage::default() };
    assert_eq!(messages(&[start, json!({"output_tokens": 50})]), Some(expected));
}

#[test]
fn a_summary_before_an_answer_is_added_once_however_often_it_is_told() {
    let last = json!({
        "input_tokens": 23_000, "output_tokens": 1_000,
        "iterations": [
            {"type": "compaction", "input_tokens": 100_000, "cache_read_input_tokens": 80_000, "output_tokens": 3_500,
             "cache_creation": {"ephemeral_1h_input_tokens": 500}},
            {"type": "fallback_message", "input_tokens": 7, "output_tokens": 7},
            {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
        ],
    });
    let expected = Usage {
        input: 203_500,
        output: 4_500,
        cached: 80_000,
        cache_write: 500,
        cache_write_hour: 500,
        ..Usage::default()
    };
    let start = json!({"input_tokens": 23_000, "output_tokens": 1, "iterations": null});
    assert_eq!(messages(&[start.clone(), last.clone()]), Some(expected));
    assert_eq!(messages(&[last.clone(), last.clone()]), Some(expected));
    assert_eq!(messages(&[last, json!({"input_tokens": 23_000, "output_tokens": 1_000})]), Some(expected));
    // A summary that was asked for is all that is counted.
    let alone = json!({"input_tokens": 0, "output_tokens": 0,
        "iterations": [{"type": "compaction", "input_tokens": 144, "output_tokens": 276}]});
    assert_eq!(messages(&[alone]), Some(Usage { input: 144, output: 276, ..Usage::default() }));
}

#[test]
fn what_research_read_and_thought_stands_beside_its_prompt_and_answer() {
    let research = json!({
        "prompt_tokens": 33, "completion_tokens": 7_163, "total_tokens": 7_196, "citation_tokens": 20_016,
        "num_search_queries": 58, "reasoning_tokens": 95_305,
    });
    let usage = Usage::of_openai(&research).unwrap();
    assert_eq!((usage.input, usage.output, usage.reasoning, usage.searches), (20_049, 102_468, 95_305, 58));
    let within = json!({"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60, "reasoning_tokens": 40});
    let usage = Usage::of_openai(&within).unwrap();
    assert_eq!((usage.input, usage.output, usage.reasoning), (10, 50, 40));
}

#[test]
fn an_hours_cache_write_is_a_part_of_all_that_was_written() {
    let start = json!({
        "input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        "output_tokens": 1, "service_tier": "priority",
    });
    let last = messages(&[start, json!({"output_tokens": 50})]).unwrap();
    assert_eq!((last.input, last.cache_write, last.cache_write_hour), (60, 50, 30));
    assert_eq!(last.service, Some(Service::Priority));
}

#[test]
fn geminis_thoughts_stand_beside_its_answer_and_its_cache_inside_its_prompt() {
    let usage = json!({
        "promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 30,
        "thoughtsTokenCount": 20, "toolUsePromptTokenCount": 5, "totalTokenCount": 155,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 90}, {"modality": "AUDIO", "tokenCount": 10}],
    });
    let expected = Usage { input: 105, output: 50, cached: 60, reasoning: 20, input_audio: 10, ..Usage::default() };
    assert_eq!(Usage::of_gemini(&usage), Some(expected));
    let without = json!({"promptTokenCount": 100, "thoughtsTokenCount": 20, "totalTokenCount": 120});
    assert_eq!(Usage::of_gemini(&without).unwrap().output, 20);
}

#[test]
fn what_was_done_beside_answering_is_counted_where_each_protocol_tells_it() {
    let done = |body: Value| {
        let usage = Usage::of_body(&body).unwrap();
        (usage.searches, usage.code_sessions)
    };
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let code = |container: &str| json!({"type": "code_interpreter_call", "container_id": container});
    let search = |action: &str| json!({"type": "web_search_call", "action": {"type": action}});
    let output =
        [search("search"), search("open_page"), json!({"type": "web_search_call"}), code("a"), code("a"), code("b")];
    assert_eq!(done(json!({"usage": usage, "output": output})), (2, 2));
    let anthropic = json!({"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 3}});
    assert_eq!(done(json!({"type": "message", "usage": anthropic.clone()})), (3, 0));
    assert_eq!(messages(&[anthropic, json!({"output_tokens": 2})]).unwrap().searches, 3);
    let gemini = json!({"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 2},
        "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}]});
    assert_eq!(done(gemini), (2, 0));
    let perplexity = json!({"prompt_tokens": 1, "completion_tokens": 1, "num_search_queries": 4});
    assert_eq!(done(json!({ "usage": perplexity })), (4, 0));
}

#[test]
fn the_service_is_told_beside_the_usage_or_in_it() {
    let chat = json!({"service_tier": "flex", "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    assert_eq!(Usage::of_body(&chat).unwrap().service, Some(Service::Flex));
    let fast = json!({"type": "message", "usage":
        {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard", "speed": "fast"}});
    assert_eq!(Usage::of_body(&fast).unwrap().service, Some(Service::Fast));
}
