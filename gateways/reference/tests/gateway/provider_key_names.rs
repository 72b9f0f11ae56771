//! How a provider's keys are called: lists of keys name them by id or by name.

use reqwest::Method;
use serde_json::json;

use crate::support::{Process, World};

#[tokio::test]
async fn no_key_is_called_as_another_one_is_known() {
    let mut world = World::start(|config| {
        config["providers"]["primary"]["keys"] = json!([{"id": "one", "name": "a", "value": "env.UPSTREAM_KEY"}]);
    })
    .await;
    let path = "/api/providers/primary/keys";
    let both = "a list of keys that says so would mean both";
    let made = json!({"name": "one", "value": "env.UPSTREAM_KEY"});
    let answer = world.admin(Method::POST, path, Some(&made)).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.text.contains(&format!("is the id of the key `a`: {both}")), "{}", answer.text);
    let second = json!({"name": "b", "value": "env.UPSTREAM_KEY"});
    let second = world.admin(Method::POST, path, Some(&second)).await.json();
    let second = format!("{path}/{}", second["id"].as_str().unwrap());
    let renamed = world.admin(Method::PUT, &second, Some(&json!({"name": "one"}))).await;
    assert_eq!(renamed.status, 400, "{}", renamed.text);
    assert_eq!(world.admin(Method::GET, path, None).await.json()["total"], 2);
    // Its own id may be its name; one that is disabled is known all the same.
    assert!(world.process.take().unwrap().terminate().await);
    let own = json!({"id": "a", "name": "a", "value": "env.UPSTREAM_KEY", "enabled": false});
    let other = json!({"id": "b", "name": "one", "value": "env.UPSTREAM_KEY"});
    for (keys, expected) in [
        (json!([own, {"id": "a", "name": "c", "value": "k"}]), "keys[1].id: `a` stands there twice".to_owned()),
        (
            json!([own, {"id": "one", "name": "b", "value": "k"}, other]),
            "keys[2].id: `b`, the id of the key `one`, is the name of the key with the id `one`: ".to_owned() + both,
        ),
        (
            json!([{"id": "one", "name": "b", "value": "k", "enabled": false}, {"name": "one", "value": "k"}]),
            "keys[1].id: `one` stands there twice".to_owned(),
        ),
        (
            json!([{"id": "one", "name": "b", "value": "k"}, {"id": "two", "name": "one", "value": "k"}]),
            "keys[1].name: `one`, the name of the key with the id `two`, is the id of the key `b`: ".to_owned() + both,
        ),
    ] {
        world.config["providers"]["primary"]["keys"] = keys;
        world.write_config();
        let Err(line) = Process::start(world.folder.path(), &[]).await else { panic!("it started") };
        assert!(line.contains(&format!("providers.primary.{expected}")), "{line}");
    }
}
