//! Gateways that somebody else runs.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use libtest_mimic::Trial;
use probity::{
    runtime::{ExternalRuntime, Login, Runtime, RuntimeError},
    scenario::step::Signal,
};
use tokio::net::TcpListener;

use crate::support::{self, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("external: a gateway that runs is found ready, and cannot be stopped", runs),
        trial("external: a gateway that does not run is reported", does_not_run),
    ]
}

fn at(url: &str) -> ExternalRuntime {
    let login = Login { username: "admin".to_owned(), password: String::new() };
    ExternalRuntime::new(url, SocketAddr::from(([127, 0, 0, 1], 9000)), login).unwrap()
}

async fn runs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/health", get(|| async {}));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let runtime = at(&url);
    let site = runtime.site(None).await.unwrap();
    let mut gateway = runtime.launch(site, support::start("", &[])).await.unwrap();
    assert_eq!(gateway.base_url(), url);
    let error = gateway.stop(Signal::Term).await.unwrap_err();
    assert_eq!(error.to_string(), "the runtime `external` cannot stop a gateway");
    let error = gateway.start_again(Vec::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the runtime `external` cannot start a gateway again");
    gateway.discard().await;
}

async fn does_not_run() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let runtime = at(&format!("http://{unused}"));
    let site = runtime.site(None).await.unwrap();
    let mut start = support::start("", &[]);
    start.ready_within = Duration::from_millis(100);
    let error = runtime.launch(site, start).await.err().expect("it was ready");
    let RuntimeError::NeverReady { last, .. } = &error else { panic!("{error}") };
    assert!(last.contains("refused"), "{error}");
}
