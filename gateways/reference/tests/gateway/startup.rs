//! What prevents a start is one clear line and an exit code that is not 0.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Process, World, command};

/// The one line of a refused start.
pub(crate) async fn refused(edit: impl FnOnce(&mut Value)) -> String {
    let world = World::prepare(edit).await;
    world.write_config();
    refusal(world.folder.path()).await
}

pub(crate) async fn refusal(folder: &Path) -> String {
    let Err(stderr) = Process::start(folder, &[]).await else { panic!("it started") };
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    stderr.replace(&folder.display().to_string(), "DIR").trim_end().to_owned()
}

#[tokio::test]
async fn an_unknown_field_is_named_with_its_place_and_what_was_probably_meant() {
    let line = refused(|config| config["governance"]["virtual_keys"][0]["is_activ"] = json!(true)).await;
    assert!(line.starts_with("probity-reference: DIR/config.json:1:"), "{line}");
    assert!(line.ends_with("governance.virtual_keys[0].is_activ: unknown field; did you mean `is_active`?"), "{line}");
}

const VALUE: &str = "\"value\": \"env.UPSTREAM_KEY\"";
const LIMITS: &str = "\"governance\": {";

/// What is put in place of something, what stands before the problem there, and what is said of it: a
/// name, a variable, a value, a reference, what another part of the program knows, a shape, no JSON.
const MISTAKES: [(&str, &str, &str, &str); 9] = [
    (
        LIMITS,
        "\"governance\": { \"budgts\": [],",
        "\"budgts\": ",
        "governance.budgts: unknown field; did you mean `budgets`?",
    ),
    (
        VALUE,
        "\"value\": \"env.UPSTREAM_KEY\", \"id\": \"env.GONE\"",
        "\"id\": ",
        "providers.primary.keys[0].id: the environment variable GONE, named by \"env.GONE\", is not set",
    ),
    (
        VALUE,
        "\"id\": \"env.UPSTREAM_KEY\", \"value\": \"\"",
        "\"value\": ",
        "providers.primary.keys[0].value: a provider's key cannot be empty",
    ),
    (
        LIMITS,
        "\"governance\": { \"customers\": [{\"name\": \"a\"}, {\"name\": \"a\"}],",
        "{\"name\": \"a\"}, ",
        "governance.customers[1].id: the same customer stands there twice",
    ),
    (
        LIMITS,
        "\"governance\": { \"budgets\": [{\"id\": \"b\", \"max_limit\": 1, \"reset_duration\": \"1h\"}],",
        "\"budgets\": ",
        "governance.budgets `b`: nothing it could protect names it",
    ),
    (
        LIMITS,
        "\"governance\": { \"pricing_overrides\": [{\"scope_kind\": \"virtual_key\", \"match_type\": \"exact\", \"pattern\": \"m\", \"request_types\": [\"responses\"], \"patch\": {\"input_cost_per_token\": 1}, \"virtual_key_id\": \"nobody\"}],",
        "\"virtual_key_id\": ",
        "governance.pricing_overrides[0].virtual_key_id: there is no virtual key `nobody`",
    ),
    (
        VALUE,
        "\"value\": \"env.UPSTREAM_KEY\", \"enabled\": 1",
        "\"enabled\": ",
        "providers.primary.keys[0].enabled: expected a boolean",
    ),
    (
        VALUE,
        "\"value\": \"env.UPSTREAM_KEY\",, \"id\": 1",
        "\"value\": \"env.UPSTREAM_KEY\",",
        "providers.primary.keys[0]: key must be a string",
    ),
    (
        VALUE,
        "\"aliases\": {\"a\": \"b\", \"a\": \"c\"}",
        "\"aliases\": ",
        "providers.primary.keys[0].aliases: `a` stands there twice",
    ),
];

#[tokio::test]
async fn whatever_is_wrong_in_the_file_is_named_with_its_line_and_column() {
    let world = World::prepare(|_| {}).await;
    let written = serde_json::to_string_pretty(&world.config).unwrap();
    assert!(written.contains(VALUE) && written.contains(LIMITS));
    for (from, to, before, expected) in MISTAKES {
        let text = written.replacen(from, to, 1);
        let at = text.find(to).unwrap() + to.find(before).unwrap() + before.len();
        let line = text[..at].matches('\n').count() + 1;
        let column = at - text[..at].rfind('\n').unwrap();
        std::fs::write(world.folder.path().join("config.json"), &text).unwrap();
        let said = refusal(world.folder.path()).await;
        assert_eq!(said, format!("probity-reference: DIR/config.json:{line}:{column}: {expected}"));
    }
}

#[tokio::test]
async fn a_file_that_is_empty_or_breaks_off_is_named_with_a_place_that_an_editor_can_go_to() {
    let folder = tempfile::TempDir::new().unwrap();
    for (text, expected) in [("", ":1:1: "), ("\n", ":1:1: "), ("{\n  \"client\": {\n\n", ":2:14: client: ")] {
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let line = refusal(folder.path()).await;
        assert!(line.starts_with(&format!("probity-reference: DIR/config.json{expected}")), "{line}");
    }
}

#[tokio::test]
async fn a_mistake_in_one_of_many_keys_is_named_with_its_line_and_column() {
    let mut world = World::prepare(|_| {}).await;
    let mut other = crate::support::virtual_key("other", "sk-other");
    other["budgets"] = json!([{"max_limt": 1, "reset_duration": "1h"}]);
    world.config["governance"]["virtual_keys"].as_array_mut().unwrap().push(other);
    world.write_config();
    let path = world.folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("},{", "},\n\n  {");
    std::fs::write(path, &text).unwrap();
    let (index, line) = text.lines().enumerate().find(|(_, line)| line.contains("max_limt")).unwrap();
    let column = line.find("max_limt").unwrap() + "max_limt\":".len() + 1;
    let place = format!("config.json:{}:{column}: governance.virtual_keys[1].budgets[0].max_limt", index + 1);
    let line = refusal(world.folder.path()).await;
    assert!(line.ends_with(&format!("{place}: unknown field; did you mean `max_limit`?")), "{line}");
}

#[tokio::test]
async fn a_documented_section_that_is_not_supported_is_refused_by_name() {
    for (section, edit) in [
        ("mcp", json!({"mcp": {}})),
        ("vector_store", json!({"vector_store": {}})),
        ("governance.routing_rules", json!({"governance": {"routing_rules": []}})),
        ("client.logging_headers", json!({"client": {"logging_headers": []}})),
    ] {
        let line = refused(|config| {
            for (name, value) in edit.as_object().unwrap() {
                config[name] = value.clone();
            }
        })
        .await;
        let expected = format!("{section}: is not supported by the reference gateway");
        assert!(line.ends_with(&expected), "{line}");
    }
}

#[tokio::test]
async fn values_that_make_no_sense_are_named_with_their_field() {
    type Edit = fn(&mut Value);
    let cases: [(Edit, &str); 8] = [
        (
            |config| {
                config["governance"]["budgets"] =
                    json!([{"id": "b", "max_limit": 1, "reset_duration": "1h", "virtual_key_id": "nobody"}]);
            },
            "governance.budgets[0].virtual_key_id: there is no `nobody`",
        ),
        (
            |config| config["governance"]["budgets"] = json!([{"id": "b", "max_limit": 1, "reset_duration": "1h"}]),
            "governance.budgets `b`: nothing it could protect names it",
        ),
        (
            |config| config["governance"]["budgets"] = json!([{"id": "b", "max_limit": "number:0.0000000000001", "reset_duration": "1h", "virtual_key_id": "vk-agent"}]),
            "cannot be kept exactly",
        ),
        (
            |config| config["governance"]["virtual_keys"][0]["provider_configs"][0]["provider"] = json!("nobody"),
            "governance.virtual_keys[0].provider_configs[0].provider: there is no provider `nobody`",
        ),
        (
            |config| config["providers"]["primary"]["network_config"]["base_url"] = json!("http://169.254.169.254"),
            "providers.primary.network_config.base_url: 169.254.169.254 is link-local and never called",
        ),
        (
            |config| config["plugins"] = json!([{"name": "governance", "enabled": false}]),
            "plugins[0].enabled: governance cannot be switched off",
        ),
        (
            |config| config["config_store"] = json!({"enabled": false}),
            "config_store.enabled: spend cannot be kept without a store",
        ),
        (
            |config| {
                config["governance"]["pricing_overrides"] = json!([{
                    "scope_kind": "global", "match_type": "exact", "pattern": "m", "request_types": ["responses"],
                    "patch": {"input_cost_per_token": 0, "output_cost_per_token": "number:-0.00001"},
                }]);
            },
            "governance.pricing_overrides[0].patch.output_cost_per_token: a price cannot be below 0",
        ),
    ];
    for (edit, expected) in cases {
        let line = refused(edit).await;
        assert!(line.contains(expected), "{line}");
    }
}

/// Each edit of the section `governance` prevents the start, and this is said of it.
async fn each_is_refused<const N: usize>(cases: [(Value, &str); N]) {
    for (governance, expected) in cases {
        let line = refused(|config| {
            for (name, value) in governance.as_object().unwrap() {
                config["governance"][name] = value.clone();
            }
        })
        .await;
        assert!(line.ends_with(expected), "{line}");
    }
}

#[tokio::test]
async fn owners_of_budgets_and_limits_that_make_no_sense_are_named_with_their_field() {
    each_is_refused([
        (
            json!({"teams": [{"name": "t", "customer_id": "nobody"}]}),
            "governance.teams[0].customer_id: there is no `nobody`",
        ),
        (json!({"teams": [{"name": "t"}, {"name": "t"}]}), "governance.teams[1].id: the same team stands there twice"),
        (json!({"customers": [{"name": ""}]}), "governance.customers[0].name: a customer needs a name"),
        (
            json!({"customers": [{"name": "c", "budget_id": "b"}]}),
            "governance.customers[0].budget_id: there is no budget `b` without another owner",
        ),
        (
            json!({"teams": [{"name": "t", "rate_limit_ids": ["r"]}]}),
            "governance.teams[0].rate_limit_ids[0]: there is no rate limit `r` without another owner",
        ),
        (
            json!({"budgets": [{"id": "b", "max_limit": 1, "reset_duration": "1h", "team_id": "nobody"}]}),
            "governance.budgets[0].team_id: there is no `nobody`",
        ),
        (
            json!({"budgets": [{"id": "b", "max_limit": 1, "reset_duration": "1h", "provider": "primary"}]}),
            "governance.budgets[0].provider: there is no `primary`",
        ),
        (
            json!({
                "teams": [{"name": "t"}],
                "budgets": [{"id": "b", "max_limit": 1, "reset_duration": "1h", "team_id": "t", "virtual_key_id": "vk-agent"}],
            }),
            "governance.budgets[0]: a budget has one owner",
        ),
        (
            json!({"rate_limits": [{"id": "r", "request_max_limit": 1, "request_reset_duration": "1h"}]}),
            "governance.rate_limits `r`: nothing it could protect names it",
        ),
        (
            json!({"teams": [{"name": "t", "rate_limits": [
                {"request_max_limit": 1, "request_reset_duration": "1h"},
                {"request_max_limit": 2, "request_reset_duration": "60m"},
            ]}]}),
            "governance.teams[0].rate_limits[1].request_reset_duration: the same rate limit window stands there twice",
        ),
    ])
    .await;
}

#[tokio::test]
async fn models_and_providers_that_make_no_sense_are_named_with_their_field() {
    each_is_refused([
        (
            json!({"model_configs": [{"model_name": "m", "scope": "user", "scope_id": "u"}]}),
            "governance.model_configs[0].scope: `user` is neither `global` nor `virtual_key`",
        ),
        (
            json!({"model_configs": [{"model_name": "m", "scope": "virtual_key"}]}),
            "governance.model_configs[0].scope_id: is missing",
        ),
        (
            json!({"model_configs": [{"model_name": "m", "scope": "virtual_key", "scope_id": "nobody"}]}),
            "governance.model_configs[0].scope_id: there is no `nobody`",
        ),
        (
            json!({"model_configs": [{"model_name": "m"}, {"id": "other", "model_name": "M"}]}),
            "governance.model_configs[1].model_name: the same model configuration stands there twice",
        ),
        (
            json!({"model_configs": [{"model_name": "m", "provider": "nobody"}]}),
            "governance.model_configs[0].provider: there is no provider `nobody`",
        ),
        (json!({"providers": [{"name": "nobody"}]}), "governance.providers[0].name: there is no provider `nobody`"),
    ])
    .await;
}

#[tokio::test]
async fn a_virtual_key_with_a_team_and_a_customer_is_refused() {
    let line = refused(|config| {
        config["governance"]["customers"] = json!([{"name": "c"}]);
        config["governance"]["teams"] = json!([{"name": "t"}]);
        config["governance"]["virtual_keys"][0]["team_id"] = json!("t");
        config["governance"]["virtual_keys"][0]["customer_id"] = json!("c");
    })
    .await;
    let expected = "governance.virtual_keys[0].customer_id: a virtual key has a team or a customer";
    assert!(line.ends_with(expected), "{line}");
}

#[tokio::test]
async fn a_variable_without_a_value_is_named() {
    let line = refused(|config| config["providers"]["primary"]["keys"][0]["value"] = json!("env.PROBITY_UNSET")).await;
    assert!(line.contains("the environment variable PROBITY_UNSET"), "{line}");
}

#[tokio::test]
async fn a_value_from_the_environment_is_not_repeated_in_a_message() {
    let line = refused(|config| config["version"] = json!("env.UPSTREAM_KEY")).await;
    assert!(line.ends_with("version: expected a whole number"), "{line}");
    let line = refused(|config| {
        config["governance"]["virtual_keys"][0]["provider_configs"][0]["key_ids"] = json!(["env.UPSTREAM_KEY"]);
    })
    .await;
    assert!(!line.contains("upstream-key"), "{line}");
    assert!(line.contains("env.UPSTREAM_KEY"), "{line}");
}

#[tokio::test]
async fn no_configuration_is_told_so() {
    let folder = tempfile::TempDir::new().unwrap();
    let line = refusal(folder.path()).await;
    assert!(line.starts_with("probity-reference: cannot read DIR/config.json:"), "{line}");
}

fn network(config: &mut Value) -> &mut Value {
    &mut config["providers"]["primary"]["network_config"]
}

#[tokio::test]
async fn a_credential_of_the_wrong_type_is_not_repeated_in_a_message() {
    type Edit = fn(&mut Value);
    let cases: [(Edit, &str); 11] = [
        (
            |config| config["providers"]["primary"] = json!([[{"name": "k", "value": "4815162342"}], {}, null]),
            "providers.primary: expected an object",
        ),
        (
            |config| config["providers"]["primary"]["keys"][0]["value"] = json!(4_815_162_342_u64),
            "providers.primary.keys[0].value: expected a string",
        ),
        (
            |config| config["governance"]["virtual_keys"][0]["value"] = json!(4_815_162_342_u64),
            "governance.virtual_keys[0].value: expected a string",
        ),
        (
            |config| config["governance"]["auth_config"]["admin_password"] = json!(4_815_162_342_u64),
            "governance.auth_config.admin_password: expected a string",
        ),
        (
            |config| config["governance"]["auth_config"]["admin_username"] = json!(4_815_162_342_u64),
            "governance.auth_config.admin_username: expected a string",
        ),
        (
            |config| config["providers"]["primary"]["keys"] = json!(["4815162342"]),
            "providers.primary.keys[0]: expected an object",
        ),
        (|config| config["encryption_key"] = json!(4_815_162_342_u64), "encryption_key: expected a string"),
        (
            |config| network(config)["extra_headers"] = json!({"x-token": 4_815_162_342_u64}),
            "providers.primary.network_config.extra_headers.x-token: expected a string",
        ),
        (
            |config| network(config)["extra_headers"] = json!("x-token: 4815162342, expected by them"),
            "providers.primary.network_config.extra_headers: expected an object",
        ),
        (
            |config| network(config)["base_url"] = json!("http://user:4815162342@:80"),
            "providers.primary.network_config.base_url: is no URL: empty host",
        ),
        (
            |config| network(config)["base_url"] = json!("ftp://user:4815162342@example.com"),
            "providers.primary.network_config.base_url: is no http or https URL",
        ),
    ];
    for (edit, expected) in cases {
        let line = refused(edit).await;
        assert!(line.ends_with(expected), "{line}");
        assert!(!line.contains("4815162342"), "{line}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_told_so() {
    let world = World::prepare(|_| {}).await;
    world.write_config();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(world.folder.path(), &["-port", &port]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(stderr.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{stderr}");
}
