#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::{Writer, from_chat, to_chat};
use crate::translate::said::{Said, written};

#[test]
fn every_setting_has_its_word_in_a_chat_completion() {
    let request = json!({
        "model": "primary/mock-1",
        "instructions": "Be brief.",
        "input": "a",
        "max_output_tokens": 100, "temperature": 0.5, "top_p": 0.9,
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": false,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
        "include": ["reasoning.encrypted_content"],
        "stream": true, "store": false, "truncation": "disabled", "metadata": {}, "previous_response_id": null,
    });
    insta::assert_json_snapshot!(to_chat(&request).unwrap());
}

#[test]
fn items_become_turns_and_those_of_the_assistant_one() {
    let input = json!([
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
         "content": [{"type": "output_text", "text": "I ask two.", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "id": "fc_2", "call_id": "t2", "name": "g", "arguments": "{\"a\":1}"},
        {"type": "function_call_output", "call_id": "t1", "output": "one"},
        {"type": "function_call_output", "call_id": "t2", "output": [{"type": "input_text", "text": "two"}]},
        {"role": "user", "content": "go on"},
    ]);
    insta::assert_json_snapshot!(to_chat(&json!({"model": "m", "input": input})).unwrap()["messages"]);
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    for (field, value, name) in [
        ("previous_response_id", json!("resp_1"), "previous_response_id"),
        ("background", json!(true), "background"),
        ("include", json!(["message.output_text.logprobs"]), "include"),
        ("tools", json!([{"type": "web_search"}]), "web_search"),
        ("tool_choice", json!({"type": "mcp"}), "tool_choice.type: mcp"),
        ("input", json!([{"type": "item_reference", "id": "x"}]), "item_reference"),
        (
            "input",
            json!([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]),
            "input_image.file_id",
        ),
    ] {
        let mut request = json!({"model": "m", "input": "a"});
        request[field] = value;
        let message = to_chat(&request).unwrap_err().to_string();
        assert!(message.contains(&format!("`{name}`")), "{message}");
    }
}

#[test]
fn an_answer_keeps_its_thinking_its_text_and_its_calls() {
    let chat = json!({
        "id": "chatcmpl-1", "model": "mock-1", "created": 5,
        "choices": [{"message": {
            "content": "hello",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "sig", "index": 0}],
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}],
        }, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50,
                  "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 20}},
    });
    insta::assert_json_snapshot!(from_chat(&chat, "mock-1"));
}

#[test]
fn what_an_answer_said_comes_back_as_the_same_thinking() {
    let details = json!([
        {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "id": "t1", "format": "google-gemini-v1", "index": 1},
    ]);
    let chat = json!({"choices": [{"message": {"content": "a", "reasoning_details": details}}]});
    let answer = from_chat(&chat, "m");
    let back = to_chat(&json!({"model": "m", "input": answer["output"]})).unwrap();
    assert_eq!(back["messages"].as_array().unwrap().len(), 1);
    assert_eq!(back["messages"][0]["reasoning_details"], details);
    assert_eq!(back["messages"][0]["content"], "a");
}

#[test]
fn chunks_become_the_events_of_one_response() {
    let delta =
        |delta: Value| json!({"id": "c1", "model": "mock-1", "created": 5, "choices": [{"index": 0, "delta": delta}]});
    let mut writer = Writer::new("mock-1");
    let mut said: Vec<Said> = [
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning_details": [{"type": "reasoning.text", "text": "h", "index": 0}]})),
        delta(json!({"reasoning_details": [{"type": "reasoning.text", "text": "m", "signature": "sig", "index": 0}]})),
        delta(json!({"content": "hé"})),
        delta(json!({"content": "llo"})),
        delta(json!({"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "f", "arguments": "{\"a\""}}]})),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]})),
        json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        json!({"id": "c1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}),
    ]
    .iter()
    .flat_map(|chunk| writer.chunk(chunk))
    .collect();
    said.extend(writer.end());
    insta::assert_snapshot!(written(&said));
}

#[test]
fn a_list_of_tools_that_may_be_called_is_a_chat_completions() {
    let choice = json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]});
    let chat = to_chat(&json!({"model": "m", "input": "a", "tool_choice": choice})).unwrap();
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let expected = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [tool]}});
    assert_eq!(chat["tool_choice"], expected);
}
