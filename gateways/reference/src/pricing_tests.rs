//! Tests of the prices.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const SHEET: &str = r#"{
    "mock-1": {"provider": "primary", "mode": "chat", "input_cost_per_token": 2.5e-06,
               "output_cost_per_token": 0.00001, "max_output_tokens": 200},
    "special/mock-1": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
    "free": {"input_cost_per_token": 0, "output_cost_per_token": 0},
    "bare": {"mode": "chat"},
    "too-fine": {"input_cost_per_token": 1.23456789e-13, "output_cost_per_token": 1e-6},
    "negative": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
                 "cache_read_input_token_cost": -1e-6},
    "special/free": {"input_cost_per_token": -1e-6, "output_cost_per_token": 1e-6},
    "no-output": {"input_cost_per_token": 1e-6, "max_output_tokens": 0},
    "no-input": {"output_cost_per_token": 1e-6}
}"#;

fn catalog(overrides: Vec<Override>) -> Catalog {
    let mut catalog = Catalog { models: HashMap::new(), overrides };
    catalog.read("sheet", SHEET).unwrap();
    catalog
}

fn question<'a>(provider: &'a str, model: &'a str) -> PriceQuestion<'a> {
    PriceQuestion { key: Some("vk"), provider, model, kind: RequestType::ChatCompletion }
}

fn cost(catalog: &Catalog, provider: &str, model: &str) -> Option<String> {
    let usage = Usage { input: 7_000, output: 3_000, ..Usage::default() };
    Some(catalog.price(question(provider, model))?.cost(&usage).to_string())
}

fn fixed(scope: OverrideScope, pattern: OverrideMatch, input: &str) -> Override {
    let patch = PricePatch {
        input_cost_per_token: input.parse().ok(),
        output_cost_per_token: Some(Usd::ZERO),
        ..PricePatch::default()
    };
    Override { scope, pattern, request_types: vec![RequestType::ChatCompletion], patch }
}

#[test]
fn tokens_cost_what_the_sheet_says() {
    let catalog = catalog(Vec::new());
    assert_eq!(cost(&catalog, "primary", "mock-1").as_deref(), Some("0.0475"));
    assert_eq!(cost(&catalog, "special", "mock-1").as_deref(), Some("0.01"));
    assert_eq!(cost(&catalog, "primary", "free").as_deref(), Some("0"));
    assert_eq!(catalog.max_output_tokens("primary", "mock-1"), Some(200));
}

#[test]
fn a_model_without_a_usable_price_has_none() {
    let catalog = catalog(Vec::new());
    for model in ["bare", "too-fine", "unknown"] {
        assert_eq!(cost(&catalog, "primary", model), None, "{model}");
    }
}

#[test]
fn a_negative_price_is_none_and_neither_is_that_of_a_wider_name() {
    let catalog = catalog(Vec::new());
    assert_eq!(cost(&catalog, "primary", "negative"), None);
    assert_eq!(cost(&catalog, "special", "free"), None);
}

#[test]
fn half_a_price_is_none_except_for_embeddings() {
    let catalog = catalog(Vec::new());
    for model in ["no-output", "no-input"] {
        assert_eq!(cost(&catalog, "primary", model), None, "{model}");
    }
    let embedding = |model| PriceQuestion { kind: RequestType::Embedding, ..question("primary", model) };
    assert_eq!(catalog.price(embedding("no-output")).unwrap().bound(1, 0).to_string(), "0.000001");
    assert_eq!(catalog.price(embedding("no-input")), None);
    assert_eq!(catalog.max_output_tokens("primary", "no-output"), None);
}

#[test]
fn the_most_specific_override_wins() {
    let prefix = |text: &str| OverrideMatch::Prefix(text.to_owned());
    let exact = OverrideMatch::Exact("new-1".to_owned());
    let catalog = catalog(vec![
        fixed(OverrideScope::Global, exact.clone(), "0.001"),
        fixed(OverrideScope::Global, prefix("new"), "0.002"),
        fixed(OverrideScope::VirtualKey("vk".to_owned()), prefix(""), "0.003"),
        fixed(OverrideScope::VirtualKey("other".to_owned()), exact, "0.004"),
    ]);
    assert_eq!(cost(&catalog, "primary", "new-1").as_deref(), Some("21"));
    let anonymous = PriceQuestion { key: None, ..question("primary", "new-1") };
    let price = catalog.price(anonymous).unwrap();
    assert_eq!(price.bound(1, 0).to_string(), "0.001");
}

#[test]
fn parts_cost_their_own_price_and_else_that_of_their_whole() {
    let patch = PricePatch {
        input_cost_per_token: "0.01".parse().ok(),
        output_cost_per_token: "0.1".parse().ok(),
        cache_read_input_token_cost: "0.001".parse().ok(),
        ..PricePatch::default()
    };
    let price = Price::from_patch(&patch, RequestType::ChatCompletion).unwrap();
    let usage = Usage { input: 100, output: 10, cached: 40, cache_write: 10, reasoning: 5 };
    // 50 fresh and 10 written at 0.01, 40 cached at 0.001, 10 output at 0.1
    assert_eq!(price.cost(&usage).to_string(), "1.64");
    assert!(price.bound(100, 10) >= price.cost(&usage));
}
