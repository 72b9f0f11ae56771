//! What some servers say beyond their API, and what callers of other protocols are told of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::{Bridge, Form, TranslateError};
use crate::dialect::Dialect;

/// The callers whose protocol is not the provider's.
const CALLERS: [Form; 3] = [Form::Messages, Form::Responses, Form::Content];

fn bridge(caller: Form, provider: Form) -> Bridge {
    let dialect = Dialect::OPENAI;
    Bridge { caller, provider, model: "asked".to_owned(), is_stream: true, created: 0, as_base64: false, dialect }
}

/// What a caller is told in a stream of chat completion chunks, as its events' data.
fn streamed(caller: Form, chunks: &[Value]) -> Vec<Value> {
    let mut stream = bridge(caller, Form::Chat).stream(true);
    let mut said: Vec<_> = chunks.iter().flat_map(|chunk| stream.event(chunk).unwrap()).collect();
    said.extend(stream.end().unwrap());
    said.iter().map(|said| serde_json::from_str(&said.data).unwrap()).collect()
}

/// The id and the model that an answer or the event of a stream tells.
fn head(told: &Value) -> Option<(&str, &str)> {
    let whole = [told.get("message"), told.get("response"), Some(told)].into_iter().flatten().next()?;
    let text = |names: [&str; 2]| names.into_iter().find_map(|name| whole.get(name)?.as_str());
    Some((text(["id", "responseId"])?, text(["model", "modelVersion"])?))
}

#[test]
fn a_stream_that_begins_with_an_empty_chunk_has_the_name_of_those_that_follow() {
    let filtered = json!({"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [{}]});
    let chunk = |delta: Value, finish: Value| json!({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let chunks = [
        filtered.clone(),
        chunk(json!({"role": "assistant", "content": "a"}), Value::Null),
        chunk(json!({}), json!("stop")),
    ];
    for (caller, id) in [(Form::Messages, "msg_c1"), (Form::Responses, "resp_c1"), (Form::Content, "c1")] {
        let told = streamed(caller, &chunks);
        let heads: Vec<_> = told.iter().filter_map(head).collect();
        assert!(!heads.is_empty() && heads.iter().all(|head| *head == (id, "m")), "{caller:?}: {heads:?}");
        let told = streamed(caller, std::slice::from_ref(&filtered));
        let models: Vec<_> = told.iter().filter_map(head).map(|(_, model)| model).collect();
        assert!(models.iter().all(|model| *model == "asked"), "{caller:?}: {models:?}");
    }
}

#[test]
fn an_empty_refusal_is_none() {
    let of = |text: &str| json!({"role": "assistant", "content": "a", "refusal": text});
    let ends = |caller: Form, answer: &Value| match caller {
        Form::Messages => answer["stop_reason"].clone(),
        Form::Responses => json!(answer["output"][0]["content"].as_array().unwrap().len()),
        _ => answer["candidates"][0]["finishReason"].clone(),
    };
    for (caller, whole, refused) in [
        (Form::Messages, json!("end_turn"), json!("refusal")),
        (Form::Responses, json!(1), json!(2)),
        (Form::Content, json!("STOP"), json!("SAFETY")),
    ] {
        for (text, expected) in [("", &whole), ("no", &refused)] {
            let plain = json!({"id": "c1", "choices": [{"index": 0, "message": of(text), "finish_reason": "stop"}]});
            let plain = bridge(caller, Form::Chat).answer(&plain).unwrap();
            assert_eq!(&ends(caller, &plain), expected, "{caller:?}, {text}");
            let chunk = json!({"id": "c1", "choices": [{"index": 0, "delta": of(text), "finish_reason": "stop"}]});
            let told = streamed(caller, &[chunk]);
            let is_refusal = told
                .iter()
                .any(|told| told.to_string().contains(r#""refusal""#) || told.to_string().contains("SAFETY"));
            assert_eq!(is_refusal, text == "no", "{caller:?}, {text}");
        }
    }
}

#[test]
fn a_failed_answer_passes_for_a_whole_one_in_no_protocol() {
    let piece = json!({"responseId": "r", "modelVersion": "m", "candidates": [{"index": 0, "content": {"parts": []},
        "finishReason": "MALFORMED_FUNCTION_CALL"}], "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 9}});
    let failed = TranslateError::Finish("MALFORMED_FUNCTION_CALL".to_owned());
    for caller in CALLERS.into_iter().filter(|caller| *caller != Form::Content) {
        let plain = bridge(caller, Form::Content).answer(&piece);
        let mut stream = bridge(caller, Form::Content).stream(true);
        stream.event(&piece).unwrap();
        let end = stream.end();
        if caller == Form::Messages {
            assert_eq!((plain, end), (Err(failed.clone()), Err(failed.clone())));
            continue;
        }
        let end: Vec<Value> = end.unwrap().iter().map(|said| serde_json::from_str(&said.data).unwrap()).collect();
        assert_eq!(end.last().unwrap()["type"], "response.failed");
        for whole in [&plain.unwrap(), &end.last().unwrap()["response"]] {
            assert_eq!((&whole["status"], &whole["error"]["code"]), (&json!("failed"), &json!("server_error")));
            assert_eq!(whole["usage"]["total_tokens"], 9);
        }
    }
}
