//! Chat completions that say as much as possible.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use crate::translate::TranslateError;

/// A conversation with a system prompt, an image of each kind, a document, thinking, two
/// tool calls at once, their results, and every field that both protocols know.
pub(super) fn chat() -> Value {
    json!({
        "model": "primary/m",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "What is the weather here?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "auto"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.JPG?x=1"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
            ]},
            {"role": "assistant", "content": "I look.", "refusal": null, "annotations": [], "reasoning": "It asks.",
             "reasoning_details": [
                {"type": "reasoning.text", "text": "It asks.", "signature": "sig-a", "format": "anthropic-claude-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "secret-a", "format": "anthropic-claude-v1", "index": 1},
                {"type": "reasoning.text", "text": "It asks.", "format": "google-gemini-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "sig-g", "id": "call_1", "format": "google-gemini-v1", "index": 1},
             ],
             "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Wien\"}"}},
                {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}},
             ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "{\"sun\":true}"},
            {"role": "tool", "tool_call_id": "call_2", "content": "no clock", "is_error": true},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "Of a city",
             "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}, "strict": true}},
            {"type": "function", "function": {"name": "now"}, "cache_control": {"type": "ephemeral"}},
        ],
        "tool_choice": "auto",
        "reasoning": {"effort": "high"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        "stop": "END",
        "max_completion_tokens": 2000,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "n": 1,
        "stream": true,
        "stream_options": {"include_usage": true},
        "user": "u-1",
        "metadata": {"run": "7"},
    })
}

/// The smallest chat completion with one more field.
pub(super) fn with(field: &str, value: Value) -> Value {
    let mut chat = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
    chat[field] = value;
    chat
}

/// The events of an Anthropic message: thinking, text, two tool calls.
pub(super) fn anthropic_events() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage":
            {"input_tokens": 40, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "secret"}}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Hé"}}),
        json!({"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}}),
        json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{\"city\":"}}),
        json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "\"Wien\"}"}}),
        json!({"type": "content_block_start", "index": 4, "content_block": {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 30}}),
        json!({"type": "message_stop"}),
    ]
}

/// The pieces of a Gemini answer: thoughts, text, two calls.
pub(super) fn gemini_pieces() -> Vec<Value> {
    let piece = |parts: Value| {
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
               "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 1, "totalTokenCount": 101},
               "modelVersion": "gemini-2.5-pro", "responseId": "r-1"})
    };
    let mut last = piece(json!([{"text": "", "thoughtSignature": "sig-text"}]));
    last["candidates"][0]["finishReason"] = json!("STOP");
    last["usageMetadata"] = json!({"promptTokenCount": 100, "cachedContentTokenCount": 60,
        "candidatesTokenCount": 20, "thoughtsTokenCount": 10, "totalTokenCount": 130});
    vec![
        piece(json!([{"text": "Hm", "thought": true}])),
        piece(json!([{"text": ".", "thought": true}])),
        piece(json!([{"text": "Hé"}])),
        piece(json!([
            {"functionCall": {"name": "weather", "args": {"city": "Wien"}}, "thoughtSignature": "sig-call"},
            {"functionCall": {"id": "own", "name": "now"}},
        ])),
        last,
    ]
}

/// All chunks for some events.
pub(super) fn chunks_of(
    events: &[Value],
    mut read: impl FnMut(&Value) -> Result<Vec<Value>, TranslateError>,
) -> Vec<Value> {
    events.iter().flat_map(|event| read(event).unwrap()).collect()
}
