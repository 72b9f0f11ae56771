//! Entities that the file and the management API both speak of, and limits that are made again.

use reqwest::Method;
use serde_json::json;

use crate::entities::{AGENT, TEAMS, budget, call, delete, get, ok, put, refused};
use crate::support::{KEY, Process, World, body};

#[tokio::test]
async fn a_team_of_the_file_that_was_deleted_comes_back_whole_when_the_file_changes_it() {
    let mut world = World::start(|config| {
        config["governance"]["teams"] = json!([{"id": "t", "name": "evals", "budgets": budget("0.0025")}]);
        config["governance"]["virtual_keys"][0]["team_id"] = json!("t");
    })
    .await;
    for expected in [ok(), ok(), refused("team")] {
        assert_eq!(call(&world, KEY).await, expected);
    }
    assert_eq!(delete(&world, &format!("{TEAMS}/t")).await.status, 200);
    assert_eq!(call(&world, KEY).await, ok());
    world.restart().await;
    assert_eq!(call(&world, KEY).await, ok());
    // Another name: with it come back its budget, what was spent, and its key.
    world.config["governance"]["teams"][0]["name"] = json!("evaluations");
    world.restart().await;
    assert_eq!(call(&world, KEY).await, refused("team"));
}

#[tokio::test]
async fn an_edit_of_a_team_of_the_file_holds_until_the_file_changes_it() {
    let mut world = World::start(|config| {
        config["governance"]["teams"] = json!([{"id": "t", "name": "evals", "budgets": budget("0.00125")}]);
        config["governance"]["virtual_keys"][0]["team_id"] = json!("t");
    })
    .await;
    let path = format!("{TEAMS}/t");
    put(&world, &path, json!({"name": "edited", "budgets": budget("0.0025")})).await;
    world.kill_and_start().await;
    for expected in [ok(), ok(), refused("team")] {
        assert_eq!(call(&world, KEY).await, expected);
    }
    let answer = world.send(world.chat(KEY, &body())).await;
    assert_eq!(answer.json()["error"]["entity"], "edited");
    world.config["governance"]["teams"][0]["budgets"] = budget("0.00375");
    world.restart().await;
    assert_eq!(get(&world, &path).await["team"]["name"], "edited");
    for expected in [ok(), refused("team")] {
        assert_eq!(call(&world, KEY).await, expected);
    }
}

#[tokio::test]
async fn a_limit_that_is_made_again_is_not_the_one_that_a_request_still_holds() {
    let world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["rate_limit"] = json!({
            "id": "r", "request_max_limit": 9, "request_reset_duration": "1h",
            "token_max_limit": 9999, "token_reset_duration": "1h",
        });
    })
    .await;
    world.model(&json!({"latency": {"first_byte": "500ms"}}));
    let running = tokio::spawn(world.chat(KEY, &body()).send());
    assert!(world.upstream.wait_until(|ledger| ledger.open() == 1, crate::support::DEADLINE).await);
    let requests = json!({"id": "r", "request_max_limit": 9, "request_reset_duration": "1h"});
    put(&world, AGENT, json!({"rate_limits": [requests]})).await;
    put(&world, AGENT, json!({"rate_limit": {"token_max_limit": 9999, "token_reset_duration": "1h"}})).await;
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
    let limit = world.agent().await["rate_limit"].clone();
    assert_eq!((&limit["request_current_usage"], &limit["token_current_usage"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_limit_that_is_made_again_survives_a_restart_and_the_files_own_does_not_come_back() {
    let mut world = World::start(|config| {
        config["governance"]["virtual_keys"][0]["rate_limit"] = json!({
            "id": "r", "request_max_limit": 9, "request_reset_duration": "1h",
            "token_max_limit": 1, "token_reset_duration": "1h",
        });
    })
    .await;
    let requests = json!({"id": "r", "request_max_limit": 9, "request_reset_duration": "1h"});
    put(&world, AGENT, json!({"rate_limits": [requests]})).await;
    put(&world, AGENT, json!({"rate_limit": {"token_max_limit": 9999, "token_reset_duration": "1d"}})).await;
    for _ in 0..2 {
        let limit = world.agent().await["rate_limit"].clone();
        assert_eq!((&limit["token_max_limit"], &limit["token_reset_duration"]), (&json!(9999), &json!("1d")));
        world.restart().await;
    }
    for _ in 0..2 {
        assert_eq!(call(&world, KEY).await, ok());
    }
}

#[tokio::test]
async fn an_entity_of_the_file_that_was_made_through_the_api_meanwhile_is_named_with_its_place() {
    let mut world = World::start(|config| {
        for section in ["customers", "teams"] {
            config["governance"][section] = json!([{"name": "first"}]);
        }
        config["governance"]["model_configs"] = json!([{"model_name": "first"}]);
    })
    .await;
    // The file calls each by a variable.
    let named = || json!({"name": "env.OPENAI_API_KEY"});
    let model = json!({"model_name": "env.OPENAI_API_KEY", "provider": "primary"});
    let kinds = [
        ("customers", "customer 'openai-key'", "'openai-key'", json!({"name": "openai-key"}), named()),
        ("teams", "team 'openai-key'", "'openai-key'", json!({"name": "openai-key"}), named()),
        ("virtual_keys", "virtual key 'openai-key'", "'openai-key'", json!({"name": "openai-key"}), named()),
        (
            "model_configs",
            "model configuration 'primary/openai-key'",
            "'primary/OpenAI-key'",
            json!({"model_name": "OpenAI-key", "provider": "primary"}),
            model,
        ),
    ];
    for (section, _, _, made, _) in &kinds {
        let path = format!("/api/governance/{}", section.replace('_', "-"));
        let made = world.admin(Method::POST, &path, Some(made)).await;
        assert_eq!(made.status, 200, "{section}: {}", made.text);
    }
    assert!(world.process.take().unwrap().terminate().await);
    let config = world.config.clone();
    for (section, declared, saved, _, entity) in kinds {
        world.config = config.clone();
        world.config["governance"][section].as_array_mut().unwrap().push(entity.clone());
        world.write_config();
        let text = std::fs::read_to_string(world.folder.path().join("config.json")).unwrap();
        let column = text.find(&entity.to_string()).unwrap() + 1;
        let Err(line) = Process::start(world.folder.path(), &[]).await else { panic!("it started with {section}") };
        let problem = format!("the {declared} of config.json has the same name as {saved}");
        assert!(line.contains(&format!("config.json:1:{column}: governance.{section}[1]: {problem}")), "{line}");
    }
}

#[tokio::test]
async fn an_entity_of_the_file_cannot_have_the_name_that_the_api_gave_another() {
    let mut world = World::start(|config| {
        config["governance"]["teams"] = json!([{"id": "t", "name": "evals"}]);
    })
    .await;
    put(&world, &format!("{TEAMS}/t"), json!({"name": "nightly"})).await;
    put(&world, AGENT, json!({"name": "robot"})).await;
    assert!(world.process.take().unwrap().terminate().await);
    let config = world.config.clone();
    for (section, name, noun) in [("teams", "nightly", "team"), ("virtual_keys", "robot", "virtual key")] {
        world.config = config.clone();
        world.config["governance"][section].as_array_mut().unwrap().insert(0, json!({"name": name}));
        world.write_config();
        let Err(line) = Process::start(world.folder.path(), &[]).await else { panic!("it started with {section}") };
        let problem = format!("the {noun} '{name}' of config.json has the same name as '{name}'");
        assert!(line.contains(&format!("governance.{section}[0]: {problem}")), "{line}");
    }
}
