//! Operations of a management API: what is asked of it, and which are wrong in a manifest.

use indexmap::IndexMap;
use probity::gateway::{Gateway, admin::AdminRequest, manifest::Operation, render::Renderer};
use serde_json::{Value, json};

use crate::folders::{gateway, world};

fn request(gateway: &Gateway, operation: Option<&Operation>, values: &Value) -> AdminRequest {
    let world = world(gateway);
    gateway.manifest.admin.request(operation.unwrap(), &Renderer::new(gateway, &world), values).unwrap()
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
