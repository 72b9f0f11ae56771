#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::samples::{anthropic_events, chunks_of, gemini_pieces, with};
use super::{anthropic, gemini};
use crate::stream::sse::Parser;
use crate::translate::TranslateError;

/// The text that chunks say.
fn content(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/content")?.as_str()).collect()
}

/// The text of a stream that is cut after so many bytes and arrives in pieces of these sizes.
fn heard(
    events: &[Value],
    cut: usize,
    sizes: &[usize],
    mut read: impl FnMut(&Value) -> Result<Vec<Value>, TranslateError>,
) -> String {
    let bytes: Vec<u8> = events.iter().flat_map(|event| format!("data: {event}\r\n\r\n").into_bytes()).collect();
    let mut rest = &bytes[..cut.min(bytes.len())];
    let mut parser = Parser::default();
    let mut said = String::new();
    for size in sizes.iter().cycle() {
        let (piece, tail) = rest.split_at((*size).min(rest.len()));
        parser.push(piece).unwrap();
        while let Some(event) = parser.next_event() {
            let event = serde_json::from_str(&event.data).unwrap();
            said += &content(&read(&event).unwrap());
        }
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    said
}

fn json_value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "type",
        "index",
        "delta",
        "text",
        "content_block",
        "message",
        "usage",
        "candidates",
        "content",
        "parts",
        "functionCall",
        "name",
        "args",
        "thought",
        "thoughtSignature",
        "input",
        "id",
        "role",
        "messages",
        "tools",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "message_delta",
        "tool_use",
        "thinking",
        "text_delta",
        "input_json_delta",
        "function",
        "choices",
        "user",
        "tool",
        "assistant",
        "usageMetadata",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[a-z{}\"\\\\é]{0,6}".prop_map(Value::from),
        words.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

/// A stream in which some events were replaced by anything, or left out.
fn damaged(events: &[Value]) -> impl Strategy<Value = Vec<Value>> + use<> {
    let events: Vec<_> = events
        .iter()
        .cloned()
        .map(|event| prop_oneof![4 => Just(Some(event)), 1 => json_value().prop_map(Some), 1 => Just(None)])
        .collect();
    events.prop_map(|events| events.into_iter().flatten().collect())
}

proptest! {
    #[test]
    fn nothing_makes_a_translation_panic(value in json_value()) {
        let _ = anthropic::from_chat(&value, "m");
        let _ = gemini::from_chat(&value, "gemini-3");
        let _ = anthropic::to_chat(&value);
        let _ = gemini::to_chat(&value);
        let _ = anthropic::from_chat(&with("messages", json!([value.clone()])), "m");
        let _ = gemini::from_chat(&with("tools", json!([value])), "m");
    }

    #[test]
    fn a_damaged_stream_neither_panics_nor_says_what_the_provider_did_not(
        claude in damaged(&anthropic_events()),
        gemini in damaged(&gemini_pieces()),
    ) {
        let mut reader = anthropic::Reader::default();
        let said: Vec<Value> = claude.iter().filter_map(|event| reader.read(event).ok()).flatten().collect();
        let all = Value::from(claude).to_string();
        for chunk in &said {
            let text = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default();
            let quoted = Value::from(text).to_string();
            prop_assert!(all.contains(quoted.trim_matches('"')), "{text}");
        }
        let mut reader = gemini::Reader::default();
        for event in &gemini {
            let said = reader.read(event).unwrap_or_default();
            let quoted = Value::from(content(&said)).to_string();
            prop_assert!(event.to_string().contains(quoted.trim_matches('"')));
        }
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_says_the_beginning_of_what_the_whole_says(
        cut in 0_usize..2_000,
        sizes in prop::collection::vec(1_usize..50, 1..9),
    ) {
        let claude = |cut| {
            let mut reader = anthropic::Reader::default();
            heard(&anthropic_events(), cut, &sizes, |event| reader.read(event))
        };
        let google = |cut| {
            let mut reader = gemini::Reader::default();
            heard(&gemini_pieces(), cut, &sizes, |event| reader.read(event))
        };
        prop_assert_eq!((claude(usize::MAX), google(usize::MAX)), ("Hé".to_owned(), "Hé".to_owned()));
        prop_assert!("Hé".starts_with(&claude(cut)) && "Hé".starts_with(&google(cut)));
    }

    #[test]
    fn texts_and_arguments_arrive_whole(texts in prop::collection::vec("[a-zé😀\"]{1,6}", 1..8)) {
        let mut events = vec![
            json!({"type": "message_start", "message": {"id": "m"}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
        ];
        for text in &texts {
            events.push(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}));
            events.push(json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": text}}));
        }
        let mut reader = anthropic::Reader::default();
        let claude = chunks_of(&events, |event| reader.read(event));
        prop_assert_eq!(content(&claude), texts.concat());
        let arguments = claude.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str());
        prop_assert_eq!(arguments.collect::<String>(), texts.concat());
        let pieces: Vec<Value> = texts.iter()
            .map(|text| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}))
            .collect();
        let mut reader = gemini::Reader::default();
        prop_assert_eq!(content(&chunks_of(&pieces, |event| reader.read(event))), texts.concat());
    }
}
