//! Every spelling that a protective setting has had: honoured, or refused at the start by
//! name. None is without effect.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Process, World, body, budget};

type Edit = fn(&mut Value);

fn grant(config: &mut Value) -> &mut Value {
    &mut config["governance"]["virtual_keys"][0]["provider_configs"][0]
}

fn key(config: &mut Value) -> &mut Value {
    &mut config["governance"]["virtual_keys"][0]
}

/// A budget of two calls, without an owner.
fn two_calls(id: &str) -> Value {
    let mut two = budget(id, "0.0025", "1h", "nobody");
    two.as_object_mut().unwrap().remove("virtual_key_id");
    two
}

#[tokio::test]
async fn each_switch_makes_a_virtual_key_mandatory() {
    let plugin =
        |mandatory: bool| json!([{"name": "governance", "enabled": true, "config": {"is_vk_mandatory": mandatory}}]);
    let cases: [(Edit, u16); 6] = [
        (|config| config["client"] = json!({"enforce_auth_on_inference": true}), 401),
        (|config| config["client"] = json!({"enforce_governance_header": true}), 401),
        (|config| config["client"] = json!({"enforce_scim_auth": true}), 401),
        (
            |config| config["client"] = json!({"enforce_auth_on_inference": false, "enforce_governance_header": true}),
            401,
        ),
        (|config| config["client"] = json!({"enable_governance": true}), 200),
        (|config| config["client"] = json!({}), 200),
    ];
    for (edit, status) in cases {
        let world = World::start(edit).await;
        assert_eq!(without_key(&world).await, status, "{}", world.config["client"]);
    }
    for (mandatory, status) in [(true, 401), (false, 200)] {
        let world = World::start(|config| {
            config["client"] = json!({});
            config["plugins"] = plugin(mandatory);
        })
        .await;
        assert_eq!(without_key(&world).await, status, "is_vk_mandatory: {mandatory}");
    }
}

async fn without_key(world: &World) -> u16 {
    let mut named = body();
    named["model"] = json!("primary/mock-1");
    let request = world.request(Method::POST, "/v1/chat/completions").json(&named);
    world.send(request).await.status.as_u16()
}

#[tokio::test]
async fn each_way_to_write_a_budget_trips_after_two_calls() {
    let cases: [(&str, Edit); 8] = [
        ("governance.budgets[].virtual_key_id", |config| {
            config["governance"]["budgets"] = json!([budget("b", "0.0025", "1h", "vk-agent")]);
        }),
        ("virtual_keys[].budgets", |config| key(config)["budgets"] = json!([two_calls("b")])),
        ("virtual_keys[].budget", |config| key(config)["budget"] = two_calls("b")),
        ("virtual_keys[].budget_id", |config| {
            config["governance"]["budgets"] = json!([two_calls("b")]);
            key(config)["budget_id"] = json!("b");
        }),
        ("governance.budgets[].provider_config_id", |config| {
            let mut two = two_calls("b");
            two["provider_config_id"] = json!("agent-primary");
            config["governance"]["budgets"] = json!([two]);
        }),
        ("provider_configs[].budgets", |config| grant(config)["budgets"] = json!([two_calls("b")])),
        ("provider_configs[].budget", |config| grant(config)["budget"] = two_calls("b")),
        ("provider_configs[].budget_id", |config| {
            config["governance"]["budgets"] = json!([two_calls("b")]);
            grant(config)["budget_id"] = json!("b");
        }),
    ];
    for (spelling, edit) in cases {
        let world = only_primary(edit).await;
        let statuses =
            [world.call().await, world.call().await, world.call().await].map(|answer| answer.status.as_u16());
        assert_eq!(statuses, [200, 200, 402], "{spelling}");
    }
}

#[tokio::test]
async fn each_way_to_write_a_rate_limit_trips_after_two_calls() {
    let cases: [(&str, Edit); 4] = [
        ("virtual_keys[].rate_limit", |config| key(config)["rate_limit"] = two_requests()),
        ("virtual_keys[].rate_limit_id", |config| {
            config["governance"]["rate_limits"] = json!([two_requests()]);
            key(config)["rate_limit_id"] = json!("r");
        }),
        ("provider_configs[].rate_limit", |config| grant(config)["rate_limit"] = two_requests()),
        ("provider_configs[].rate_limit_id", |config| {
            config["governance"]["rate_limits"] = json!([two_requests()]);
            grant(config)["rate_limit_id"] = json!("r");
        }),
    ];
    for (spelling, edit) in cases {
        let world = only_primary(edit).await;
        let statuses =
            [world.call().await, world.call().await, world.call().await].map(|answer| answer.status.as_u16());
        assert_eq!(statuses, [200, 200, 429], "{spelling}");
    }
}

fn two_requests() -> Value {
    json!({"id": "r", "request_max_limit": 2, "request_reset_duration": "1h"})
}

/// A world whose virtual key has one provider, so that none takes another's place.
async fn only_primary(edit: Edit) -> World {
    World::start(|config| {
        key(config)["provider_configs"].as_array_mut().unwrap().truncate(1);
        edit(config);
    })
    .await
}

#[tokio::test]
async fn an_empty_list_means_what_the_files_version_says() {
    let lists: [(&str, Edit, u16); 4] = [
        ("provider_configs", |config| key(config)["provider_configs"] = json!([]), 403),
        ("allowed_models", |config| grant(config)["allowed_models"] = json!([]), 403),
        ("key_ids", |config| grant(config)["key_ids"] = json!([]), 400),
        ("models", |config| config["providers"]["primary"]["keys"][0]["models"] = json!([]), 400),
    ];
    for (list, edit, none) in lists {
        // Without a version the list of a provider's key means all: nobody writes a key for nothing.
        let unsaid = if list == "models" { 200 } else { none };
        for (version, status) in [(json!(1), 200), (json!(2), none), (Value::Null, unsaid)] {
            let world = World::start(|config| {
                key(config)["provider_configs"].as_array_mut().unwrap().truncate(1);
                edit(config);
                config["version"] = version.clone();
            })
            .await;
            let mut named = body();
            named["model"] = json!("primary/mock-1");
            let answer = world.send(world.chat(crate::support::KEY, &named)).await;
            assert_eq!(answer.status, status, "{list} in version {version}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_honoured_prevents_the_start_and_is_named() {
    let cases: [(Edit, &str); 14] = [
        (|config| config["version"] = json!(3), "version: 3 is neither 1 nor 2"),
        (|config| config["client"]["allow_direct_keys"] = json!(true), "client.allow_direct_keys: is not supported"),
        (|config| config["client"]["enable_governance"] = json!(false), "client.enable_governance: is not supported"),
        (
            |config| config["client"]["drop_excess_requests"] = json!(true),
            "client.drop_excess_requests: is not supported",
        ),
        (
            |config| config["client"]["enforce_governance_headers"] = json!(true),
            "client.enforce_governance_headers: unknown field",
        ),
        (
            |config| config["plugins"] = json!([{"name": "governance", "enabled": false}]),
            "plugins[0].enabled: governance cannot be switched off",
        ),
        (
            |config| {
                config["plugins"] =
                    json!([{"name": "governance", "enabled": true, "config": {"is_vk_mandatry": true}}]);
            },
            "plugins[0].config.is_vk_mandatry: unknown field",
        ),
        (
            |config| config["governance"]["auth_config"]["disable_auth_on_inference"] = json!(false),
            "governance.auth_config.disable_auth_on_inference: inference asks for a virtual key",
        ),
        (
            |config| key(config)["budget_id"] = json!("nothing"),
            "virtual_keys[0].budget_id: there is no budget `nothing`",
        ),
        (
            |config| grant(config)["budget_id"] = json!("nothing"),
            "provider_configs[0].budget_id: there is no budget `nothing`",
        ),
        (
            |config| {
                config["governance"]["rate_limits"] = json!([two_requests()]);
                key(config)["rate_limit_id"] = json!("r");
                key(config)["rate_limit"] = json!({"request_max_limit": 1, "request_reset_duration": "1h"});
            },
            "virtual_keys[0].rate_limit_id.request_reset_duration: the same rate limit window stands there twice",
        ),
        (
            |config| config["governance"]["budgets"] = json!([two_calls("b")]),
            "governance.budgets `b`: nothing it could protect",
        ),
        (
            |config| grant(config)["allowed_keys"] = json!(["primary-key"]),
            "provider_configs[0].allowed_keys: is not supported",
        ),
        (
            |config| grant(config)["key_ids"] = json!(["nothing"]),
            "provider_configs[0].key_ids: the provider `primary` has no key `nothing`",
        ),
    ];
    for (edit, told) in cases {
        let world = World::prepare(edit).await;
        world.write_config();
        let Err(line) = Process::start(world.folder.path(), &[]).await else { panic!("it started: {told}") };
        assert!(line.contains(told), "{told}: {line}");
    }
}
