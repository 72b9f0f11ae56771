//! Chat completions on providers that do not speak them: what such a provider is told, what
//! comes back, and what it costs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, KEY, PROMPT, World, budget};

const FOREIGN: [&str; 2] = ["anthropic", "gemini"];
/// A hundred bytes: at most a hundred tokens.
const HUNDRED: &str =
    "One hundred bytes of prompt, no more and no less, are in this text, which one token counts for each.";

/// Providers of one kind, and a model that thinks, says something and calls a tool.
async fn world(base: &str) -> World {
    let world = World::start(|config| {
        for provider in ["primary", "second", "third"] {
            config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
        }
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    world.model(&json!({
        "reply": "I look.",
        "answer": {
            "reasoning": "They ask for the weather.",
            "tool_calls": [{"name": "weather", "arguments": {"city": "Wien"}}, {"name": "now"}],
        },
        "chunks": 3,
    }));
    world
}

/// A call with a system prompt, pictures, tools and thinking.
fn chat() -> Value {
    json!({
        "model": "mock-1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": PROMPT},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ]},
        ],
        "tools": [
            {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}},
            {"type": "function", "function": {"name": "now"}},
        ],
        "tool_choice": "auto",
        "reasoning": {"max_tokens": 1024},
        "max_tokens": 2000,
    })
}

/// What the provider was told last.
fn told(world: &World) -> Value {
    let ledger = world.upstream.ledger();
    let last = ledger.inference().last().expect("the provider was not called");
    serde_json::from_str(&last.body).unwrap()
}

fn chunks(answer: &Answer) -> Vec<Value> {
    let data = answer.text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

fn joined(chunks: &[Value], path: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk.pointer(path)?.as_str()).collect()
}

#[tokio::test]
async fn thoughts_texts_and_tool_calls_come_back_as_a_chat_completion() {
    for base in FOREIGN {
        let world = world(base).await;
        let answer = world.send(world.chat(KEY, &chat())).await;
        assert_eq!(answer.status, 200, "{base}: {}", answer.text);
        assert!(answer.json()["created"].as_i64().unwrap() > 1_700_000_000, "{base}");
        let choice = answer.json()["choices"][0].clone();
        let message = &choice["message"];
        assert_eq!(choice["finish_reason"], "tool_calls", "{base}");
        assert_eq!(message["content"], "I look.", "{base}");
        assert_eq!(message["reasoning"], "They ask for the weather.", "{base}");
        assert_eq!(message["reasoning_content"], message["reasoning"], "{base}");
        let details = message["reasoning_details"].as_array().unwrap();
        let texts: String = details.iter().filter_map(|detail| detail["text"].as_str()).collect();
        assert_eq!(texts, "They ask for the weather.", "{base}: {details:?}");
        let has_signature = details.iter().any(|detail| detail.to_string().contains("bW9jayBzaWduYXR1cmU="));
        assert!(has_signature, "{base}: {details:?}");
        assert_eq!(message["tool_calls"][0]["function"]["name"], "weather", "{base}");
        assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"city":"Wien"}"#, "{base}");
        assert_eq!(message["tool_calls"][1]["function"]["arguments"], "{}", "{base}");
        assert_eq!((world.spent().await, world.charged()), ("0.00125".to_owned(), "0.00125".to_owned()), "{base}");
    }
}

#[tokio::test]
async fn a_stream_brings_the_same_in_pieces_and_costs_the_same() {
    for base in FOREIGN {
        let world = world(base).await;
        world.faults(&json!({"primary": [{"fault": {"split": {"sizes": [1, 5, 2, 11]}}}]}));
        let mut body = chat();
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        let model = json!({"reply": "I look.", "chunks": 3, "answer":
            {"reasoning": "They ask.", "tool_calls": [{"name": "weather", "arguments": {"city": "Wien"}}]}});
        world.model(&model);
        let (answer, whole) = world.stream("/v1/chat/completions", &body).await;
        assert!(whole && answer.text.ends_with("data: [DONE]\n\n"), "{base}: {}", answer.text);
        let chunks = chunks(&answer);
        assert_eq!(joined(&chunks, "/choices/0/delta/content"), "I look.", "{base}");
        for field in ["reasoning", "reasoning_content", "reasoning_details/0/text"] {
            assert_eq!(joined(&chunks, &format!("/choices/0/delta/{field}")), "They ask.", "{base}: {field}");
        }
        let call = "/choices/0/delta/tool_calls/0/function";
        assert_eq!(joined(&chunks, &format!("{call}/name")), "weather", "{base}");
        assert_eq!(joined(&chunks, &format!("{call}/arguments")), r#"{"city":"Wien"}"#, "{base}");
        assert_eq!(joined(&chunks, "/choices/0/finish_reason"), "tool_calls", "{base}");
        assert!(chunks.iter().all(|chunk| chunk["created"].as_i64().unwrap() > 1_700_000_000), "{base}");
        let counted: Vec<_> = chunks.iter().filter(|chunk| chunk["usage"].is_object()).collect();
        assert_eq!(counted.len(), 1, "{base}: {}", answer.text);
        assert_eq!(counted[0]["usage"]["total_tokens"], 200, "{base}");
        assert_eq!((world.spent().await, world.charged()), ("0.00125".to_owned(), "0.00125".to_owned()), "{base}");
    }
}

#[tokio::test]
async fn the_provider_is_told_everything_in_its_own_words() {
    let anthropic = world("anthropic").await;
    anthropic.send(anthropic.chat(KEY, &chat())).await;
    let request = told(&anthropic);
    assert_eq!(request["system"][0]["text"], "Be brief.");
    assert_eq!(
        request["messages"][0]["content"][1]["source"],
        json!({"type": "url", "url": "https://example.com/a.png"})
    );
    let inline = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
    assert_eq!(request["messages"][0]["content"][2]["source"], inline);
    assert_eq!(request["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
    assert_eq!((&request["max_tokens"], &request["tool_choice"]), (&json!(2000), &json!({"type": "auto"})));
    let gemini = world("gemini").await;
    gemini.send(gemini.chat(KEY, &chat())).await;
    let request = told(&gemini);
    assert_eq!(request["systemInstruction"]["parts"][0]["text"], "Be brief.");
    let by_url = json!({"mimeType": "image/png", "fileUri": "https://example.com/a.png"});
    assert_eq!(request["contents"][0]["parts"][1]["fileData"], by_url);
    assert_eq!(request["contents"][0]["parts"][2]["inlineData"], json!({"mimeType": "image/png", "data": "AAAA"}));
    let config = json!({"maxOutputTokens": 2000, "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 1024}});
    assert_eq!(request["generationConfig"], config);
}

#[tokio::test]
async fn what_was_thought_and_called_goes_back_with_its_signatures_and_results() {
    for base in FOREIGN {
        let world = world(base).await;
        let first = world.send(world.chat(KEY, &chat())).await.json();
        let message = first["choices"][0]["message"].clone();
        let id = message["tool_calls"][0]["id"].clone();
        let other = message["tool_calls"][1]["id"].clone();
        let mut next = chat();
        let messages = next["messages"].as_array_mut().unwrap();
        messages.push(message);
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "{\"sun\":true}"}));
        messages.push(json!({"role": "tool", "tool_call_id": other, "content": "noon"}));
        let answer = world.send(world.chat(KEY, &next)).await;
        assert_eq!(answer.status, 200, "{base}: {}", answer.text);
        let request = told(&world);
        match base {
            "anthropic" => {
                let said = &request["messages"][1]["content"];
                assert_eq!(said[0]["type"], "thinking");
                assert_eq!(said[0]["signature"], "bW9jayBzaWduYXR1cmU=");
                assert_eq!(said[2]["id"], id);
                let results = &request["messages"][2]["content"];
                assert_eq!((&results[0]["tool_use_id"], &results[1]["content"]), (&id, &json!("noon")));
            }
            _ => {
                let said = &request["contents"][1]["parts"];
                assert_eq!(said[2]["functionCall"]["id"], id);
                assert_eq!(said[2]["thoughtSignature"], "bW9jayBzaWduYXR1cmU=");
                let results = &request["contents"][2]["parts"];
                assert_eq!(results[0]["functionResponse"]["response"], json!({"sun": true}));
                assert_eq!(
                    results[1]["functionResponse"],
                    json!({"id": other, "name": "now", "response": {"result": "noon"}})
                );
            }
        }
    }
}

#[tokio::test]
async fn cached_tokens_and_thoughts_cost_the_same_whoever_serves() {
    for base in ["openai", "anthropic", "gemini"] {
        for is_stream in [false, true] {
            let mut world = World::prepare(|config| {
                for provider in ["primary", "second", "third"] {
                    config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
                }
                config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
            })
            .await;
            world.model(&json!({
                "usage": {"input": 7000, "output": 3000, "cached": 4000, "reasoning": 500},
                "price": {"input": "$2.50", "output": "$10.00", "cached": "$0.25"},
            }));
            world.run(&["--test-clock", "--seed", "7"]).await;
            let mut body = crate::support::body();
            body["stream"] = json!(is_stream);
            let (answer, whole) = world.stream("/v1/chat/completions", &body).await;
            assert!(answer.status == 200 && whole, "{base}: {}", answer.text);
            assert_eq!(world.spent().await, world.charged(), "{base}, stream: {is_stream}");
            assert_eq!(world.charged(), "0.0385", "{base}, stream: {is_stream}");
            if !is_stream {
                assert_eq!(answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"], 4000, "{base}");
            }
        }
    }
}

/// A world in which OpenAI's protocol is asked first, then Anthropic's, then Gemini's.
async fn mixed() -> World {
    World::start(|config| {
        for (provider, base) in [("second", "anthropic"), ("third", "gemini")] {
            config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
        }
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await
}

#[tokio::test]
async fn another_protocols_provider_steps_in_and_the_call_is_charged_once() {
    for (failing, served, attempts) in
        [(vec!["primary"], "second", "primary:503"), (vec!["primary", "second"], "third", "primary:503,second:503")]
    {
        for is_stream in [false, true] {
            let world = mixed().await;
            let fails = json!([{"fault": {"status": {"code": 503}}}]);
            world.faults(&failing.iter().map(|name| ((*name).to_owned(), fails.clone())).collect::<Value>());
            let mut body = crate::support::body();
            body["stream"] = json!(is_stream);
            let (answer, whole) = world.stream("/v1/chat/completions", &body).await;
            assert!(answer.status == 200 && whole, "{served}: {}", answer.text);
            assert_eq!(answer.header("x-gateway-attempts"), attempts);
            assert_eq!(answer.header("x-bifrost-provider"), served);
            assert_eq!(world.called().last().map(String::as_str), Some(served));
            assert_eq!((world.spent().await, world.charged()), ("0.00125".to_owned(), "0.00125".to_owned()));
            if is_stream {
                assert!(answer.text.ends_with("data: [DONE]\n\n"), "{served}: {}", answer.text);
            } else {
                assert_eq!(answer.json()["object"], "chat.completion");
            }
        }
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_told_everything_is_passed_over_without_a_call() {
    let world = mixed().await;
    world.faults(&json!({"primary": [{"fault": {"status": {"code": 503}}}]}));
    let mut body = crate::support::body();
    body["seed"] = json!(7);
    let answer = world.send(world.chat(KEY, &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(world.called(), ["primary", "third"]);
    assert_eq!(told(&world)["generationConfig"]["seed"], 7);
    assert_eq!(world.spent().await, "0.00125");
}

#[tokio::test]
async fn what_a_provider_cannot_be_told_is_refused_by_name_and_costs_nothing() {
    let world = world("anthropic").await;
    let mut body = crate::support::body();
    body["model"] = json!("primary/mock-1");
    body["logprobs"] = json!(true);
    let answer = world.send(world.chat(KEY, &body)).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("`logprobs`"), "{}", answer.text);
    assert_eq!((world.upstream_calls(), world.spent().await), (0, "0".to_owned()));
}

#[tokio::test]
async fn a_dearer_service_that_a_provider_cannot_be_told_of_is_neither_had_nor_charged() {
    for base in FOREIGN {
        let world = world(base).await;
        let response = json!({"model": "primary/mock-1", "max_output_tokens": 100, "input": PROMPT});
        for (tier, status, spent) in [("priority", 400, "0"), ("auto", 200, "0.00125"), ("default", 200, "0.0025")] {
            let mut body = response.clone();
            body["service_tier"] = json!(tier);
            let answer = world.send(world.request(Method::POST, "/v1/responses").bearer_auth(KEY).json(&body)).await;
            assert_eq!(answer.status, status, "{base}, {tier}: {}", answer.text);
            assert_eq!(answer.text.contains("`service_tier`"), status == 400, "{base}, {tier}: {}", answer.text);
            assert_eq!((world.spent().await, world.charged()), (spent.to_owned(), spent.to_owned()), "{base}, {tier}");
        }
    }
}

#[tokio::test]
async fn openais_embeddings_are_served_by_gemini_in_order_and_in_the_form_asked_for() {
    let world = world("gemini").await;
    let send = async |body: &Value| {
        world.send(world.request(Method::POST, "/v1/embeddings").bearer_auth(KEY).json(body)).await
    };
    let input = json!({"model": "mock-1", "input": HUNDRED, "dimensions": 3});
    let answer = send(&input).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let floats = answer.json()["data"][0]["embedding"].clone();
    assert_eq!(floats.as_array().unwrap().len(), 3, "{}", answer.text);
    // Gemini does not say what it counted: the call costs what was held for its bytes.
    assert_eq!((world.spent().await, world.charged()), ("0.00025".to_owned(), "0.00025".to_owned()));
    let mut texts = input.clone();
    texts["input"] = json!(["other", HUNDRED]);
    texts["encoding_format"] = json!("base64");
    let answer = send(&texts).await.json();
    let bytes = STANDARD.decode(answer["data"][1]["embedding"].as_str().unwrap()).unwrap();
    let same: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(same, serde_json::from_value::<Vec<f32>>(floats).unwrap());
    assert_eq!(told(&world)["requests"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_beta_features_that_a_caller_names_reach_an_anthropic_provider_and_no_other() {
    for (base, expected) in [("anthropic", Some("context-1m")), ("openai", None)] {
        let world = world(base).await;
        let body = json!({"model": "mock-1", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}]});
        let request = world.request(Method::POST, "/anthropic/v1/messages").header("x-api-key", KEY);
        let answer = world.send(request.header("anthropic-beta", "context-1m").json(&body)).await;
        assert_eq!(answer.status, 200, "{base}: {}", answer.text);
        let ledger = world.upstream.ledger();
        let headers = &ledger.inference().next().unwrap().headers;
        let sent = headers.iter().find(|(name, _)| name == "anthropic-beta").map(|(_, value)| value.as_str());
        assert_eq!(sent, expected, "{base}");
    }
}
