//! Whatever a caller or a provider sends, translation answers with a value or an error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Bridge, Form, caller, provider};
use crate::dialect::Dialect;

const CALLERS: [Form; 8] = [
    Form::Chat,
    Form::Completions,
    Form::Responses,
    Form::Messages,
    Form::Content,
    Form::Embeddings,
    Form::Embed,
    Form::BatchEmbed,
];
const PROVIDERS: [Form; 5] = [Form::Chat, Form::Messages, Form::Content, Form::Embeddings, Form::BatchEmbed];
/// Names that mean something somewhere.
const NAMES: [&str; 64] = [
    "type",
    "role",
    "content",
    "text",
    "messages",
    "contents",
    "parts",
    "input",
    "output",
    "items",
    "system",
    "systemInstruction",
    "tools",
    "tool_choice",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "index",
    "delta",
    "choices",
    "message",
    "finish_reason",
    "usage",
    "usageMetadata",
    "candidates",
    "finishReason",
    "functionCall",
    "functionResponse",
    "response",
    "args",
    "inlineData",
    "mimeType",
    "data",
    "image_url",
    "url",
    "file",
    "file_data",
    "source",
    "media_type",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "signature",
    "thinking",
    "thought",
    "thoughtSignature",
    "content_block",
    "partial_json",
    "stop_reason",
    "response_format",
    "json_schema",
    "schema",
    "generationConfig",
    "thinkingConfig",
    "functionDeclarations",
    "parameters",
    "properties",
    "encrypted_content",
    "summary",
    "requests",
    "embedding",
    "values",
];
const WORDS: [&str; 40] = [
    "user",
    "assistant",
    "system",
    "tool",
    "model",
    "function",
    "text",
    "image",
    "image_url",
    "file",
    "input_text",
    "output_text",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "text_delta",
    "thinking_delta",
    "signature_delta",
    "input_json_delta",
    "reasoning.text",
    "reasoning.encrypted",
    "reasoning.summary",
    "function_call",
    "function_call_output",
    "reasoning",
    "message",
    "enabled",
    "base64",
    "url",
    "json_schema",
    "stop",
    "{\"a\":1}",
    "data:image/png;base64,AAAA",
    "",
];

/// JSON that looks like something, and is often wrong.
fn hostile() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => prop::sample::select(WORDS.as_slice()).prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((prop::sample::select(NAMES.as_slice()), inner), 0..6).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

fn bridge(caller: Form, provider: Form, is_stream: bool) -> Bridge {
    let model = "m".to_owned();
    Bridge { caller, provider, model, is_stream, created: 0, as_base64: false, dialect: Dialect::OPENAI }
}

/// A body with what its form cannot do without, so that more than its head is read.
fn dressed(form: Form, value: Value) -> Value {
    let mut body = match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("messages".to_owned(), other)]),
    };
    let list = |value: Option<Value>| match value {
        Some(Value::Array(list)) => Value::Array(list),
        other => json!([other]),
    };
    let name = match form {
        Form::Messages | Form::Chat => "messages",
        Form::Content => "contents",
        Form::Responses | Form::Embeddings | Form::Media => "input",
        Form::Completions => "prompt",
        Form::Embed => "content",
        Form::BatchEmbed => "requests",
    };
    let inner = list(body.shift_remove(name));
    body.insert(name.to_owned(), inner);
    Value::Object(body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_request_makes_it_panic(value in hostile(), caller in 0..CALLERS.len(), to in 0..PROVIDERS.len(), stream: bool) {
        let caller = CALLERS[caller];
        let _ = bridge(caller, PROVIDERS[to], stream).request(&value);
        let _ = bridge(caller, PROVIDERS[to], stream).request(&dressed(caller, value));
    }

    #[test]
    fn no_answer_makes_it_panic(value in hostile(), caller in 0..CALLERS.len(), from in 0..PROVIDERS.len()) {
        let bridge = bridge(CALLERS[caller], PROVIDERS[from], false);
        let _ = bridge.answer(&value);
        let _ = bridge.answer(&json!({ "choices": [value], "content": [value], "candidates": [value] }));
    }

    #[test]
    fn no_stream_makes_it_panic(
        events in prop::collection::vec(hostile(), 0..6),
        caller in 0..CALLERS.len(),
        from in 0..PROVIDERS.len(),
    ) {
        let mut stream = bridge(CALLERS[caller], PROVIDERS[from], true).stream(false);
        for event in events {
            let dressed = json!({ "type": "content_block_start", "index": 0, "content_block": event, "delta": event,
                                  "choices": [{ "delta": event }], "candidates": [{ "content": event }] });
            let _ = stream.event(&event);
            let _ = stream.event(&dressed);
        }
        let _ = stream.end();
    }

    #[test]
    fn a_message_that_goes_to_the_pivot_and_back_is_the_same(turns in turns()) {
        let request = json!({ "model": "m", "max_tokens": 9, "messages": turns });
        let chat = caller::messages::to_chat(&request).unwrap();
        let back = provider::anthropic::from_chat(&chat, "m").unwrap();
        prop_assert_eq!(blocks(&back["messages"]), blocks(&turns), "{}", chat);
    }

    #[test]
    fn contents_that_go_to_the_pivot_and_back_are_the_same(contents in contents()) {
        let chat = caller::gemini::to_chat(&json!({ "contents": contents })).unwrap();
        let back = provider::gemini::from_chat(&chat, "gemini-2.5-pro").unwrap();
        prop_assert_eq!(&back["contents"], &contents, "{}", chat);
    }
}

/// A conversation in Anthropic's form: texts, thinking, calls and their results.
fn turns() -> impl Strategy<Value = Value> {
    let word = "[a-zé€ ]{1,8}[a-z]";
    let round = (word, word, prop::option::of(word), 0_usize..3, any::<bool>());
    prop::collection::vec(round, 1..4).prop_map(|rounds| {
        let mut turns = Vec::new();
        let mut results: Vec<Value> = Vec::new();
        for (round, (asked, said, thought, calls, is_error)) in rounds.into_iter().enumerate() {
            results.push(json!({ "type": "text", "text": asked }));
            turns.push(json!({ "role": "user", "content": std::mem::take(&mut results) }));
            let mut blocks = Vec::new();
            blocks.extend(thought.map(|text| json!({ "type": "thinking", "thinking": text, "signature": "sig" })));
            blocks.push(json!({ "type": "text", "text": said }));
            for call in 0..calls {
                let id = format!("t{round}_{call}");
                blocks.push(json!({ "type": "tool_use", "id": id, "name": "f", "input": { "n": call } }));
                let mut result = json!({ "type": "tool_result", "tool_use_id": id, "content": said });
                if is_error {
                    result["is_error"] = json!(true);
                }
                results.push(result);
            }
            turns.push(json!({ "role": "assistant", "content": blocks }));
        }
        if !results.is_empty() {
            turns.push(json!({ "role": "user", "content": results }));
        }
        Value::Array(turns)
    })
}

/// A conversation in Gemini's form: texts, thoughts, calls with their signatures and results.
fn contents() -> impl Strategy<Value = Value> {
    let word = "[a-zé€ ]{1,8}[a-z]";
    let round = (word, word, prop::option::of(word), 0_usize..3, any::<bool>());
    prop::collection::vec(round, 1..4).prop_map(|rounds| {
        let mut contents = Vec::new();
        let mut results: Vec<Value> = Vec::new();
        for (round, (asked, said, thought, calls, is_signed)) in rounds.into_iter().enumerate() {
            results.push(json!({ "text": asked }));
            contents.push(json!({ "role": "user", "parts": std::mem::take(&mut results) }));
            let mut parts = Vec::new();
            parts.extend(
                thought.map(|text| json!({ "text": text, "thought": true, "thoughtSignature": "of a thought" })),
            );
            parts.push(json!({ "text": said }));
            for call in 0..calls {
                let id = format!("c{round}_{call}");
                parts.push(json!({ "functionCall": { "id": id, "name": "f", "args": { "n": call } } }));
                let response = json!({ "id": id, "name": "f", "response": { "said": said } });
                results.push(json!({ "functionResponse": response }));
            }
            if is_signed && let Some(last) = parts.last_mut() {
                last["thoughtSignature"] = json!("of the last");
            }
            contents.push(json!({ "role": "model", "parts": parts }));
        }
        if !results.is_empty() {
            contents.push(json!({ "role": "user", "parts": results }));
        }
        Value::Array(contents)
    })
}

/// The turns with every content as blocks, and every text as a block.
fn blocks(turns: &Value) -> Vec<(String, Vec<Value>)> {
    let block = |text: &str| vec![json!({ "type": "text", "text": text })];
    let each = |turn: &Value| {
        let content = match &turn["content"] {
            Value::String(text) => block(text),
            other => other.as_array().unwrap().clone(),
        };
        let content = content.into_iter().map(|mut block| {
            if let Some([only]) = block["content"].as_array().map(Vec::as_slice) {
                let text = only["text"].clone();
                block["content"] = text;
            }
            block
        });
        (turn["role"].as_str().unwrap().to_owned(), content.collect())
    };
    turns.as_array().unwrap().iter().map(each).collect()
}
