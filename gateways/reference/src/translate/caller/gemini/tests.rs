#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::{Writer, batch_to_embeddings, camel, from_chat, from_embeddings, to_chat, to_embeddings};
use crate::translate::said::{Said, written};

fn of_contents(contents: &Value) -> Value {
    to_chat(&json!({"contents": contents})).unwrap()["messages"].take()
}

#[test]
fn every_setting_has_its_word_in_a_chat_completion() {
    let request = json!({
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"parts": [{"text": "a"}]}],
        "generationConfig": {
            "maxOutputTokens": 100, "temperature": 0.5, "topP": 0.9, "topK": 40, "stopSequences": ["END"],
            "candidateCount": 2, "seed": 7, "presencePenalty": 0.1, "frequency_penalty": 0.2,
            "responseMimeType": "application/json", "responseModalities": ["TEXT"],
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}},
            "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": true},
        },
        "tools": [{"functionDeclarations": [
            {"name": "f", "description": "d", "parameters": {"type": "OBJECT", "properties": {"q": {"type": "INTEGER"}}}},
            {"name": "g", "parametersJsonSchema": {"type": "object"}},
        ]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "labels": {"team": "a"},
    });
    insta::assert_json_snapshot!(to_chat(&request).unwrap());
}

#[test]
fn turns_keep_their_texts_media_calls_results_and_thinking() {
    insta::assert_json_snapshot!(of_contents(&json!([
        {"role": "user", "parts": [
            {"text": "look"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.com/a.jpg"}},
            {"inline_data": {"mime_type": "application/pdf", "data": "BBBB"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "CCCC"}},
        ]},
        {"role": "model", "parts": [
            {"text": "hm", "thought": true},
            {"text": "I ask two.", "thoughtSignature": "of the text"},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "of the call"},
            {"functionCall": {"name": "f", "args": {"a": 2}}},
            {"functionCall": {"id": "own", "name": "g"}},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "f", "response": {"result": "one"}}},
            {"functionResponse": {"id": "own", "name": "g", "response": {"result": "three"}}},
            {"functionResponse": {"name": "f", "response": {"result": "two"}}},
            {"text": "go on"},
        ]},
    ])));
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let of = |field: &str, value: Value| {
        let mut request = json!({"contents": [{"parts": [{"text": "a"}]}]});
        request[field] = value;
        to_chat(&request).unwrap_err().to_string()
    };
    let part = |part: Value| json!([{"parts": [part]}]);
    for (field, value, name) in [
        ("cachedContent", json!("cachedContents/1"), "cachedContent"),
        ("tools", json!([{"googleSearch": {}}]), "tools[].googleSearch"),
        ("safetySettings", json!([{"category": "x", "threshold": "BLOCK_LOW_AND_ABOVE"}]), "safetySettings"),
        ("generationConfig", json!({"speechConfig": {}}), "generationConfig.speechConfig"),
        ("generationConfig", json!({"responseModalities": ["IMAGE"]}), "generationConfig.responseModalities"),
        ("generationConfig", json!({"responseMimeType": "text/x.enum"}), "responseMimeType: text/x.enum"),
        ("contents", part(json!({"inlineData": {"mimeType": "video/mp4", "data": "A"}})), "video/mp4"),
        (
            "contents",
            part(json!({"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a"}})),
            "fileData.fileUri: gs://b/a",
        ),
        ("contents", part(json!({"executableCode": {}})), "parts[].executableCode"),
        ("contents", json!([{"role": "system", "parts": []}]), "contents[].role"),
    ] {
        let message = of(field, value);
        assert!(message.contains(&format!("`{name}`")), "{message}");
    }
}

#[test]
fn both_spellings_of_a_name_are_one() {
    assert_eq!(
        [camel("max_output_tokens"), camel("maxOutputTokens"), camel("_a__b")],
        ["maxOutputTokens", "maxOutputTokens", "AB"]
    );
}

#[test]
fn an_answer_keeps_its_thinking_its_text_and_its_calls() {
    let chat = json!({
        "id": "chatcmpl-1", "model": "mock-1",
        "choices": [
            {"index": 0, "message": {
                "content": "hello",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "hm", "index": 0},
                    {"type": "reasoning.encrypted", "data": "of the text", "format": "google-gemini-v1", "index": 1},
                    {"type": "reasoning.encrypted", "data": "of the call", "id": "t1", "format": "google-gemini-v1", "index": 2},
                ],
                "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}],
            }, "finish_reason": "tool_calls"},
            {"index": 1, "message": {"refusal": "no"}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50,
                  "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 20}},
    });
    insta::assert_json_snapshot!(from_chat(&chat, "mock-1"));
}

#[test]
fn what_an_answer_said_comes_back_as_the_same_calls_and_signatures() {
    let chat = json!({"choices": [{"message": {
        "content": "hello",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "hm", "format": "google-gemini-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "of the text", "format": "google-gemini-v1", "index": 1},
            {"type": "reasoning.encrypted", "data": "of the call", "format": "google-gemini-v1", "index": 2, "id": "t1"},
        ],
        "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}],
    }}]});
    let answer = from_chat(&chat, "m");
    let back = of_contents(&json!([answer["candidates"][0]["content"]]));
    let before = &chat["choices"][0]["message"];
    assert_eq!(back[0]["reasoning_details"], before["reasoning_details"]);
    assert_eq!(back[0]["tool_calls"], before["tool_calls"]);
    assert_eq!(back[0]["content"], "hello");
}

fn streamed(chunks: &[Value]) -> String {
    let mut writer = Writer::new("mock-1");
    let mut said: Vec<Said> = chunks.iter().flat_map(|chunk| writer.chunk(chunk)).collect();
    said.extend(writer.end());
    written(&said)
}

#[test]
fn chunks_become_pieces_and_calls_come_whole_at_the_end() {
    let delta = |delta: Value| json!({"id": "c1", "model": "mock-1", "choices": [{"index": 0, "delta": delta}]});
    insta::assert_snapshot!(streamed(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning": "hm", "reasoning_content": "hm"})),
        delta(
            json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "sig", "id": "t2", "format": "google-gemini-v1"}]})
        ),
        delta(json!({"content": "hé"})),
        delta(json!({"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "f", "arguments": "{\"a\""}}]})),
        delta(json!({"tool_calls": [{"index": 1, "id": "t2", "function": {"name": "g", "arguments": ""}}]})),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]})),
        json!({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        json!({"id": "c1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}),
    ]));
}

#[test]
fn embeddings_go_both_ways() {
    let one = to_embeddings(&json!({"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "outputDimensionality": 3}));
    assert_eq!(one.unwrap(), json!({"input": "a\nb", "encoding_format": "float", "dimensions": 3}));
    let each = |text: &str| json!({"model": "models/m", "content": {"parts": [{"text": text}]}});
    let batch = batch_to_embeddings(&json!({"requests": [each("a"), each("b")]}));
    assert_eq!(batch.unwrap()["input"], json!(["a", "b"]));
    let typed = to_embeddings(&json!({"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}));
    assert!(typed.unwrap_err().to_string().contains("`taskType`"));
    let answer = json!({"data": [{"index": 0, "embedding": [0.5, 1.0]}], "usage": {"prompt_tokens": 3}});
    assert_eq!(from_embeddings(&answer)["embedding"]["values"], json!([0.5, 1.0]));
}
