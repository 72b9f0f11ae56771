//! The command line and its variables.

use std::process::Command;

use serde_json::json;

use crate::support::{World, command};

/// Asks for the health of whoever listens on this port: the exit code and what it says.
fn healthcheck(port: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_probity-reference"));
    check.arg("healthcheck").env_remove("APP_HOST").env_remove("BIFROST_HOST").env("APP_PORT", port);
    let output = check.envs(variables.iter().copied()).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

fn port_of(world: &World) -> String {
    world.url("").rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_healthcheck_says_whether_the_gateway_is_well() {
    let mut world = World::start(|_| {}).await;
    let port = port_of(&world);
    for host in ["127.0.0.1", "0.0.0.0", "localhost"] {
        assert_eq!(healthcheck(&port, &[("APP_HOST", host)]), (true, String::new()), "{host}");
    }
    assert!(healthcheck(&port, &[("APP_HOST", "no address")]).1.contains("`no address` is no address"));
    assert!(world.process.take().unwrap().terminate().await);
    let (is_well, problem) = healthcheck(&port, &[]);
    assert!(!is_well && problem.contains("does not answer"), "{problem}");
}

#[tokio::test]
async fn the_address_comes_from_app_host_else_from_bifrost_host() {
    let world = World::prepare(|_| {}).await;
    world.write_config();
    for (variables, problem) in [
        (vec![("BIFROST_HOST", "bifrosts")], "`bifrosts` is no address"),
        (vec![("APP_HOST", "apps"), ("BIFROST_HOST", "bifrosts")], "`apps` is no address"),
    ] {
        let output = command(world.folder.path(), &[]).envs(variables).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains(problem), "{stderr}");
    }
}

#[tokio::test]
async fn the_application_folder_is_bifrosts_in_the_users_configuration_folder() {
    let world = World::prepare(|config| config["version"] = json!(9)).await;
    let folder = world.folder.path().join("bifrost");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config.json"), world.config.to_string()).unwrap();
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_probity-reference"));
    gateway.env_remove("APP_DIR").env("UPSTREAM_KEY", "k").env("APP_PORT", "0");
    let variable = if cfg!(target_os = "macos") { "HOME" } else { "XDG_CONFIG_HOME" };
    let output = gateway.env(variable, world.folder.path()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    // It was found there: it says what is wrong with it.
    assert!(cfg!(target_os = "macos") || stderr.contains("version: 9 is neither 1 nor 2"), "{stderr}");
}

#[tokio::test]
async fn log_level_and_log_style_can_be_variables() {
    let world = World::prepare(|_| {}).await;
    world.write_config();
    for (variable, value) in [("LOG_LEVEL", "loud"), ("LOG_STYLE", "prose")] {
        let mut gateway = Command::new(env!("CARGO_BIN_EXE_probity-reference"));
        let output = gateway.arg("-app-dir").arg(world.folder.path()).env(variable, value).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains(&format!("'{value}'")), "{stderr}");
    }
}
