//! What providers of either protocol are told of messages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::samples::with;
use super::{anthropic, gemini};

/// What either protocol is told of these messages.
fn both(messages: Value) -> (Value, Value) {
    let chat = with("messages", messages);
    let claude = anthropic::from_chat(&chat, "m").unwrap()["messages"].take();
    (claude, gemini::from_chat(&chat, "m").unwrap()["contents"].take())
}

#[test]
fn arguments_that_are_no_object_go_back_as_a_text_in_one() {
    for (arguments, told) in [
        (r#"{"city":"Wi"#, json!({"arguments": r#"{"city":"Wi"#})),
        ("[1]", json!({"arguments": "[1]"})),
        ("null", json!({})),
        (" ", json!({})),
        (r#"{"city":"Wien"}"#, json!({"city": "Wien"})),
    ] {
        let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}});
        let (claude, gemini) = both(json!([{"role": "assistant", "tool_calls": [call]}]));
        assert_eq!(claude[0]["content"][0]["input"], told, "{arguments}");
        assert_eq!(gemini[0]["parts"][0]["functionCall"]["args"], told, "{arguments}");
    }
}

#[test]
fn a_text_that_says_nothing_is_left_out() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let empty = json!({"type": "text", "text": ""});
    let (claude, gemini) = both(json!([
        {"role": "system", "content": ""},
        {"role": "user", "content": [empty, image]},
        {"role": "assistant", "content": "", "tool_calls":
            [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": [empty]},
    ]));
    let kinds = |blocks: &Value| blocks.as_array().unwrap().iter().map(|one| one["type"].clone()).collect::<Vec<_>>();
    assert_eq!(kinds(&claude[0]["content"]), ["image"]);
    assert_eq!(kinds(&claude[1]["content"]), ["tool_use"]);
    assert_eq!(claude[2]["content"], json!([{"type": "tool_result", "tool_use_id": "1", "content": ""}]));
    assert_eq!(gemini[0]["parts"].as_array().unwrap().len(), 1);
    let response = json!({"id": "1", "name": "f", "response": {"result": ""}});
    assert_eq!(gemini[2]["parts"][0]["functionResponse"], response);
    let system = with("messages", json!([{"role": "system", "content": ""}, {"role": "user", "content": "a"}]));
    assert_eq!(anthropic::from_chat(&system, "m").unwrap().get("system"), None);
    assert_eq!(gemini::from_chat(&system, "m").unwrap().get("systemInstruction"), None);
}

#[test]
fn a_text_of_white_space_is_none_to_claude_and_one_to_gemini() {
    let text = |text: &str| json!({"type": "text", "text": text});
    let (claude, gemini) = both(json!([{"role": "user", "content": [text("a"), text("\n"), text("b")]}]));
    assert_eq!(claude[0]["content"], json!([text("a"), text("b")]));
    assert_eq!(gemini[0]["parts"].as_array().unwrap().len(), 3);
}

#[test]
fn openais_other_name_of_jpeg_is_understood() {
    let image = json!([{"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA=="}}]);
    let (claude, gemini) = both(json!([{"role": "user", "content": image}]));
    assert_eq!(claude[0]["content"][0]["source"]["media_type"], "image/jpeg");
    assert_eq!(gemini[0]["parts"][0]["inlineData"]["mimeType"], "image/jpeg");
}

#[test]
fn a_link_is_one_whatever_blanks_are_around_it_and_in_capitals_too() {
    let sent = |url: &str| {
        let parts = json!([
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "file", "file": {"file_data": url, "filename": "a"}},
        ]);
        both(json!([{"role": "user", "content": parts}]))
    };
    for url in [
        "DATA:APPLICATION/PDF;BASE64,AA==",
        " data:application/pdf;base64,AA==\n",
        "da\nta:application/pdf;base64,A\tA==",
    ] {
        let (claude, gemini) = sent(url);
        for place in [0, 1] {
            let source = &claude[0]["content"][place]["source"];
            assert_eq!(source, &json!({"type": "base64", "media_type": "application/pdf", "data": "AA=="}), "{url}");
            let data = &gemini[0]["parts"][place]["inlineData"];
            assert_eq!(data, &json!({"mimeType": "application/pdf", "data": "AA=="}), "{url}");
        }
    }
    let (claude, gemini) = sent(" https://example.com/a.png\n");
    for place in [0, 1] {
        let source = &claude[0]["content"][place]["source"];
        assert_eq!(source, &json!({"type": "url", "url": "https://example.com/a.png"}));
        let data = &gemini[0]["parts"][place]["fileData"];
        assert_eq!(data, &json!({"mimeType": "image/png", "fileUri": "https://example.com/a.png"}));
    }
}

#[test]
fn the_mark_of_a_cache_stays_on_a_tools_result_or_is_no_reason_to_refuse() {
    let mark = json!({"type": "ephemeral"});
    let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let (claude, gemini) = both(json!([
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "a", "cache_control": mark},
    ]));
    assert_eq!(claude[1]["content"][0]["cache_control"], mark);
    assert_eq!(gemini[1]["parts"][0]["functionResponse"]["response"], json!({"result": "a"}));
}
