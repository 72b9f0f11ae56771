//! What the management API answers, held against its own description: every route is asked, and a
//! field that is answered and not described fails, as does one that is required and not answered.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, KEY, World, body, streamed};

const GOVERNANCE: &str = "/api/governance";

/// The fields that say whose a budget is.
const OWNERS: [&str; 6] =
    ["customer_id", "team_id", "virtual_key_id", "provider_config_id", "provider", "model_config_id"];

/// A gateway, the description of its API, and which of its methods were asked.
struct Described {
    world: World,
    api: Value,
    asked: BTreeSet<(String, String)>,
}

impl Described {
    async fn start() -> Described {
        let mut world = World::prepare(|config| {
            config["encryption_key"] = json!("a passphrase for this test");
            config["client"]["disable_content_logging"] = json!(false);
            config["governance"]["pricing_overrides"] = json!([{
                "id": "po", "name": "of the file", "scope_kind": "global", "match_type": "exact",
                "pattern": "mock-2", "request_types": ["chat_completion"], "pricing_patch": "{\"input_cost_per_token\":1}",
            }]);
        })
        .await;
        world.env.push(("PAUSE", "100ms".to_owned()));
        world.run(&["--test-clock"]).await;
        let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
        Described { world, api, asked: BTreeSet::new() }
    }

    /// Asks as the administrator. `path` is as it is described; `names` stand for what is in
    /// braces there, and what is left of them is the query.
    async fn ask(&mut self, method: Method, path: &str, names: &[&str], said: Option<Value>) -> Value {
        let mut asked = path.to_owned();
        for name in names {
            asked = match (asked.find('{'), asked.find('}')) {
                (Some(from), Some(to)) => format!("{}{name}{}", &asked[..from], &asked[to + 1..]),
                _ => asked + name,
            };
        }
        let answer = self.world.admin(method.clone(), &asked, said.as_ref()).await;
        self.is_as_described(&method, path, &answer)
    }

    async fn get(&mut self, path: &str, names: &[&str]) -> Value {
        self.ask(Method::GET, path, names, None).await
    }

    async fn post(&mut self, path: &str, names: &[&str], said: Value) -> Value {
        self.ask(Method::POST, path, names, Some(said)).await
    }

    async fn put(&mut self, path: &str, names: &[&str], said: Value) -> Value {
        self.ask(Method::PUT, path, names, Some(said)).await
    }

    async fn delete(&mut self, path: &str, names: &[&str]) -> Value {
        self.ask(Method::DELETE, path, names, None).await
    }

    /// Asks without the administrator's name.
    async fn ask_as(&mut self, path: &str, asking: impl Fn(RequestBuilder) -> RequestBuilder) -> Value {
        let request = asking(self.world.request(Method::GET, path));
        let answer = self.world.send(request).await;
        self.is_as_described(&Method::GET, path, &answer)
    }

    fn is_as_described(&mut self, method: &Method, path: &str, answer: &Answer) -> Value {
        let method = method.as_str().to_lowercase();
        let told = hold(&self.api, &method, path, answer);
        self.asked.insert((method, path.to_owned()));
        told
    }
}

/// Holds an answer against what is described of it, and returns it.
pub(crate) fn hold(api: &Value, method: &str, path: &str, answer: &Answer) -> Value {
    let at = format!("{method} {path}: {} {}", answer.status, answer.text);
    let content = &api["paths"][path][method]["responses"][answer.status.as_str()]["content"];
    let media_type = answer.header("content-type").split(';').next().unwrap();
    let (of_which, _) = media_type.split_once('/').unwrap();
    let described = content.get(media_type).or_else(|| content.get(format!("{of_which}/*")));
    let described = described.unwrap_or_else(|| panic!("{media_type} is not described: {at}"));
    let mut schema = described.get("schema").cloned().unwrap_or_else(|| json!({}));
    schema["components"] = api["components"].clone();
    let told = if media_type == "application/json" { answer.json() } else { json!(answer.text) };
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(&told).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{at}");
    told
}

fn id(view: &Value) -> String {
    view["id"].as_str().unwrap().to_owned()
}

/// Budgets and limits of each kind.
fn limited(mut entity: Value) -> Value {
    entity["budgets"] = json!([{"max_limit": "number:10.5", "reset_duration": "1d"}]);
    entity["rate_limits"] = json!([
        {"request_max_limit": 100, "request_reset_duration": "1m", "token_max_limit": 100_000, "token_reset_duration": "1d"},
        {"request_max_limit": 1_000, "request_reset_duration": "1d"},
    ]);
    entity
}

/// Makes, reads, edits and lists one of a kind of entity, and returns its id.
async fn made(gateway: &mut Described, kind: &str, field: &str, entity: Value) -> String {
    let (many, one) = (format!("{GOVERNANCE}/{kind}"), format!("{GOVERNANCE}/{kind}/{{id}}"));
    let made = gateway.post(&many, &[], limited(entity)).await;
    let id = id(&made[field]);
    gateway.put(&one, &[&id], json!({"rate_limits": [{"token_max_limit": 9, "token_reset_duration": "1M"}]})).await;
    gateway.put(&one, &[&id], limited(json!({}))).await;
    gateway.get(&one, &[&id]).await;
    let listed = gateway.get(&many, &["?limit=1&offset=0"]).await;
    assert!(listed["count"] == 1, "{listed}");
    id
}

async fn entities(gateway: &mut Described) {
    let customer = made(gateway, "customers", "customer", json!({"name": "acme", "calendar_aligned": true})).await;
    let team = made(gateway, "teams", "team", json!({"name": "red", "customer_id": customer})).await;
    let grant = limited(json!({
        "provider": "primary", "weight": "number:0.5", "allowed_models": ["*"], "blacklisted_models": ["mock-9"],
    }));
    let key = json!({
        "name": "made", "team_id": team, "expires_at": "2999-01-01T00:00:00Z", "provider_configs": [grant],
    });
    let key = made(gateway, "virtual-keys", "virtual_key", key).await;
    let other = made(gateway, "virtual-keys", "virtual_key", json!({"name": "other", "customer_id": customer})).await;
    let model = json!({"model_name": "mock-1", "provider": "primary", "scope": "virtual_key", "scope_id": key});
    let model = made(gateway, "model-configs", "model_config", model).await;
    made(gateway, "model-configs", "model_config", json!({"model_name": "*"})).await;
    let keys = format!("{GOVERNANCE}/virtual-keys");
    let rotated = gateway.ask(Method::POST, &format!("{keys}/{{id}}/rotate"), &[&key], None).await;
    gateway.post(&format!("{keys}/rotate"), &[], json!({"ids": [other]})).await;
    let value = rotated["virtual_key"]["value"].as_str().unwrap().to_owned();
    let quota = gateway.ask_as(&format!("{keys}/quota"), |request| request.header("x-bf-vk", &value)).await;
    assert!(quota["model_configs"][0]["budgets"][0]["model_config_id"] == model.as_str(), "{quota}");
    assert!(quota["team"]["name"] == "red" && quota["customer"]["name"] == "acme", "{quota}");
    let provider = format!("{GOVERNANCE}/providers/{{name}}");
    gateway.put(&provider, &["second"], limited(json!({}))).await;
    gateway.get(&provider, &["second"]).await;
    gateway.get(&format!("{GOVERNANCE}/providers"), &[]).await;
    for (path, list) in [("budgets", "budgets"), ("rate-limits", "rate_limits")] {
        let listed = gateway.get(&format!("{GOVERNANCE}/{path}"), &[]).await;
        let has = |owner: &&str| listed[list].as_array().unwrap().iter().any(|one| one.get(*owner).is_some());
        assert!(OWNERS.iter().all(has), "{listed}");
    }
    gateway.delete(&provider, &["second"]).await;
    for (kind, id) in [("model-configs", &model), ("virtual-keys", &key), ("teams", &team), ("customers", &customer)] {
        gateway.delete(&format!("{GOVERNANCE}/{kind}/{{id}}"), &[id]).await;
    }
}

async fn providers(gateway: &mut Described) {
    let new = json!({
        "provider": "made",
        "network_config": {
            "base_url": format!("http://{}/second", gateway.world.upstream.addr()),
            "retry_backoff_initial": "env.PAUSE",
            "retry_backoff_max": "10s",
            "extra_headers": {"x-tenant": "a credential"},
        },
        "custom_provider_config": {"base_provider_type": "openai", "allowed_requests": {"chat_completion": true}},
    });
    let shown = gateway.post("/api/providers", &[], new).await;
    let written_back = gateway.put("/api/providers/{provider}", &["made"], shown.clone()).await;
    assert_eq!(written_back, shown);
    gateway.get("/api/providers", &[]).await;
    gateway.get("/api/providers/{provider}", &["made"]).await;
    let keys = "/api/providers/{provider}/keys";
    let least = gateway.post(keys, &["made"], json!({"name": "least", "value": "env.UPSTREAM_KEY"})).await;
    let most = json!({
        "name": "most", "value": "sk-upstream-0123456789", "weight": "number:0.7", "models": ["mock-1"],
        "blacklisted_models": ["mock-9"], "enabled": false, "aliases": {"mock-1": "mock-2"},
    });
    gateway.post(keys, &["made"], most).await;
    let key = "/api/providers/{provider}/keys/{key}";
    gateway.put(key, &["made", &id(&least)], json!({"weight": 2, "models": null})).await;
    gateway.get(key, &["made", &id(&least)]).await;
    for (path, names, total) in [(keys, &["made"][..], 2), ("/api/keys", &[], 5)] {
        let listed = gateway.get(path, names).await;
        assert!(listed["total"] == total, "{listed}");
    }
    gateway.delete(key, &["made", &id(&least)]).await;
    gateway.delete("/api/providers/{provider}", &["made"]).await;
}

async fn prices(gateway: &mut Described) {
    let (many, one) = (format!("{GOVERNANCE}/pricing-overrides"), format!("{GOVERNANCE}/pricing-overrides/{{id}}"));
    let patch = json!({
        "input_cost_per_token": "number:0.000001",
        "output_cost_per_token": null,
        "search_context_cost_per_query": {"search_context_size_low": "number:0.01"},
    });
    let made = gateway
        .post(
            &many,
            &[],
            json!({
                "name": "mine", "scope_kind": "virtual_key_provider", "virtual_key_id": "vk-agent",
                "provider_id": "primary", "match_type": "wildcard", "pattern": "mock-*",
                "request_types": ["chat_completion"], "patch": patch,
            }),
        )
        .await;
    let id = id(&made["pricing_override"]);
    gateway.put(&one, &[&id], json!({"name": "still mine"})).await;
    let listed = gateway.get(&many, &[]).await;
    assert!(listed["count"] == 2, "one of the file, too: {listed}");
    gateway.delete(&one, &[&id]).await;
    gateway.ask(Method::POST, "/api/pricing/force-sync", &[], None).await;
}

async fn requests(gateway: &mut Described) {
    gateway.world.faults(&json!({"primary": [{"first": 1, "fault": {"status": {"code": 503}}}]}));
    let mut failing_over = body();
    failing_over["fallbacks"] = json!(["second/mock-1"]);
    let mut unknown = body();
    unknown["model"] = json!("no-such-model");
    for asked in [failing_over, unknown] {
        gateway.world.send(gateway.world.chat(KEY, &asked)).await;
    }
    gateway.world.stream("/v1/chat/completions", &streamed()).await;
    let listed = gateway.get("/api/logs", &["?limit=10&sort_by=cost&order=asc"]).await;
    let logs = listed["logs"].as_array().unwrap();
    let has = |field: &str| logs.iter().any(|log| !log[field].is_null());
    assert!(has("time_to_first_chunk") && has("input") && has("output") && has("error_type"), "{listed}");
    assert!(logs.iter().any(|log| log["attempt_trail"][0]["failure"].is_string()), "{listed}");
    gateway.get("/api/logs/{id}", &[&id(&logs[0])]).await;
    gateway.get("/api/logs/stats", &["?status=success"]).await;
    gateway.get("/api/logs/stats", &["?status=none"]).await;
    gateway.get("/api/logs/dropped", &[]).await;
}

async fn settings(gateway: &mut Described) {
    let mut shown = gateway.get("/api/config", &[]).await;
    shown.as_object_mut().unwrap().remove("is_db_connected");
    gateway.put("/api/config", &[], shown).await;
    let part = json!({"client_config": {"required_headers": ["x-tenant"], "whitelisted_routes": ["/metrics"]}});
    gateway.ask(Method::PATCH, "/api/config", &[], Some(part)).await;
    gateway.get("/api/config", &[]).await;
    gateway.post("/api/session/login", &[], json!({"username": "admin", "password": "secret"})).await;
    gateway.ask(Method::POST, "/api/session/logout", &[], None).await;
    gateway.post("/api/test/clock", &[], json!({"advance": "1h"})).await;
    for path in ["/api/session/is-auth-enabled", "/api/openapi.json", "/api/version", "/health", "/metrics"] {
        gateway.ask_as(path, |request| request).await;
    }
}

#[tokio::test]
async fn every_answer_of_the_management_api_is_as_described() {
    let mut gateway = Described::start().await;
    requests(&mut gateway).await;
    entities(&mut gateway).await;
    providers(&mut gateway).await;
    prices(&mut gateway).await;
    settings(&mut gateway).await;
    let for_a_key = json!({"virtualKey": []});
    let mut served = BTreeSet::new();
    for (path, methods) in gateway.api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let is_inference = operation["security"].as_array().unwrap().contains(&for_a_key);
            if path.starts_with("/api/") || !is_inference {
                served.insert((method.clone(), path.clone()));
            }
        }
    }
    assert!(served.len() > 50, "{}", served.len());
    let unasked: Vec<_> = served.difference(&gateway.asked).collect();
    assert!(unasked.is_empty(), "{unasked:?}");
}

/// What describes an object that may have other fields too, or anything at all. The fields of variants
/// may be open where what they stand in says that there are no more.
fn open(schema: &Value, at: &str) -> Vec<String> {
    const KINDS: [&str; 7] = ["$ref", "type", "enum", "const", "oneOf", "anyOf", "allOf"];
    let is_closed = ["additionalProperties", "unevaluatedProperties"].iter().any(|word| schema[word] == false);
    let is_object = schema["type"] == "object" || schema.get("properties").is_some();
    let is_map = schema["additionalProperties"].is_object();
    let says_nothing = schema != false && KINDS.iter().all(|kind| schema.get(kind).is_none());
    let mut open_ones = Vec::new();
    if says_nothing || is_object && !is_closed && !is_map {
        open_ones.push(at.to_owned());
    }
    for word in ["properties", "oneOf", "anyOf", "allOf", "items", "additionalProperties"] {
        let parts: Vec<&Value> = match &schema[word] {
            _ if is_closed && word == "oneOf" => Vec::new(),
            Value::Object(fields) if word == "properties" => fields.values().collect(),
            Value::Array(variants) => variants.iter().collect(),
            one @ Value::Object(_) => vec![one],
            _ => Vec::new(),
        };
        open_ones.extend(parts.into_iter().flat_map(|part| open(part, &format!("{at}/{word}"))));
    }
    open_ones
}

#[tokio::test]
async fn every_success_is_described_and_no_object_may_have_more_fields_than_that() {
    let Described { api, .. } = Described::start().await;
    let for_a_key = json!({"virtualKey": []});
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with("20")), "{method} {path}");
            for (status, response) in responses.iter().filter(|(_, response)| response.get("$ref").is_none()) {
                let content = response["content"].as_object().unwrap();
                assert!(!content.is_empty(), "{method} {path} {status}");
                // A provider's own answers are described by the provider, and this description by OpenAPI.
                if path == "/api/openapi.json" || operation["security"].as_array().unwrap().contains(&for_a_key) {
                    continue;
                }
                for described in content.values() {
                    assert_eq!(open(&described["schema"], path), Vec::<String>::new(), "{method} {path} {status}");
                }
            }
        }
    }
    let described = api["components"]["schemas"].as_object().unwrap();
    let of_success = described.iter().filter(|(name, _)| !name.ends_with("Error"));
    let open: Vec<_> = of_success.flat_map(|(name, schema)| open(schema, name)).collect();
    assert!(open.is_empty() && described.len() > 20, "{open:?}");
}

#[tokio::test]
async fn an_inference_route_answers_the_media_types_that_are_described() {
    let gateway = Described::start().await;
    let (chat, gemini) = ("/v1/chat/completions", "/genai/v1beta/models/{rest}");
    let contents = json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 100}});
    let embedded = json!({"model": "mock-1", "input": "hi"});
    for (path, rest, said, media_type) in [
        (chat, "", body(), "application/json"),
        (chat, "", streamed(), "text/event-stream"),
        ("/v1/embeddings", "", embedded, "application/json"),
        ("/anthropic/v1/messages", "", streamed(), "text/event-stream"),
        ("/anthropic/v1/messages/count_tokens", "", body(), "application/json"),
        (gemini, "mock-1:generateContent", contents.clone(), "application/json"),
        (gemini, "mock-1:streamGenerateContent", contents.clone(), "application/json"),
        (gemini, "mock-1:streamGenerateContent?alt=sse", contents, "text/event-stream"),
    ] {
        let (answer, _) = gateway.world.stream(&path.replace("{rest}", rest), &said).await;
        assert!(answer.header("content-type").starts_with(media_type), "{path} {:?}", answer.headers);
        hold(&gateway.api, "post", path, &answer);
    }
    for path in ["/v1/models", "/anthropic/v1/models", "/genai/v1beta/models"] {
        let answer = gateway.world.send(gateway.world.request(Method::GET, path).bearer_auth(KEY)).await;
        hold(&gateway.api, "get", path, &answer);
    }
}
