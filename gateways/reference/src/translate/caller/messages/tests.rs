#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::{Writer, from_chat, to_chat};
use crate::translate::said::{Said, written};

fn of_turns(turns: &Value) -> Value {
    to_chat(&json!({"model": "m", "max_tokens": 9, "messages": turns})).unwrap()["messages"].take()
}

fn refused(field: &str, value: Value) -> String {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
    request[field] = value;
    to_chat(&request).unwrap_err().to_string()
}

#[test]
fn every_setting_has_its_word_in_a_chat_completion() {
    let request = json!({
        "model": "primary/mock-1",
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "a"}],
        "max_tokens": 100,
        "stop_sequences": ["END"],
        "temperature": 0.5, "top_p": 0.9, "top_k": 40,
        "stream": true,
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "cache_control": {"type": "ephemeral"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"},
                   "cache_control": {"type": "ephemeral", "ttl": "1h"}, "eager_input_streaming": true}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "container": null,
    });
    insta::assert_json_snapshot!(to_chat(&request).unwrap());
}

#[test]
fn turns_keep_their_texts_pictures_documents_calls_results_and_thinking() {
    let turns = json!([
        {"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}},
            {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "opaque"},
            {"type": "text", "text": "I ask two."},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "t2", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "t2", "is_error": true,
             "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
            {"type": "text", "text": "go on"},
        ]},
    ]);
    insta::assert_json_snapshot!(of_turns(&turns));
}

#[test]
fn a_lone_text_is_a_text_and_several_stay_apart() {
    let one = of_turns(&json!([{"role": "user", "content": [{"type": "text", "text": "a"}]}]));
    assert_eq!(one[0]["content"], "a");
    let two =
        of_turns(&json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]));
    assert_eq!(two[0]["content"].as_array().unwrap().len(), 2);
    let none = of_turns(&json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]));
    assert_eq!(none, json!([{"role": "tool", "tool_call_id": "t", "content": ""}]));
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    for (field, value, name) in [
        ("mcp_servers", json!([]), "mcp_servers"),
        ("service_tier", json!("priority"), "service_tier"),
        ("tools", json!([{"type": "web_search_20250305", "name": "web_search"}]), "web_search_20250305"),
        ("tools", json!([{"name": "f", "defer_loading": true}]), "tools[].defer_loading"),
        ("tool_choice", json!({"type": "some"}), "tool_choice.type: some"),
        (
            "messages",
            json!([{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]),
            "image.source.type: file",
        ),
        ("messages", json!([{"role": "user", "content": [{"type": "container_upload"}]}]), "container_upload"),
        (
            "messages",
            json!([{"role": "user", "content": [{"type": "document", "citations": {"enabled": true}, "source": {"type": "text", "data": "x"}}]}]),
            "document.citations",
        ),
        ("messages", json!(1), "messages"),
        ("messages", json!([{"role": "tool", "content": "a"}]), "messages[].role"),
    ] {
        let message = refused(field, value);
        assert!(message.contains(&format!("`{name}`")), "{message}");
    }
}

#[test]
fn an_answer_keeps_its_thinking_its_text_and_its_calls() {
    let chat = json!({
        "id": "chatcmpl-1", "model": "mock-1",
        "choices": [{"message": {
            "role": "assistant", "content": "hello",
            "reasoning": "hm", "reasoning_content": "hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "opaque", "id": "t1", "format": "google-gemini-v1", "index": 1},
            ],
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"type": "function", "function": {"name": "f", "arguments": "{\"a\":"}},
            ],
        }, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50,
                  "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 30,
                                            "cache_creation_token_details": {"ephemeral_1h_input_tokens": 10}}},
    });
    insta::assert_json_snapshot!(from_chat(&chat, "mock-1").unwrap());
}

#[test]
fn why_an_answer_ended_has_anthropics_word() {
    let reason = |finish: &str, message: Value| {
        let chat = json!({"choices": [{"message": message, "finish_reason": finish}]});
        from_chat(&chat, "m").unwrap()["stop_reason"].as_str().unwrap().to_owned()
    };
    let text = json!({"content": "a"});
    assert_eq!(reason("stop", text.clone()), "end_turn");
    assert_eq!(reason("length", text.clone()), "max_tokens");
    assert_eq!(reason("content_filter", text), "refusal");
    assert_eq!(reason("stop", json!({"refusal": "no"})), "refusal");
    assert_eq!(reason("stop", json!({"tool_calls": [{"id": "1", "function": {"name": "f"}}]})), "tool_use");
}

#[test]
fn what_an_answer_said_comes_back_as_the_same_thinking() {
    let details = json!([
        {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "google-gemini-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "format": "google-gemini-v1", "id": "t1", "index": 1},
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1", "index": 2},
    ]);
    let chat = json!({"choices": [{"message": {"content": "a", "reasoning_details": details}}]});
    let answer = from_chat(&chat, "m").unwrap();
    let back = of_turns(&json!([{"role": "assistant", "content": answer["content"]}]));
    assert_eq!(back[0]["reasoning_details"], details);
    assert_eq!(back[0]["reasoning"], "hm");
}

fn streamed(chunks: &[Value]) -> String {
    let mut writer = Writer::new("mock-1");
    let mut said: Vec<Said> = chunks.iter().flat_map(|chunk| writer.chunk(chunk)).collect();
    said.extend(writer.end().unwrap());
    written(&said)
}

#[test]
fn chunks_become_the_events_of_one_message() {
    let delta = |delta: Value| json!({"id": "c1", "model": "mock-1", "choices": [{"index": 0, "delta": delta}]});
    let call = |index: u64, rest: Value| {
        let mut call = json!({"index": index});
        call.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        delta(json!({"tool_calls": [call]}))
    };
    let detail = |detail: Value| delta(json!({"reasoning_details": [detail], "reasoning": "twice"}));
    insta::assert_snapshot!(streamed(&[
        delta(json!({"role": "assistant", "content": ""})),
        detail(json!({"type": "reasoning.text", "text": "h", "index": 0})),
        detail(json!({"type": "reasoning.text", "text": "m", "index": 0})),
        detail(json!({"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1", "index": 0})),
        detail(json!({"type": "reasoning.encrypted", "data": "opaque", "index": 1})),
        delta(json!({"content": "hé"})),
        delta(json!({"content": "llo"})),
        call(0, json!({"id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}})),
        call(0, json!({"function": {"arguments": "{\"a\""}})),
        call(1, json!({"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}})),
        call(0, json!({"function": {"arguments": ":1}"}})),
        json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        json!({"id": "c1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}),
    ]));
}

#[test]
fn a_stream_that_says_nothing_is_still_a_message() {
    insta::assert_snapshot!(streamed(&[]));
}
