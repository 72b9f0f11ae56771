//! What kinds of providers a configuration can name, and how each is addressed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::startup::refused;
use crate::support::{KEY, World, body, budget};

/// What the provider saw of the one call that it got: path, headers, body.
fn seen(world: &World) -> (String, Value, Value) {
    let ledger = world.upstream.ledger();
    let entry = ledger.inference().next().expect("the provider was not called");
    let headers = entry.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    (entry.path.clone(), Value::Object(headers), serde_json::from_str(&entry.body).unwrap())
}

/// Replaces `primary` by a standard provider and gives the virtual key nothing else.
fn standard(config: &mut Value, name: &str, provider: &Value) {
    config["providers"] = json!({ name: provider });
    config["governance"]["virtual_keys"][0]["provider_configs"] =
        json!([{"provider": name, "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}]);
}

fn url_of(config: &Value) -> Value {
    config["providers"]["primary"]["network_config"]["base_url"].clone()
}

#[tokio::test]
async fn a_standard_provider_of_openais_protocol_needs_a_name_and_a_key() {
    for name in ["openai", "openrouter", "groq", "mistral", "vllm", "ollama", "xai", "cerebras"] {
        let world = World::start(|config| {
            let network = json!({"base_url": url_of(config)});
            let keys = json!([{"name": "k", "value": "upstream-key", "weight": 1}]);
            standard(config, name, &json!({"keys": keys, "network_config": network}));
        })
        .await;
        let answer = world.call().await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
        let (path, headers, _) = seen(&world);
        assert_eq!(path, "/primary/v1/chat/completions", "{name}");
        assert_eq!(headers["authorization"], "Bearer upstream-key", "{name}");
    }
}

#[tokio::test]
async fn an_azure_deployment_is_named_in_the_path_and_its_key_in_api_key() {
    let world = World::start(|config| {
        let azure = json!({"endpoint": url_of(config), "api_version": "2025-01-01", "deployments": {"o3": "mock-1"}});
        let keys = json!([{
            "name": "k", "value": "upstream-key", "weight": 1,
            "azure_key_config": azure, "aliases": {"GPT-4o": "mock-1"},
        }]);
        standard(config, "azure", &json!({"keys": keys}));
    })
    .await;
    let mut chat = body();
    for model in ["o3", "gpt-4o"] {
        chat["model"] = json!(model);
        let answer = world.send(world.chat(KEY, &chat)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let paths: Vec<String> = world.upstream.ledger().inference().map(|entry| entry.path.clone()).collect();
    assert_eq!(paths[0], paths[1]);
    let (path, headers, body) = seen(&world);
    assert_eq!(path, "/primary/openai/deployments/mock-1/chat/completions?api-version=2025-01-01");
    assert_eq!(headers["api-key"], "upstream-key");
    assert_eq!(headers.get("authorization"), None);
    assert_eq!(body["model"], "mock-1");
}

#[tokio::test]
async fn two_keys_of_one_id_are_refused() {
    for keys in [
        json!([{"name": "a", "id": "x", "value": "1"}, {"name": "b", "id": "x", "value": "2"}]),
        json!([{"name": "a", "id": "x", "value": "1", "enabled": false}, {"name": "x", "value": "2"}]),
    ] {
        let said = refused(|config| config["providers"]["primary"]["keys"] = keys).await;
        assert!(said.contains("providers.primary.keys[1].id: `x` stands there twice"), "{said}");
    }
}

/// `primary` alone, of this kind, whose key calls `smart` by another name.
async fn aliased(base: &str, name: &str) -> World {
    World::start(|config| {
        let primary = &mut config["providers"]["primary"];
        primary["custom_provider_config"]["base_provider_type"] = json!(base);
        primary["keys"][0]["aliases"] = json!({"smart": name});
        config["governance"]["virtual_keys"][0]["provider_configs"] =
            json!([{"provider": "primary", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}]);
    })
    .await
}

#[tokio::test]
async fn an_alias_stands_in_each_request_of_a_batch() {
    let world = aliased("gemini", "mock-1").await;
    let one = json!({"model": "models/smart", "content": {"parts": [{"text": "a"}]}});
    for (action, body) in [("embedContent", one.clone()), ("batchEmbedContents", json!({"requests": [one, one]}))] {
        let path = format!("/genai/v1beta/models/smart:{action}");
        let answer = world.send(world.request(Method::POST, &path).header("x-goog-api-key", KEY).json(&body)).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.text);
        let ledger = world.upstream.ledger();
        let asked = ledger.inference().last().unwrap();
        assert_eq!(asked.path, format!("/primary/v1beta/models/mock-1:{action}"));
        assert_eq!(asked.body, body.to_string().replace("smart", "mock-1"));
    }
}

#[tokio::test]
async fn a_request_is_translated_for_the_model_that_the_provider_knows() {
    let world = aliased("anthropic", "claude-opus-4-7").await;
    let mut chat = body();
    chat["model"] = json!("smart");
    chat["reasoning_effort"] = json!("high");
    world.send(world.chat(KEY, &chat)).await;
    let (_, _, told) = seen(&world);
    assert_eq!(told["model"], "claude-opus-4-7");
    assert_eq!(told["output_config"], json!({"effort": "high"}), "{told}");
}

#[tokio::test]
async fn azures_paths_ask_azure_whatever_else_the_key_may_use() {
    let world = World::start(|config| {
        let azure = json!({"endpoint": url_of(config)});
        let keys = json!([{"name": "k", "value": "upstream-key", "weight": 1, "azure_key_config": azure}]);
        config["providers"]["azure"] = json!({"keys": keys});
        let grants = config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap();
        grants.push(json!({"provider": "azure", "weight": 0, "allowed_models": ["*"], "key_ids": ["*"]}));
    })
    .await;
    let mut any = body();
    any["prompt"] = json!("p");
    any["input"] = json!("i");
    for route in ["chat/completions", "completions", "embeddings", "images/generations", "audio/speech"] {
        let path = format!("/openai/deployments/mock-1/{route}?api-version=2025-01-01");
        let answer = world.send(world.request(Method::POST, &path).header("api-key", KEY).json(&any)).await;
        assert_eq!(answer.status, 200, "{route}: {}", answer.text);
        let ledger = world.upstream.ledger();
        let theirs = format!("/primary/openai/deployments/mock-1/{route}?api-version=2024-10-21");
        assert_eq!(ledger.inference().last().unwrap().path, theirs);
    }
}

#[tokio::test]
async fn a_server_of_ones_own_stands_where_its_key_says_and_serves_its_one_model() {
    let world = World::start(|config| {
        let server = json!({"url": url_of(config), "model_name": "mock-1"});
        let keys = json!([{"name": "k", "weight": 1, "value": "any", "vllm_key_config": server}]);
        standard(config, "vllm", &json!({"keys": keys}));
    })
    .await;
    assert_eq!(world.call().await.status, 200);
    let mut other = body();
    other["model"] = json!("vllm/unpriced-1");
    assert_eq!(world.send(world.chat(KEY, &other)).await.status, 400);
    assert_eq!(world.upstream_calls(), 1);
}

#[tokio::test]
async fn extra_headers_reach_the_provider() {
    let world = World::start(|config| {
        config["providers"]["primary"]["network_config"]["extra_headers"] = json!({"X-Team": "evals"});
    })
    .await;
    assert_eq!(world.call().await.status, 200);
    assert_eq!(seen(&world).1["x-team"], "evals");
}

#[tokio::test]
async fn a_custom_provider_is_asked_for_nothing_but_what_it_may() {
    let world = World::start(|config| {
        config["providers"]["primary"]["custom_provider_config"]["allowed_requests"] =
            json!({"chat_completion": true, "chat_completion_stream": false, "list_models": false});
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    assert_eq!(world.call().await.status, 200);
    let mut named = body();
    named["model"] = json!("primary/mock-1");
    named["stream"] = json!(true);
    let refused = world.send(world.chat(KEY, &named)).await;
    assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (403, "request_type_blocked"));
    let embed = world.request(Method::POST, "/v1/embeddings").bearer_auth(KEY);
    let refused = world.send(embed.json(&json!({"model": "primary/mock-1", "input": "a"}))).await;
    assert_eq!(refused.status, 403);
    assert_eq!((world.upstream_calls(), world.spent().await), (1, "0.00125".to_owned()));
    let models = world.send(world.request(Method::GET, "/v1/models").bearer_auth(KEY)).await;
    assert!(!models.text.contains("primary/"), "{}", models.text);
    assert!(models.text.contains("second/"), "{}", models.text);
}

type Edit = fn(&mut Value);

/// What no provider can be, and what is said about it.
const NO_PROVIDER: [(Edit, &str); 11] = [
    (
        |config| config["providers"]["bedrock"] = json!({"keys": [{"name": "k", "value": "v"}]}),
        "providers.bedrock: the reference gateway does not speak the protocol of `bedrock`",
    ),
    (
        |config| config["providers"]["primary"]["custom_provider_config"]["base_provider_type"] = json!("vertex"),
        "providers.primary.custom_provider_config.base_provider_type: the reference gateway does not speak the protocol of `vertex`",
    ),
    (
        |config| config["providers"]["mine"] = json!({"keys": [{"name": "k", "value": "v"}]}),
        "providers.mine: `mine` is no standard provider; give it a `custom_provider_config`",
    ),
    (
        |config| config["providers"]["vllm"] = json!({"keys": [{"name": "k", "value": "v"}]}),
        "providers.vllm.network_config.base_url: is missing: there is no usual one",
    ),
    (
        |config| config["providers"]["azure"] = json!({"keys": [{"name": "k", "value": "v"}]}),
        "providers.azure.keys[0].azure_key_config: is missing",
    ),
    (
        |config| {
            config["providers"]["azure"] = json!({"keys": [{"name": "k", "value": "v",
                    "azure_key_config": {"endpoint": "http://169.254.169.254"}}]});
        },
        "providers.azure.keys[0].azure_key_config.endpoint: 169.254.169.254 is link-local and never called",
    ),
    (
        |config| {
            config["providers"]["azure"] = json!({"keys": [{"name": "k", "value": "v",
                    "azure_key_config": {"endpoint": "https://a.example", "client_id": "c"}}]});
        },
        "providers.azure.keys[0].azure_key_config.client_id",
    ),
    (
        |config| {
            config["providers"]["primary"]["network_config"]["extra_headers"] = json!({"Authorization": "Bearer x"});
        },
        "providers.primary.network_config.extra_headers.Authorization: is a header that the gateway sets itself",
    ),
    (
        |config| config["providers"]["primary"]["proxy_config"] = json!({"type": "http", "url": "http://p"}),
        "proxy_config",
    ),
    (
        |config| {
            config["providers"]["primary"]["custom_provider_config"]["allowed_requests"] = json!({"chat": true});
        },
        "providers.primary.custom_provider_config.allowed_requests: `chat` is no kind of request",
    ),
    (
        |config| {
            config["providers"]["primary"]["custom_provider_config"]["request_path_overrides"] =
                json!({"chat_completion": "/x"});
        },
        "request_path_overrides",
    ),
];

#[tokio::test]
async fn what_a_provider_cannot_be_is_refused_by_name_at_the_start() {
    for (edit, expected) in NO_PROVIDER {
        let line = refused(edit).await;
        assert!(line.contains(expected), "{line}");
    }
}

#[tokio::test]
async fn a_providers_key_that_is_not_enabled_is_not_used() {
    let world = World::start(|config| {
        let key = |name: &str, enabled: bool| {
            json!({"name": name, "value": name, "models": ["*"], "weight": 1, "enabled": enabled})
        };
        config["providers"]["primary"]["keys"] = json!([key("resting", false), key("working", true)]);
    })
    .await;
    for _ in 0..8 {
        assert_eq!(world.call().await.status, 200);
    }
    let ledger = world.upstream.ledger();
    assert!(ledger.inference().all(|entry| entry.upstream_key.as_deref() == Some("working")));
}

#[tokio::test]
async fn a_keyless_provider_is_called_without_a_key() {
    let world = World::start(|config| {
        let primary = &mut config["providers"]["primary"];
        primary["keys"] = json!([]);
        primary["custom_provider_config"]["is_key_less"] = json!(true);
        config["governance"]["virtual_keys"][0]["provider_configs"].as_array_mut().unwrap().truncate(1);
    })
    .await;
    // The mock wants some key; that it gets none is what it says.
    assert_eq!(world.call().await.status, 401);
    let ledger = world.upstream.ledger();
    assert_eq!(ledger.inference().map(|entry| entry.upstream_key.clone()).collect::<Vec<_>>(), [None]);
}

fn network(config: &mut Value) -> &mut Value {
    &mut config["providers"]["primary"]["network_config"]
}

#[tokio::test]
async fn a_time_that_no_clock_can_tell_is_refused_by_name() {
    let cases: [(Edit, &str); 7] = [
        (
            |config| network(config)["default_request_timeout_in_seconds"] = json!(u64::MAX),
            "providers.primary.network_config.default_request_timeout_in_seconds",
        ),
        (
            |config| network(config)["stream_idle_timeout_in_seconds"] = json!(86_401),
            "providers.primary.network_config.stream_idle_timeout_in_seconds",
        ),
        (
            |config| network(config)["retry_backoff_initial"] = json!(u64::MAX),
            "providers.primary.network_config.retry_backoff_initial",
        ),
        (
            |config| network(config)["retry_backoff_max"] = json!("2d"),
            "providers.primary.network_config.retry_backoff_max",
        ),
        (|config| config["server"] = json!({"body_timeout_in_seconds": u64::MAX}), "server.body_timeout_in_seconds"),
        (|config| config["server"] = json!({"head_timeout_in_seconds": 86_401}), "server.head_timeout_in_seconds"),
        (|config| config["server"] = json!({"drain_timeout_in_seconds": u64::MAX}), "server.drain_timeout_in_seconds"),
    ];
    for (edit, at) in cases {
        let line = refused(edit).await;
        assert!(line.trim_end().ends_with(&format!("{at}: must be at most a day (86400 seconds)")), "{line}");
    }
}

#[tokio::test]
async fn a_private_address_is_called_only_where_the_file_allows_it() {
    // One that counts as private, and leads to this machine.
    let unspecified = |config: &mut Value| {
        let url = url_of(config).as_str().unwrap().replace("127.0.0.1", "0.0.0.0");
        network(config)["base_url"] = json!(url);
    };
    let line = refused(unspecified).await;
    let problem = "base_url: 0.0.0.0 is a private address; `allow_private_network: true` allows it";
    assert!(line.trim_end().ends_with(problem), "{line}");
    let world = World::start(|config| {
        unspecified(config);
        network(config)["allow_private_network"] = json!(true);
    })
    .await;
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.called(), ["primary"]);
}
