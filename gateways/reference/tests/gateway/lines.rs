//! The gateway's own log: one JSON line for each request, at `info`.

use std::fs::File;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{KEY, PROMPT, Process, World, body, command, until};

#[tokio::test]
async fn each_request_is_one_line_with_its_cost_and_without_what_was_said() {
    let mut world = World::prepare(|_| {}).await;
    world.write_config();
    let path = world.folder.path().join("stderr.log");
    let mut command = command(world.folder.path(), &["-log-level", "info", "-log-style", "json"]);
    command.stderr(Stdio::from(File::create(&path).unwrap()));
    world.process = Some(Process::launch(&mut command).await.unwrap());
    let answer = world.send(world.chat(KEY, &body()).header("x-request-id", "mine-1")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.send(world.chat("sk-wrong", &body())).await.status, 401);

    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.map(|line: Value| line["fields"].clone()).filter(|fields| fields["message"] == "request").collect()
    };
    until(async || {
        tokio::task::yield_now().await;
        lines().len() == 2
    })
    .await;
    let all = lines();
    for (name, value) in [
        ("request_id", "mine-1"),
        ("route", "/v1/chat/completions"),
        ("status", "success"),
        ("provider", "primary"),
        ("model", "mock-1"),
        ("virtual_key_id", "vk-agent"),
        ("cost", "0.00125"),
    ] {
        assert_eq!(all[0][name], value, "{name}");
    }
    assert_eq!((&all[0]["input_tokens"], &all[0]["status_code"]), (&Value::from(100), &Value::from(200)));
    assert_eq!((&all[1]["error_type"], &all[1]["cost"]), (&Value::from("virtual_key_not_found"), &Value::from("0")));
    let text = std::fs::read_to_string(&path).unwrap();
    let said = answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    for secret in [KEY, PROMPT, said.as_str()] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}
