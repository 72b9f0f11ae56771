//! Budgets: they trip exactly, for each key alone, also when many come at once.

use serde_json::json;

use crate::support::{KEY, World, body, budget, streamed, virtual_key};

#[tokio::test]
async fn a_spent_budget_is_refused_with_402_and_says_which_cap_and_whose() {
    let world = World::with_budget("0.005").await;
    for _ in 0..4 {
        assert_eq!(world.call().await.status, 200);
    }
    let refused = world.call().await;
    assert_eq!(refused.status, 402);
    let body = refused.json();
    assert_eq!(body["type"], "budget_exceeded");
    assert_eq!(body["is_bifrost_error"], false);
    assert_eq!(body["error"]["scope"], "virtual_key");
    assert_eq!(body["error"]["entity"], "agent");
    assert_eq!(body["error"]["limit"], "0.005");
    assert_eq!(body["error"]["usage"], "0.005");
    assert_eq!(world.upstream_calls(), 4);
    assert_eq!(world.spent().await, "0.005");
    assert_eq!(world.charged(), "0.005");
}

#[tokio::test]
async fn a_stream_is_charged_as_its_twin_without() {
    let world = World::with_budget("0.005").await;
    for _ in 0..4 {
        let (answer, whole) = world.stream("/v1/chat/completions", &streamed()).await;
        assert!(whole && answer.text.ends_with("data: [DONE]\n\n"), "{}", answer.text);
    }
    let (refused, _) = world.stream("/v1/chat/completions", &streamed()).await;
    assert_eq!(refused.status, 402);
    assert_eq!(refused.kind(), "budget_exceeded");
    assert_eq!(world.spent().await, "0.005");
}

#[tokio::test]
async fn a_second_key_is_unaffected() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"] = json!([virtual_key("agent", KEY), virtual_key("other", "sk-other")]);
        config["governance"]["budgets"] = json!([budget("b", "0.00125", "1h", "vk-agent")]);
    })
    .await;
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.status, 402);
    assert_eq!(world.send(world.chat("sk-other", &body())).await.status, 200);
}

#[tokio::test]
async fn sixty_four_clients_at_once_on_a_cap_of_five_calls_get_exactly_five() {
    let world = World::with_budget("0.00625").await;
    world.model(&json!({ "latency": { "first_byte": "20ms" } }));
    let calls = (0..64).map(|_| world.call());
    let answers = futures_util::future::join_all(calls).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 402).count();
    assert_eq!((served, refused), (5, 59));
    assert_eq!(world.upstream_calls(), 5);
    assert_eq!(world.spent().await, "0.00625");
}

#[tokio::test]
async fn one_request_id_for_twenty_calls_makes_none_of_them_free() {
    let world = World::with_budget("0.005").await;
    let mut served = 0;
    for _ in 0..20 {
        let request = world.chat(KEY, &body()).header("x-request-id", "the-same");
        let answer = world.send(request).await;
        assert_eq!(answer.header("x-request-id"), "the-same");
        served += usize::from(answer.status == 200);
    }
    assert_eq!(served, 4);
}

#[tokio::test]
async fn a_model_without_a_price_cannot_be_used_under_a_budget() {
    let world = World::with_budget("0.005").await;
    let mut unpriced = body();
    unpriced["model"] = json!("primary/unpriced-1");
    let refused = world.send(world.chat(KEY, &unpriced)).await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (403, "model_unpriced"));
    assert!(refused.text.contains("unpriced-1"));
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn without_a_budget_or_where_it_is_allowed_a_model_without_a_price_passes() {
    let mut unpriced = body();
    unpriced["model"] = json!("primary/unpriced-1");
    let free = World::start(|_| {}).await;
    assert_eq!(free.send(free.chat(KEY, &unpriced)).await.status, 200);
    let allowed = World::start(|config| {
        config["client"]["unpriced_models"] = json!("allow");
        config["governance"]["budgets"] = json!([budget("b", "0.005", "1h", "vk-agent")]);
    })
    .await;
    assert_eq!(allowed.send(allowed.chat(KEY, &unpriced)).await.status, 200);
    assert_eq!(allowed.spent().await, "0");
}

#[tokio::test]
async fn a_request_that_can_cost_more_than_the_whole_budget_is_told_so() {
    let world = World::with_budget("0.005").await;
    let mut large = body();
    large["max_tokens"] = json!(10_000);
    let refused = world.send(world.chat(KEY, &large)).await;
    assert_eq!(refused.status, 402);
    assert!(refused.text.contains("this request alone can cost"), "{}", refused.text);
}

#[tokio::test]
async fn post_paid_admits_what_is_asked_while_the_cap_is_not_spent() {
    let world = World::start(|config| {
        config["client"]["budget_admission"] = json!("post_paid");
        config["governance"]["budgets"] = json!([budget("b", "0.002", "1h", "vk-agent")]);
    })
    .await;
    let mut large = body();
    large["max_tokens"] = json!(10_000);
    let statuses =
        [world.send(world.chat(KEY, &large)).await.status, world.call().await.status, world.call().await.status];
    assert_eq!(statuses, [200, 200, 402]);
}

#[tokio::test]
async fn a_request_without_a_bound_is_held_at_what_the_model_cost_last() {
    let world = World::with_budget("0.05").await;
    world.model(&json!({ "usage": { "input": 1000, "output": 1000 } }));
    let mut unbounded = body();
    unbounded.as_object_mut().unwrap().remove("max_tokens");
    for _ in 0..4 {
        // $0.0125 each; the unknown model is held at 4096 tokens of output first.
        assert_eq!(world.send(world.chat(KEY, &unbounded)).await.status, 200);
    }
    assert_eq!(world.send(world.chat(KEY, &unbounded)).await.status, 402);
    assert_eq!(world.spent().await, "0.05");
}

#[tokio::test]
async fn a_bounded_call_teaches_nothing_about_unbounded_ones() {
    let world = World::with_budget("0.05").await;
    assert_eq!(world.call().await.status, 200);
    let mut unbounded = body();
    unbounded.as_object_mut().unwrap().remove("max_tokens");
    // Sixty bytes and 4096 tokens are $0.04111; what is spent and that fit, twice they do not.
    world.model(&json!({ "latency": { "first_byte": "200ms" } }));
    let calls = (0..2).map(|_| world.send(world.chat(KEY, &unbounded)));
    let statuses: Vec<_> = futures_util::future::join_all(calls).await.iter().map(|answer| answer.status).collect();
    assert!(statuses.contains(&reqwest::StatusCode::OK), "{statuses:?}");
    assert!(statuses.contains(&reqwest::StatusCode::PAYMENT_REQUIRED), "{statuses:?}");
}

#[tokio::test]
async fn a_long_prompt_is_held_at_its_own_length_whatever_the_last_call_cost() {
    let world = World::with_budget("0.05").await;
    let mut unbounded = body();
    unbounded.as_object_mut().unwrap().remove("max_tokens");
    assert_eq!(world.send(world.chat(KEY, &unbounded)).await.status, 200);
    unbounded["messages"][0]["content"] = json!("x".repeat(20_000));
    let refused = world.send(world.chat(KEY, &unbounded)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["requested"].as_str()), (402, Some("0.05")));
}

#[tokio::test]
async fn several_answers_are_held_as_often_whatever_bounds_one() {
    let edit = |own: bool, catalogue: bool| {
        let mut call = body();
        call["n"] = json!(2);
        if !own {
            call.as_object_mut().unwrap().remove("max_tokens");
        }
        (call, catalogue)
    };
    // Sixty bytes are $0.00015; an answer is 100, 200 or 4096 tokens at $0.00001.
    for ((call, catalogue), requested) in
        [(edit(true, true), "0.00215"), (edit(false, true), "0.00415"), (edit(false, false), "0.08207")]
    {
        let mut world = World::prepare(|config| {
            config["governance"]["budgets"] = json!([budget("b", "0.001", "1h", "vk-agent")]);
        })
        .await;
        if catalogue {
            world.model(&json!({ "max_output_tokens": 200 }));
        }
        world.run(&[]).await;
        let refused = world.send(world.chat(KEY, &call)).await;
        assert_eq!(refused.status, 402, "{}", refused.text);
        assert_eq!(refused.json()["error"]["requested"], requested);
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_bounded_is_refused() {
    let world = World::with_budget("1").await;
    for text in [
        r#"{"model":"mock-1","messages":[{"role":"user","content":"\ud800"}],"max_tokens":1}"#,
        r#"{"model":"mock-1","messages":[],"max_tokens":1,"n":0}"#,
    ] {
        let request = world.request(reqwest::Method::POST, "/v1/chat/completions").bearer_auth(KEY);
        let refused = world.send(request.header("content-type", "application/json").body(text)).await;
        assert_eq!(refused.status, 400, "{text}: {}", refused.text);
    }
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn the_tighter_of_two_windows_trips_and_opens_again() {
    let world = World::start(|config| {
        config["governance"]["budgets"] =
            json!([budget("day", "0.005", "1d", "vk-agent"), budget("hour", "0.0025", "1h", "vk-agent"),]);
    })
    .await;
    for expected in [200, 200, 402] {
        assert_eq!(world.call().await.status, expected);
    }
    world.advance("1h").await;
    for expected in [200, 200, 402] {
        assert_eq!(world.call().await.status, expected);
    }
    world.advance("1h").await;
    let refused = world.call().await;
    assert_eq!(refused.status, 402);
    assert_eq!(refused.json()["error"]["reset_duration"], "1d");
}

#[tokio::test]
async fn a_price_override_prices_a_model_that_no_sheet_knows() {
    let world = World::start(|config| {
        config["governance"]["budgets"] = json!([budget("b", "0.005", "1h", "vk-agent")]);
        config["governance"]["pricing_overrides"] = json!([{
            "id": "po", "name": "fixed", "scope_kind": "global", "match_type": "exact",
            "pattern": "unpriced-1", "request_types": ["chat_completion"],
            "pricing_patch": "{\"input_cost_per_token\":0.0000025,\"output_cost_per_token\":0.00001}",
        }]);
    })
    .await;
    let mut call = body();
    call["model"] = json!("unpriced-1");
    for expected in [200, 200, 200, 200, 402] {
        assert_eq!(world.send(world.chat(KEY, &call)).await.status, expected);
    }
}

#[tokio::test]
async fn completions_responses_and_embeddings_are_charged_too() {
    let world = World::with_budget("1").await;
    let post = |path: &str, body: serde_json::Value| {
        world.send(world.request(reqwest::Method::POST, path).bearer_auth(KEY).json(&body))
    };
    let completion = post("/v1/completions", json!({"model": "mock-1", "prompt": "a", "max_tokens": 100})).await;
    assert_eq!(completion.status, 200);
    assert_eq!(world.spent().await, "0.00125");
    let response =
        post("/openai/v1/responses", json!({"model": "mock-1", "input": "a", "max_output_tokens": 100})).await;
    assert_eq!(response.status, 200);
    assert_eq!(world.spent().await, "0.0025");
    let embedding = post("/v1/embeddings", json!({"model": "mock-1", "input": ["a"]})).await;
    assert_eq!(embedding.status, 200, "{}", embedding.text);
    assert_eq!(world.spent().await, "0.00275");
    assert_eq!(world.charged(), "0.00275");
}

#[tokio::test]
async fn a_picture_is_held_at_the_most_that_it_can_count_and_not_at_its_urls_length() {
    let world = World::with_budget("0.13").await;
    let mut body = body();
    let picture = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    body["messages"][0]["content"] = json!([picture.clone(), picture]);
    let refused = world.send(world.chat(KEY, &body)).await;
    assert_eq!((refused.status.as_u16(), world.upstream_calls()), (402, 0), "{}", refused.text);
    let large = format!("data:image/png;base64,{}", "A".repeat(400_000));
    body["messages"][0]["content"] = json!([{"type": "image_url", "image_url": {"url": large}}]);
    let served = world.send(world.chat(KEY, &body)).await;
    assert_eq!(served.status, 200, "{}", served.text);
    assert_eq!(world.spent().await, "0.00125");
}

#[tokio::test]
async fn a_document_is_held_at_all_that_a_model_can_read() {
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    let sheet = world.folder.path().join("prices.json");
    let priced = |window: &str| {
        format!(r#"{{"mock-1": {{"input_cost_per_token": 0.0000025, "output_cost_per_token": 0.00001{window}}}}}"#)
    };
    world.config["framework"]["pricing"]["pricing_url"] = json!(format!("file://{}", sheet.display()));
    let mut body = body();
    body["messages"][0]["content"] =
        json!([{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}]);
    for (window, status) in
        [("", 402), (r#", "max_input_tokens": 500000"#, 402), (r#", "max_input_tokens": 200000"#, 200)]
    {
        std::fs::write(&sheet, priced(window)).unwrap();
        world.process = None;
        world.run(&[]).await;
        let answer = world.send(world.chat(KEY, &body)).await;
        assert_eq!(answer.status, status, "{window}: {}", answer.text);
    }
    assert_eq!((world.upstream_calls(), world.spent().await), (1, "0.00125".to_owned()));
}
