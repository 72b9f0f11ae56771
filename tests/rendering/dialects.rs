//! Refusals in each gateway's own words.

use probity::scenario::reason::Reason;
use serde_json::json;

use crate::folders::{GATEWAYS, gateway};

#[test]
fn every_promised_status_belongs_to_a_reason_that_the_dialect_knows() {
    for name in GATEWAYS {
        let manifest = gateway(name).manifest;
        for reason in manifest.promises.status.keys() {
            assert!(manifest.dialect.refusals.iter().any(|rule| rule.reason == *reason), "{name}: {reason}");
        }
    }
}

#[test]
fn a_refusal_is_understood_in_the_gateways_own_words() {
    let bifrost = |message: &str| json!({ "type": "error", "error": { "type": "api_error", "message": message } });
    let cases = [
        ("bifrost", 402, json!({ "type": "budget_exceeded", "error": { "message": "" } }), Reason::BudgetExceeded),
        (
            "bifrost",
            402,
            bifrost("Budget exceeded: VK budget exceeded: 0.0050 >= 0.0050 dollars"),
            Reason::BudgetExceeded,
        ),
        (
            "bifrost",
            429,
            bifrost(
                "Rate limit check failed: rate limit violated for VK: [request limit exceeded (2/2, resets every 1h)]",
            ),
            Reason::RequestLimited,
        ),
        (
            "bifrost",
            429,
            bifrost(
                "Rate limit check failed: rate limit violated for VK: [token limit exceeded (400/400, resets every 1h)]",
            ),
            Reason::TokenLimited,
        ),
        (
            "bifrost",
            401,
            bifrost("virtual key is required. Provide a virtual key via the x-bf-vk header."),
            Reason::KeyMissing,
        ),
        ("bifrost", 403, bifrost("Virtual key is inactive"), Reason::KeyBlocked),
        ("bifrost", 429, bifrost("slow down"), Reason::UpstreamFailed),
        ("reference", 402, json!({ "error": { "code": "budget_exceeded" } }), Reason::BudgetExceeded),
        (
            "litellm",
            402,
            json!({ "error": { "type": "budget_exceeded", "message": "Budget has been exceeded! Key=agent Current cost: 1.0, Max budget: 1.0" } }),
            Reason::BudgetExceeded,
        ),
        (
            "litellm",
            429,
            json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "Rate limit exceeded for api_key: 1f. Limit type: tokens. Current limit: 3, Remaining: 0." } }),
            Reason::TokenLimited,
        ),
        (
            "litellm",
            429,
            json!({ "error": { "message": "litellm.RateLimitError: slow down" } }),
            Reason::UpstreamFailed,
        ),
    ];
    for (name, status, body, reason) in cases {
        assert_eq!(gateway(name).dialect.reason(status, &body), Some(reason), "{name}: {body}");
    }
}

#[test]
fn a_refusal_says_whose_cap_it_was_and_which() {
    let bifrost = |message: &str| ("bifrost", json!({ "error": { "message": message } }));
    let cases = [
        (bifrost("Budget exceeded: VK budget exceeded: 0.0050 >= 0.0050 dollars"), "virtual_key", "$0.005"),
        (
            bifrost("Budget exceeded: primary budget exceeded: 0.0025 >= 0.0013 dollars"),
            "virtual_key_provider",
            "$0.00125",
        ),
        (
            bifrost(
                "Model-level budget exceeded (virtual key scope): Model:AllModels:virtual_key:1f-2 budget exceeded: 0.0050 >= 0.0050 dollars",
            ),
            "virtual_key",
            "$0.005",
        ),
        (
            bifrost(
                "Model-level budget exceeded (virtual key scope): Model:AllModels:Provider:primary:virtual_key:1f-2 budget exceeded: 0.0050 >= 0.0050 dollars",
            ),
            "virtual_key_provider",
            "$0.005",
        ),
        (
            ("reference", json!({ "error": { "scope": "virtual_key_provider", "limit": "0.005" } })),
            "virtual_key_provider",
            "$0.005",
        ),
        (("reference", json!({ "error": { "scope": "virtual_key", "limit": "0.005" } })), "virtual_key", "$0.005"),
        (
            (
                "litellm",
                json!({ "error": { "message": "Budget has been exceeded! Key=agent Current cost: 1.0, Max budget: 0.005" } }),
            ),
            "virtual_key",
            "$0.005",
        ),
    ];
    for ((name, body), scope, limit) in cases {
        let dialect = gateway(name).dialect;
        assert_eq!(dialect.scope(&body).as_deref(), Some(scope), "{name}: {body}");
        let limit = limit.parse().unwrap();
        assert!(dialect.limit(&body).is_some_and(|named| named.names(limit)), "{name}: {body}");
    }
}
