//! Every spelling that a protective setting has had: honoured, or refused at the start by
//! name. None is without effect.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Process, World, body};

type Edit = fn(&mut Value);

fn grant(config: &mut Value) -> &mut Value {
    &mut config["governance"]["virtual_keys"][0]["provider_configs"][0]
}

fn key(config: &mut Value) -> &mut Value {
    &mut config["governance"]["virtual_keys"][0]
}

/// A budget of two calls in an hour, without an owner.
fn two_calls(id: &str) -> Value {
    json!({"id": id, "max_limit": "number:0.0025", "reset_duration": "1h"})
}

/// One of three calls in a day.
fn three_calls(id: &str) -> Value {
    json!({"id": id, "max_limit": "number:0.00375", "reset_duration": "1d"})
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

/// Who can have budgets and limits.
struct Owner {
    /// What a refusal says of it.
    scope: &'static str,
    /// The field in which a budget of the list of all names it, and what that says.
    named: (&'static str, &'static str),
    /// Puts such fields into it.
    has: fn(&mut Value, &Value),
}

const OWNERS: [Owner; 6] = [
    Owner {
        scope: "customer",
        named: ("customer_id", "c"),
        has: |config, fields| {
            config["governance"]["customers"] = json!([with(json!({"id": "c", "name": "acme"}), fields)]);
            key(config)["customer_id"] = json!("c");
        },
    },
    Owner {
        scope: "team",
        named: ("team_id", "t"),
        has: |config, fields| {
            config["governance"]["teams"] = json!([with(json!({"id": "t", "name": "evals"}), fields)]);
            key(config)["team_id"] = json!("t");
        },
    },
    Owner {
        scope: "virtual_key",
        named: ("virtual_key_id", "vk-agent"),
        has: |config, fields| *key(config) = with(key(config).take(), fields),
    },
    Owner {
        scope: "virtual_key_provider",
        named: ("provider_config_id", "agent-primary"),
        has: |config, fields| *grant(config) = with(grant(config).take(), fields),
    },
    Owner {
        scope: "model",
        named: ("model_config_id", "m"),
        has: |config, fields| {
            config["governance"]["model_configs"] = json!([with(json!({"id": "m", "model_name": "mock-1"}), fields)]);
        },
    },
    Owner {
        scope: "provider",
        named: ("provider", "primary"),
        has: |config, fields| {
            config["governance"]["providers"] = json!([with(json!({"name": "primary"}), fields)]);
        },
    },
];

fn with(mut entity: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        entity[name] = value.clone();
    }
    entity
}

/// A way to write a limit: what it puts into the lists of `governance`, and into its owner. Each
/// allows two calls in an hour; those that are `lists` have a second one, of three calls in a day.
struct Spelling {
    field: &'static str,
    is_list: bool,
    write: fn(&mut Value, &Owner) -> Value,
}

const BUDGETS: [Spelling; 5] = [
    Spelling { field: "budget", is_list: false, write: |_, _| json!({"budget": two_calls("b")}) },
    Spelling { field: "budgets", is_list: true, write: |_, _| json!({"budgets": [three_calls("w"), two_calls("b")]}) },
    Spelling {
        field: "budget_id",
        is_list: false,
        write: |governance, _| {
            governance["budgets"] = json!([two_calls("b")]);
            json!({"budget_id": "b"})
        },
    },
    Spelling {
        field: "budget_ids",
        is_list: true,
        write: |governance, _| {
            governance["budgets"] = json!([two_calls("b"), three_calls("w")]);
            json!({"budget_ids": ["w", "b"]})
        },
    },
    Spelling {
        field: "governance.budgets[]",
        is_list: true,
        write: |governance, owner| {
            let (field, id) = owner.named;
            let owned = |budget: Value| with(budget, &json!({ (field): id }));
            governance["budgets"] = json!([owned(three_calls("w")), owned(two_calls("b"))]);
            json!({})
        },
    },
];

const RATE_LIMITS: [Spelling; 4] = [
    Spelling { field: "rate_limit", is_list: false, write: |_, _| json!({"rate_limit": two_requests()}) },
    Spelling {
        field: "rate_limits",
        is_list: true,
        write: |_, _| json!({"rate_limits": [three_requests(), two_requests()]}),
    },
    Spelling {
        field: "rate_limit_id",
        is_list: false,
        write: |governance, _| {
            governance["rate_limits"] = json!([two_requests()]);
            json!({"rate_limit_id": "r"})
        },
    },
    Spelling {
        field: "rate_limit_ids",
        is_list: true,
        write: |governance, _| {
            governance["rate_limits"] = json!([two_requests(), three_requests()]);
            json!({"rate_limit_ids": ["w", "r"]})
        },
    },
];

#[tokio::test]
async fn each_way_to_write_a_budget_trips_after_two_calls() {
    trips(&BUDGETS, 402).await;
}

#[tokio::test]
async fn each_way_to_write_a_rate_limit_trips_after_two_calls() {
    trips(&RATE_LIMITS, 429).await;
}

/// Every spelling in every owner refuses the third call of an hour, and the fourth of a day where
/// it says so too.
async fn trips(spellings: &[Spelling], refused: u16) {
    for (owner, spelling) in OWNERS.iter().flat_map(|owner| spellings.iter().map(move |spelling| (owner, spelling))) {
        let world = only_primary(|config| {
            let fields = (spelling.write)(&mut config["governance"], owner);
            (owner.has)(config, &fields);
        })
        .await;
        let case = format!("{} of a {}", spelling.field, owner.scope);
        for expected in [200, 200, refused] {
            answers(&world, expected, owner, &case).await;
        }
        world.advance("1h").await;
        let fourth = if spelling.is_list { refused } else { 200 };
        for expected in [200, fourth] {
            answers(&world, expected, owner, &case).await;
        }
    }
}

/// A call is answered so, and a refusal names the owner's level.
async fn answers(world: &World, expected: u16, owner: &Owner, case: &str) {
    let answer = world.call().await;
    assert_eq!(answer.status, expected, "{case}: {}", answer.text);
    if expected != 200 {
        assert_eq!(answer.json()["error"]["scope"], owner.scope, "{case}");
    }
}

fn two_requests() -> Value {
    json!({"id": "r", "request_max_limit": 2, "request_reset_duration": "1h"})
}

fn three_requests() -> Value {
    json!({"id": "w", "request_max_limit": 3, "request_reset_duration": "1d"})
}

/// A world whose virtual key has one provider, so that none takes another's place.
async fn only_primary(edit: impl FnOnce(&mut Value)) -> World {
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

/// What cannot be honoured, and what is said about it.
const NOT_HONOURED: [(Edit, &str); 14] = [
    (|config| config["version"] = json!(3), "version: 3 is neither 1 nor 2"),
    (|config| config["client"]["allow_direct_keys"] = json!(true), "client.allow_direct_keys: is not supported"),
    (|config| config["client"]["enable_governance"] = json!(false), "client.enable_governance: is not supported"),
    (|config| config["client"]["drop_excess_requests"] = json!(true), "client.drop_excess_requests: is not supported"),
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
            config["plugins"] = json!([{"name": "governance", "enabled": true, "config": {"is_vk_mandatry": true}}]);
        },
        "plugins[0].config.is_vk_mandatry: unknown field",
    ),
    (
        |config| config["governance"]["auth_config"]["disable_auth_on_inference"] = json!(false),
        "governance.auth_config.disable_auth_on_inference: inference asks for a virtual key",
    ),
    (|config| key(config)["budget_id"] = json!("nothing"), "virtual_keys[0].budget_id: there is no budget `nothing`"),
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

#[tokio::test]
async fn what_cannot_be_honoured_prevents_the_start_and_is_named() {
    for (edit, told) in NOT_HONOURED {
        let world = World::prepare(edit).await;
        world.write_config();
        let Err(line) = Process::start(world.folder.path(), &[]).await else { panic!("it started: {told}") };
        assert!(line.contains(told), "{told}: {line}");
    }
}
