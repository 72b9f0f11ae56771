//! Policies as configurations.

use std::path::Path;

use probity::{
    document::Document,
    gateway::{Gateway, RenderError, World, render::Renderer},
    policy::Policy,
};
use serde_json::Value;

use crate::folders::{GATEWAYS, gateway, world};

/// A policy as a scenario states it, completed as the runner does.
fn policy(stated: &str) -> Policy {
    Document::parse(Path::new("policy.yaml"), stated).unwrap().decode().unwrap_or_else(|error| panic!("{error}"))
}

fn files(gateway: &Gateway, stated: &str) -> Result<Vec<(String, String)>, RenderError> {
    Renderer::new(gateway, &world(gateway)).files(&policy(stated))
}

/// Everything that a gateway is started with, as one text.
fn rendered(name: &str, stated: &str) -> String {
    let files = files(&gateway(name), stated).unwrap_or_else(|error| panic!("{error}"));
    files.iter().map(|(file, text)| format!("--- {file}\n{text}\n")).collect()
}

/// One key with a budget, on one provider.
const ONE_CAP: &str = "
virtual_keys:
  - name: agent
    value: sk-bf-1
    budgets: [{ limit: $0.005, reset: 1h }]
    providers: [{ provider: primary, weight: 100 }]
";

/// All that every gateway here can express at once.
const MUCH: &str = "
providers: [{ name: primary, timeout: 1s }, { name: second }]
virtual_keys:
  - name: agent
    value: sk-bf-1
    budgets: [{ limit: $0.00375, reset: 1h }]
    limits:
      requests: { max: 4, per: 1m }
      tokens: { max: 40000, per: 1m }
    providers: [{ provider: primary, weight: 100 }, { provider: second, weight: 0 }]
  - name: retired
    value: sk-proxy
    active: false
    providers: [{ provider: primary, weight: 100 }, { provider: second, weight: 0 }]
price_overrides: [{ model: mock-free, input: $2.50, output: $10.00 }]
";

/// Caps at every level, and two windows on one key.
const CAPS: &str = "
mandatory_keys: false
providers: [{ name: primary }, { name: second }]
virtual_keys:
  - name: agent
    value: sk-bf-1
    budgets: [{ limit: $0.0025, reset: 1h }, { limit: $1, reset: 1d }]
    providers:
      - { provider: primary, weight: 70, budgets: [{ limit: $0.00125, reset: 1h }] }
      - { provider: second, weight: 30, budgets: [{ limit: $0.0025, reset: 1w }] }
";

/// Caps and limits at every level, and all else that both gateways of one family can express.
const LEVELS: &str = "
required_headers: [x-team]
providers:
  - name: primary
    budgets: [{ limit: $9, reset: 1h }]
    limits: { requests: { max: 9, per: 1m } }
  - name: second
customers:
  - name: acme
    budgets: [{ limit: $5, reset: 1M, calendar: true }, { limit: $1, reset: 1d, calendar: true }]
    limits: { tokens: { max: 5000, per: 1m } }
teams:
  - name: research
    customer: acme
    budgets: [{ limit: $4, reset: 1w }]
    limits: { requests: { max: 4, per: 1m }, tokens: { max: 4000, per: 1h } }
  - name: sales
models:
  - { name: all, model: mock-1, budgets: [{ limit: $3, reset: 1h }] }
  - { name: one, model: mock-1, provider: second, limits: { requests: { max: 3, per: 1h } } }
virtual_keys:
  - name: agent
    value: sk-bf-1
    team: research
    budgets: [{ limit: $2, reset: 1M, calendar: true }]
    providers:
      - { provider: primary, weight: 100, models: [mock-1], limits: { tokens: { max: 2000, per: 1h } } }
      - { provider: second, weight: 0, blocked_models: [mock-free] }
  - name: direct
    value: sk-bf-2
    customer: acme
    providers: [{ provider: primary, weight: 100 }]
price_overrides: [{ model: mock-*, input: $2.50, output: $10.00, cached: $0.25, cache_write: $3.125 }]
";

#[test]
fn caps_and_limits_at_every_level_render() {
    for name in ["reference", "bifrost"] {
        let rendered = rendered(name, LEVELS);
        let config = rendered.split("--- ").find_map(|file| file.strip_prefix("config.json\n")).unwrap();
        let config: Value = serde_json::from_str(config).unwrap_or_else(|error| panic!("{name}: {error}\n{config}"));
        insta::assert_json_snapshot!(format!("{name}_levels"), config);
    }
}

#[test]
fn what_an_owners_windows_cannot_be_in_bifrost_is_an_error() {
    let bifrost = gateway("bifrost");
    let mixed = LEVELS.replace("reset: 1d, calendar: true", "reset: 1d");
    let error = files(&bifrost, &mixed).unwrap_err().to_string();
    assert!(
        error.contains("policy.customers[0].budgets: an owner's windows follow the calendar all or not"),
        "{error}"
    );
    let expiring = ONE_CAP.replace("value: sk-bf-1", "value: sk-bf-1\n    expires: 1h");
    let error = files(&bifrost, &expiring).unwrap_err().to_string();
    assert!(error.contains("cannot express policy.virtual_keys[0].expires"), "{error}");
    assert!(rendered("reference", &expiring).contains(r#""expires_at": "2026-02-01T00:00:00Z""#));
}

#[test]
fn the_reference_gateway_renders() {
    insta::assert_snapshot!("reference_one_cap", rendered("reference", ONE_CAP));
    insta::assert_snapshot!("reference_much", rendered("reference", MUCH));
    insta::assert_snapshot!("reference_caps", rendered("reference", CAPS));
}

#[test]
fn bifrost_renders() {
    insta::assert_snapshot!("bifrost_one_cap", rendered("bifrost", ONE_CAP));
    insta::assert_snapshot!("bifrost_much", rendered("bifrost", MUCH));
    insta::assert_snapshot!("bifrost_caps", rendered("bifrost", CAPS));
}

#[test]
fn litellm_renders() {
    insta::assert_snapshot!("litellm_one_cap", rendered("litellm", ONE_CAP));
    insta::assert_snapshot!("litellm_much", rendered("litellm", MUCH));
}

#[test]
fn one_bifrost_file_serves_1_5_1_and_1_5_16() {
    let bifrost = gateway("bifrost");
    let files = ["1.5.1", "1.5.16"].map(|version| {
        let world = World { version: version.into(), ..world(&bifrost) };
        Renderer::new(&bifrost, &world).files(&policy(MUCH)).unwrap()
    });
    assert_eq!(files[0], files[1]);
    let config: Value = serde_json::from_str(&files[0][0].1).unwrap();
    let wanted_by_1_5_1 = &config["governance"]["auth_config"]["disable_auth_on_inference"];
    assert_eq!(*wanted_by_1_5_1, true);
    let wanted_by_1_5_16 = &config["framework"]["pricing"]["mcp_library_url"];
    assert_eq!(*wanted_by_1_5_16, "file:///data/mcp-library.json");
}

#[test]
fn what_is_rendered_parses_whatever_a_key_is_called() {
    let odd = MUCH.replace("name: agent", r#"name: "a \"quoted\" <key>, {braces}: and #more""#);
    for name in GATEWAYS {
        for (file, text) in files(&gateway(name), &odd).unwrap() {
            if file.ends_with(".json") {
                serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{name}: {file}: {error}\n{text}"));
            } else if file.ends_with(".yaml") {
                Document::parse(Path::new(&file), &text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
            }
        }
    }
}

#[test]
fn money_is_rendered_exactly() {
    let stated = ONE_CAP.replace("$0.005", "$1234567.000000000001");
    for name in GATEWAYS {
        assert!(rendered(name, &stated).contains(": 1234567.000000000001,"), "{name}");
    }
}

#[test]
fn a_policy_that_a_gateway_cannot_express_is_an_error_that_says_which_part() {
    let refused = |name: &str, stated: &str| files(&gateway(name), stated).unwrap_err().to_string();
    let cases = [
        ("bifrost", MUCH.replace("timeout: 1s", "timeout: 1500ms")),
        ("litellm", CAPS.to_owned()),
        ("litellm", MUCH.replace("40000, per: 1m", "40000, per: 1h")),
        (
            "litellm",
            MUCH.replace("max: 4, per: 1m", "max: 4, per: 250ms").replace("40000, per: 1m", "40000, per: 250ms"),
        ),
        ("litellm", ONE_CAP.replace("reset: 1h }", "reset: 1h }, { limit: $1, reset: 1d }")),
        ("litellm", ONE_CAP.replace("weight: 100", "weight: 100, budgets: [{ limit: $1, reset: 1h }]")),
        ("litellm", MUCH.replace("model: mock-free", "model: nobody-serves-it")),
    ];
    let errors = cases.iter().map(|(name, stated)| refused(name, stated)).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(errors);
}
