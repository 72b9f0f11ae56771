//! Tests of the prices.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::config::provider_tests::key;
use crate::config::{Override, OverrideMatch, OverrideScope};
use crate::pricing::{Extras, Tariff};
use crate::rates::Rates;
use crate::usage::Usage;

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

fn catalog(overrides: &[Override]) -> Catalog {
    let mut sheet = Sheet::default();
    sheet.read("sheet", SHEET).unwrap();
    Catalog { sheet: Arc::new(sheet), overrides: Arc::new(Overrides::new(overrides)) }
}

fn question<'a>(provider: &'a str, model: &'a str) -> PriceQuestion<'a> {
    PriceQuestion { key: Some("vk"), provider, provider_key: None, model, kind: RequestType::ChatCompletion }
}

fn cost(catalog: &Catalog, provider: &str, model: &str) -> Option<String> {
    let usage = Usage { input: 7_000, output: 3_000, ..Usage::default() };
    Some(catalog.price(question(provider, model))?.cost(&usage, None).to_string())
}

fn scope(virtual_key: Option<&str>, provider: Option<&str>, provider_key: Option<&str>) -> OverrideScope {
    let owned = |name: Option<&str>| name.map(str::to_owned);
    OverrideScope { virtual_key: owned(virtual_key), provider: owned(provider), provider_key: owned(provider_key) }
}

fn fixed(scope: OverrideScope, pattern: OverrideMatch, input: &str) -> Override {
    let patch = Rates::from_json(&format!(r#"{{"input_cost_per_token": {input}, "output_cost_per_token": 0}}"#));
    Override { scope, pattern, request_types: vec![RequestType::ChatCompletion], patch: patch.unwrap() }
}

fn exact(model: &str) -> OverrideMatch {
    OverrideMatch::Exact(model.to_owned())
}

fn prefix(text: &str) -> OverrideMatch {
    OverrideMatch::Prefix(text.to_owned())
}

#[test]
fn another_case_of_a_models_letters_is_no_way_to_another_price() {
    let global = || scope(None, None, None);
    let catalog = catalog(&[
        fixed(global(), exact("fast"), "0.00001"),
        fixed(global(), prefix("dear"), "0.00002"),
        fixed(global(), prefix(""), "0.000001"),
    ]);
    for (model, price) in [("fast", "0.07"), ("FAST", "0.07"), ("Dear-1", "0.14"), ("other", "0.007")] {
        assert_eq!(cost(&catalog, "primary", model).as_deref(), Some(price), "{model}");
    }
    let mut sheet = Sheet::default();
    sheet.read("sheet", SHEET).unwrap();
    let entry = r#"{"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "max_output_tokens": 5}"#;
    sheet.read("sheet", &format!(r#"{{"Org/Llama": {entry}}}"#)).unwrap();
    let catalog = Catalog { sheet: Arc::new(sheet), overrides: Arc::default() };
    assert_eq!(cost(&catalog, "primary", "MOCK-1"), cost(&catalog, "primary", "mock-1"));
    assert_eq!(catalog.max_output_tokens("primary", "Mock-1"), Some(200));
    assert_eq!(catalog.max_output_tokens("org", "LLAMA"), Some(5));
    assert_eq!(cost(&catalog, "SPECIAL", "mock-1"), cost(&catalog, "special", "mock-1"));
}

#[test]
fn tokens_cost_what_the_sheet_says() {
    let catalog = catalog(&[]);
    assert_eq!(cost(&catalog, "primary", "mock-1").as_deref(), Some("0.0475"));
    assert_eq!(cost(&catalog, "special", "mock-1").as_deref(), Some("0.01"));
    assert_eq!(cost(&catalog, "primary", "free").as_deref(), Some("0"));
    assert_eq!(catalog.max_output_tokens("primary", "mock-1"), Some(200));
}

#[test]
fn a_model_without_a_usable_price_has_none() {
    let catalog = catalog(&[]);
    for model in ["bare", "too-fine", "unknown"] {
        assert_eq!(cost(&catalog, "primary", model), None, "{model}");
    }
}

#[test]
fn a_negative_price_is_none_and_neither_is_that_of_a_wider_name() {
    let catalog = catalog(&[]);
    assert_eq!(cost(&catalog, "primary", "negative"), None);
    assert_eq!(cost(&catalog, "special", "free"), None);
}

#[test]
fn half_a_price_is_none_except_for_embeddings() {
    let catalog = catalog(&[]);
    for model in ["no-output", "no-input"] {
        assert_eq!(cost(&catalog, "primary", model), None, "{model}");
    }
    let embedding = |model| PriceQuestion { kind: RequestType::Embedding, ..question("primary", model) };
    assert_eq!(catalog.price(embedding("no-output")).unwrap().bound(1, 0, None).to_string(), "0.000001");
    assert_eq!(catalog.price(embedding("no-input")), None);
    assert_eq!(catalog.max_output_tokens("primary", "no-output"), None);
}

#[test]
fn the_most_specific_override_wins() {
    let catalog = catalog(&[
        fixed(scope(None, None, None), exact("new-1"), "0.001"),
        fixed(scope(None, None, None), prefix("new"), "0.002"),
        fixed(scope(Some("vk"), None, None), prefix(""), "0.003"),
        fixed(scope(Some("other"), None, None), exact("new-1"), "0.004"),
    ]);
    assert_eq!(cost(&catalog, "primary", "new-1").as_deref(), Some("21"));
    let anonymous = PriceQuestion { key: None, ..question("primary", "new-1") };
    let price = catalog.price(anonymous).unwrap();
    assert_eq!(price.bound(1, 0, None).to_string(), "0.001");
}

#[test]
fn each_scope_is_more_specific_than_the_one_before() {
    let scopes = [
        scope(None, None, None),
        scope(None, Some("primary"), None),
        scope(None, Some("primary"), Some("pk")),
        scope(Some("vk"), None, None),
        scope(Some("vk"), Some("primary"), None),
        scope(Some("vk"), Some("primary"), Some("pk")),
    ];
    for most in 1..=scopes.len() {
        let overrides = scopes[..most]
            .iter()
            .zip(1..)
            .map(|(scope, price)| fixed(scope.clone(), exact("new-1"), &format!("{price}")));
        let catalog = catalog(&overrides.collect::<Vec<_>>());
        let asked = PriceQuestion { provider_key: Some("pk"), ..question("primary", "new-1") };
        assert_eq!(catalog.price(asked).unwrap().bound(1, 0, None).to_string(), most.to_string());
        // Nothing of it is for somebody else.
        let elsewhere = PriceQuestion { key: Some("other"), provider_key: Some("pk"), ..question("second", "new-1") };
        assert_eq!(catalog.price(elsewhere).unwrap().bound(1, 0, None).to_string(), "1");
    }
}

#[test]
fn exact_comes_before_wildcard_and_the_longer_beginning_before_the_shorter() {
    let global = || scope(None, None, None);
    let catalog = catalog(&[
        fixed(global(), prefix(""), "1"),
        fixed(global(), prefix("new-"), "2"),
        fixed(global(), prefix("new-10"), "3"),
        fixed(global(), exact("new-1"), "4"),
    ]);
    for (model, price) in [("other", "1"), ("new-2", "2"), ("new-1", "4"), ("new-100", "3"), ("n\u{f6}", "1")] {
        assert_eq!(catalog.price(question("primary", model)).unwrap().bound(1, 0, None).to_string(), price, "{model}");
    }
}

#[test]
fn an_override_keeps_what_it_does_not_say() {
    let patch = Rates::from_json(r#"{"output_cost_per_token": 0.0001}"#).unwrap();
    let catalog = catalog(&[Override {
        scope: scope(None, None, None),
        pattern: exact("mock-1"),
        request_types: vec![RequestType::ChatCompletion],
        patch,
    }]);
    // 7000 at the sheet's 0.0000025, 3000 at 0.0001
    assert_eq!(cost(&catalog, "primary", "mock-1").as_deref(), Some("0.3175"));
}

#[test]
fn until_it_is_known_which_key_serves_the_dearest_counts() {
    let catalog = catalog(&[
        fixed(scope(None, None, None), exact("new-1"), "2"),
        fixed(scope(None, Some("primary"), Some("dear")), exact("new-1"), "5"),
        fixed(scope(None, Some("primary"), Some("cheap")), exact("new-1"), "1"),
    ]);
    let keys = [key("dear"), key("cheap"), key("usual"), key("other")];
    let prices = catalog.prices(question("primary", "new-1"), keys.iter()).unwrap();
    assert_eq!(prices.len(), 3);
    let tariff = Tariff::new(prices, None, Extras::default());
    let usage = Usage { input: 1, ..Usage::default() };
    assert_eq!(tariff.bound(1, 0).cost.to_string(), "5");
    for (served_by, price) in [(None, "5"), (Some("dear"), "5"), (Some("cheap"), "1"), (Some("usual"), "2")] {
        let mut tariff = tariff.clone();
        if served_by.is_some() {
            tariff.served_by(served_by);
        }
        assert_eq!(tariff.spent(&usage).cost.to_string(), price, "{served_by:?}");
    }
}
