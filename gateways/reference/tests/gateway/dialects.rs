//! Every caller's protocol on every kind of provider: the same call costs the same, streams
//! end as they should in the caller's own way, and what is refused is refused in its words.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{BASES, CALLERS, Caller, events, request, world};
use crate::support::{KEY, PROMPT};

#[tokio::test]
async fn a_call_costs_the_same_whoever_asks_and_whoever_serves_and_trips_in_the_callers_words() {
    for base in BASES {
        for caller in CALLERS {
            let world = world(base, "0.0025").await;
            for _ in 0..2 {
                let answer = world.send(request(&world, caller, false)).await;
                assert_eq!(answer.status, 200, "{caller:?} on {base}: {}", answer.text);
                assert!(!caller.text(&answer.json()).is_empty());
                assert_eq!(caller.usage(&answer.json()), (100, 100), "{caller:?} on {base}: {}", answer.text);
            }
            let refused = world.send(request(&world, caller, false)).await;
            assert_eq!(refused.status, 402, "{caller:?} on {base}");
            let meaning = match caller {
                Caller::Messages => "billing_error",
                Caller::Gemini => "FAILED_PRECONDITION",
                _ => "402",
            };
            assert_eq!(caller.error(&refused.json()), ("budget_exceeded".to_owned(), meaning.to_owned()));
            assert_eq!(world.spent().await, "0.0025", "{caller:?} on {base}");
            assert_eq!(world.charged(), "0.0025", "{caller:?} on {base}");
        }
    }
}

#[tokio::test]
async fn a_stream_says_what_a_plain_answer_says_and_costs_the_same() {
    for base in BASES {
        for caller in CALLERS {
            let world = world(base, "1").await;
            let plain = world.send(request(&world, caller, false)).await.json();
            world.faults(&json!({"primary": [{"fault": {"split": {"sizes": [1, 7, 3]}}}]}));
            let (answer, whole) = world.stream(caller.path(true), &caller.body(true)).await;
            assert!(whole, "{caller:?} on {base}: {}", answer.text);
            assert_eq!(answer.header("content-type"), "text/event-stream");
            assert_eq!(caller.streamed_text(&answer), caller.text(&plain), "{caller:?} on {base}: {}", answer.text);
            assert!(caller.has_end(&answer), "{caller:?} on {base}: {}", answer.text);
            assert_eq!(world.spent().await, "0.0025", "{caller:?} on {base}");
        }
    }
}

#[tokio::test]
async fn a_broken_stream_ends_as_a_failure_in_the_callers_own_protocol() {
    for base in BASES {
        for caller in CALLERS {
            for fault in [json!({"cut": {"after_chunks": 2}}), json!({"error_event": {"after_chunks": 2}})] {
                let world = world(base, "1").await;
                world.faults(&json!({"primary": [{"fault": fault}]}));
                let (answer, whole) = world.stream(caller.path(true), &caller.body(true)).await;
                assert!(!whole, "{caller:?} on {base}: {}", answer.text);
                assert!(!caller.has_end(&answer), "{caller:?} on {base}: {}", answer.text);
                let last = events(&answer).pop().unwrap();
                let is_error = last.get("error").is_some() || last["type"] == "error";
                assert!(is_error, "{caller:?} on {base}: {last}");
                assert_eq!(world.spent().await, "0.00115", "{caller:?} on {base}: {fault}");
            }
        }
    }
}

#[tokio::test]
async fn a_providers_error_is_told_in_the_callers_words() {
    for base in BASES {
        for caller in CALLERS {
            let world = world(base, "1").await;
            let fails = json!([{"fault": {"status": {"code": 429, "message": "slow down", "retry_after": 3}}}]);
            world.faults(&json!({"primary": fails, "second": fails, "third": fails}));
            let answer = world.send(request(&world, caller, false)).await;
            assert_eq!(answer.status, 429, "{caller:?} on {base}: {}", answer.text);
            assert_eq!(answer.header("retry-after"), "3");
            let body = answer.json();
            assert_eq!(body["error"]["message"], "slow down", "{caller:?} on {base}: {body}");
            match caller {
                Caller::Messages => assert_eq!(body["error"]["type"], "rate_limit_error"),
                Caller::Gemini => assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn gemini_streams_as_an_array_that_closes_only_when_it_is_whole() {
    let path = "/genai/v1beta/models/primary/mock-1:streamGenerateContent";
    for base in ["openai", "gemini"] {
        let world = world(base, "1").await;
        let (answer, whole) = world.stream(path, &Caller::Gemini.body(true)).await;
        assert!(whole, "{base}");
        assert_eq!(answer.header("content-type"), "application/json");
        let pieces = answer.json();
        let last = pieces.as_array().unwrap().last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{base}: {last}");
        assert_eq!(Caller::Gemini.usage(last), (100, 100));
        assert_eq!(world.spent().await, "0.00125", "{base}");
        world.faults(&json!({"primary": [{"fault": {"cut": {"after_chunks": 2}}}]}));
        let (broken, whole) = world.stream(path, &Caller::Gemini.body(true)).await;
        assert!(!whole, "{base}");
        assert!(serde_json::from_str::<Value>(&broken.text).is_err(), "{base}: {}", broken.text);
        assert!(broken.text.contains("\"reason\":\"upstream_broken\""), "{base}: {}", broken.text);
    }
}

#[tokio::test]
async fn gemini_on_gemini_passes_through_and_is_charged() {
    let world = world("gemini", "0.0025").await;
    let answer = world.send(request(&world, Caller::Gemini, false)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(world.spent().await, "0.00125");
    let (stream, whole) = world.stream(Caller::Gemini.path(true), &Caller::Gemini.body(true)).await;
    assert!(whole && Caller::Gemini.has_end(&stream), "{}", stream.text);
    assert_eq!(world.spent().await, "0.0025");
}

#[tokio::test]
async fn geminis_embeddings_are_served_by_both_kinds_and_charged() {
    // Sixty bytes are held as sixty tokens. Where OpenAI's kind serves, the hundred that it counts are
    // charged, for two texts at once too; Gemini's counts none, and what was held is.
    for (base, limit, of_one, of_both) in
        [("openai", "0.00062", "0.00025", "0.0005"), ("gemini", "0.00045", "0.00015", "0.00045")]
    {
        let world = world(base, limit).await;
        let content = json!({"parts": [{"text": PROMPT}]});
        let one = json!({"content": content, "outputDimensionality": 3});
        let send = async |action: &str, body: &Value| {
            let path = format!("/genai/v1beta/models/mock-1:{action}");
            world.send(world.request(Method::POST, &path).header("x-goog-api-key", KEY).json(body)).await
        };
        let answer = send("embedContent", &one).await;
        assert_eq!(answer.status, 200, "{base}: {}", answer.text);
        assert_eq!(answer.json()["embedding"]["values"].as_array().unwrap().len(), 3, "{base}");
        assert_eq!(world.spent().await, of_one, "{base}");
        let each = json!({ "content": content });
        let two = json!({"requests": [each, each]});
        let answer = send("batchEmbedContents", &two).await;
        assert_eq!(answer.status, 200, "{base}: {}", answer.text);
        assert_eq!(answer.json()["embeddings"].as_array().unwrap().len(), 2, "{base}: {}", answer.text);
        assert_eq!(world.spent().await, of_both, "{base}");
        for (action, body) in [("embedContent", &one), ("batchEmbedContents", &two)] {
            let refused = send(action, body).await;
            assert_eq!(
                (refused.status.as_u16(), Caller::Gemini.error(&refused.json()).0.as_str()),
                (402, "budget_exceeded")
            );
        }
        assert_eq!(world.upstream_calls(), 2, "{base}");
    }
}

#[tokio::test]
async fn what_is_embedded_may_name_the_model_of_the_path_again_which_costs_nothing_and_no_other() {
    let world = world("gemini", "0.00045").await;
    let send = async |action: &str, body: Value| {
        let path = format!("/genai/v1beta/models/mock-1:{action}");
        world.send(world.request(Method::POST, &path).header("x-goog-api-key", KEY).json(&body)).await
    };
    let one = |model: &str| {
        let content = json!({"parts": [{"text": PROMPT}]});
        json!({"model": model, "content": content, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 3})
    };
    for (action, body) in [
        ("embedContent", one("models/mock-2")),
        ("batchEmbedContents", json!({"requests": [one("models/mock-1"), one("models/mock-2")]})),
    ] {
        let refused = send(action, body).await;
        let problem = "model: 'models/mock-2' is not the model of the path, 'mock-1'";
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["message"]), (400, &json!(problem)));
    }
    assert_eq!(world.upstream_calls(), 0);
    // Sixty bytes each are held, and charged where the provider counts nothing.
    let batch = send("batchEmbedContents", json!({"requests": [one("models/mock-1"), one("mock-1")]})).await;
    assert_eq!((batch.status.as_u16(), world.spent().await.as_str()), (200, "0.0003"), "{}", batch.text);
    let alone = send("embedContent", one("models/MOCK-1")).await;
    assert_eq!((alone.status.as_u16(), world.spent().await.as_str()), (200, "0.00045"), "{}", alone.text);
}

#[tokio::test]
async fn what_the_provider_cannot_be_told_is_refused_by_name_in_the_callers_words() {
    let world = world("openai", "1").await;
    for (caller, field, value) in
        [(Caller::Messages, "mcp_servers", json!([])), (Caller::Gemini, "cachedContent", json!("cachedContents/1"))]
    {
        let mut body = caller.body(false);
        body[field] = value;
        let answer = world.send(world.request(Method::POST, caller.path(false)).bearer_auth(KEY).json(&body)).await;
        assert_eq!(answer.status, 400, "{caller:?}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(field), "{}", answer.text);
    }
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn a_path_that_gemini_does_not_have_is_told_in_its_words() {
    let world = world("openai", "1").await;
    let answer = world.send(world.request(Method::POST, "/genai/v1beta/models/m:fly").bearer_auth(KEY)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
}

#[tokio::test]
async fn tokens_are_counted_by_the_callers_own_kind_of_provider_and_else_estimated() {
    for (base, tokens) in [("anthropic", 100), ("gemini", 100), ("openai", 15)] {
        let world = world(base, "1").await;
        let count = async |path: &str, body: &Value| {
            world.send(world.request(Method::POST, path).bearer_auth(KEY).json(body)).await
        };
        // Sixty bytes are estimated at fifteen tokens; another kind of provider does not count them.
        let message = count("/anthropic/v1/messages/count_tokens", &Caller::Messages.body(false)).await;
        let expected = if base == "gemini" { 15 } else { tokens };
        assert_eq!(message.json(), json!({"input_tokens": expected}), "{base}");
        let contents = json!({"contents": Caller::Gemini.body(false)["contents"]});
        for body in [contents.clone(), json!({"generateContentRequest": contents})] {
            let content = count("/genai/v1beta/models/mock-1:countTokens", &body).await;
            let expected = if base == "anthropic" { 15 } else { tokens };
            assert_eq!(content.json()["totalTokens"], expected, "{base}: {}", content.text);
        }
        assert_eq!(world.spent().await, "0", "{base}");
        let stranger = world.request(Method::POST, "/anthropic/v1/messages/count_tokens").json(&json!({}));
        assert_eq!(world.send(stranger).await.status, 401);
    }
}

#[tokio::test]
async fn models_are_listed_as_each_protocol_lists_them() {
    let world = world("openai", "1").await;
    let list = async |path: &str| world.send(world.request(Method::GET, path).bearer_auth(KEY)).await.json();
    let name = "primary/mock-1";
    let has = |list: &Value, at: &str, field: &str, name: &str| {
        list[at].as_array().unwrap().iter().any(|model| model[field] == name)
    };
    for prefix in ["", "/openai", "/litellm", "/langchain"] {
        assert!(has(&list(&format!("{prefix}/v1/models")).await, "data", "id", name), "{prefix}");
    }
    let anthropic = list("/anthropic/v1/models").await;
    assert!(has(&anthropic, "data", "id", name));
    assert_eq!(anthropic["has_more"], false);
    let gemini = list("/genai/v1beta/models").await;
    assert!(has(&gemini, "models", "name", "models/primary/mock-1"));
}

#[tokio::test]
async fn every_protocol_is_served_under_the_prefixes_of_other_tools() {
    for prefix in ["/litellm", "/langchain"] {
        for caller in CALLERS {
            let world = world("openai", "0.00125").await;
            let path = format!("{prefix}{}", caller.path(false));
            let call = async || {
                world.send(world.request(Method::POST, &path).bearer_auth(KEY).json(&caller.body(false))).await
            };
            assert_eq!(call().await.status, 200, "{path}");
            let refused = call().await;
            assert_eq!((refused.status.as_u16(), caller.error(&refused.json()).0.as_str()), (402, "budget_exceeded"));
        }
    }
}
