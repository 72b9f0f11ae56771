//! Whose budgets and limits a request counts against, and which of several refuses it.

use serde_json::json;

use crate::levels::{OTHER, call, four_calls, governed, named, refusal, two_requests, with};
use crate::support::KEY;

#[tokio::test]
async fn a_team_budget_is_shared_by_its_keys_also_in_a_burst() {
    let world = governed(|governance| {
        governance["teams"] = json!([{"id": "t", "name": "evals", "budgets": [four_calls()]}]);
        for key in governance["virtual_keys"].as_array_mut().unwrap() {
            key["team_id"] = json!("t");
        }
    })
    .await;
    world.model(&json!({"latency": {"first_byte": "20ms"}}));
    let keys = [KEY, OTHER];
    let calls = (0..32).map(|index| call(&world, Some(keys[index % 2]), "mock-1"));
    let answers = futures_util::future::join_all(calls).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((served, world.upstream_calls()), (4, 4));
    let refused = call(&world, Some(OTHER), "mock-1").await;
    assert_eq!(named(&refused), refusal(402, "team", "evals"));
}

#[tokio::test]
async fn a_customers_budget_counts_its_teams_and_its_own_keys() {
    let world = governed(|governance| {
        governance["customers"] = json!([{"id": "c", "name": "acme", "budget_id": "b"}]);
        governance["budgets"] = json!([with(json!({"id": "b"}), &four_calls())]);
        governance["teams"] = json!([{"id": "t", "name": "evals", "customer_id": "c"}]);
        governance["virtual_keys"][0]["team_id"] = json!("t");
        governance["virtual_keys"][1]["customer_id"] = json!("c");
    })
    .await;
    for key in [KEY, OTHER, KEY, OTHER] {
        assert_eq!(call(&world, Some(key), "mock-1").await.status, 200);
    }
    for key in [KEY, OTHER] {
        assert_eq!(named(&call(&world, Some(key), "mock-1").await), refusal(402, "customer", "acme"));
    }
    // Nobody's calls are not the customer's.
    assert_eq!(call(&world, None, "mock-1").await.status, 200);
}

#[tokio::test]
async fn a_providers_budget_counts_every_key_and_none_and_leaves_other_providers_be() {
    let world = governed(|governance| {
        governance["providers"] = json!([{"name": "primary"}]);
        governance["budgets"] = json!([with(json!({"id": "b", "provider": "primary"}), &four_calls())]);
    })
    .await;
    for key in [Some(KEY), Some(OTHER), None, None] {
        assert_eq!(call(&world, key, "primary/mock-1").await.status, 200);
    }
    for key in [Some(KEY), Some(OTHER), None] {
        assert_eq!(named(&call(&world, key, "primary/mock-1").await), refusal(402, "provider", "primary"));
    }
    assert_eq!(call(&world, Some(OTHER), "second/mock-1").await.status, 200);
    // A key that may use others falls back to them.
    let served = call(&world, Some(KEY), "mock-1").await;
    assert_eq!((served.status.as_u16(), served.header("x-gateway-attempts")), (200, "primary:budget_exceeded"));
    assert_eq!(served.header("x-bifrost-provider"), "second");
}

#[tokio::test]
async fn a_models_budget_leaves_other_models_be_and_is_not_evaded_by_capitals() {
    let world = governed(|governance| {
        governance["model_configs"] = json!([
            {"id": "m", "model_name": "mock-1", "rate_limit_ids": ["rl"]},
        ]);
        governance["rate_limits"] = json!([with(json!({"id": "rl"}), &two_requests())]);
        let price = json!({"input_cost_per_token": "number:0.000001", "output_cost_per_token": "number:0.000001"});
        governance["pricing_overrides"] = json!([{
            "scope_kind": "global", "match_type": "wildcard", "pattern": "*",
            "request_types": ["chat_completion"], "patch": price,
        }]);
    })
    .await;
    for model in ["mock-1", "second/mock-1"] {
        assert_eq!(call(&world, None, model).await.status, 200);
    }
    assert_eq!(named(&call(&world, None, "mock-1").await), refusal(429, "model", "mock-1"));
    assert_eq!(named(&call(&world, None, "MOCK-1").await), refusal(429, "model", "mock-1"));
    assert_eq!(call(&world, None, "unpriced-1").await.status, 200);
}

#[tokio::test]
async fn a_model_of_one_key_is_limited_for_that_key_alone() {
    let world = governed(|governance| {
        governance["model_configs"] = json!([{
            "model_name": "*", "provider": "primary", "scope": "virtual_key", "scope_id": "vk-agent",
            "budgets": [four_calls()],
        }]);
    })
    .await;
    for _ in 0..4 {
        assert_eq!(call(&world, Some(KEY), "primary/mock-1").await.status, 200);
    }
    let refused = call(&world, Some(KEY), "primary/mock-1").await;
    assert_eq!(named(&refused), refusal(402, "virtual_key_model", "agent/primary/*"));
    assert_eq!(call(&world, Some(OTHER), "primary/mock-1").await.status, 200);
    assert_eq!(call(&world, Some(KEY), "second/mock-1").await.status, 200);
}

#[tokio::test]
async fn of_several_levels_that_refuse_the_widest_is_named_and_the_tightest_refuses_first() {
    let budget = |limit: &str| json!([{"max_limit": format!("number:{limit}"), "reset_duration": "1h"}]);
    let world = governed(|governance| {
        governance["customers"] = json!([{"name": "acme", "budgets": budget("0.00375")}]);
        governance["teams"] = json!([{"name": "evals", "customer_id": "acme", "budgets": budget("0.0025")}]);
        governance["virtual_keys"][0]["team_id"] = json!("evals");
        governance["virtual_keys"][0]["budgets"] = budget("0.0025");
        governance["virtual_keys"][1]["customer_id"] = json!("acme");
    })
    .await;
    for _ in 0..2 {
        assert_eq!(call(&world, Some(KEY), "mock-1").await.status, 200);
    }
    assert_eq!(named(&call(&world, Some(KEY), "mock-1").await), refusal(402, "team", "evals"));
    assert_eq!(call(&world, Some(OTHER), "mock-1").await.status, 200);
    assert_eq!(named(&call(&world, Some(KEY), "mock-1").await), refusal(402, "customer", "acme"));
    // The refusals held nothing at any level.
    assert_eq!(world.charged(), "0.00375");
}

#[tokio::test]
async fn a_limit_is_told_before_a_budget_also_before_a_wider_one() {
    let world = governed(|governance| {
        let budget = json!({"max_limit": "number:0.00125", "reset_duration": "1h"});
        governance["customers"] = json!([{"name": "acme", "budgets": [budget]}]);
        governance["virtual_keys"][0]["customer_id"] = json!("acme");
        let limit = json!({"request_max_limit": 1, "request_reset_duration": "1m"});
        governance["model_configs"] = json!([{"model_name": "mock-1", "rate_limit": limit}]);
    })
    .await;
    assert_eq!(call(&world, Some(KEY), "mock-1").await.status, 200);
    assert_eq!(named(&call(&world, Some(KEY), "mock-1").await), refusal(429, "model", "mock-1"));
    world.advance("1m").await;
    assert_eq!(named(&call(&world, Some(KEY), "mock-1").await), refusal(402, "customer", "acme"));
}

#[tokio::test]
async fn several_windows_of_one_metric_hold_at_once() {
    let world = governed(|governance| {
        governance["virtual_keys"][0]["rate_limits"] = json!([
            {"request_max_limit": 2, "request_reset_duration": "1m"},
            {"request_max_limit": 3, "request_reset_duration": "1h"},
        ]);
    })
    .await;
    let answers = futures_util::future::join_all((0..16).map(|_| call(&world, Some(KEY), "mock-1"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 2);
    world.advance("1m").await;
    let third = call(&world, Some(KEY), "mock-1").await;
    assert_eq!((third.status.as_u16(), third.header("x-ratelimit-remaining-requests")), (200, "0"));
    world.advance("1m").await;
    let refused = call(&world, Some(KEY), "mock-1").await;
    assert_eq!(refused.json()["error"]["reset_duration"], "1h");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 60);
}

#[tokio::test]
async fn of_two_windows_that_refuse_the_one_that_ends_last_is_named() {
    let world = governed(|governance| {
        governance["virtual_keys"][0]["rate_limits"] = json!([
            {"request_max_limit": 1, "request_reset_duration": "1m"},
            {"request_max_limit": 1, "request_reset_duration": "1h"},
        ]);
    })
    .await;
    assert_eq!(call(&world, Some(KEY), "mock-1").await.status, 200);
    assert_eq!(call(&world, Some(KEY), "mock-1").await.json()["error"]["reset_duration"], "1h");
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_under_any_levels_budget() {
    let world =
        governed(|governance| governance["providers"] = json!([{"name": "primary", "budget": four_calls()}])).await;
    let refused = call(&world, None, "primary/unpriced-1").await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (403, "model_unpriced"));
    assert_eq!(call(&world, None, "second/unpriced-1").await.status, 200);
}
