//! A virtual key without a value gets one, which is written down once.

use serde_json::Value;

use crate::startup::refusal;
use crate::support::World;

#[tokio::test]
async fn a_key_without_a_value_gets_one_that_only_the_owner_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = World::start(|config| {
        config["governance"]["virtual_keys"][0].as_object_mut().unwrap().remove("value");
    })
    .await;
    let path = world.folder.path().join("generated-keys.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let generated: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let value = generated["agent"].as_str().unwrap().to_owned();
    assert!(value.starts_with("sk-bf-"));
    assert_eq!(world.send(world.chat(&value, &crate::support::body())).await.status, 200);
    world.restart().await;
    assert_eq!(world.send(world.chat(&value, &crate::support::body())).await.status, 200);
}

#[tokio::test]
async fn values_that_were_generated_before_are_never_written_over() {
    let mut world = World::prepare(|config| {
        config["governance"]["virtual_keys"][0].as_object_mut().unwrap().remove("value");
    })
    .await;
    world.write_config();
    let path = world.folder.path().join("generated-keys.json");
    std::fs::write(&path, "{\"another\": \"sk-bf-1\"").unwrap();
    let line = refusal(world.folder.path()).await;
    assert!(line.contains("cannot write generated keys to DIR/generated-keys.json"), "{line}");
    std::fs::write(&path, "{\"another\": \"sk-bf-1\"}").unwrap();
    world.run(&[]).await;
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(kept["another"], "sk-bf-1");
    assert!(kept["agent"].as_str().unwrap().starts_with("sk-bf-"));
}
