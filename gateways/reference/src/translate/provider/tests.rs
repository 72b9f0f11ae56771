#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::samples::{anthropic_events, chat, chunks_of, gemini_pieces, with};
use super::{anthropic, gemini};
use crate::translate::TranslateError;

fn field(name: &str) -> TranslateError {
    TranslateError::Field(name.to_owned())
}

fn block(name: &str) -> TranslateError {
    TranslateError::Block(name.to_owned())
}

#[test]
fn a_chat_completion_becomes_a_message_request() {
    insta::assert_json_snapshot!(anthropic::from_chat(&chat(), "m").unwrap());
}

#[test]
fn a_chat_completion_becomes_a_request_to_generate_content() {
    insta::assert_json_snapshot!(gemini::from_chat(&chat(), "m").unwrap());
}

#[test]
fn newer_models_are_told_to_think_in_words() {
    let claude = anthropic::from_chat(&with("reasoning_effort", json!("xhigh")), "claude-opus-4-7").unwrap();
    assert_eq!(claude["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(claude["output_config"], json!({"effort": "xhigh"}));
    let claude = anthropic::from_chat(&with("reasoning_effort", json!("xhigh")), "claude-opus-4-6").unwrap();
    assert_eq!(claude["thinking"], json!({"type": "adaptive"}));
    assert_eq!(claude["output_config"], json!({"effort": "max"}));
    let budget = with("reasoning", json!({"max_tokens": 2048}));
    assert_eq!(anthropic::from_chat(&budget, "claude-opus-4-7").unwrap_err(), field("reasoning.max_tokens"));
    let gemini = gemini::from_chat(&chat(), "gemini-3-pro").unwrap();
    let thinking = json!({"includeThoughts": true, "thinkingLevel": "high"});
    assert_eq!(gemini["generationConfig"]["thinkingConfig"], thinking);
}

#[test]
fn thinking_is_switched_off_and_given_a_budget() {
    let claude =
        |reasoning: Value| anthropic::from_chat(&with("reasoning", reasoning), "m").unwrap()["thinking"].clone();
    assert_eq!(claude(json!({"enabled": false})), json!({"type": "disabled"}));
    assert_eq!(claude(json!({"effort": "none"})), json!({"type": "disabled"}));
    assert_eq!(claude(json!({"max_tokens": 2048})), json!({"type": "enabled", "budget_tokens": 2048}));
    assert_eq!(claude(json!({"effort": "minimal"})), json!({"type": "enabled", "budget_tokens": 1024}));
    let gemini = |reasoning: Value| {
        let request = gemini::from_chat(&with("reasoning", reasoning), "m").unwrap();
        request["generationConfig"]["thinkingConfig"].clone()
    };
    assert_eq!(gemini(json!({"enabled": false})), json!({"thinkingBudget": 0}));
    assert_eq!(gemini(json!({"max_tokens": 2048})), json!({"includeThoughts": true, "thinkingBudget": 2048}));
}

#[test]
fn where_anthropic_demands_a_bound_it_gets_the_documented_one() {
    let bound = |chat: &Value| anthropic::from_chat(chat, "m").unwrap()["max_tokens"].clone();
    assert_eq!(bound(&with("n", json!(1))), 4096);
    assert_eq!(bound(&with("max_tokens", json!(7))), 7);
    let gemini = gemini::from_chat(&with("n", json!(2)), "m").unwrap();
    assert_eq!(gemini["generationConfig"], json!({"candidateCount": 2}));
}

#[test]
fn every_choice_of_a_tool_has_its_word() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (choice, claude, gemini) in [
        (json!("auto"), json!({"type": "auto"}), json!({"mode": "AUTO"})),
        (json!("none"), json!({"type": "none"}), json!({"mode": "NONE"})),
        (json!("required"), json!({"type": "any"}), json!({"mode": "ANY"})),
        (
            json!({"type": "function", "function": {"name": "f"}}),
            json!({"type": "tool", "name": "f"}),
            json!({"mode": "ANY", "allowedFunctionNames": ["f"]}),
        ),
    ] {
        let mut chat = with("tool_choice", choice);
        chat["tools"] = tools.clone();
        assert_eq!(anthropic::from_chat(&chat, "m").unwrap()["tool_choice"], claude);
        assert_eq!(gemini::from_chat(&chat, "m").unwrap()["toolConfig"]["functionCallingConfig"], gemini);
    }
    let mut one = with("parallel_tool_calls", json!(false));
    one["tools"] = tools;
    let expected = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(anthropic::from_chat(&one, "m").unwrap()["tool_choice"], expected);
}

#[test]
fn what_a_provider_cannot_be_told_is_refused_by_name() {
    let claude = |name: &str, value: Value| anthropic::from_chat(&with(name, value), "m").unwrap_err();
    assert_eq!(claude("n", json!(2)), field("n"));
    assert_eq!(claude("seed", json!(7)), field("seed"));
    assert_eq!(claude("logprobs", json!(true)), field("logprobs"));
    assert_eq!(claude("frequency_penalty", json!(0.5)), field("frequency_penalty"));
    assert_eq!(claude("response_format", json!({"type": "json_object"})), field("response_format.type: json_object"));
    assert_eq!(claude("tools", json!([{"type": "web_search"}])), block("web_search"));
    let mut small = with("reasoning_effort", json!("low"));
    small["max_tokens"] = json!(100);
    assert_eq!(anthropic::from_chat(&small, "m").unwrap_err(), field("reasoning with max_tokens of 1024 or less"));
    let gemini = |name: &str, value: Value| gemini::from_chat(&with(name, value), "m").unwrap_err();
    assert_eq!(gemini("parallel_tool_calls", json!(false)), field("parallel_tool_calls"));
    assert_eq!(gemini("logit_bias", json!({"1": 1})), field("logit_bias"));
    for refused in [claude, gemini] {
        let message = |message: Value| refused("messages", json!([message]));
        assert_eq!(refused("invented", json!(1)), field("invented"));
        assert_eq!(refused("messages", json!(1)), TranslateError::Shape("messages"));
        assert_eq!(message(json!({"role": "user", "content": "a", "name": "Bob"})), field("messages[].name"));
        assert_eq!(message(json!({"role": "robot", "content": "a"})), field("messages[].role: robot"));
        assert_eq!(message(json!({"role": "user", "content": [{"type": "video_url"}]})), block("video_url"));
        let file = json!([{"type": "file", "file": {"file_id": "f"}}]);
        assert_eq!(message(json!({"role": "user", "content": file})), field("file.file_id"));
    }
    let audio = json!([{"type": "input_audio", "input_audio": {"format": "wav", "data": "AA"}}]);
    assert_eq!(claude("messages", json!([{"role": "user", "content": audio}])), block("input_audio"));
}

#[test]
fn a_field_that_says_nothing_about_the_answer_is_no_reason_to_refuse() {
    for (name, value) in [
        ("logit_bias", json!({})),
        ("presence_penalty", json!(0)),
        ("frequency_penalty", json!(0.0)),
        ("store", json!(true)),
        ("prompt_cache_key", json!("k")),
        ("seed", Value::Null),
        ("modalities", json!(["text"])),
        ("service_tier", json!("auto")),
    ] {
        assert!(anthropic::from_chat(&with(name, value.clone()), "m").is_ok(), "{name}");
        assert!(gemini::from_chat(&with(name, value), "m").is_ok(), "{name}");
    }
}

#[test]
fn a_message_becomes_a_chat_completion() {
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
            {"type": "redacted_thinking", "data": "secret"},
            {"type": "text", "text": "I "},
            {"type": "text", "text": "look."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Wien"}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 30, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 20,
                  "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15}, "output_tokens": 40},
    });
    insta::assert_json_snapshot!(anthropic::to_chat(&answer).unwrap());
}

#[test]
fn a_generated_content_becomes_a_chat_completion() {
    let answer = json!({
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
            {"text": "Hm.", "thought": true, "thoughtSignature": "sig-thought"},
            {"text": "I look.", "thoughtSignature": "sig-text"},
            {"functionCall": {"name": "weather", "args": {"city": "Wien"}}, "thoughtSignature": "sig-call"},
            {"functionCall": {"id": "own", "name": "now"}},
        ]}}],
        "usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 20,
                          "thoughtsTokenCount": 10, "totalTokenCount": 130},
        "modelVersion": "gemini-2.5-pro", "responseId": "r-1",
    });
    insta::assert_json_snapshot!(gemini::to_chat(&answer).unwrap());
}

#[test]
fn what_gemini_thought_and_called_goes_back_as_it_came() {
    let parts = json!([
        {"text": "Hm.", "thought": true, "thoughtSignature": "sig-thought"},
        {"text": "I look.", "thoughtSignature": "sig-text"},
        {"functionCall": {"id": "own", "name": "weather", "args": {"city": "Wien"}}, "thoughtSignature": "sig-call"},
    ]);
    let answer = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
    let message = gemini::to_chat(&answer).unwrap()["choices"][0]["message"].clone();
    let back = gemini::from_chat(&with("messages", json!([message])), "gemini-3-pro").unwrap();
    assert_eq!(back["contents"][0]["parts"], parts);
}

#[test]
fn what_claude_thought_and_called_goes_back_as_it_came() {
    let content = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "secret"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Wien"}},
    ]);
    let answer = json!({"content": content, "stop_reason": "tool_use"});
    let message = anthropic::to_chat(&answer).unwrap()["choices"][0]["message"].clone();
    let back = anthropic::from_chat(&with("messages", json!([message])), "m").unwrap();
    assert_eq!(back["messages"][0]["content"], content);
}

#[test]
fn a_call_of_another_model_is_said_to_be_one_where_gemini_wants_signatures() {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let chat = with("messages", json!([{"role": "assistant", "tool_calls": [call.clone(), call]}]));
    let parts = |model: &str| gemini::from_chat(&chat, model).unwrap()["contents"][0]["parts"].clone();
    assert_eq!(parts("gemini-3-pro")[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts("gemini-3-pro")[1].get("thoughtSignature"), None);
    assert_eq!(parts("gemini-2.5-pro")[0].get("thoughtSignature"), None);
}

#[test]
fn a_prompt_that_gemini_refuses_is_a_refusal() {
    let answer = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7}});
    let chat = gemini::to_chat(&answer).unwrap();
    assert_eq!(chat["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(chat["choices"][0]["message"]["refusal"], "the prompt was blocked: SAFETY");
    let chunks = gemini::Reader::default().read(&answer).unwrap();
    assert_eq!(chunks[1]["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(chunks[2]["usage"]["prompt_tokens"], 7);
}

#[test]
fn an_answer_with_something_else_in_it_is_no_answer() {
    let claude = json!({"content": [{"type": "server_tool_use", "id": "s"}]});
    assert_eq!(anthropic::to_chat(&claude).unwrap_err(), block("server_tool_use"));
    let gemini = json!({"candidates": [{"content": {"parts": [{"inlineData": {}}]}}]});
    assert_eq!(gemini::to_chat(&gemini).unwrap_err(), block("inlineData"));
}

#[test]
fn the_events_of_a_message_become_chunks() {
    let mut reader = anthropic::Reader::default();
    let chunks = chunks_of(&anthropic_events(), |event| reader.read(event));
    insta::assert_snapshot!(lines(&chunks));
}

#[test]
fn the_pieces_of_a_generated_content_become_chunks() {
    let mut reader = gemini::Reader::default();
    let chunks = chunks_of(&gemini_pieces(), |event| reader.read(event));
    insta::assert_snapshot!(lines(&chunks));
}

/// One line a chunk, without the head that all of them share.
fn lines(chunks: &[Value]) -> String {
    let line = |chunk: &Value| match chunk.get("usage") {
        Some(usage) => format!("usage {usage}\n"),
        None => format!("{}\n", chunk["choices"][0]),
    };
    chunks.iter().map(line).collect()
}

#[test]
fn of_the_tools_that_may_be_called_each_protocol_hears_in_its_way() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let among = json!({"mode": "required", "tools": [tool("a"), tool("b")]});
    let mut chat = with("tool_choice", json!({"type": "allowed_tools", "allowed_tools": among}));
    chat["tools"] = json!([tool("a"), tool("b"), tool("c")]);
    let claude = anthropic::from_chat(&chat, "m").unwrap();
    let told: Vec<&Value> = claude["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!((told, &claude["tool_choice"]), (vec![&json!("a"), &json!("b")], &json!({"type": "any"})));
    let calling = |chat: &Value| gemini::from_chat(chat, "m").unwrap()["toolConfig"]["functionCallingConfig"].take();
    assert_eq!(calling(&chat), json!({"mode": "ANY", "allowedFunctionNames": ["a", "b"]}));
    chat["tool_choice"]["allowed_tools"]["mode"] = json!("auto");
    assert_eq!(anthropic::from_chat(&chat, "m").unwrap()["tool_choice"], json!({"type": "auto"}));
    assert_eq!(calling(&chat), json!({"mode": "VALIDATED", "allowedFunctionNames": ["a", "b"]}));
}

#[test]
fn a_tool_without_a_schemas_type_has_an_objects() {
    for parameters in [json!({}), json!({"properties": {}}), Value::Null] {
        let tool = json!([{"type": "function", "function": {"name": "f", "parameters": parameters}}]);
        let told = anthropic::from_chat(&with("tools", tool), "m").unwrap();
        assert_eq!(told["tools"][0]["input_schema"]["type"], "object", "{parameters}");
    }
}

#[test]
fn a_model_that_goes_on_with_what_it_began_without_a_thought_is_not_told_to_think() {
    let call = |thoughts: Value| {
        let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        json!({"role": "assistant", "reasoning_details": thoughts, "tool_calls": [call]})
    };
    let thought = json!([{"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "anthropic-claude-v1"}]);
    let foreign = json!([{"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "google-gemini-v1"}]);
    let (asked, result) =
        (json!({"role": "user", "content": "a"}), json!({"role": "tool", "tool_call_id": "1", "content": "b"}));
    let (with_thought, without) = (call(thought), call(json!([])));
    let told = |messages: &[&Value], model: &str| {
        let mut chat = with("reasoning_effort", json!("low"));
        chat["messages"] = messages.iter().copied().cloned().collect();
        anthropic::from_chat(&chat, model).unwrap()["thinking"]["type"].take()
    };
    let older = |messages: &[&Value]| told(messages, "claude-sonnet-4-5");
    assert_eq!(older(&[&asked, &without, &result]), Value::Null);
    assert_eq!(older(&[&asked, &call(foreign), &result]), Value::Null, "it cannot read another's");
    assert_eq!(older(&[&asked, &with_thought, &result]), "enabled");
    assert_eq!(older(&[&asked, &with_thought, &result, &without, &result]), "enabled", "it began with a thought");
    assert_eq!(older(&[&asked, &without, &result, &without, &asked]), "enabled", "a new turn");
    assert_eq!(older(&[&asked]), "enabled");
    assert_eq!(told(&[&asked, &without, &result], "claude-opus-4-6"), "adaptive");
}
