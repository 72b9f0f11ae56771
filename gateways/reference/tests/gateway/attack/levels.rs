//! The levels: what the configuration says of them, which requests touch them, and edits.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::Dice;
use super::callers::Target;
use super::sums::{BOUND_TOKENS, Used};
use crate::support::virtual_key;

pub(super) const PROVIDERS: [&str; 3] = ["primary", "second", "third"];
/// What each of them speaks.
const PROTOCOLS: [&str; 3] = ["openai", "anthropic", "gemini"];
pub(super) const MODELS: [&str; 2] = ["mock-1", "mock-2"];
/// The virtual keys; two in the team `day`, one in `night`, one of the customer's own.
pub(super) const KEYS: [&str; 4] = ["sk-a", "sk-b", "sk-capped", "sk-limited"];

/// Every level, by the id of its budget and its limits.
pub(super) const NAMES: [&str; 25] = [
    "customer",
    "day",
    "night",
    "sk-a",
    "sk-b",
    "sk-capped",
    "sk-limited",
    "sk-a/primary",
    "sk-a/second",
    "sk-a/third",
    "sk-b/primary",
    "sk-b/second",
    "sk-b/third",
    "sk-capped/primary",
    "sk-capped/second",
    "sk-capped/third",
    "sk-limited/primary",
    "sk-limited/second",
    "sk-limited/third",
    "primary",
    "second",
    "third",
    "model",
    "mock-1",
    "mock-2",
];

/// Levels whose requests are exactly those of their parts.
pub(super) const TREE: [(&str, &[&str]); 9] = [
    ("customer", &["day", "night", "sk-limited"]),
    ("day", &["sk-a", "sk-b"]),
    ("night", &["sk-capped"]),
    ("sk-a", &["sk-a/primary", "sk-a/second", "sk-a/third"]),
    ("sk-b", &["sk-b/primary", "sk-b/second", "sk-b/third"]),
    ("sk-capped", &["sk-capped/primary", "sk-capped/second", "sk-capped/third"]),
    ("sk-limited", &["sk-limited/primary", "sk-limited/second", "sk-limited/third"]),
    ("model", &PROVIDERS),
    ("model", &MODELS),
];

/// How many tries more there may be at a provider.
pub(super) fn retries(target: Target) -> usize {
    usize::from(target.provider == "second")
}

/// The levels that a provider's turn touches.
pub(super) fn touched(key: Option<&str>, target: Target) -> Vec<String> {
    let mut names: Vec<String> = ["model", target.provider, target.model].map(str::to_owned).into();
    if let Some(key) = key {
        names.extend(["customer".to_owned(), key.to_owned(), format!("{key}/{}", target.provider)]);
    }
    match key {
        Some("sk-a" | "sk-b") => names.push("day".to_owned()),
        Some("sk-capped") => names.push("night".to_owned()),
        _ => {}
    }
    names
}

/// Dollars and requests that a level has at the start.
fn at_start(name: &str) -> (&'static str, u64) {
    match name {
        "sk-capped" => ("0.05", 1_000_000),
        "sk-limited" => ("1000", 60),
        // Not the third provider, which hangs: some calls of it are always admitted.
        "customer" | "day" | "night" | "sk-a" | "second" | "mock-2" => ("1", 5_000),
        _ => ("1000", 1_000_000),
    }
}

/// Tokens that a level has, which no edit changes.
fn tokens(name: &str) -> u64 {
    if name == "sk-b/third" { 600 } else { 1_000_000_000 }
}

fn limits(name: &str, usd: &str, requests: u64) -> Value {
    json!({
        "budgets": [{"id": name, "max_limit": format!("number:{usd}"), "reset_duration": "365d"}],
        "rate_limits": [{
            "id": name, "request_max_limit": requests, "request_reset_duration": "365d",
            "token_max_limit": tokens(name), "token_reset_duration": "365d",
        }],
    })
}

/// The entity with the budget and the limits of its level.
fn limited(name: &str, mut entity: Value) -> Value {
    let (usd, requests) = at_start(name);
    for (field, value) in limits(name, usd, requests).as_object().unwrap() {
        entity[field] = value.clone();
    }
    entity
}

pub(super) fn write(config: &mut Value) {
    config["client"]["enforce_auth_on_inference"] = json!(false);
    for (provider, protocol) in PROVIDERS.into_iter().zip(PROTOCOLS) {
        config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(protocol);
        let network = &mut config["providers"][provider]["network_config"];
        network["default_request_timeout_in_seconds"] = json!(60);
        network["stream_idle_timeout_in_seconds"] = json!(60);
    }
    let network = &mut config["providers"]["second"]["network_config"];
    network["max_retries"] = json!(1);
    network["retry_backoff_initial"] = json!(1);
    // The one that hangs now and then; the others have time on a busy machine.
    config["providers"]["third"]["network_config"]["default_request_timeout_in_seconds"] = json!(5);
    let key = |value: &str| {
        let mut key = limited(value, virtual_key(value, value));
        for (place, provider) in PROVIDERS.into_iter().enumerate() {
            let grant = key["provider_configs"][place].take();
            key["provider_configs"][place] = limited(&format!("{value}/{provider}"), grant);
        }
        match value {
            "sk-limited" => key["customer_id"] = json!("customer"),
            "sk-capped" => key["team_id"] = json!("night"),
            _ => key["team_id"] = json!("day"),
        }
        key
    };
    let team = |name: &str| limited(name, json!({"id": name, "name": name, "customer_id": "customer"}));
    let model = |name: &str, pattern: &str| limited(name, json!({"id": name, "model_name": pattern}));
    let governance = &mut config["governance"];
    governance["customers"] = json!([limited("customer", json!({"id": "customer", "name": "customer"}))]);
    governance["teams"] = json!([team("day"), team("night")]);
    governance["virtual_keys"] = json!(KEYS.map(key));
    governance["providers"] = json!(PROVIDERS.map(|name| limited(name, json!({"name": name}))));
    governance["model_configs"] = json!([model("model", "*"), model("mock-1", "mock-1"), model("mock-2", "mock-2")]);
}

/// The highest limits that edits have set, in cents and requests.
#[derive(Default)]
pub(super) struct Limits(HashMap<&'static str, (i64, u64)>);

impl Limits {
    /// An edit of some level's limits, up or down: the path and the body.
    pub(super) fn edit(&mut self, dice: &mut Dice) -> (String, Value) {
        let (name, path) = *dice.pick(&[
            ("customer", "customers/customer"),
            ("day", "teams/day"),
            ("night", "teams/night"),
            ("sk-a", "virtual-keys/vk-sk-a"),
            ("second", "providers/second"),
            ("mock-2", "model-configs/mock-2"),
        ]);
        let (cents, requests) = match dice.below(8) {
            0 => (1, 5_000),
            1 => (300, 1),
            _ => (1 + i64::try_from(dice.below(300)).unwrap(), 5_000),
        };
        let highest = self.0.entry(name).or_default();
        *highest = (highest.0.max(cents), highest.1.max(requests));
        let usd = Decimal::new(cents, 2).to_string();
        (format!("/api/governance/{path}"), limits(name, &usd, requests))
    }

    /// The most that a level may have used: of tokens with what is served although it reaches
    /// the limit.
    pub(super) fn most(&self, name: &str) -> Used {
        let (usd, requests) = at_start(name);
        let (cents, edited) = self.0.get(name).copied().unwrap_or_default();
        Used {
            usd: usd.parse::<Decimal>().unwrap().max(Decimal::new(cents, 2)),
            tokens: (tokens(name) + BOUND_TOKENS).into(),
            requests: requests.max(edited).into(),
        }
    }
}
