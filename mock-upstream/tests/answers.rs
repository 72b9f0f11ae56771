//! Every framing, byte for byte, as it leaves the socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use mock_upstream::{Fault, FaultRule, Model, Provider, Script, Usage, UsageAt};
use serde_json::{Value, json};
use support::{CHAT, Client, get, model, post, start, with_fault};

const MESSAGES: &str = "/primary/v1/messages";
const RESPONSES: &str = "/primary/v1/responses";
const GEMINI: &str = "/primary/v1beta/models/mock-1";

/// Two deltas, and each part of the usage different from the others.
fn parted() -> Script {
    let mut script = Script::usual();
    *model(&mut script) = Model {
        usage: Usage { input: 7000, output: 3001, cached: 4000, cache_write: 1000, reasoning: 500, ..Usage::default() },
        chunks: 2,
        ..model(&mut script).clone()
    };
    script
}

/// The head's lines that say something of the answer, and the body with its line ends visible.
async fn shown(script: &Script, path: &str, body: &Value) -> String {
    let upstream = start(script.clone()).await;
    let seen = post(&upstream, path, body).await;
    let mut shown = format!("{}\n", seen.status());
    for name in ["content-type", "x-request-id", "request-id", "retry-after", "transfer-encoding"] {
        if let Some(value) = seen.header(name) {
            shown.push_str(&format!("{name}: {value}\n"));
        }
    }
    shown + "\n" + &seen.text().replace('\r', "␍")
}

fn assert_shown(name: &str, shown: &str) {
    let clock = (r#""created(_at)?":\d+"#, r#""created$1":[clock]"#);
    insta::with_settings!({filters => vec![clock]}, {
        insta::assert_snapshot!(name, shown);
    });
}

#[tokio::test]
async fn a_chat_completion_is_framed_as_openai_does() {
    let plain = json!({"model": "mock-1"});
    assert_shown("chat", &shown(&parted(), CHAT, &plain).await);
    let stream = json!({"model": "mock-1", "stream": true});
    assert_shown("chat_stream", &shown(&parted(), CHAT, &stream).await);
    let usage = json!({"model": "mock-1", "stream": true, "stream_options": {"include_usage": true}});
    assert_shown("chat_stream_usage", &shown(&parted(), CHAT, &usage).await);
}

#[tokio::test]
async fn a_completion_is_framed_as_openai_does() {
    let path = "/primary/v1/completions";
    assert_shown("completion", &shown(&parted(), path, &json!({"model": "mock-1"})).await);
    let usage = json!({"model": "mock-1", "stream": true, "stream_options": {"include_usage": true}});
    assert_shown("completion_stream", &shown(&parted(), path, &usage).await);
}

#[tokio::test]
async fn a_response_is_framed_as_openai_does() {
    assert_shown("response", &shown(&parted(), RESPONSES, &json!({"model": "mock-1"})).await);
    let stream = json!({"model": "mock-1", "stream": true});
    assert_shown("response_stream", &shown(&parted(), RESPONSES, &stream).await);
}

/// A thought, a text and two calls of tools.
fn said() -> Script {
    let mut script = parted();
    let said = json!({
        "reasoning": "Hm, 東京.",
        "tool_calls": [{"name": "weather", "arguments": {"city": "Wien"}}, {"name": "now"}],
    });
    model(&mut script).reply = Some("I look.".to_owned());
    model(&mut script).answer = serde_json::from_value(said).unwrap();
    script
}

#[tokio::test]
async fn thoughts_and_calls_are_framed_as_each_api_does() {
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/a.png"}}]}]);
    let plain = json!({"model": "mock-1", "messages": image, "tools": []});
    let stream = json!({"model": "mock-1", "stream": true});
    assert_shown("said_chat", &shown(&said(), CHAT, &plain).await);
    assert_shown("said_chat_stream", &shown(&said(), CHAT, &stream).await);
    assert_shown("said_response", &shown(&said(), RESPONSES, &plain).await);
    assert_shown("said_response_stream", &shown(&said(), RESPONSES, &stream).await);
    assert_shown("said_message", &shown(&said(), MESSAGES, &plain).await);
    assert_shown("said_message_stream", &shown(&said(), MESSAGES, &stream).await);
    assert_shown("said_gemini", &shown(&said(), &format!("{GEMINI}:generateContent"), &json!({})).await);
    let path = format!("{GEMINI}:streamGenerateContent?alt=sse");
    assert_shown("said_gemini_stream", &shown(&said(), &path, &json!({})).await);
}

#[tokio::test]
async fn why_an_answer_ends_is_scripted() {
    let cut = |reason| json!(["incomplete", {"reason": reason}]);
    for (stop, chat, response, message, gemini) in [
        (json!({"stop": "end"}), "stop", json!(["completed", null]), "end_turn", "STOP"),
        (json!({"stop": "length"}), "length", cut("max_output_tokens"), "max_tokens", "MAX_TOKENS"),
        (json!({"stop": "filter"}), "content_filter", cut("content_filter"), "refusal", "SAFETY"),
        (json!({"tool_calls": [{"name": "f"}]}), "tool_calls", json!(["completed", null]), "tool_use", "STOP"),
    ] {
        let mut script = Script::usual();
        model(&mut script).answer = serde_json::from_value(stop).unwrap();
        let upstream = start(script).await;
        let body = json!({"model": "mock-1"});
        let chat_answer: Value = post(&upstream, CHAT, &body).await.json();
        assert_eq!(chat_answer["choices"][0]["finish_reason"], chat);
        let response_answer: Value = post(&upstream, RESPONSES, &body).await.json();
        assert_eq!(json!([response_answer["status"], response_answer["incomplete_details"]]), response);
        assert_eq!(response_answer["output"][0]["status"], response_answer["status"]);
        let streamed = post(&upstream, RESPONSES, &json!({"model": "mock-1", "stream": true})).await;
        let last = format!("event: response.{}\n", response[0].as_str().unwrap());
        assert!(streamed.text().contains(&last), "{}", streamed.text());
        let message_answer: Value = post(&upstream, MESSAGES, &body).await.json();
        assert_eq!(message_answer["stop_reason"], message);
        let gemini_answer: Value = post(&upstream, &format!("{GEMINI}:generateContent"), &body).await.json();
        assert_eq!(gemini_answer["candidates"][0]["finishReason"], gemini);
    }
}

#[tokio::test]
async fn thoughts_are_given_encrypted_to_who_asks_for_them() {
    let upstream = start(said()).await;
    for (include, given) in [(json!([]), false), (json!(["reasoning.encrypted_content"]), true)] {
        let body = json!({"model": "mock-1", "include": include});
        let answer = post(&upstream, RESPONSES, &body).await.json();
        assert_eq!(answer["output"][0].get("encrypted_content").is_some(), given, "{answer}");
    }
}

#[tokio::test]
async fn an_error_in_a_response_has_the_number_after_the_last_event() {
    let upstream = start(with_fault(said(), Fault::ErrorEvent { after_chunks: 4 })).await;
    let seen = post(&upstream, RESPONSES, &json!({"model": "mock-1", "stream": true})).await;
    let text = seen.text();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let numbers = events.map(|event| serde_json::from_str::<Value>(event).unwrap()["sequence_number"].clone());
    let numbers: Vec<Value> = numbers.collect();
    assert_eq!(numbers, (0..numbers.len()).map(|number| json!(number)).collect::<Vec<_>>(), "{text}");
    assert!(text.contains("event: error"), "{text}");
}

#[tokio::test]
async fn a_message_is_framed_as_anthropic_does() {
    assert_shown("message", &shown(&parted(), MESSAGES, &json!({"model": "mock-1"})).await);
    let stream = json!({"model": "mock-1", "stream": true});
    assert_shown("message_stream", &shown(&parted(), MESSAGES, &stream).await);
    let path = format!("{MESSAGES}/count_tokens");
    assert_shown("message_count", &shown(&parted(), &path, &json!({"model": "mock-1"})).await);
}

#[tokio::test]
async fn generated_content_is_framed_as_gemini_does() {
    for (name, action) in [
        ("gemini", "generateContent"),
        ("gemini_stream_events", "streamGenerateContent?alt=sse"),
        ("gemini_stream_array", "streamGenerateContent"),
        ("gemini_count", "countTokens"),
    ] {
        let path = format!("{GEMINI}:{action}");
        assert_shown(name, &shown(&parted(), &path, &json!({})).await);
    }
}

#[tokio::test]
async fn embeddings_are_framed_as_each_api_does() {
    let path = "/primary/v1/embeddings";
    let body = json!({"model": "mock-1", "input": ["a", "b"], "dimensions": 3});
    assert_shown("embeddings", &shown(&parted(), path, &body).await);
    let body = json!({"model": "mock-1", "input": "a", "dimensions": 3, "encoding_format": "base64"});
    assert_shown("embeddings_base64", &shown(&parted(), path, &body).await);
    let one = json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 3});
    assert_shown("gemini_embed", &shown(&parted(), &format!("{GEMINI}:embedContent"), &one).await);
    let several = json!({"requests": [one, one]});
    let path = format!("{GEMINI}:batchEmbedContents");
    assert_shown("gemini_embed_batch", &shown(&parted(), &path, &several).await);
}

#[tokio::test]
async fn each_api_has_its_own_error_event() {
    let script = with_fault(parted(), Fault::ErrorEvent { after_chunks: 1 });
    let stream = json!({"model": "mock-1", "stream": true});
    let mut events = String::new();
    for path in [
        CHAT,
        RESPONSES,
        MESSAGES,
        &format!("{GEMINI}:streamGenerateContent?alt=sse"),
        &format!("{GEMINI}:streamGenerateContent"),
    ] {
        let text = shown(&script, path, &stream).await;
        let start = ["event: error", ",␍", "data: "].iter().find_map(|start| text.rfind(start));
        events.push_str(&format!("{path}\n{}\n", &text[start.unwrap()..]));
    }
    assert_shown("error_events", &events);
}

#[tokio::test]
async fn each_api_has_its_own_error_body() {
    let mut bodies = String::new();
    for code in [400, 401, 402, 403, 404, 429, 500, 503, 529] {
        let script =
            with_fault(parted(), Fault::Status { code, retry_after: (code == 429).then_some(7), message: None });
        for path in [CHAT, MESSAGES, &format!("{GEMINI}:generateContent")] {
            bodies.push_str(&format!("{}\n", shown(&script, path, &json!({"model": "mock-1"})).await));
        }
    }
    let script = with_fault(parted(), Fault::Status { code: 503, retry_after: None, message: None });
    bodies.push_str(&shown(&script, &format!("{GEMINI}:streamGenerateContent"), &json!({})).await);
    assert_shown("error_bodies", &bodies);
}

#[tokio::test]
async fn a_gemini_array_that_starts_with_an_error_still_parses() {
    let script = with_fault(parted(), Fault::ErrorEvent { after_chunks: 0 });
    let upstream = start(script).await;
    let seen = post(&upstream, &format!("{GEMINI}:streamGenerateContent"), &json!({})).await;
    assert_eq!(seen.json()[0]["error"]["status"], "UNAVAILABLE");
}

/// Where usage stands in the chunks of a chat stream: completion tokens, or a dash.
async fn usage_in_chunks(at: UsageAt, asked: bool) -> Vec<Option<u64>> {
    let mut script = parted();
    model(&mut script).usage_at = at;
    let upstream = start(script).await;
    let options = json!({"include_usage": asked});
    let body = json!({"model": "mock-1", "stream": true, "stream_options": options});
    let seen = post(&upstream, CHAT, &body).await;
    seen.text()
        .split("\n\n")
        .filter_map(|event| serde_json::from_str::<Value>(event.strip_prefix("data: ")?).ok())
        .map(|chunk| chunk["usage"]["completion_tokens"].as_u64())
        .collect()
}

#[tokio::test]
async fn the_usage_stands_in_a_stream_where_the_script_says() {
    // The role, two deltas, the finish reason.
    for (at, expected) in [
        (UsageAt::OwnChunk, vec![None; 4]),
        (UsageAt::FinishChunk, vec![None, None, None, Some(3001)]),
        (UsageAt::FirstChunk, vec![Some(3001), None, None, None]),
        (UsageAt::EveryChunk, vec![Some(0), Some(1500), Some(3001), Some(3001)]),
        (UsageAt::Never, vec![None; 4]),
    ] {
        assert_eq!(usage_in_chunks(at, false).await, expected, "{at:?}");
    }
    let own = vec![None, None, None, None, Some(3001)];
    assert_eq!(usage_in_chunks(UsageAt::OwnChunk, true).await, own);
    assert_eq!(usage_in_chunks(UsageAt::Never, true).await, vec![None; 4]);
}

#[tokio::test]
async fn usage_that_is_nowhere_is_nowhere_on_any_route() {
    let mut script = parted();
    model(&mut script).usage_at = UsageAt::Never;
    for stream in [false, true] {
        let body = json!({"model": "mock-1", "stream": stream, "input": "a"});
        for path in [
            CHAT,
            RESPONSES,
            MESSAGES,
            "/primary/v1/completions",
            "/primary/v1/embeddings",
            &format!("{GEMINI}:generateContent"),
            &format!("{GEMINI}:streamGenerateContent"),
        ] {
            let text = shown(&script, path, &body).await.replace(r#""usage":null"#, "");
            assert!(!text.to_lowercase().contains("usage"), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn models_are_listed_in_the_words_of_each_api() {
    let mut script = Script::usual();
    script.models.insert("mock-2".into(), Model::default());
    let upstream = start(script).await;
    let key = "authorization: Bearer k";
    let mut lists = String::new();
    for (path, headers) in [
        ("/primary/v1/models", vec![key]),
        ("/primary/v1/models/mock-2", vec![key]),
        ("/primary/v1/models", vec!["x-api-key: k", "anthropic-version: 2023-06-01"]),
        ("/primary/v1beta/models?key=k", vec![]),
        ("/primary/v1beta/models/mock-2?key=k", vec![]),
        ("/primary/v1/models/mock-3", vec![key]),
        ("/primary/v1/models", vec![]),
    ] {
        let seen = get(&upstream, path, &headers).await;
        lists.push_str(&format!("{path} {}\n{}\n", seen.status(), seen.text()));
    }
    assert_shown("models", &lists);
}

#[tokio::test]
async fn who_calls_no_provider_learns_which_there_are() {
    let mut script = Script::usual();
    script.providers.insert("second".into(), Provider::default());
    let seen = post(&start(script).await, "/v1/chat/completions", &json!({"model": "mock-1"})).await;
    assert_eq!(seen.status(), 404);
    let message = "There is no provider `v1`. Those of the script: `/primary`, `/second`.";
    assert_eq!(seen.json()["error"]["message"], message);
}

#[tokio::test]
async fn a_provider_serves_its_own_models_and_faults_on_its_lists_must_be_asked_for() {
    let mut script = Script::usual();
    script.models.insert("mock-2".into(), Model::default());
    let provider = &mut script.providers["primary"];
    provider.models = Some(vec!["mock-2".into()]);
    provider.faults = vec![FaultRule {
        route: Some(mock_upstream::Route::Models),
        first: Some(1),
        fault: Some(Fault::Status { code: 500, retry_after: None, message: None }),
        ..FaultRule::default()
    }];
    let upstream = start(script).await;
    let statuses = [("mock-1", 404), ("mock-2", 200)];
    for (name, status) in statuses {
        assert_eq!(post(&upstream, CHAT, &json!({"model": name})).await.status(), status);
    }
    let mut client = Client::to(&upstream).await;
    for status in [500, 200] {
        client.send("GET", "/primary/v1/models", &["x-api-key: k"], "").await;
        assert_eq!(client.answer().await.status(), status);
    }
}
