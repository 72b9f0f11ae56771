//! The JSON Schema of `config.json`: made from the types, checked in, and of one mind with
//! the gateway.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{World, command};

/// What the command prints.
fn printed() -> Value {
    let output = command(Path::new("unused"), &["schema"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_schema_that_is_checked_in_is_the_one_of_the_types() {
    let known: Value = serde_json::from_str(include_str!("../../config.schema.json")).unwrap();
    assert!(printed() == known, "run `probity-reference schema > gateways/reference/config.schema.json`");
}

#[tokio::test]
async fn it_accepts_what_the_gateway_accepts_and_refuses_typos() {
    let schema = jsonschema::validator_for(&printed()).unwrap();
    let world = World::prepare(|config| {
        config["$schema"] = json!("config.schema.json");
        config["client"]["budget_admission"] = json!("env.ADMISSION");
        config["governance"]["virtual_keys"][0]["budgets"] =
            json!([{"max_limit": 0.005, "reset_duration": "env.WINDOW"}]);
    })
    .await;
    let errors: Vec<String> = schema.iter_errors(&world.config).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let edits: [fn(&mut Value); 5] = [
        |config| config["clint"] = json!({}),
        |config| config["client"]["budget_admission"] = json!("postpaid"),
        |config| config["providers"]["primary"]["keys"][0]["wight"] = json!(1),
        |config| config["governance"]["virtual_keys"][0]["budgets"][0]["reset_duration"] = json!("soon"),
        |config| config["governance"]["virtual_keys"][0]["budgets"][0]["max_limit"] = json!("0.005"),
    ];
    for edit in edits {
        let mut config = world.config.clone();
        edit(&mut config);
        assert!(!schema.is_valid(&config), "{config}");
    }
}
