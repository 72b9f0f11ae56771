//! Tools that a provider uses by itself while it answers: what they cost, and what bounds it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, KEY, PROMPT, World, budget};

const MESSAGES: &str = "/anthropic/v1/messages";

/// A provider of this kind, whose model makes two searches for each answer at a cent each.
async fn world(base: &str, limit: &str) -> World {
    let mut world = World::prepare(|config| {
        for provider in ["primary", "second", "third"] {
            config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
        }
        config["governance"]["budgets"] = json!([budget("b", limit, "1h", "vk-agent")]);
    })
    .await;
    world.model(&json!({
        "usage": {"input": 100, "output": 100, "searches": 2},
        "price": {"input": "$2.50", "output": "$10.00", "search": "$0.01"},
    }));
    world.run(&["--test-clock", "--seed", "7"]).await;
    world
}

fn messages(tool: &Value) -> Value {
    json!({"model": "primary/mock-1", "max_tokens": 100, "tools": [tool],
           "messages": [{"role": "user", "content": PROMPT}]})
}

fn responses(tool: &Value) -> Value {
    json!({"model": "primary/mock-1", "max_output_tokens": 100, "max_tool_calls": 2, "tools": [tool], "input": PROMPT})
}

fn search(most: Option<u64>) -> Value {
    json!({"type": "web_search_20250305", "name": "web_search", "max_uses": most})
}

async fn send(world: &World, path: &str, body: &Value) -> Answer {
    world.send(world.request(Method::POST, path).bearer_auth(KEY).json(body)).await
}

#[tokio::test]
async fn searches_are_charged_as_the_answer_tells_them_plain_and_streamed() {
    for (base, path, body) in [
        ("anthropic", MESSAGES, messages(&search(Some(2)))),
        ("openai", "/v1/responses", responses(&json!({"type": "web_search"}))),
    ] {
        let world = world(base, "100").await;
        let answer = send(&world, path, &body).await;
        assert_eq!(answer.status, 200, "{base}: {}", answer.text);
        assert_eq!((world.spent().await.as_str(), world.charged().as_str()), ("0.02125", "0.02125"), "{base}");
        let mut streamed = body.clone();
        streamed["stream"] = json!(true);
        let (answer, whole) = world.stream(path, &streamed).await;
        assert!(answer.status == 200 && whole, "{base}: {}", answer.text);
        assert_eq!((world.spent().await.as_str(), world.charged().as_str()), ("0.0425", "0.0425"), "{base}");
    }
}

#[tokio::test]
async fn the_search_before_a_chat_completion_is_charged_though_no_answer_tells_it() {
    let world = world("openai", "1").await;
    world.model(&json!({"usage": {"input": 100, "output": 100, "searches": 1}}));
    let mut body = crate::support::body();
    body["web_search_options"] = json!({});
    assert_eq!(send(&world, "/v1/chat/completions", &body).await.status, 200);
    assert_eq!((world.spent().await.as_str(), world.charged().as_str()), ("0.01125", "0.01125"));
}

#[tokio::test]
async fn a_model_that_searches_by_itself_does_so_for_every_caller_and_under_every_name() {
    let content = json!({"contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
        "generationConfig": {"maxOutputTokens": 100}});
    let message = json!({"model": "primary/mock-1", "max_tokens": 100,
        "messages": [{"role": "user", "content": PROMPT}]});
    let calls = [(MESSAGES, &message), ("/genai/v1beta/models/primary/mock-1:generateContent", &content)];
    // The call alone holds $0.00115.
    for (limit, status, spent) in [("0.011", 402, "0"), ("0.012", 200, "0.01125")] {
        for (path, body) in calls {
            let mut world = World::prepare(|config| {
                config["providers"]["primary"]["keys"][0]["aliases"] = json!({"mock-1": "sonar-1"});
                config["governance"]["budgets"] = json!([budget("b", limit, "1h", "vk-agent")]);
            })
            .await;
            let mut script = serde_json::to_value(world.upstream.script()).unwrap();
            let model = json!({
                "usage": {"input": 100, "output": 100, "searches": 1},
                "price": {"input": "$2.50", "output": "$10.00", "search": "$0.01"},
            });
            (script["models"]["mock-1"], script["models"]["sonar-1"]) = (model.clone(), model);
            world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
            world.run(&["--test-clock", "--seed", "7"]).await;
            let answer = send(&world, path, body).await;
            assert_eq!(answer.status, status, "{path}, {limit}: {}", answer.text);
            assert_eq!((world.spent().await.as_str(), world.charged().as_str()), (spent, spent), "{path}, {limit}");
        }
    }
}

#[tokio::test]
async fn a_fallback_that_searches_by_itself_holds_its_search_and_is_charged_it() {
    for (limit, status, spent) in [("0.011", 503, "0"), ("0.012", 200, "0.01125")] {
        let mut world = World::prepare(|config| {
            config["governance"]["budgets"] = json!([budget("b", limit, "1h", "vk-agent")]);
        })
        .await;
        let mut script = serde_json::to_value(world.upstream.script()).unwrap();
        script["models"]["sonar-1"] = json!({
            "usage": {"input": 100, "output": 100, "searches": 1},
            "price": {"input": "$2.50", "output": "$10.00", "search": "$0.01"},
        });
        script["providers"]["primary"]["faults"] = json!([{"fault": {"status": {"code": 503}}}]);
        world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
        world.run(&["--test-clock", "--seed", "7"]).await;
        let mut body = crate::support::body();
        body["model"] = json!("primary/mock-1");
        body["fallbacks"] = json!(["second/sonar-1"]);
        let answer = send(&world, "/v1/chat/completions", &body).await;
        assert_eq!(answer.status, status, "{limit}: {}", answer.text);
        assert_eq!(world.spent().await, spent, "{limit}");
    }
}

#[tokio::test]
async fn a_tool_without_a_price_or_a_bound_is_refused_under_a_budget_and_nothing_is_called() {
    let world = world("anthropic", "100").await;
    for (tool, kind) in [
        (search(None), "tool_unbounded"),
        (json!({"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 1}), "tool_unpriced"),
        (json!({"type": "code_execution_20250825", "name": "code_execution"}), "tool_unpriced"),
    ] {
        let refused = send(&world, MESSAGES, &messages(&tool)).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        assert_eq!(refused.json()["error"]["code"], kind, "{}", refused.text);
    }
    assert_eq!((world.upstream_calls(), world.spent().await.as_str()), (0, "0"));
    let code = responses(&json!({"type": "code_interpreter", "container": {"type": "auto"}}));
    let refused = send(&self::world("openai", "100").await, "/v1/responses", &code).await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (403, "tool_unpriced"), "{}", refused.text);
}

#[tokio::test]
async fn a_plugin_is_refused_in_each_of_openais_forms() {
    let world = world("openai", "100").await;
    let mut chat = crate::support::body();
    chat["model"] = json!("primary/mock-1");
    let completion = json!({"model": "primary/mock-1", "max_tokens": 100, "prompt": PROMPT});
    let response = json!({"model": "primary/mock-1", "max_output_tokens": 100, "input": PROMPT});
    for (path, body) in [("/v1/chat/completions", chat), ("/v1/completions", completion), ("/v1/responses", response)] {
        for (name, value) in [("plugins", json!([{"id": "web"}])), ("search_parameters", json!({"mode": "on"}))] {
            let mut body = body.clone();
            body[name] = value;
            let refused = send(&world, path, &body).await;
            assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (403, "tool_unpriced"), "{}", refused.text);
        }
    }
    assert_eq!((world.upstream_calls(), world.spent().await.as_str()), (0, "0"));
}

#[tokio::test]
async fn a_search_holds_its_price_and_what_the_model_reads_again_with_what_it_found() {
    // Two rounds of 2,097,152 tokens more than the call itself, and two searches: $10.5 and 2 cents.
    for (limit, status) in [("10.4", 402), ("10.6", 200)] {
        let world = world("anthropic", limit).await;
        let answer = send(&world, MESSAGES, &messages(&search(Some(2)))).await;
        assert_eq!(answer.status, status, "{limit}: {}", answer.text);
    }
}

#[tokio::test]
async fn without_a_budget_or_where_it_is_allowed_any_tool_is_used() {
    let code = responses(&json!({"type": "code_interpreter", "container": {"type": "auto"}}));
    let allowed = World::start(|config| {
        config["client"]["unpriced_models"] = json!("allow");
        config["governance"]["budgets"] = json!([budget("b", "100", "1h", "vk-agent")]);
    })
    .await;
    assert_eq!(send(&allowed, "/v1/responses", &code).await.status, 200);
    let unlimited = World::start(|_| {}).await;
    assert_eq!(send(&unlimited, "/v1/responses", &code).await.status, 200);
}
