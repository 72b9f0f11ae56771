//! A hundred thousand virtual keys: what the start, the memory and a call cost.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mock_upstream::{Script, Upstream};
use serde_json::{Value, json};

use crate::{
    client::{Call, Sample, load},
    subject::body,
    table::{self, percentile},
};

const KEYS: usize = 100_000;
const ROUNDS: u32 = 5;

/// Measures, and prints a table.
pub async fn measure() {
    let upstream = Upstream::start(([127, 0, 0, 1], 0).into(), Script::usual()).await.unwrap();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let counts = [1, KEYS];
    for (folder, count) in folders.iter().zip(counts) {
        std::fs::write(folder.path().join("config.json"), config(&upstream, count).to_string()).unwrap();
    }
    let first: Vec<_> = folders.iter().map(|folder| Process::start(folder.path())).collect();
    let first_start: Vec<_> = first.iter().map(|process| process.ready.as_millis()).collect();
    first.into_iter().for_each(Process::stop);
    let running: Vec<_> = folders.iter().map(|folder| Process::start(folder.path())).collect();
    let mut samples = [Sample::default(), Sample::default()];
    for _ in 0..ROUNDS {
        for ((process, count), sample) in running.iter().zip(counts).zip(&mut samples) {
            sample.add(load(&call(process.address, count - 1), 1, Duration::from_secs(1)).await);
            upstream.clear();
        }
    }
    let rows = (0..counts.len()).map(|index| {
        vec![
            counts[index].to_string(),
            format!("{} ms", first_start[index]),
            format!("{} ms", running[index].ready.as_millis()),
            format!("{} MB", running[index].peak_memory_mb()),
            table::millis(percentile(&samples[index].whole, 50)),
            table::millis(percentile(&samples[index].whole, 99)),
        ]
    });
    let head = ["virtual keys", "first start", "start again", "peak memory", "call, median", "call, p99"];
    table::print("Many virtual keys, each with a budget and two limits", &head, rows.collect());
    running.into_iter().for_each(Process::stop);
    upstream.stop().await;
}

fn call(address: SocketAddr, key: usize) -> Call {
    Call { address, path: "/v1/chat/completions".to_owned(), credential: ("x-bf-vk", value(key)), body: body(false) }
}

fn value(key: usize) -> String {
    format!("sk-bf-bench-{key}")
}

fn config(upstream: &Upstream, keys: usize) -> Value {
    let address = upstream.addr();
    let virtual_key = |key: usize| {
        json!({
            "id": format!("vk-{key}"),
            "name": format!("agent-{key}"),
            "value": value(key),
            "budgets": [{ "max_limit": 1000, "reset_duration": "1h" }],
            "rate_limit": {
                "request_max_limit": 1_000_000, "request_reset_duration": "1h",
                "token_max_limit": 1_000_000_000, "token_reset_duration": "1h",
            },
            "provider_configs": [{ "provider": "primary", "weight": 1, "allowed_models": ["*"] }],
        })
    };
    json!({
        "client": { "enforce_auth_on_inference": true },
        "framework": { "pricing": { "pricing_url": format!("http://{address}/_mock/prices/bifrost.json") } },
        "providers": { "primary": {
            "keys": [{ "name": "primary", "value": "upstream-key", "models": ["*"], "weight": 1 }],
            "network_config": { "base_url": format!("http://{address}/primary"), "allow_private_network": true },
            "custom_provider_config": { "base_provider_type": "openai" },
        } },
        "governance": { "virtual_keys": (0..keys).map(virtual_key).collect::<Vec<_>>() },
    })
}

/// A gateway process.
struct Process {
    child: Child,
    address: SocketAddr,
    ready: Duration,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_probity"))
            .args(["serve", "reference", "-port", "0", "-log-level", "warn", "-app-dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = began.elapsed();
        let address = line.trim().strip_prefix("listening on http://").expect("it must listen").parse().unwrap();
        Self { child, address, ready }
    }

    fn peak_memory_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or_default() / 1024
    }

    fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}
