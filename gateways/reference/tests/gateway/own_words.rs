//! A provider that answers in a test's own words: what the mock does not say.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{World, budget};

/// The address of a provider that answers every call so.
pub(crate) async fn says(status: u16, body: &Value) -> SocketAddr {
    let (status, body) = (StatusCode::from_u16(status).unwrap(), body.to_string());
    serve(Router::new().fallback(async move || (status, [(header::CONTENT_TYPE, "application/json")], body))).await
}

/// The same with a stream of events.
pub(crate) async fn streams(events: &str) -> SocketAddr {
    let events = events.to_owned();
    serve(Router::new().fallback(async move || ([(header::CONTENT_TYPE, "text/event-stream")], events))).await
}

/// What a provider answers: a status, the type of its body, and that.
pub(crate) type Answers = (StatusCode, &'static str, String);

/// The address of a provider that answers as it was last told to.
pub(crate) async fn as_told() -> (SocketAddr, watch::Sender<Answers>) {
    let (tell, told) = watch::channel((StatusCode::OK, "application/json", String::new()));
    let answer = async move || {
        let (status, kind, body) = told.borrow().clone();
        (status, [(header::CONTENT_TYPE, kind)], body)
    };
    (serve(Router::new().fallback(answer)).await, tell)
}

/// A provider whose streams begin so, and then go on with comments for ever.
pub(crate) async fn hangs_behind_comments(events: &'static str) -> SocketAddr {
    let hang = async move || {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        pace.tick().await;
        let pieces = stream::unfold((events, pace), async |(piece, mut pace)| {
            pace.tick().await;
            Some((Ok::<_, std::convert::Infallible>(piece), (": wait\n\n", pace)))
        });
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(pieces))
    };
    serve(Router::new().fallback(hang)).await
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A world of providers of this kind, with a budget of a hundred dollars, in which `primary` is at
/// this address; the others are the mock.
pub(crate) async fn world(base: &str, primary: SocketAddr, edit: impl FnOnce(&mut Value)) -> World {
    World::start(|config| {
        for provider in ["primary", "second", "third"] {
            config["providers"][provider]["custom_provider_config"]["base_provider_type"] = json!(base);
        }
        config["providers"]["primary"]["network_config"]["base_url"] = json!(format!("http://{primary}"));
        config["governance"]["budgets"] = json!([budget("b", "100", "1h", "vk-agent")]);
        edit(config);
    })
    .await
}
