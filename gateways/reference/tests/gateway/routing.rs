//! Which providers are tried, in which order, and who pays.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, World, body, budget, give_up_after, streamed};

#[tokio::test]
async fn providers_are_tried_in_the_order_of_their_weights_and_none_twice() {
    for fault in [
        json!({"status": {"code": 500}}),
        json!({"status": {"code": 503}}),
        json!({"status": {"code": 429}}),
        json!({"status": {"code": 400}}),
        json!("reset_before"),
        json!("hang"),
        json!({"reset_in_body": {"after_chunks": 0}}),
        json!("malformed_json"),
    ] {
        let world = World::start(|config| {
            if fault == "hang" {
                give_up_after(config, 1, "primary");
                give_up_after(config, 1, "second");
            }
        })
        .await;
        world.faults(&json!({"primary": [{"fault": fault}], "second": [{"fault": fault}]}));
        let answer = world.call().await;
        assert_eq!(answer.status, 200, "{fault}");
        assert_eq!(world.called(), ["primary", "second", "third"], "{fault}");
        assert_eq!(answer.header("x-bifrost-provider"), "third");
        assert_eq!(answer.header("x-bifrost-fallback-index"), "2");
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_event_falls_back() {
    // One that got no answer costs what was held too.
    for (fault, spent) in
        [(json!({"status": {"code": 503}}), "0.00125"), (json!("reset_before"), "0.0024"), (json!("hang"), "0.0024")]
    {
        let world = World::start(|config| {
            config["governance"]["budgets"] = json!([budget("b", "0.01", "1h", "vk-agent")]);
            if fault == "hang" {
                give_up_after(config, 1, "primary");
            }
        })
        .await;
        world.faults(&json!({"primary": [{"fault": fault}]}));
        let (answer, whole) = world.stream("/v1/chat/completions", &streamed()).await;
        assert!(whole && answer.status == 200, "{fault}");
        assert_eq!(world.called(), ["primary", "second"], "{fault}");
        assert_eq!(world.spent().await, spent, "{fault}");
    }
}

/// A budget of `agent` at one provider, for an hour.
fn at_provider(provider: &str, limit: &str) -> Value {
    let mut budget = budget(provider, limit, "1h", "");
    budget.as_object_mut().unwrap().remove("virtual_key_id");
    budget["provider_config_id"] = json!(format!("agent-{provider}"));
    budget
}

#[tokio::test]
async fn the_one_that_served_is_the_one_that_is_charged() {
    let world = World::start(|config| {
        let (primary, second) = (at_provider("primary", "1"), at_provider("second", "1"));
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent"), primary, second]);
    })
    .await;
    world.faults(&json!({"primary": [{"fault": {"status": {"code": 500}}}]}));
    let answer = world.call().await;
    assert_eq!(answer.header("x-gateway-attempts"), "primary:500");
    let agent = world.agent().await;
    assert_eq!(agent["budgets"][0]["current_usage"], "0.00125");
    assert_eq!(agent["provider_configs"][0]["budgets"][0]["current_usage"], "0");
    assert_eq!(agent["provider_configs"][1]["budgets"][0]["current_usage"], "0.00125");
}

#[tokio::test]
async fn a_provider_over_its_own_cap_is_passed_over_and_the_key_is_still_charged() {
    let world = World::start(|config| {
        let own = at_provider("primary", "0.00125");
        config["governance"]["budgets"] = json!([budget("b", "0.00375", "1h", "vk-agent"), own]);
    })
    .await;
    for _ in 0..3 {
        assert_eq!(world.call().await.status, 200);
    }
    assert_eq!(world.called(), ["primary", "second", "second"]);
    assert_eq!(world.spent().await, "0.00375");
}

#[tokio::test]
async fn a_provider_over_its_own_limit_is_passed_over_and_said_to_be() {
    for (limit, word) in [
        (json!({"request_max_limit": 1, "request_reset_duration": "1h"}), "request_limited"),
        (json!({"token_max_limit": 200, "token_reset_duration": "1h"}), "token_limited"),
    ] {
        // For this key alone, and for whoever asks.
        for is_keys in [true, false] {
            let world = World::start(|config| {
                let governance = &mut config["governance"];
                governance["budgets"] = json!([budget("b", "0.00375", "1h", "vk-agent")]);
                if is_keys {
                    governance["virtual_keys"][0]["provider_configs"][0]["rate_limit"] = limit.clone();
                } else {
                    governance["providers"] = json!([{"name": "primary", "rate_limit": limit}]);
                }
            })
            .await;
            assert_eq!(world.call().await.header("x-gateway-attempts"), "");
            for _ in 0..2 {
                let answer = world.call().await;
                assert_eq!((answer.status.as_u16(), answer.header("x-bifrost-provider")), (200, "second"), "{limit}");
                assert_eq!(answer.header("x-gateway-attempts"), format!("primary:{word}"));
            }
            assert_eq!(world.called(), ["primary", "second", "second"], "{limit}");
            assert_eq!(world.spent().await, "0.00375", "{limit}");
            // Where no other has room either, the first one's refusal is the answer.
            let refused = world.call().await;
            assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (429, word));
            assert_eq!(
                refused.header("x-gateway-attempts"),
                format!("primary:{word},second:budget_exceeded,third:budget_exceeded")
            );
            assert_eq!(world.upstream_calls(), 3, "{limit}");
        }
    }
}

#[tokio::test]
async fn a_callers_own_fallback_is_never_a_provider_over_its_cap() {
    let limit = json!({"request_max_limit": 1, "request_reset_duration": "1h"});
    let cap = json!({"max_limit": "number:0.00125", "reset_duration": "1h"});
    for (field, own, word) in [("rate_limit", limit, "request_limited"), ("budget", cap, "budget_exceeded")] {
        let world = World::start(|config| {
            config["governance"]["virtual_keys"][0]["provider_configs"][1][field] = own.clone();
            config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
        })
        .await;
        world.faults(&json!({"primary": [{"fault": {"status": {"code": 503}}}]}));
        let mut call = body();
        call["model"] = json!("primary/mock-1");
        call["fallbacks"] = json!(["second/mock-1", "third/mock-1"]);
        let answer = world.send(world.chat(KEY, &call)).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-bifrost-provider")), (200, "second"), "{field}");
        let answer = world.send(world.chat(KEY, &call)).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-bifrost-provider")), (200, "third"), "{field}");
        assert_eq!(answer.header("x-gateway-attempts"), format!("primary:503,second:{word}"));
        assert_eq!(world.called(), ["primary", "second", "primary", "third"], "{field}");
        // Where there is no other, the first one's error is the answer, and nobody else is asked.
        call["fallbacks"] = json!(["second/mock-1"]);
        let answer = world.send(world.chat(KEY, &call)).await;
        assert_eq!((answer.status.as_u16(), world.called().len()), (503, 5), "{field}");
        assert_eq!(world.spent().await, "0.0025", "{field}");
    }
}

#[tokio::test]
async fn of_several_caps_that_are_spent_the_widest_is_named() {
    let world = World::start(|config| {
        let own = at_provider("primary", "0.00125");
        config["governance"]["budgets"] = json!([budget("b", "0.0025", "1h", "vk-agent"), own]);
    })
    .await;
    let mut named = body();
    named["model"] = json!("primary/mock-1");
    assert_eq!(world.send(world.chat(KEY, &named)).await.status, 200);
    let refused = world.send(world.chat(KEY, &named)).await;
    assert_eq!(refused.status, 402);
    assert_eq!(refused.json()["error"]["scope"], "virtual_key_provider");
    assert_eq!(refused.json()["error"]["entity"], "agent/primary");
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.json()["error"]["scope"], "virtual_key");
}

#[tokio::test]
async fn when_all_fail_the_first_ones_error_is_the_answer() {
    let world = World::start(|config| {
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
        give_up_after(config, 1, "third");
    })
    .await;
    world.faults(&json!({
        "primary": [{"fault": {"status": {"code": 503, "retry_after": 7, "message": "the first"}}}],
        "second": [{"fault": "reset_before"}],
        "third": [{"fault": "hang"}],
    }));
    let answer = world.call().await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "7");
    assert!(answer.text.contains("the first"), "{}", answer.text);
    assert_eq!(answer.header("x-gateway-attempts"), "primary:503,second:reset,third:timeout");
    // Those that got no answer cost what was held.
    assert_eq!(world.spent().await, "0.0023");
}

#[tokio::test]
async fn a_provider_that_is_named_is_tried_alone_or_with_the_callers_fallbacks() {
    let world = World::start(|_| {}).await;
    world.faults(&json!({"second": [{"fault": {"status": {"code": 500}}}]}));
    let mut call = body();
    call["model"] = json!("second/mock-1");
    assert_eq!(world.send(world.chat(KEY, &call)).await.status, 500);
    call["fallbacks"] = json!(["third/mock-1"]);
    assert_eq!(world.send(world.chat(KEY, &call)).await.status, 200);
    assert_eq!(world.called(), ["second", "second", "third"]);
}

#[tokio::test]
async fn a_model_that_the_provider_would_fall_back_to_is_refused_and_nothing_is_sent() {
    let world = World::start(|config| {
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
        config["governance"]["virtual_keys"][0]["provider_configs"][0]["allowed_models"] = json!(["mock-1"]);
    })
    .await;
    let send = async |path: &str, field: &str, value: &Value| {
        let mut call = body();
        call["input"] = json!("i");
        call["prompt"] = json!("p");
        call[field] = value.clone();
        world.send(world.request(Method::POST, path).bearer_auth(KEY).json(&call)).await
    };
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/anthropic/v1/messages"] {
        for (field, value) in [
            ("models", json!(["mock-1", "unpriced-1"])),
            ("models", json!("unpriced-1")),
            ("models", json!({"first": "unpriced-1"})),
            ("route", json!("fallback")),
        ] {
            let refused = send(path, field, &value).await;
            assert_eq!(refused.status, 400, "{path} {field} {value}: {}", refused.text);
            assert!(refused.text.contains(&format!("{field}: ")), "{path} {value}: {}", refused.text);
            assert!(refused.text.contains("`fallbacks`"), "{path} {field} {value}: {}", refused.text);
        }
    }
    assert_eq!((world.upstream_calls(), world.spent().await.as_str()), (0, "0"));
    for nothing in [json!([]), Value::Null] {
        assert_eq!(send("/v1/chat/completions", "models", &nothing).await.status, 200, "{nothing}");
    }
}

#[tokio::test]
async fn retries_rotate_a_providers_keys_where_it_says_so() {
    let world = World::start(|config| {
        config["providers"]["primary"]["keys"] = json!([
            {"name": "a", "value": "key-a", "models": ["*"], "weight": 1},
            {"name": "b", "value": "key-b", "models": ["*"], "weight": 0},
        ]);
        config["providers"]["primary"]["network_config"]["max_retries"] = json!(1);
        config["providers"]["primary"]["network_config"]["retry_backoff_initial"] = json!(1);
    })
    .await;
    for code in [401, 429] {
        world.upstream.clear();
        world.faults(&json!({"primary": [{"key": "key-a", "fault": {"status": {"code": code}}}]}));
        assert_eq!(world.call().await.status, 200, "{code}");
        let ledger = world.upstream.ledger();
        let keys: Vec<_> = ledger.inference().filter_map(|entry| entry.upstream_key.as_deref()).collect();
        assert_eq!(keys, ["key-a", "key-b"], "{code}");
    }
}

#[tokio::test]
async fn a_providers_key_reaches_no_caller_and_its_401_is_not_taken_for_the_gateways() {
    let message = "Incorrect API key provided: upstream-key";
    for (base, path) in [
        ("openai", "/v1/chat/completions"),
        ("openai", "/anthropic/v1/messages"),
        ("anthropic", "/anthropic/v1/messages"),
    ] {
        let world = World::start(|config| {
            for provider in ["primary", "second", "third"] {
                config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
            }
        })
        .await;
        let fault = json!([{"fault": {"status": {"code": 401, "message": message}}}]);
        world.faults(&json!({"primary": fault, "second": fault, "third": fault}));
        let request = world.request(Method::POST, path).bearer_auth(KEY).json(&body());
        let answer = world.send(request).await;
        assert_eq!(answer.status, 401, "{base} {path}");
        assert!(!answer.text.contains("upstream-key"), "{base} {path}: {}", answer.text);
        let said = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        let expected = "the provider 'primary' answered with 401: Incorrect API key provided: [provider key]";
        assert_eq!(said, expected, "{base} {path}");
    }
}

#[tokio::test]
async fn more_fallbacks_than_eight_are_refused() {
    let world = World::start(|_| {}).await;
    let mut call = body();
    call["fallbacks"] = json!(vec!["second/mock-1"; 9]);
    let refused = world.send(world.chat(KEY, &call)).await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (400, "invalid_request"));
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn fallbacks_of_another_form_or_of_no_provider_are_refused_with_the_reason() {
    let world = World::start(|_| {}).await;
    for path in ["/v1/chat/completions", "/anthropic/v1/messages"] {
        for (fallbacks, said) in [
            (json!([{"model": "claude-opus-4-8"}]), "a provider's own choice of a model is neither allowed nor priced"),
            (json!("default"), r#"only a list of names is read here, as in [\"provider/model\"]"#),
            (json!(["second/mock-1", "mock-2"]), "'mock-2' begins with no provider of this gateway"),
            (json!(["elsewhere/mock-1"]), "'elsewhere/mock-1' begins with no provider"),
        ] {
            let mut call = body();
            call["fallbacks"] = fallbacks;
            let refused = world.send(world.request(Method::POST, path).bearer_auth(KEY).json(&call)).await;
            assert_eq!(refused.status, 400, "{path} {call}");
            assert!(refused.text.contains(said) && refused.text.contains("fallbacks: "), "{path}: {}", refused.text);
        }
    }
    assert_eq!(world.upstream_calls(), 0);
}

#[tokio::test]
async fn a_model_that_a_providers_key_blocks_is_blocked_in_whatever_case_it_is_written() {
    let world = World::start(|config| {
        config["providers"]["primary"]["keys"][0]["blacklisted_models"] = json!(["Mock-1"]);
    })
    .await;
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.called(), ["second"]);
}

/// The numbers that follow from a seed: `SplitMix64`, as it is published.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    (1..).map(move |count: u64| {
        let state = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// Whom a number chooses of weights of 0.7, 0.2 and 0.1: it falls into a million parts.
fn chosen(number: u64) -> &'static str {
    match number % 1_000_000 {
        0..700_000 => "second",
        700_000..900_000 => "primary",
        _ => "third",
    }
}

/// A world with this seed, whose virtual key gives most to `second` and least to `third`.
async fn weighted(seed: &str) -> World {
    let mut world = World::prepare(|config| {
        let grants = &mut config["governance"]["virtual_keys"][0]["provider_configs"];
        for (at, weight) in ["0.2", "0.7", "0.1"].into_iter().enumerate() {
            grants[at]["weight"] = json!(format!("number:{weight}"));
        }
    })
    .await;
    world.run(&["--seed", seed]).await;
    world
}

#[tokio::test]
async fn the_choice_among_providers_follows_their_weights_and_the_seed() {
    const CALLS: usize = 100;
    let mut all = Vec::new();
    for seed in [7, 8] {
        let world = weighted(&seed.to_string()).await;
        for _ in 0..CALLS {
            assert_eq!(world.call().await.status, 200);
        }
        let expected: Vec<&str> = numbers(seed).take(CALLS).map(chosen).collect();
        assert_eq!(world.called(), expected, "seed {seed}");
        all.push(expected);
    }
    assert_ne!(all[0], all[1]);
    let count = |name: &str| all.concat().iter().filter(|chosen| **chosen == name).count();
    let counts = [count("second"), count("primary"), count("third")];
    assert!((120..=160).contains(&counts[0]) && counts[1] > counts[2] && counts[2] > 5, "{counts:?}");
}

#[tokio::test]
async fn those_after_the_chosen_one_follow_by_descending_weight() {
    let world = weighted("7").await;
    let fault = json!([{"fault": {"status": {"code": 500}}}]);
    world.faults(&json!({"primary": fault, "second": fault, "third": fault}));
    let mut expected = Vec::new();
    for number in numbers(7).take(30) {
        assert_eq!(world.call().await.status, 500);
        let first = chosen(number);
        expected.push(first);
        expected.extend(["second", "primary", "third"].into_iter().filter(|name| *name != first));
    }
    assert_eq!(world.called(), expected);
}
