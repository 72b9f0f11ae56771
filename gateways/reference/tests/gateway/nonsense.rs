//! What makes no sense to the management API: the status that says so, and nothing is changed.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, World, budget};

const READ: [&str; 9] = [
    "/api/config",
    "/api/providers",
    "/api/keys",
    "/api/governance/virtual-keys",
    "/api/governance/customers",
    "/api/governance/teams",
    "/api/governance/model-configs",
    "/api/governance/providers",
    "/api/governance/pricing-overrides",
];

/// What can be edited, and what makes another one.
const EDITED: [(&str, &str); 7] = [
    ("/api/governance/virtual-keys/vk-agent", "/api/governance/virtual-keys"),
    ("/api/governance/customers/c", "/api/governance/customers"),
    ("/api/governance/teams/t", "/api/governance/teams"),
    ("/api/governance/model-configs/m", "/api/governance/model-configs"),
    ("/api/governance/providers/primary", ""),
    ("/api/providers/primary", "/api/providers"),
    ("/api/providers/primary/keys/primary-key", "/api/providers/primary/keys"),
];

/// The owners of budgets and limits among them.
fn owners() -> impl Iterator<Item = &'static str> {
    EDITED.iter().take(5).map(|(path, _)| *path)
}

async fn world() -> World {
    World::start(|config| {
        let governance = &mut config["governance"];
        governance["customers"] = json!([{"id": "c", "name": "acme"}]);
        governance["teams"] = json!([{"id": "t", "name": "evals"}]);
        governance["model_configs"] = json!([{"id": "m", "model_name": "mock-1"}]);
        governance["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await
}

/// Everything that an administrator can read of what is configured.
async fn everything(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for path in READ {
        let answer = world.admin(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        all.push(answer.text);
    }
    all
}

async fn send(world: &World, method: Method, path: &str, text: impl Into<String>) -> Answer {
    let request = world.request(method, path).basic_auth("admin", Some("secret"));
    world.send(request.body(text.into())).await
}

/// The message of a refusal, which has the shape of every other.
fn told(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(body["status_code"], answer.status.as_u16(), "{}", answer.text);
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_body_that_is_none_or_of_another_type_is_400_and_changes_nothing() {
    let world = world().await;
    let before = everything(&world).await;
    for (edited, made) in EDITED {
        for text in ["", "{", "null", "[]", "1", "\"text\"", "{} {}", "{\"name\":\"\u{1}\"}", "{\"a\":NaN}"] {
            for (method, path) in [(Method::PUT, edited), (Method::POST, made)] {
                if !path.is_empty() {
                    let answer = send(&world, method.clone(), path, text).await;
                    assert_eq!(answer.status, 400, "{method} {path} {text:?}: {}", answer.text);
                    told(&answer);
                }
            }
        }
    }
    for text in ["", "null", "[]", "{\"client_config\": 1}", "{\"client_config\": {\"log_retention_days\": -1}}"] {
        for method in [Method::PUT, Method::PATCH] {
            let answer = send(&world, method, "/api/config", text).await;
            assert_eq!(answer.status, 400, "{text}: {}", answer.text);
        }
    }
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn figures_that_cannot_be_limits_are_400_and_change_nothing() {
    let world = world().await;
    let before = everything(&world).await;
    let budget = |figure: &str| format!(r#"{{"budgets":[{{"max_limit":{figure},"reset_duration":"1h"}}]}}"#);
    let limit =
        |figure: &str| format!(r#"{{"rate_limits":[{{"request_max_limit":{figure},"request_reset_duration":"1h"}}]}}"#);
    let window = |text: &str| format!(r#"{{"budgets":[{{"max_limit":1,"reset_duration":{text}}}]}}"#);
    let figures = ["-1", "0", "1e30", "9223373", "1e999", "\"1\"", "\"NaN\"", "\"Infinity\"", "true", "null", "[1]"];
    let counts =
        ["-1", "0", "1.5", "1e3", "9223372036854775808", "18446744073709551615", "1e400", "\"1\"", "true", "{}"];
    let windows = ["\"\"", "\"-1h\"", "\"0s\"", "\"1e9Y\"", "\"9999999999Y\"", "\"forever\"", "3600", "null", "{}"];
    let bodies = figures.map(budget).into_iter().chain(counts.map(limit)).chain(windows.map(window));
    let bodies: Vec<String> = bodies.chain([budget("0.0000000000001")]).collect();
    for path in owners() {
        for body in &bodies {
            let answer = send(&world, Method::PUT, path, body.as_str()).await;
            assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text);
            told(&answer);
        }
    }
    for weight in ["-1", "\"heavy\"", "1e-9", "1e300"] {
        let body = format!(r#"{{"weight":{weight}}}"#);
        let answer = send(&world, Method::PUT, "/api/providers/primary/keys/primary-key", body).await;
        assert_eq!(answer.status, 400, "{weight}: {}", answer.text);
    }
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn a_field_that_stands_there_twice_is_400_and_changes_nothing() {
    let world = world().await;
    let before = everything(&world).await;
    let twice = [
        ("/api/governance/virtual-keys/vk-agent", r#"{"is_active":true,"is_active":false}"#),
        ("/api/governance/teams/t", r#"{"budgets":[{"max_limit":1,"max_limit":9,"reset_duration":"1h"}]}"#),
        (
            "/api/providers/primary",
            r#"{"network_config":{"base_url":"http://127.0.0.1:1","max_retries":1,"max_retries":2}}"#,
        ),
        ("/api/providers/primary/keys/primary-key", r#"{"weight":1,"weight":0}"#),
        ("/api/config", r#"{"client_config":{"enforce_auth_on_inference":true,"enforce_auth_on_inference":false}}"#),
    ];
    for (path, body) in twice {
        let method = if path == "/api/config" { Method::PATCH } else { Method::PUT };
        let answer = send(&world, method, path, body).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        assert!(told(&answer).contains("duplicate field"), "{}", answer.text);
    }
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_and_a_stranger_may_send_less() {
    let world = World::start(|config| config["client"]["max_request_body_size_mb"] = json!(1)).await;
    let before = everything(&world).await;
    let large = |megabytes: usize| format!(r#"{{"description":"{}"}}"#, "x".repeat(megabytes << 20));
    let answer = send(&world, Method::PUT, "/api/governance/virtual-keys/vk-agent", large(1)).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (413, "request_too_large"), "{}", answer.text);
    told(&answer);
    let login = world.request(Method::POST, "/api/session/login");
    let answer = world.send(login.body(format!(r#"{{"username":"{}"}}"#, "x".repeat(16 << 10)))).await;
    assert_eq!((answer.status.as_u16(), answer.kind().as_str()), (413, "request_too_large"), "{}", answer.text);
    assert_eq!(everything(&world).await, before);
    // Ten of them are an administrator's to send, where requests may be as large.
    let world = World::start(|_| {}).await;
    let answer = send(&world, Method::PUT, "/api/governance/virtual-keys/vk-agent", large(10)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn ids_that_nobody_has_are_404_however_they_are_written() {
    let world = world().await;
    let before = everything(&world).await;
    for (edited, made) in EDITED {
        let list = if made.is_empty() { "/api/governance/providers" } else { made };
        for id in ["nobody", "a%2Fb", "%E4%B8%AD%F0%9F%94%91", "..%2F..", "%00", "'; DROP TABLE meters; --", "%25"] {
            let path = format!("{list}/{id}");
            for (method, body) in [(Method::GET, ""), (Method::PUT, "{}"), (Method::DELETE, "")] {
                let answer = send(&world, method.clone(), &path, body).await;
                assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
                told(&answer);
            }
        }
        // Bytes that are no text.
        let answer = send(&world, Method::GET, &format!("{list}/%FF"), "").await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        told(&answer);
        assert!(edited.starts_with(list));
    }
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn an_id_of_the_file_may_be_any_text() {
    let id = "team/42 中文 'x' %";
    let mut world = World::start(|config| {
        config["governance"]["teams"] = json!([{"id": id, "name": "evals"}]);
        config["governance"]["virtual_keys"][0]["team_id"] = json!(id);
    })
    .await;
    let path = "/api/governance/teams/team%2F42%20%E4%B8%AD%E6%96%87%20'x'%20%25";
    let name = "naïve\u{202e} 🔑 \\ \" \t";
    let renamed = json!({"name": name, "budgets": [{"max_limit": "number:0.00125", "reset_duration": "1h"}]});
    let answer = world.admin(Method::PUT, path, Some(&renamed)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["team"]["id"]), (200, &json!(id)), "{}", answer.text);
    world.kill_and_start().await;
    let team = world.admin(Method::GET, path, None).await.json()["team"].clone();
    assert_eq!((&team["name"], &team["virtual_key_count"]), (&json!(name), &json!(1)));
    assert_eq!(world.call().await.status, 200);
    assert_eq!(world.call().await.json()["error"]["entity"], name);
}

#[tokio::test]
async fn edits_of_one_entity_at_once_leave_one_of_them_whole() {
    let world = world().await;
    let path = "/api/governance/virtual-keys/vk-agent";
    let edit = |at: u64| {
        let limits = json!([{"request_max_limit": 100 + at, "request_reset_duration": format!("{}h", 1 + at % 3)}]);
        json!({"description": format!("edit {at}"), "rate_limits": limits})
    };
    let edits = (0..16).map(|at| {
        let request = world.request(Method::PUT, path).basic_auth("admin", Some("secret")).json(&edit(at));
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    });
    for answered in edits.collect::<Vec<_>>() {
        assert_eq!(answered.await.unwrap(), 200);
    }
    let agent = world.agent().await;
    let last: u64 = agent["description"].as_str().unwrap().strip_prefix("edit ").unwrap().parse().unwrap();
    let limits = agent["rate_limits"].as_array().unwrap();
    assert_eq!((limits.len(), &limits[0]["request_max_limit"]), (1, &json!(100 + last)));
    assert_eq!(limits[0]["request_reset_duration"], edit(last)["rate_limits"][0]["request_reset_duration"]);
    let listed = world.admin(Method::GET, "/api/governance/rate-limits", None).await;
    assert_eq!(listed.json()["count"], 1, "no edit has left another's limit behind");
    // Of several that want one name, one gets it.
    let made = (0..8).map(|_| {
        let body = json!({"name": "contested"});
        let request = world.request(Method::POST, "/api/governance/teams").basic_auth("admin", Some("secret"));
        tokio::spawn(async move { request.json(&body).send().await.unwrap().status().as_u16() })
    });
    let mut statuses = Vec::new();
    for answered in made.collect::<Vec<_>>() {
        statuses.push(answered.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
}
