//! The description of the API: made from the table of routes, checked in, and true.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KEY, World, body, command};

#[tokio::test]
async fn the_description_that_is_checked_in_is_the_one_that_is_served_to_everyone() {
    let output = command(Path::new("unused"), &["openapi"]).output().unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let known: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    assert!(printed == known, "run `probity-reference openapi > gateways/reference/openapi.json`");
    let mut world = World::prepare(|_| {}).await;
    world.run(&[]).await;
    let served = world.send(world.request(Method::GET, "/api/openapi.json")).await;
    assert_eq!((served.status.as_u16(), served.json()), (200, known));
}

#[tokio::test]
async fn every_method_that_is_described_is_served_and_no_other_one() {
    let world = World::start(|_| {}).await;
    let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
    let paths = api["paths"].as_object().unwrap();
    assert!(paths.len() > 20, "{}", paths.len());
    for (path, methods) in paths {
        assert!(methods.as_object().unwrap().values().all(|method| method["summary"] != ""), "{path}");
        let asked = path.replace("{rest}", "mock-1:generateContent").replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let request = world.request(method.parse().unwrap(), &asked);
            let answer = world.send(request.basic_auth("admin", Some("secret"))).await;
            let is_served = !answer.text.contains("Route not found");
            let is_described = methods.get(method.to_lowercase()).is_some();
            assert_eq!(is_served, is_described, "{method} {path}: {}", answer.text);
            let is_public = !path.starts_with("/api") || methods[method.to_lowercase()]["security"] == json!([]);
            if is_described && !is_public {
                let stranger = world.send(world.request(method.parse().unwrap(), &asked)).await;
                assert_eq!(stranger.status, 401, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn the_errors_of_each_protocol_are_as_described() {
    let world = World::start(|_| {}).await;
    let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
    let mut described = Vec::new();
    for path in ["/v1/chat/completions", "/anthropic/v1/messages", "/litellm/genai/v1beta/models/{rest}"] {
        let responses = &api["paths"][path]["post"]["responses"];
        assert_eq!(responses["4XX"], responses["5XX"], "{path}");
        let response = api.pointer(&responses["4XX"]["$ref"].as_str().unwrap()[1..]).unwrap();
        let schema = &response["content"]["application/json"]["schema"]["$ref"];
        let schema = api.pointer(&schema.as_str().unwrap()[1..]).unwrap();
        let schema = jsonschema::validator_for(schema).unwrap();
        let request = world.request(Method::POST, &path.replace("{rest}", "mock-1:generateContent"));
        let stranger = world.send(request.json(&body())).await;
        assert_eq!(stranger.status, 401, "{path}");
        described.push((schema, stranger.json()));
    }
    for (place, (schema, _)) in described.iter().enumerate() {
        for (other, (_, error)) in described.iter().enumerate() {
            assert_eq!(schema.is_valid(error), place == other, "{error}");
        }
    }
}

#[tokio::test]
async fn a_virtual_key_is_taken_from_every_header_that_is_described() {
    let world = World::start(|_| {}).await;
    let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
    let mut headers = Vec::new();
    for scheme in api["paths"]["/v1/chat/completions"]["post"]["security"].as_array().unwrap() {
        let Some(name) = scheme.as_object().unwrap().keys().next() else { continue };
        let scheme = &api["components"]["securitySchemes"][name];
        let (header, value) = match scheme["type"].as_str() {
            Some("http") => ("authorization", format!("Bearer {KEY}")),
            _ => (scheme["name"].as_str().unwrap(), KEY.to_owned()),
        };
        let request = world.request(Method::POST, "/v1/chat/completions").header(header, value);
        assert_eq!(world.send(request.json(&body())).await.status, 200, "{header}");
        headers.push(header);
    }
    assert_eq!(json!(headers), json!(["x-bf-vk", "x-api-key", "x-goog-api-key", "api-key", "authorization"]));
}

#[tokio::test]
async fn every_body_and_every_query_of_the_management_api_is_described() {
    let world = World::start(|_| {}).await;
    let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
    let mut bodies = 0;
    for (path, methods) in api["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/api")) {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(body) = operation.get("requestBody") else { continue };
            let schema = &body["content"]["application/json"]["schema"];
            assert_eq!(schema["additionalProperties"], false, "{method} {path}");
            assert!(!schema["properties"].as_object().unwrap().is_empty(), "{method} {path}");
            bodies += 1;
        }
    }
    assert!(bodies >= 18, "{bodies}");
    let team = &api["paths"]["/api/governance/teams"];
    let fields = &team["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"];
    assert!(fields["calendar_aligned"].is_object() && fields["rate_limits"].is_object(), "{fields}");
    let names: Vec<&str> =
        team["get"]["parameters"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["limit", "offset", "search", "customer_id"]);
    let of_logs = api["paths"]["/api/logs"]["get"]["parameters"].as_array().unwrap();
    let words = |name: &str| of_logs.iter().find(|one| one["name"] == name).unwrap()["schema"]["enum"].clone();
    assert_eq!(words("sort_by"), json!(["timestamp", "latency", "tokens", "cost"]));
    assert_eq!(words("order"), json!(["asc", "desc"]));
}

/// Notes the paths of the objects that a schema has, and how many fields each may have.
fn note(schema: &Value, path: &str, places: &mut Vec<(String, usize)>) {
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        note(one, path, places);
    }
    if let Some(items) = schema.get("items") {
        note(items, &format!("{path}[0]"), places);
    }
    let is_object = schema["type"] == "object" || schema["type"] == json!(["object", "null"]);
    if is_object {
        let fields = schema["properties"].as_object();
        places.push((path.to_owned(), fields.map_or(1, serde_json::Map::len)));
        for (name, field) in fields.into_iter().flatten() {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            note(field, &below, places);
        }
    }
}

/// A body of this schema with this at this path, and beside it what else the body needs, as far as
/// that is a text.
fn body_with(schema: &Value, path: &str, value: Value) -> Value {
    let names = path.rsplit('.').filter(|name| !name.is_empty());
    let mut body = names.fold(value, |value, name| match name.strip_suffix("[0]") {
        Some(list) => json!({ (list): [value] }),
        None => json!({ (name): value }),
    });
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required.filter(|name| schema["properties"][name]["type"] == "string") {
        if let Some(fields) = body.as_object_mut() {
            fields.entry(name).or_insert(json!("x"));
        }
    }
    body
}

#[tokio::test]
async fn a_list_stands_for_no_object_of_a_body() {
    let world = World::start(|config| {
        config["governance"]["pricing_overrides"] = json!([{
            "id": "o", "name": "o", "scope_kind": "global", "match_type": "exact", "pattern": "m",
            "request_types": ["chat_completion"], "patch": {"input_cost_per_token": 1},
        }]);
    })
    .await;
    let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
    let (mut asked, mut wrong) = (0, Vec::new());
    for (path, methods) in api["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/api")) {
        let there = ["{provider}", "{name}"].iter().fold(path.clone(), |path, name| path.replace(name, "primary"));
        let there = there.replace("{key}", "primary-key").replace("{id}", "o");
        for (method, operation) in methods.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let mut places = Vec::new();
            note(schema, "", &mut places);
            for (place, fields) in places {
                for list in [vec![], vec![Value::Null; fields]] {
                    let body = body_with(schema, &place, list.into());
                    let answer = world.admin(method.to_uppercase().parse().unwrap(), &there, Some(&body)).await;
                    let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
                    asked += 1;
                    if answer.status != 400 || !message.contains(&place) || !message.contains("expected") {
                        wrong.push(format!("{method} {there} {body}: {}", answer.text));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 100, "{asked}");
}
