//! The description of the API: made from the table of routes, checked in, and true.

use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use crate::support::{World, command};

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
            let is_public =
                !path.starts_with("/api") || methods[method.to_lowercase()]["security"] == serde_json::json!([]);
            if is_described && !is_public {
                let stranger = world.send(world.request(method.parse().unwrap(), &asked)).await;
                assert_eq!(stranger.status, 401, "{method} {path}");
            }
        }
    }
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
}
