//! What each gateway's folder makes of a policy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use indexmap::IndexMap;
use probity::{
    document::Document,
    gateway::{
        Gateway, RenderError, World,
        admin::AdminRequest,
        manifest::Operation,
        render::{AdminCredentials, Price, Renderer},
    },
    policy::Policy,
    scenario::reason::Reason,
};
use serde_json::{Value, json};

const GATEWAYS: [&str; 3] = ["reference", "bifrost", "litellm"];

fn gateway(name: &str) -> Gateway {
    Gateway::load(Path::new("gateways"), name, &IndexMap::new(), |_| None).unwrap_or_else(|error| panic!("{error}"))
}

fn world(gateway: &Gateway) -> World {
    let price = |model: &str| Price { model: model.into(), input: "0.0000025".into(), output: "0.00001".into() };
    World {
        version: gateway.manifest.version.clone(),
        host: "127.0.0.1".into(),
        port: 8080,
        data: "/data".into(),
        upstream: "http://127.0.0.1:9000".into(),
        admin: AdminCredentials { username: "admin".into(), password: "a-password".into(), basic: "YWRtaW4=".into() },
        upstream_keys: ["primary", "second"].map(|name| (name.into(), format!("up-{name}"))).into(),
        prices: vec![price("mock-1")],
        models: vec!["mock-1".into(), "mock-free".into()],
        probity: "/bin/probity".into(),
        installed: "/venv".into(),
        seed: 7,
        now: "2026-01-31T23:00:00Z".into(),
        settings: gateway.settings.clone(),
    }
}

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

fn request(gateway: &Gateway, operation: Option<&Operation>, values: &Value) -> AdminRequest {
    let world = world(gateway);
    gateway.manifest.admin.request(operation.unwrap(), &Renderer::new(gateway, &world), values).unwrap()
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
fn a_team_is_created_below_its_customer() {
    let team = json!({ "name": "field", "customer": "acme", "budgets": [{ "limit": "$1", "reset": "1h" }] });
    let asked = json!({ "id": "", "kind": "team", "name": "field", "team": team, "customer_id": "c-1" });
    for name in ["reference", "bifrost"] {
        let gateway = gateway(name);
        let request = request(&gateway, gateway.manifest.admin.create_team.as_ref(), &asked);
        assert_eq!(
            request.body,
            Some(json!({
                "name": "field", "customer_id": "c-1",
                "budgets": [{ "max_limit": 1, "reset_duration": "1h" }],
            }))
        );
    }
}

#[test]
fn an_owners_figure_is_asked_for_where_the_gateway_has_it() {
    let of = |name: &str, kind: &str, id: &str| {
        let gateway = gateway(name);
        let asked = json!({ "id": id, "kind": kind, "name": id });
        request(&gateway, gateway.manifest.admin.usage.as_ref(), &asked).path
    };
    assert_eq!(of("reference", "team", "team-research"), "/api/governance/teams/team-research");
    assert_eq!(of("reference", "provider", "primary"), "/api/governance/providers/primary");
    assert!(gateway("bifrost").has("admin.usage.model"));
    assert!(!gateway("bifrost").has("admin.usage.provider"));
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

#[test]
fn a_key_is_created_with_all_that_the_policy_says_of_it() {
    let key = json!({
        "name": "made", "active": true,
        "budgets": [{ "limit": "$0.005", "reset": "1h" }],
        "limits": { "requests": { "max": 5, "per": "1m" } },
        "providers": [
            { "provider": "primary", "weight": 100, "budgets": [{ "limit": "$0.5", "reset": "1d" }] },
            { "provider": "second", "weight": 0 },
        ],
    });
    for name in ["reference", "bifrost"] {
        let gateway = gateway(name);
        let request = request(&gateway, gateway.manifest.admin.create_key.as_ref(), &json!({ "key": key }));
        insta::allow_duplicates! { insta::assert_json_snapshot!("create_key", request.body); }
    }
}

#[test]
fn a_part_that_an_operation_does_not_express_is_an_error_that_names_it() {
    let unread = |operation: &str, asked: Value| {
        let gateway = small_gateway(operation, "{}").unwrap();
        let world = world(&gateway);
        let create = gateway.manifest.admin.create_key.as_ref().unwrap();
        let asked = gateway.manifest.admin.request(create, &Renderer::new(&gateway, &world), &asked);
        asked.map(|request| request.body).map_err(|error| error.to_string())
    };
    let takes = "take: { id: [/id] }";
    let named = format!("{{ method: POST, path: /keys, body: {{ name: '{{{{ key.name }}}}' }}, {takes} }}");
    let key = json!({ "name": "made", "value": "sk-mine" });
    assert_eq!(
        unread(&named, json!({ "key": key })).unwrap_err(),
        "small: its templates cannot express key.value; say so with a missing capability, or read it"
    );
    let declared = named.replace("'{{ key.name }}'", "'{% set _ = key.value %}{{ key.name }}'");
    assert_eq!(unread(&declared, json!({ "key": key })), Ok(Some(json!({ "name": "made" }))));
    let only_path = format!("{{ method: PUT, path: '/keys/{{{{ id }}}}', {takes} }}");
    let budgets = json!([{ "limit": "$1", "reset": "1h" }]);
    let error = unread(&only_path, json!({ "id": "vk", "key": "made", "budgets": budgets })).unwrap_err();
    assert!(error.contains("cannot express budgets[0].limit"), "{error}");
    assert_eq!(unread(&only_path, json!({ "id": "vk", "key": "made" })), Ok(None));
}

/// A gateway of one template, with one operation.
fn small_gateway(operation: &str, template: &str) -> Result<Gateway, String> {
    let gateways = tempfile::tempdir().unwrap();
    let folder = gateways.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let manifest = format!(
        "name: small\ntitle: A small one\nversion: 1.0.0\nready: {{ get: /, within: 1s, stops_within: 1s }}\n\
         routes: {{ chat: /chat }}\nkeys: {{ via: [bearer] }}\nadmin:\n  create_key: {operation}\n"
    );
    std::fs::write(folder.join("gateway.yaml"), manifest).unwrap();
    std::fs::write(folder.join("key.json.j2"), template).unwrap();
    let loaded = Gateway::load(gateways.path(), "small", &IndexMap::new(), |_| None);
    loaded.map_err(|error| error.to_string().replace(&gateways.path().display().to_string(), "gateways"))
}

#[test]
fn an_operations_body_stands_in_one_place_that_exists_and_its_answer_says_what_is_needed() {
    let twice =
        small_gateway("{ method: POST, path: /keys, body: {}, body_file: key.json.j2, take: { id: [/id] } }", "{}")
            .unwrap_err();
    let nowhere =
        small_gateway("{ method: POST, path: /keys, body_file: kye.json.j2, take: { id: [/id] } }", "{}").unwrap_err();
    let nothing = small_gateway("{ method: POST, path: /keys }", "{}").unwrap_err();
    insta::assert_snapshot!(format!("{twice}\n{nowhere}\n{nothing}"), @r"
    gateways/small/gateway.yaml:8: admin.create_key.body_file: `body` and `body_file` exclude each other
    gateways/small/gateway.yaml:8: admin.create_key.body_file: there is no template kye.json.j2 in gateways/small
    gateways/small/gateway.yaml:8: admin.create_key: `take` must say where the answer has `id`
    ");
}

#[test]
fn a_body_that_is_not_json_is_an_error_with_its_template_and_line() {
    let gateway = small_gateway(
        "{ method: POST, path: /keys, body_file: key.json.j2, take: { id: [/id] } }",
        "{\n  \"name\": {{ key.name }}\n}\n",
    )
    .unwrap();
    let world = world(&gateway);
    let operation = gateway.manifest.admin.create_key.as_ref().unwrap();
    let values = json!({ "key": { "name": "made" } });
    let error = gateway.manifest.admin.request(operation, &Renderer::new(&gateway, &world), &values).unwrap_err();
    assert!(error.to_string().starts_with("small: key.json.j2:2: what it renders is not JSON"), "{error}");
}

#[test]
fn caps_are_replaced_exactly() {
    for name in ["reference", "bifrost"] {
        let gateway = gateway(name);
        let values =
            json!({ "id": "vk-agent", "kind": "virtual_key", "budgets": [{ "limit": "$0.005", "reset": "1h" }] });
        let request = request(&gateway, gateway.manifest.admin.edit_budgets.as_ref(), &values);
        assert_eq!(request.path, "/api/governance/virtual-keys/vk-agent");
        assert_eq!(request.body, Some(json!({ "budgets": [{ "max_limit": 0.005, "reset_duration": "1h" }] })));
        assert_eq!(request.headers, [("authorization".to_owned(), "Basic YWRtaW4=".to_owned())]);
    }
}

#[test]
fn only_the_reference_gateways_clock_can_be_set() {
    let reference = gateway("reference");
    let request = request(&reference, reference.manifest.admin.advance.as_ref(), &json!({ "by": "1h" }));
    assert_eq!((request.path.as_str(), request.body), ("/api/test/clock", Some(json!({ "advance": "1h" }))));
    assert!(!gateway("bifrost").has("admin.advance"));
}

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
