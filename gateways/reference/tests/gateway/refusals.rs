//! What is refused, row by row as Bifrost refuses it: the status, the type in each place where
//! a client looks for it, the message's beginning, and that nothing is called. Each row is
//! asked in every protocol, whose own words for it stand beside the type.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{KEY, PROMPT, World, body, virtual_key};

const TENANT: &str = "x-tenant";

/// One thing that is refused.
struct Row {
    /// The value of the virtual key; without one there is no key.
    key: Option<&'static str>,
    model: &'static str,
    /// How many calls pass before.
    passes: usize,
    has_headers: bool,
    status: u16,
    kind: &'static str,
    /// How the message begins, and what else it says.
    message: [&'static str; 2],
}

impl Row {
    fn new(key: &'static str, status: u16, kind: &'static str, message: &'static str) -> Row {
        let key = Some(key).filter(|key| !key.is_empty());
        Row { key, model: "primary/mock-1", passes: 0, has_headers: true, status, kind, message: [message, ""] }
    }

    /// Refused after one call that is served.
    fn after_one(key: &'static str, kind: &'static str, message: [&'static str; 2]) -> Row {
        let status = if kind == "budget_exceeded" { 402 } else { 429 };
        Row { passes: 1, message, ..Row::new(key, status, kind, "") }
    }

    fn of(self, model: &'static str) -> Row {
        Row { model, ..self }
    }
}

const REQUESTS: &str = "[request limit exceeded (1/1, resets every 1h)]";
const TOKENS: &str = "token limit exceeded (200/100, resets every 1h)";
const SPENT: &str = "budget exceeded: 0.00125 >= 0.00125 dollars";

fn rows() -> Vec<Row> {
    let limited = "request_limited";
    let capped = "budget_exceeded";
    vec![
        // Virtual keys.
        Row {
            has_headers: false,
            ..Row::new(KEY, 400, "missing_required_headers", "missing required headers: x-tenant")
        },
        Row::new(
            "sk-unknown",
            401,
            "virtual_key_not_found",
            "virtual key not found. The provided virtual key does not exist or has been revoked.",
        ),
        Row::new(
            "",
            401,
            "virtual_key_required",
            "virtual key is required. Provide one as `Authorization: Bearer <key>`, or in x-bf-vk, x-api-key, x-goog-api-key or api-key.",
        ),
        Row::new("sk-inactive", 403, "virtual_key_blocked", "Virtual key is inactive"),
        Row::new("sk-expired", 403, "virtual_key_blocked", "Virtual key has expired"),
        Row::new("sk-second", 403, "provider_blocked", "Provider 'primary' is not allowed for this virtual key"),
        Row::new("sk-nothing", 403, "provider_blocked", "No provider is allowed for this virtual key").of("mock-1"),
        Row::new("sk-narrow", 403, "model_blocked", "Model 'mock-1' is not allowed for this virtual key"),
        Row::new(KEY, 400, "invalid_request", "no keys found for provider: keyed and model: mock-1").of("keyed/mock-1"),
        // Budgets.
        Row::after_one("sk-b", capped, ["Budget exceeded: VK ", SPENT]),
        Row::after_one("sk-b-provider", capped, ["Budget exceeded: primary ", SPENT]),
        Row::after_one("sk-b-team", capped, ["Budget exceeded: Team ", SPENT]),
        Row::after_one("sk-b-customer", capped, ["Budget exceeded: Customer ", SPENT]),
        Row::after_one(KEY, capped, ["Provider-level budget exceeded: capped ", SPENT]).of("capped/mock-1"),
        Row::after_one(KEY, capped, ["Model-level budget exceeded: mock-2 ", SPENT]).of("primary/mock-2"),
        Row::after_one(
            "sk-b-model",
            capped,
            ["Model-level budget exceeded (virtual key scope): b-model/mock-1 ", SPENT],
        ),
        Row::new("sk-small", 402, capped, "Budget exceeded: this request alone can cost 0.00115 dollars"),
        Row::new(KEY, 403, "model_unpriced", "Model 'unpriced-1' of provider 'capped' has no price")
            .of("capped/unpriced-1"),
        // Limits.
        Row::after_one("sk-r", limited, ["Rate limit check failed: rate limit violated for ", REQUESTS]),
        Row::after_one("sk-t", "token_limited", ["Rate limit check failed: rate limit violated for ", TOKENS]),
        Row::after_one("sk-r-t", "rate_limited", ["Rate limit check failed: rate limit violated for ", TOKENS]),
        Row::after_one("sk-r-provider", limited, ["Rate limit check failed: rate limit violated for ", REQUESTS]),
        Row::after_one("sk-r-team", limited, ["Team-level rate limit exceeded: ", REQUESTS]),
        Row::after_one("sk-r-customer", limited, ["Customer-level rate limit exceeded: ", REQUESTS]),
        Row::after_one(KEY, limited, ["Provider-level rate limit check failed: ", REQUESTS]).of("limited/mock-1"),
        Row::after_one(KEY, limited, ["Model-level rate limit check failed: ", REQUESTS]).of("primary/mock-3"),
        Row::after_one("sk-r-model", limited, ["Model-level rate limit check failed (virtual key scope): ", REQUESTS]),
    ]
}

/// A budget of one call, or a limit of one request or of less than its tokens.
fn limits(name: &str) -> Value {
    let limit = |usd: &str| json!({"budgets": [{"max_limit": usd, "reset_duration": "1h"}]});
    match name {
        "b" => limit("number:0.00125"),
        "small" => limit("number:0.001"),
        "r" => json!({"rate_limit": {"request_max_limit": 1, "request_reset_duration": "1h"}}),
        "t" => json!({"rate_limit": {"token_max_limit": 100, "token_reset_duration": "1h"}}),
        "r-t" => json!({"rate_limit": {
            "request_max_limit": 1, "request_reset_duration": "1h",
            "token_max_limit": 100, "token_reset_duration": "1h",
        }}),
        _ => json!({}),
    }
}

fn with(mut entity: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        entity[name] = value.clone();
    }
    entity
}

fn keys() -> Vec<Value> {
    let key = |name: &str| {
        let mut key = virtual_key(name, &format!("sk-{name}"));
        let grants = key["provider_configs"].as_array_mut().unwrap();
        grants.truncate(1);
        key
    };
    let mut agent = virtual_key("agent", KEY);
    for provider in ["keyed", "capped", "limited"] {
        let grant = json!({"provider": provider, "weight": 0, "allowed_models": ["*"], "key_ids": ["*"]});
        agent["provider_configs"].as_array_mut().unwrap().push(grant);
    }
    let mut narrow = key("narrow");
    narrow["provider_configs"][0]["allowed_models"] = json!(["mock-2"]);
    let second = json!([{"provider": "second", "weight": 1, "allowed_models": ["*"], "key_ids": ["*"]}]);
    let mut keys = vec![
        agent,
        narrow,
        with(key("inactive"), &json!({"is_active": false})),
        with(key("expired"), &json!({"expires_at": "2020-01-01T00:00:00Z"})),
        with(key("nothing"), &json!({"provider_configs": []})),
        with(key("second"), &json!({"provider_configs": second})),
    ];
    keys.extend(["b", "small", "r", "t", "r-t"].map(|name| with(key(name), &limits(name))));
    for name in ["b", "r"] {
        let mut provider = key(&format!("{name}-provider"));
        provider["provider_configs"][0] = with(provider["provider_configs"][0].take(), &limits(name));
        keys.push(provider);
        keys.push(with(key(&format!("{name}-team")), &json!({"team_id": name})));
        keys.push(with(key(&format!("{name}-customer")), &json!({"customer_id": name})));
        keys.push(key(&format!("{name}-model")));
    }
    keys
}

async fn world() -> World {
    let mut world = World::prepare(|config| {
        config["client"]["required_headers"] = json!([TENANT]);
        for name in ["keyed", "capped", "limited"] {
            config["providers"][name] = config["providers"]["primary"].clone();
        }
        config["providers"]["keyed"]["keys"][0]["models"] = json!(["mock-2"]);
        let governance = &mut config["governance"];
        governance["virtual_keys"] = json!(keys());
        let named = |name: &str| with(json!({"id": name, "name": name}), &limits(name));
        governance["teams"] = json!(["b", "r"].map(named));
        governance["customers"] = json!(["b", "r"].map(named));
        let provider = |(name, limited): (&str, &str)| with(json!({"name": name}), &limits(limited));
        governance["providers"] = json!([("capped", "b"), ("limited", "r")].map(provider));
        let model = |(model, limited): (&str, &str)| with(json!({"model_name": model}), &limits(limited));
        let of_key = |name: &str| {
            let id = format!("vk-{name}-model");
            with(json!({"model_name": "mock-1", "scope": "virtual_key", "scope_id": id}), &limits(name))
        };
        let models = [("mock-2", "b"), ("mock-3", "r")].map(model).into_iter().chain(["b", "r"].map(of_key));
        governance["model_configs"] = json!(models.collect::<Vec<_>>());
    })
    .await;
    let mut script = serde_json::to_value(world.upstream.script()).unwrap();
    for provider in ["keyed", "capped", "limited"] {
        script["providers"][provider] = json!({});
    }
    for model in ["mock-2", "mock-3"] {
        script["models"][model] = script["models"]["mock-1"].clone();
    }
    world.upstream.set_script(serde_json::from_value(script).unwrap()).unwrap();
    world.run(&["--seed", "7"]).await;
    world
}

/// The row's request in each protocol: OpenAI's, Anthropic's and Gemini's.
fn requests(world: &World, row: &Row) -> [RequestBuilder; 3] {
    let message = json!([{"role": "user", "content": PROMPT}]);
    let of_messages = json!({"model": row.model, "max_tokens": 100, "messages": message});
    let of_gemini = json!({
        "contents": [{"role": "user", "parts": [{"text": PROMPT}]}], "generationConfig": {"maxOutputTokens": 100},
    });
    let path = format!("/genai/v1beta/models/{}:generateContent", row.model);
    let mut of_chat = body();
    of_chat["model"] = json!(row.model);
    [("/v1/chat/completions", of_chat), ("/anthropic/v1/messages", of_messages), (&path, of_gemini)].map(
        |(path, body)| {
            let mut request = world.request(Method::POST, path).json(&body);
            if let Some(key) = row.key {
                request = request.header("x-bf-vk", key);
            }
            if row.has_headers { request.header(TENANT, "evals") } else { request }
        },
    )
}

/// What Anthropic and Google call an error of this status.
fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("invalid_request_error", "INVALID_ARGUMENT"),
        401 => ("authentication_error", "UNAUTHENTICATED"),
        402 => ("billing_error", "FAILED_PRECONDITION"),
        403 => ("permission_error", "PERMISSION_DENIED"),
        429 => ("rate_limit_error", "RESOURCE_EXHAUSTED"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn each_refusal_has_bifrosts_status_and_type_in_every_protocol_and_calls_nobody() {
    let world = world().await;
    for row in rows() {
        let of = format!("{:?} asks for {}: {} {}", row.key, row.model, row.status, row.kind);
        for _ in 0..row.passes {
            let [served, ..] = requests(&world, &row);
            assert_eq!(world.send(served).await.status, 200, "{of}");
        }
        let calls = world.upstream_calls();
        let mut bodies = Vec::new();
        for request in requests(&world, &row) {
            let answer = world.send(request).await;
            assert_eq!(answer.status, row.status, "{of}: {}", answer.text);
            assert_eq!(answer.headers.contains_key("retry-after"), row.status == 429, "{of}");
            bodies.push(answer.json());
        }
        let [native, anthropic, gemini] = bodies.try_into().unwrap();
        let is_unreadable = row.kind == "invalid_request";
        for (place, expected) in [
            (&native["type"], json!(row.kind)),
            (&native["status_code"], json!(row.status)),
            (&native["is_bifrost_error"], json!(is_unreadable)),
            (&native["error"]["type"], json!(row.kind)),
            (&native["error"]["code"], json!(row.kind)),
            (&anthropic["type"], json!("error")),
            (&anthropic["error"]["type"], json!(words(row.status).0)),
            (&anthropic["error"]["code"], json!(row.kind)),
            (&gemini["error"]["code"], json!(row.status)),
            (&gemini["error"]["status"], json!(words(row.status).1)),
            (&gemini["error"]["details"][0]["reason"], json!(row.kind)),
        ] {
            assert_eq!(*place, expected, "{of}: {native} {anthropic} {gemini}");
        }
        for body in [&native, &anthropic, &gemini] {
            let message = body["error"]["message"].as_str().unwrap();
            let [beginning, part] = row.message;
            assert!(message.starts_with(beginning) && message.contains(part), "{of}: {message}");
        }
        assert_eq!(world.upstream_calls(), calls, "{of}");
    }
}

/// What the management API refuses, as Bifrost does: the status, and what the message names.
#[tokio::test]
async fn what_a_virtual_key_cannot_be_is_refused_with_bifrosts_status_and_is_not_made() {
    let world = World::start(|config| {
        config["governance"]["teams"] = json!([{"id": "team", "name": "team"}]);
        config["governance"]["customers"] = json!([{"id": "customer", "name": "customer"}]);
    })
    .await;
    let models = |models: Value| json!({"provider_configs": [{"provider": "primary", "allowed_models": models}]});
    let limit = |limit: Value| json!({"rate_limit": limit});
    let budget = |usd: &str, reset: &str| json!({"max_limit": usd, "reset_duration": reset});
    for (fields, status, named) in [
        (json!({"name": "agent"}), 409, "already exists"),
        (json!({"name": ""}), 400, "name"),
        (json!({"team_id": "team", "customer_id": "customer"}), 400, "both Team and Customer"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), 400, "expires_at"),
        (json!({"expires_at": "soon"}), 400, "expires_at"),
        (models(json!(["*", "mock-1"])), 400, "*"),
        (models(json!(["mock-1", "mock-1"])), 400, "mock-1"),
        (json!({"provider_configs": [{"provider": "nobody"}]}), 400, "nobody"),
        (json!({"budgets": [budget("number:0", "1h")]}), 400, "max_limit"),
        (json!({"budgets": [budget("number:-1", "1h")]}), 400, "max_limit"),
        (json!({"budgets": [budget("number:1", "0s")]}), 400, "reset_duration"),
        (json!({"budgets": [budget("number:1", "1h"), budget("number:2", "60m")]}), 400, "reset_duration"),
        (limit(json!({"request_max_limit": 1})), 400, "request_reset_duration"),
        (limit(json!({"token_max_limit": 0, "token_reset_duration": "1h"})), 400, "token_max_limit"),
        (limit(json!({"token_max_limit": 1, "token_reset_duration": "1x"})), 400, "token_reset_duration"),
    ] {
        let key = with(json!({"name": "new", "provider_configs": []}), &fields);
        let refused = world.admin(Method::POST, "/api/governance/virtual-keys", Some(&key)).await;
        assert_eq!(refused.status, status, "{fields}: {}", refused.text);
        let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(named), "{fields}: {message}");
    }
    let all = world.admin(Method::GET, "/api/governance/virtual-keys", None).await.json();
    assert_eq!(all["virtual_keys"].as_array().unwrap().len(), 1, "{all}");
}
