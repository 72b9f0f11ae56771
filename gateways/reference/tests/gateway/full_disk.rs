//! A disk on which nothing more can be written: nobody spends what would be forgotten.

use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::json;

use crate::support::{Process, World, budget, command, until};

/// The gateway behind a limit for the size of its files, which it may learn of without being killed.
async fn world() -> World {
    let mut world = World::prepare(|config| {
        config["governance"]["budgets"] = json!([budget("b", "1", "1h", "vk-agent")]);
    })
    .await;
    world.write_config();
    let gateway = command(world.folder.path(), &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(gateway.get_program()).args(gateway.get_args());
    for (name, value) in gateway.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    world.process = Some(Process::launch(&mut shell).await.unwrap());
    world
}

/// From now on a file of the gateway's cannot be written beyond so many bytes.
fn room(world: &World, bytes: &str) {
    let gateway = world.process.as_ref().unwrap().id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &gateway, &format!("--fsize={bytes}:unlimited")]).status();
    assert!(limited.expect("prlimit is in util-linux").success());
}

async fn health(world: &World) -> u16 {
    world.send(world.request(Method::GET, "/health")).await.status.as_u16()
}

#[tokio::test]
async fn a_full_disk_refuses_calls_and_is_no_good_health_until_there_is_room() {
    let world = world().await;
    assert_eq!((health(&world).await, world.call().await.status.as_u16()), (200, 200));
    room(&world, "1");
    // What was asked a second ago may be said again.
    until(async || health(&world).await == 503).await;
    let api = world.send(world.request(Method::GET, "/api/openapi.json")).await.json();
    let ill = world.send(world.request(Method::GET, "/health")).await;
    assert_eq!(crate::answers::hold(&api, "get", "/health", &ill)["status"], "error");
    for _ in 0..3 {
        assert_eq!(health(&world).await, 503);
        let refused = world.call().await;
        assert_eq!((refused.status.as_u16(), refused.kind().as_str()), (503, "spend_not_recorded"), "{}", refused.text);
    }
    assert_eq!(world.upstream_calls(), 1, "nothing that would be forgotten is spent");
    room(&world, "unlimited");
    assert_eq!(world.call().await.status, 200);
    until(async || health(&world).await == 200).await;
    assert_eq!((world.upstream_calls(), world.spent().await, world.charged()), (2, "0.0025".into(), "0.0025".into()));
}
