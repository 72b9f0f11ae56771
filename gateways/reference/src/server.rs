//! The routes, the accept loop and its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use axum::serve::ListenerExt as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::admin;
use crate::errors::{About, Problem, Wording};
use crate::gateway::Gateway;
use crate::inference::{self, Route};

/// How long requests on their way may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(5);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Serves until `stop`, then takes no more connections and waits for requests on
/// their way, for at most [`DRAIN`].
pub(crate) async fn run(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%error, "a connection without TCP_NODELAY");
        }
    });
    let (stopping, stopped) = oneshot::channel();
    let signal = async move {
        stop.await;
        // The receiver lives until the server is done.
        let _ = stopping.send(());
    };
    let router = router(Arc::clone(&gateway));
    let serving = async { axum::serve(listener, router).with_graceful_shutdown(signal).await };
    let deadline = async {
        // The sender is dropped only after it has sent.
        let _ = stopped.await;
        tokio::time::sleep(DRAIN).await;
    };
    let draining = async {
        serving.await?;
        gateway.inflight.none().await;
        Ok(())
    };
    tokio::select! {
        outcome = draining => outcome,
        () = deadline => {
            tracing::warn!("requests were still on their way when the time to stop was over");
            Ok(())
        }
    }
}

fn router(gateway: Arc<Gateway>) -> Router {
    let inference = Router::new()
        .route("/v1/chat/completions", infer(Route::ChatCompletions))
        .route("/v1/completions", infer(Route::Completions))
        .route("/v1/responses", infer(Route::Responses))
        .route("/v1/embeddings", infer(Route::Embeddings))
        .route("/v1/models", get(models));
    Router::new()
        .merge(inference.clone())
        .nest("/openai", inference)
        .route("/anthropic/v1/messages", infer(Route::Messages))
        .merge(admin::routes(gateway.has_test_clock))
        .route("/health", get(health))
        .route("/api/version", get(version))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(echo_request_id))
        .with_state(gateway)
}

/// The handler of an inference route.
fn infer(route: Route) -> MethodRouter<Arc<Gateway>> {
    post(move |State(gateway): State<Arc<Gateway>>, headers: HeaderMap, body: Body| {
        inference::handle(gateway, route, headers, body)
    })
}

async fn models(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    inference::list_models(&gateway, &headers)
}

async fn health() -> Response {
    Json(json!({ "status": "ok", "components": { "db_pings": "disabled" } })).into_response()
}

async fn version() -> Response {
    Json(json!(concat!("v", env!("CARGO_PKG_VERSION")))).into_response()
}

async fn not_found(uri: Uri) -> Response {
    let message = format!("Route not found: {}", uri.path());
    let problem = Problem::failure(StatusCode::NOT_FOUND, "not_found", message);
    let is_anthropic = uri.path().starts_with("/anthropic");
    let wording = if is_anthropic { Wording::Anthropic } else { Wording::Native };
    problem.render(wording, &About::default())
}

/// A caller's `x-request-id` comes back, and means nothing else.
async fn echo_request_id(request: HttpRequest, next: Next) -> Response {
    let id: Option<HeaderValue> = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
