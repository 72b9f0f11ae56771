//! The figures of the reference gateway and of the runner, measured by running the executable:
//! `cargo bench --bench figures`. Nothing here passes or fails; numbers depend on the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that prints a table"
)]

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// How often the gateway is killed.
const KILLS: u32 = 20;

fn main() {
    // `cargo test --benches` asks only whether this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let process = run(&[]);
    print("process, the whole catalogue", &process);
    let container = std::panic::catch_unwind(|| run(&["--runtime", "container", "--jobs", "1", "routing", "limits"]));
    match container {
        Ok(report) => {
            print("container, one case at a time", &report);
            println!("  {:<46}{:>12} ms", "a case, start and stop included (median)", median(&case_millis(&report)));
        }
        Err(_) => println!("\ncontainer: not measured, since no Docker daemon answers"),
    }
    println!("\n{KILLS} kills at random points of a run under load");
    let kills = run_in(&kill_folder(), &[]);
    let target = &kills["targets"][0];
    let lost: Vec<_> = facts(target, "spend lost on kill").collect();
    println!("  {:<46}{:>12}", "gateways killed and started again", lost.len());
    println!("  {:<46}{:>12}", "of them with lost spend", lost.iter().filter(|value| **value != "$0").count());
    println!("  {:<46}{:>12}", "verdict", target["conformance"].as_str().unwrap_or("-"));
}

fn run(arguments: &[&str]) -> Value {
    run_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

fn run_in(folder: &Path, arguments: &[&str]) -> Value {
    let out = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_probity"))
        .current_dir(folder)
        .args(["run", "--quiet", "--format", "json", "--out"])
        .arg(out.path())
        .args(arguments)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn print(title: &str, report: &Value) {
    let target = &report["targets"][0];
    println!("\n{title}");
    println!("  {:<46}{:>12} ms", "wall time", target["millis"]);
    println!("  {:<46}{:>12} MB", "peak memory of the runner", report["peak_memory_kib"].as_u64().unwrap_or(0) / 1024);
    println!("  {:<46}{:>12}", "verdict", target["conformance"].as_str().unwrap_or("-"));
    for fact in target["facts"].as_array().into_iter().flatten() {
        let name = fact["name"].as_str().unwrap_or_default();
        let case =
            fact["case"].as_str().filter(|case| !case.is_empty()).map_or(String::new(), |case| format!(" ({case})"));
        println!("  {:<46}{:>12}", format!("{name}{case}"), fact["value"].as_str().unwrap_or_default());
    }
}

fn facts<'a>(target: &'a Value, name: &'a str) -> impl Iterator<Item = &'a str> {
    let facts = target["facts"].as_array().into_iter().flatten();
    facts.filter(move |fact| fact["name"] == name).filter_map(|fact| fact["value"].as_str())
}

fn case_millis(report: &Value) -> Vec<u64> {
    let scenarios = report["targets"][0]["scenarios"].as_array().into_iter().flatten();
    scenarios
        .flat_map(|scenario| scenario["cases"].as_array().into_iter().flatten())
        .filter_map(|case| case["millis"].as_u64())
        .collect()
}

fn median(numbers: &[u64]) -> u64 {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

/// A catalogue of one scenario, whose cases kill the gateway after another number of calls each.
fn kill_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kills");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(folder.join("scenarios/kills")).unwrap();
    let points = (0..KILLS).map(|_| 1 + uuid::Uuid::new_v4().as_u128() % 300);
    let points = points.fold(String::new(), |mut text, point| {
        let _ = write!(text, "{point}, ");
        text
    });
    let scenario = KILL.replace("POINTS", points.trim_end_matches(", "));
    std::fs::write(folder.join("scenarios/kills/anywhere.yaml"), scenario).unwrap();
    let requirement = "requirements: [{ id: KILL-1, level: must, text: Nothing is lost, source: design }]\n";
    std::fs::write(folder.join("scenarios/requirements.yaml"), requirement).unwrap();
    let runner = format!("targets: [reference]\ngateways: {}\njobs: 2\n", root.join("gateways").display());
    std::fs::write(folder.join("runner.yaml"), runner).unwrap();
    folder
}

const KILL: &str = r#"
id: kills/anywhere
requirement: KILL-1
title: A gateway killed anywhere in traffic loses no spend
policy:
  virtual_keys:
    - name: agent
      budgets: [{ limit: $0.5, reset: 1h }]
steps:
  - restart:
      signal: kill
      during: { clients: 16, requests: 390, call: { as: agent } }
      after_calls: "{{ after }}"
  - call: { as: agent, times: 500, until_refused: true }
    expect:
      answers: { refused: 1 }
      overspend: { cap: $0.5, call: $0.00125, in_flight: 16 }
      usage: { agent: { at_least: charged } }
      fact: { spend lost on kill: spend_lost }
matrix:
  after: [POINTS]
"#;
