//! Thinking and calls of tools, for every caller that can have them, on every kind of provider:
//! whole and streamed, and back again with the results.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{BASES, Caller, events, request, world};
use crate::support::{Answer, KEY, PROMPT, World};

const CALLERS: [Caller; 4] = [Caller::Chat, Caller::Responses, Caller::Messages, Caller::Gemini];

/// What a model said, whoever heard it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    thinking: String,
    text: String,
    /// Name and arguments of each call.
    calls: Vec<(String, Value)>,
    finish: String,
}

fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| panic!("no JSON: {arguments}"))
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Reads a plain answer.
fn heard(caller: Caller, body: &Value) -> Heard {
    let mut heard = Heard::default();
    match caller {
        Caller::Chat | Caller::Completions => {
            heard.thinking = text(body, "/choices/0/message/reasoning");
            heard.text = text(body, "/choices/0/message/content");
            heard.finish = text(body, "/choices/0/finish_reason");
            for call in list(body, "/choices/0/message/tool_calls") {
                heard.calls.push((text(call, "/function/name"), parsed(&text(call, "/function/arguments"))));
            }
        }
        Caller::Responses => {
            heard.finish = text(body, "/status");
            for item in list(body, "/output") {
                match item["type"].as_str().unwrap() {
                    "reasoning" => heard.thinking = text(item, "/summary/0/text"),
                    "message" => heard.text = text(item, "/content/0/text"),
                    _ => heard.calls.push((text(item, "/name"), parsed(&text(item, "/arguments")))),
                }
            }
        }
        Caller::Messages => {
            heard.finish = text(body, "/stop_reason");
            for block in list(body, "/content") {
                match block["type"].as_str().unwrap() {
                    "thinking" => heard.thinking = text(block, "/thinking"),
                    "text" => heard.text = text(block, "/text"),
                    "redacted_thinking" => {}
                    _ => heard.calls.push((text(block, "/name"), block["input"].clone())),
                }
            }
        }
        Caller::Gemini => {
            heard.finish = text(body, "/candidates/0/finishReason");
            heard.parts(body);
        }
    }
    heard
}

impl Heard {
    /// Adds the parts of one piece of Gemini's.
    fn parts(&mut self, piece: &Value) {
        for part in list(piece, "/candidates/0/content/parts") {
            if part["thought"] == true {
                self.thinking += &text(part, "/text");
            } else if let Some(call) = part.get("functionCall") {
                self.calls.push((text(call, "/name"), call["args"].clone()));
            } else {
                self.text += &text(part, "/text");
            }
        }
    }
}

/// Puts the pieces of a stream together, as a client does.
fn streamed(caller: Caller, answer: &Answer) -> Heard {
    let mut heard = Heard::default();
    let mut arguments: Vec<(String, String)> = Vec::new();
    for event in events(answer) {
        match caller {
            Caller::Chat | Caller::Completions => {
                heard.thinking += &text(&event, "/choices/0/delta/reasoning");
                heard.text += &text(&event, "/choices/0/delta/content");
                heard.finish += &text(&event, "/choices/0/finish_reason");
                for call in list(&event, "/choices/0/delta/tool_calls") {
                    let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                    arguments.resize(arguments.len().max(index + 1), (String::new(), String::new()));
                    arguments[index].0 += &text(call, "/function/name");
                    arguments[index].1 += &text(call, "/function/arguments");
                }
            }
            // Its last event has everything, which its deltas have to agree with.
            Caller::Responses => match event["type"].as_str().unwrap() {
                "response.reasoning_summary_text.delta" => heard.thinking += &text(&event, "/delta"),
                "response.output_text.delta" => heard.text += &text(&event, "/delta"),
                "response.function_call_arguments.done" => {
                    arguments.push((text(&event, "/name"), text(&event, "/arguments")));
                }
                "response.completed" => {
                    let whole = self::heard(caller, &event["response"]);
                    assert_eq!((&whole.thinking, &whole.text), (&heard.thinking, &heard.text));
                    heard.finish = whole.finish;
                }
                _ => {}
            },
            Caller::Messages => {
                heard.thinking += &text(&event, "/delta/thinking");
                heard.text += &text(&event, "/delta/text");
                heard.finish += &text(&event, "/delta/stop_reason");
                if event.pointer("/content_block/type") == Some(&json!("tool_use")) {
                    arguments.push((text(&event, "/content_block/name"), String::new()));
                }
                let piece = text(&event, "/delta/partial_json");
                if let Some(last) = arguments.last_mut() {
                    last.1 += &piece;
                }
            }
            Caller::Gemini => {
                heard.parts(&event);
                heard.finish += &text(&event, "/candidates/0/finishReason");
            }
        }
    }
    heard.calls.extend(arguments.into_iter().map(|(name, arguments)| (name, parsed(&arguments))));
    heard
}

fn finish(caller: Caller) -> &'static str {
    match caller {
        Caller::Chat | Caller::Completions => "tool_calls",
        Caller::Responses => "completed",
        Caller::Messages => "tool_use",
        Caller::Gemini => "STOP",
    }
}

async fn thinking_world(base: &str) -> World {
    let world = world(base, "1").await;
    world.model(&json!({
        "reply": "I ask two.",
        "usage": { "input": 100, "output": 100, "cached": 40, "reasoning": 20 },
        "answer": {
            "reasoning": "Hm, weather.",
            "tool_calls": [
                { "name": "weather", "arguments": { "city": "Wien", "days": 2 } },
                { "name": "time", "arguments": {} },
            ],
        },
    }));
    world
}

#[tokio::test]
async fn thinking_and_calls_reach_every_caller_from_every_kind_of_provider() {
    for base in BASES {
        for caller in CALLERS {
            let world = thinking_world(base).await;
            let expected = Heard {
                thinking: "Hm, weather.".to_owned(),
                text: "I ask two.".to_owned(),
                calls: vec![("weather".to_owned(), json!({"city": "Wien", "days": 2})), ("time".to_owned(), json!({}))],
                finish: finish(caller).to_owned(),
            };
            let plain = world.send(request(&world, caller, false)).await;
            assert_eq!(heard(caller, &plain.json()), expected, "{caller:?} on {base}: {}", plain.text);
            let (stream, whole) = world.stream(caller.path(true), &caller.body(true)).await;
            assert!(whole, "{caller:?} on {base}: {}", stream.text);
            assert_eq!(streamed(caller, &stream), expected, "{caller:?} on {base}: {}", stream.text);
            assert_eq!(world.spent().await, world.charged(), "{caller:?} on {base}");
        }
    }
}

/// A request that offers two tools, and in which both were called and answered, by what the
/// model said before.
fn answered(caller: Caller, before: &Value) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let result = |id: &Value| match caller {
        Caller::Chat | Caller::Completions => json!({"role": "tool", "tool_call_id": id, "content": "sunny"}),
        Caller::Responses => json!({"type": "function_call_output", "call_id": id, "output": "sunny"}),
        Caller::Messages => json!({"type": "tool_result", "tool_use_id": id, "content": "sunny"}),
        Caller::Gemini => json!({"functionResponse": {"name": id, "response": {"result": "sunny"}}}),
    };
    match caller {
        Caller::Chat | Caller::Completions => {
            let said = &before["choices"][0]["message"];
            let ids = list(said, "/tool_calls").iter().map(|call| result(&call["id"]));
            let mut messages = vec![json!({"role": "user", "content": PROMPT}), said.clone()];
            messages.extend(ids);
            let tool = |name| json!({"type": "function", "function": {"name": name, "parameters": schema}});
            json!({"model": "mock-1", "max_tokens": 100, "messages": messages, "tools": [tool("weather"), tool("time")]})
        }
        Caller::Responses => {
            let mut input = vec![json!({"role": "user", "content": PROMPT})];
            input.extend(list(before, "/output").iter().cloned());
            let calls = list(before, "/output").iter().filter(|item| item["type"] == "function_call");
            input.extend(calls.map(|call| result(&call["call_id"])));
            let tool = |name| json!({"type": "function", "name": name, "parameters": schema});
            json!({"model": "mock-1", "max_output_tokens": 100, "input": input, "tools": [tool("weather"), tool("time")]})
        }
        Caller::Messages => {
            let said = &before["content"];
            let calls = list(said, "").iter().filter(|block| block["type"] == "tool_use");
            let results: Vec<Value> = calls.map(|call| result(&call["id"])).collect();
            let tool = |name| json!({"name": name, "input_schema": schema});
            json!({
                "model": "mock-1", "max_tokens": 100, "tools": [tool("weather"), tool("time")],
                "messages": [
                    {"role": "user", "content": PROMPT},
                    {"role": "assistant", "content": said},
                    {"role": "user", "content": results},
                ],
            })
        }
        Caller::Gemini => {
            let said = &before["candidates"][0]["content"];
            let tool = |name| json!({"name": name, "parametersJsonSchema": schema});
            let results = [result(&json!("weather")), result(&json!("time"))];
            json!({
                "generationConfig": {"maxOutputTokens": 100},
                "tools": [{"functionDeclarations": [tool("weather"), tool("time")]}],
                "contents": [{"role": "user", "parts": [{"text": PROMPT}]}, said, {"role": "user", "parts": results}],
            })
        }
    }
}

/// What reached a provider of this kind: the tools it may call, the calls before, and their results.
fn received(base: &str, body: &Value) -> (Vec<String>, Vec<String>, usize) {
    let names = |values: &[Value], path: &str| values.iter().map(|value| text(value, path)).collect();
    match base {
        // A response's request passes through as it is.
        "openai" if body.get("input").is_some() => {
            let of = |kind: &str| -> Vec<Value> {
                list(body, "/input").iter().filter(|item| item["type"] == kind).cloned().collect()
            };
            let calls = names(&of("function_call"), "/name");
            (names(list(body, "/tools"), "/name"), calls, of("function_call_output").len())
        }
        "openai" => {
            let messages = list(body, "/messages");
            let calls = messages.iter().flat_map(|message| list(message, "/tool_calls"));
            let results = messages.iter().filter(|message| message["role"] == "tool");
            let calls: Vec<Value> = calls.cloned().collect();
            (names(list(body, "/tools"), "/function/name"), names(&calls, "/function/name"), results.count())
        }
        "anthropic" => {
            let blocks: Vec<Value> =
                list(body, "/messages").iter().flat_map(|turn| list(turn, "/content")).cloned().collect();
            let of =
                |kind: &str| -> Vec<Value> { blocks.iter().filter(|block| block["type"] == kind).cloned().collect() };
            (names(list(body, "/tools"), "/name"), names(&of("tool_use"), "/name"), of("tool_result").len())
        }
        _ => {
            let parts: Vec<Value> =
                list(body, "/contents").iter().flat_map(|turn| list(turn, "/parts")).cloned().collect();
            let calls: Vec<Value> = parts.iter().filter_map(|part| part.get("functionCall")).cloned().collect();
            let results = parts.iter().filter(|part| part.get("functionResponse").is_some());
            let declared = list(body, "/tools/0/functionDeclarations");
            (names(declared, "/name"), names(&calls, "/name"), results.count())
        }
    }
}

#[tokio::test]
async fn calls_and_results_go_back_to_every_kind_of_provider() {
    for base in BASES {
        for caller in CALLERS {
            let world = thinking_world(base).await;
            let before = world.send(request(&world, caller, false)).await.json();
            let body = answered(caller, &before);
            let again = world.request(Method::POST, caller.path(false)).bearer_auth(KEY).json(&body);
            let answer = world.send(again).await;
            assert_eq!(answer.status, 200, "{caller:?} on {base}: {}\n{body}", answer.text);
            let ledger = world.upstream.ledger();
            let sent: Value = serde_json::from_str(&ledger.inference().last().unwrap().body).unwrap();
            let both = vec!["weather".to_owned(), "time".to_owned()];
            assert_eq!(received(base, &sent), (both.clone(), both, 2), "{caller:?} on {base}: {sent}");
        }
    }
}

const INLINE: &str = "UElDVFVSRQ==";
const BY_URL: &str = "https://example.com/a.png";

/// The caller's body with a picture beside the text: inline, or by URL.
fn with_picture(caller: Caller, is_inline: bool) -> Value {
    let mut body = caller.body(false);
    let url = if is_inline { format!("data:image/png;base64,{INLINE}") } else { BY_URL.to_owned() };
    match caller {
        Caller::Chat | Caller::Completions => {
            body["messages"][0]["content"] = json!([
                {"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url}},
            ]);
        }
        Caller::Responses => {
            let parts = json!([{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": url}]);
            body["input"] = json!([{"role": "user", "content": parts}]);
        }
        Caller::Messages => {
            let inline = json!({"type": "base64", "media_type": "image/png", "data": INLINE});
            let source = if is_inline { inline } else { json!({"type": "url", "url": url}) };
            body["messages"][0]["content"] =
                json!([{"type": "text", "text": "look"}, {"type": "image", "source": source}]);
        }
        Caller::Gemini => {
            let picture = match is_inline {
                true => json!({"inlineData": {"mimeType": "image/png", "data": INLINE}}),
                false => json!({"fileData": {"mimeType": "image/png", "fileUri": url}}),
            };
            body["contents"][0]["parts"] = json!([{"text": "look"}, picture]);
        }
    }
    body
}

#[tokio::test]
async fn a_picture_reaches_every_kind_of_provider_as_it_takes_pictures() {
    for (base, inline, by_url) in [
        ("openai", "/messages/0/content/1/image_url/url", "/messages/0/content/1/image_url/url"),
        ("anthropic", "/messages/0/content/1/source/data", "/messages/0/content/1/source/url"),
        ("gemini", "/contents/0/parts/1/inlineData/data", "/contents/0/parts/1/fileData/fileUri"),
    ] {
        for caller in CALLERS {
            let world = world(base, "1").await;
            for (is_inline, path) in [(true, inline), (false, by_url)] {
                let picture = with_picture(caller, is_inline);
                let sent = world.request(Method::POST, caller.path(false)).bearer_auth(KEY).json(&picture);
                let answer = world.send(sent).await;
                assert_eq!(answer.status, 200, "{caller:?} on {base}: {}", answer.text);
                let ledger = world.upstream.ledger();
                let body: Value = serde_json::from_str(&ledger.inference().last().unwrap().body).unwrap();
                // A response's request passes through as it is.
                let path = if body.get("input").is_some() { "/input/0/content/1/image_url" } else { path };
                let expected = if is_inline { INLINE } else { BY_URL };
                assert!(text(&body, path).ends_with(expected), "{caller:?} on {base}: {body}");
            }
        }
    }
}
