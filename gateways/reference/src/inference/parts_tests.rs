#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use serde_json::{Value, json};

fn of(part: &Value) -> Input {
    read(&RawValue::from_string(json!([part]).to_string()).unwrap()).unwrap()
}

#[test]
fn a_picture_is_one_wherever_it_stands_and_however_large_it_is() {
    let data = "A".repeat(10_000);
    let url = format!("data:image/png;base64,{data}");
    let source = json!({"type": "base64", "media_type": "image/png", "data": data});
    for part in [
        json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}}),
        json!({"type": "image_url", "image_url": {"url": url}}),
        json!({"type": "input_image", "image_url": url}),
        json!({"type": "input_image", "file_id": "file-1"}),
        json!({"type": "image_url", "image_url": {"url": format!(" DATA:IMAGE/PNG;BASE64,{data}\n")}}),
        json!({"type": "image", "source": source}),
        json!({"type": "image", "source": {"type": "base64", "media_type": "IMAGE/PNG", "data": data}}),
        json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}),
        json!({"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "file-1"}}]}),
        json!({"type": "tool_result", "content": [{"type": "image", "source": source}]}),
        json!({"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": source}]}}),
        json!({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": url}}),
        json!({"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}),
        json!({"parts": [{"file_data": {"mime_type": "image/png", "file_uri": "https://example.com/a.png"}}]}),
        json!({"functionResponse": {"parts": [{"inline_data": {"mime_type": "image/png", "data": data}}]}}),
    ] {
        let input = of(&part);
        assert_eq!((input.pictures, input.is_open), (1, false), "{part}");
        assert!(input.bytes < 30_000, "{part}");
    }
}

#[test]
fn what_only_calls_itself_a_picture_counts_its_bytes_too() {
    let text = "x".repeat(1_000);
    for part in [
        json!({"type": "image_url", "image_url": {"url": format!("data:text/plain;base64,{text}")}}),
        json!({"type": "image_url", "image_url": text}),
        json!({"type": "image", "source": {"type": "text", "data": text}}),
        json!({"type": "image", "source": {"type": "base64", "media_type": "text/plain", "data": text}}),
    ] {
        let input = of(&part);
        assert!(input.bytes >= 1_000 && input.pictures == 1, "{part}");
    }
}

#[test]
fn what_does_not_show_its_length_is_open() {
    for part in [
        json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
        json!({"type": "file", "file": {"file_id": "file-1"}}),
        json!({"type": "input_file", "file_url": "https://example.com/a.pdf"}),
        json!({"type": "item_reference", "id": "msg_1"}),
        json!({"id": "msg_1"}),
        json!({"id": "msg_1", "type": null}),
        json!({"type": "image_generation_call", "id": "ig_1", "status": "completed"}),
        json!({"role": "assistant", "audio": {"id": "audio_1"}}),
        json!({"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}),
        json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}),
        json!({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}),
        json!({"type": "container_upload", "file_id": "file-1"}),
        json!({"parts": [{"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}]}),
        json!({"parts": [{"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/a"}}]}),
        json!({"parts": [{"fileData": {"fileUri": "https://example.com/a"}}]}),
    ] {
        assert!(of(&part).is_open, "{part}");
    }
}

#[test]
fn what_says_something_beside_its_id_shows_its_length() {
    for part in [
        json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []}),
        json!({"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "f", "arguments": "{}"}),
        json!({"parts": [{"functionResponse": {"id": "1", "name": "f", "response": {}}}]}),
        json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
        json!({"role": "assistant", "content": "a", "audio": null}),
    ] {
        assert!(!of(&part).is_open, "{part}");
    }
}

#[test]
fn a_document_of_text_and_a_recording_count_their_bytes() {
    let data = "x".repeat(1_000);
    for part in [
        json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": data}}),
        json!({"type": "file", "file": {"file_data": format!("data:text/plain;base64,{data}")}}),
        json!({"type": "file", "file": {"file_data": format!("\t DATA:Text/plain;base64,{data}")}}),
        json!({"type": "input_audio", "input_audio": {"format": "wav", "data": data}}),
        json!({"parts": [{"inlineData": {"mimeType": "audio/wav", "data": data}}]}),
    ] {
        let input = of(&part);
        assert!(input.bytes >= 1_000 && input.bytes < 1_200, "{part}");
        assert_eq!((input.pictures, input.is_open), (0, false), "{part}");
    }
}

#[test]
fn a_picture_by_a_link_that_does_not_say_so_may_be_anything_to_gemini() {
    let anything = "https://www.youtube.com/watch?v=1";
    for part in [
        json!({"type": "image_url", "image_url": {"url": anything}}),
        json!({"type": "image_url", "image_url": "https://example.com/a.pdf"}),
        json!({"type": "image_url", "image_url": "https://www.youtube.com/embed/1.png"}),
        json!({"type": "input_image", "image_url": "https://example.com/a"}),
        json!({"type": "input_image", "image_url": "gs://bucket/a.png"}),
        json!({"type": "image", "source": {"type": "url", "url": anything}}),
        json!({"type": "image", "source": {"type": "file", "file_id": "file-1"}}),
    ] {
        let input = of(&part);
        assert_eq!((input.pictures, input.is_open, input.is_linked), (1, false, true), "{part}");
    }
    for part in [
        json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
        json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.jpg"}}),
        json!({"type": "image", "source": {"type": "url", "url": " HTTPS://example.com/a.jpg\n"}}),
    ] {
        assert!(!of(&part).is_linked, "{part}");
    }
    for data in [
        json!({"mimeType": "image/png", "fileUri": anything}),
        json!({"mimeType": "image/png", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1"}),
        json!({"mimeType": "image/png", "mime_type": "application/pdf", "fileUri": "https://example.com/a.png"}),
    ] {
        assert!(of(&json!({"parts": [{"fileData": data}]})).is_open, "{data}");
    }
}

#[test]
fn what_nobody_knows_is_open_where_it_is_a_link_or_an_id() {
    for part in [
        json!({"type": "document_url", "document_url": "https://example.com/a.pdf"}),
        json!({"type": "document_url", "document_url": {"url": "https://example.com/a.pdf"}}),
        json!({"type": "audio_url", "audio_url": {"url": "https://example.com/a.mp3"}}),
        json!({"type": "input_audio", "input_audio": {"data": "https://example.com/a.mp3", "format": "mp3"}}),
        json!({"type": "video", "video": ["https://example.com/1", "https://example.com/2"]}),
        json!({"type": "of_tomorrow", "of_tomorrow": {"deep": [{"asset_id": "a"}]}}),
        json!({"type": "of_tomorrow", "assetIds": [1]}),
        json!({"type": "of_tomorrow", "of_tomorrow": {"id": "a"}}),
        json!({"type": "of_tomorrow", "place": "s3://bucket/a"}),
        json!({"type": "of_tomorrow", "place": "data:application/pdf;base64,AAAA"}),
        json!({"type": "of_tomorrow", "url": "https://example.com/a"}),
        json!({"type": "image", "source": {"type": "of_tomorrow", "url": "https://example.com/a"}}),
        json!({"type": "image_url", "image_url": {"url": "data:application/pdf;base64,AAAA"}}),
        json!({"type": "image_url", "image_url": "https://example.com/a.png", "uuid": "1"}),
        json!({"parts": [{"inlineData": {"mimeType": "audio/flac", "data": "AAAA"}}]}),
        json!({"type": "of_tomorrow", "place": " https://example.com/a\n"}),
        json!({"type": "of_tomorrow", "place": "https://example.com/\ta"}),
        json!({"type": "of_tomorrow", "place": "\u{0}HTTPS://example.com/a"}),
        json!({"type": "of_tomorrow", "place": "git+ssh://example.com/a"}),
        json!({"type": "of_tomorrow", "place": "x-of.tomorrow://a"}),
        json!({"type": "of_tomorrow", "place": " DATA:application/pdf;base64,AAAA"}),
        json!({"type": "of_tomorrow", "place": "da\nta:application/pdf;base64,AAAA"}),
        json!({"type": "image_url", "image_url": {"url": "Data:application/pdf;base64,AAAA"}}),
        json!({"type": "file", "file": "file-1"}),
        json!({"type": "file", "file": ["file-1"]}),
        json!({"type": "file", "file": 1}),
        json!({"role": "user", "content": "a", "images": ["AAAA"]}),
    ] {
        assert!(of(&part).is_open, "{part}");
    }
    for (name, value) in [
        ("vector_store_ids", json!(["vs_1"])),
        ("knowledge", json!({"url": "https://example.com"})),
        ("of_tomorrow", json!("https://example.com/a")),
    ] {
        assert!(unknown(name, &RawValue::from_string(value.to_string()).unwrap()).unwrap().is_open, "{name}");
    }
}

#[test]
fn what_a_usual_conversation_says_shows_its_length() {
    let url = "https://example.com/a";
    let arguments = json!({"url": url, "file_id": "file-1"});
    for part in [
        json!({"role": "user", "name": "a", "content": url}),
        json!({"role": "assistant", "content": null, "refusal": null, "reasoning_content": url,
            "reasoning_details": [{"type": "reasoning.text", "text": "a", "id": "r1", "signature": "a"}],
            "annotations": [{"type": "url_citation", "url_citation": {"url": url, "title": "a"}}],
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": arguments.to_string()}}]}),
        json!({"role": "tool", "tool_call_id": "t1", "content": [{"type": "text", "text": url}]}),
        json!({"type": "tool_use", "id": "t1", "name": "f", "input": arguments, "cache_control": {"type": "ephemeral"}}),
        json!({"type": "tool_result", "tool_use_id": "t1", "is_error": false, "content": url}),
        json!({"type": "thinking", "thinking": url, "signature": "a"}),
        json!({"type": "search_result", "source": url, "title": url, "content": [{"type": "text", "text": "a"}],
            "citations": {"enabled": true}}),
        json!({"type": "text", "text": "a", "citations": [{"type": "web_search_result_location", "url": url}]}),
        json!({"type": "web_search_tool_result", "tool_use_id": "t1", "content":
            [{"type": "web_search_result", "url": url, "title": "a", "encrypted_content": "a", "page_age": null}]}),
        json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content":
            [{"type": "output_text", "text": "a", "logprobs": [], "annotations": [{"type": "file_citation", "file_id": "f"}]}]}),
        json!({"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "f", "arguments": arguments.to_string()}),
        json!({"type": "function_call_output", "call_id": "t1", "output": url}),
        json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "a"}),
        json!({"type": "web_search_call", "id": "ws_1", "action": {"type": "open_page", "url": url}}),
        json!({"role": "model", "parts": [{"functionCall": {"id": "1", "name": "f", "args": arguments}, "thoughtSignature": "a"}]}),
        json!({"parts": [{"functionResponse": {"id": "1", "name": "f", "response": arguments}}]}),
        json!({"model": "models/m", "taskType": "SEMANTIC_SIMILARITY", "title": "a", "content": {"parts": [{"text": "a"}]}}),
    ] {
        let input = of(&part);
        assert_eq!((input.is_open, input.is_linked, input.pictures), (false, false, 0), "{part}");
    }
    let schema = json!({"type": "object", "properties": {"file_id": {"type": "string"}, "url": {"format": "uri"}}});
    for (name, value) in [
        ("tools", json!([{"type": "function", "function": {"name": "f", "parameters": schema}}])),
        ("response_format", json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})),
        ("text", json!({"format": {"type": "json_schema", "schema": schema}})),
        ("chat_template_kwargs", json!({"enable_thinking": false})),
        ("of_tomorrow", json!({"text": "see https://example.com"})),
        ("of_tomorrow", json!("see https://example.com")),
        ("of_tomorrow", json!([" data:TEXT/plain,a", "1://2", "://"])),
    ] {
        assert!(!unknown(name, &RawValue::from_string(value.to_string()).unwrap()).unwrap().is_open, "{name}");
    }
}

#[test]
fn a_part_of_two_types_is_the_dearer() {
    let part = r#"[{"type":"input_image","type":"input_file","file_id":"file-1"}]"#;
    assert!(read(&RawValue::from_string(part.to_owned()).unwrap()).unwrap().is_open);
    let source = r#"[{"type":"image","source":{"type":"url","type":"text","url":"https://example.com/a.png"}}]"#;
    assert!(read(&RawValue::from_string(source.to_owned()).unwrap()).unwrap().is_open);
}

#[test]
fn a_text_is_read_once_however_deep_it_stands() {
    let text = format!("\"{}\"", "x".repeat(1 << 20));
    let nested = |levels: usize| {
        RawValue::from_string(format!("{}{text}{}", r#"{"content":"#.repeat(levels), "}".repeat(levels))).unwrap()
    };
    let fastest = |json: &RawValue| {
        let took = (0..5).map(|_| {
            let begun = std::time::Instant::now();
            assert_eq!(read(json).unwrap().bytes, 1 << 20);
            begun.elapsed()
        });
        took.min().unwrap()
    };
    // Read anew at each level it takes a hundred times as long.
    assert!(fastest(&nested(100)) < fastest(&nested(1)) * 20);
}
