//! A gateway that does nothing but what tests of a runtime need.

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    process::{self, ExitCode, Stdio},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, Query},
    http::StatusCode,
    routing::get,
};
use probity::runtime::{ContainerRuntime, Runtime};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::support;

/// `serve`, `mute` (never ready), `fail` (ends at once), `hold` (is itself a runner).
pub(crate) async fn run(mode: String) -> ExitCode {
    eprintln!("toy: {mode}");
    if mode == "hold" {
        return hold().await;
    }
    if let Ok(file) = env::var("TOY_PIDS") {
        note(&file, process::id());
        if env::var("TOY_CHILD").is_ok() {
            #[expect(clippy::zombie_processes, reason = "a test sees whether the runtime ends it")]
            let child = process::Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
            note(&file, child.id());
        }
    }
    if mode == "fail" {
        eprintln!("toy: no such key");
        return ExitCode::from(3);
    }
    let deaf = env::var("TOY_DEAF").is_ok();
    let mut term = signal(SignalKind::terminate()).unwrap();
    let listener = match TcpListener::bind(env::var("TOY_LISTEN").unwrap()).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("toy: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = if mode == "mute" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let stop = async move {
        loop {
            term.recv().await;
            eprintln!("toy: asked to stop");
            if !deaf {
                return;
            }
        }
    };
    tokio::select! {
        _ = axum::serve(listener, routes(status)) => {}
        () = stop => {}
    }
    ExitCode::SUCCESS
}

fn routes(health: StatusCode) -> Router {
    Router::new()
        .route("/health", get(move || async move { health }))
        .route("/files/{name}", get(|Path(name): Path<String>| async move { read(&name) }))
        .route("/append/{word}", get(|Path(word): Path<String>| async move { append(&word) }))
        .route("/fetch", get(|Query(at): Query<At>| async move { support::get(&at.url, "/").await }))
        .route("/env", get(|| async { env::vars().map(|(name, _)| name + " ").collect::<String>() }))
        .route("/crash", get(|| async { process::exit(3) as () }))
}

#[derive(serde::Deserialize)]
struct At {
    url: String,
}

fn data(name: &str) -> PathBuf {
    PathBuf::from(env::var("TOY_DATA").unwrap()).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(data(name)).unwrap_or_default()
}

fn append(word: &str) -> String {
    let words = format!("{}{word} ", read("words"));
    fs::write(data("words"), &words).unwrap();
    words
}

fn note(file: &str, pid: u32) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{pid}\n").as_bytes()).unwrap();
}

/// Starts a container, says so, and waits to be killed.
async fn hold() -> ExitCode {
    let runtime = ContainerRuntime::connect(&env::var("TOY_RUN").unwrap()).await.unwrap();
    let site = runtime.site(Some(&crate::container::launch())).await.unwrap();
    let _gateway = runtime.launch(site, crate::container::start("serve", &[])).await.unwrap();
    fs::write(env::var("TOY_HOLDS").unwrap(), "ready").unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    ExitCode::FAILURE
}
