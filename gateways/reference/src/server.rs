//! The routes, and what holds for each of them.

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
use serde_json::json;
use tokio::net::TcpListener;

use crate::admin;
use crate::config::ServerLimits;
use crate::errors::{About, Problem, Wording};
use crate::gateway::Gateway;
use crate::inference::{self, Route};
use crate::{listen, slow_body};

/// How long the database may take to answer a ping.
const PING: Duration = Duration::from_secs(2);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Serves until `stop`, then ends as [`listen::serve`] says.
pub(crate) async fn run(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    limits: &ServerLimits,
    stop: impl Future<Output = ()>,
) {
    let router = router(Arc::clone(&gateway), limits.body_timeout);
    listen::serve(listener, router, limits, stop, gateway.inflight.none()).await;
}

fn router(gateway: Arc<Gateway>, body_timeout: Duration) -> Router {
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
        .layer(middleware::map_request(move |request: HttpRequest| async move {
            request.map(|body| slow_body::in_time(body, body_timeout))
        }))
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

/// Says whether the gateway can do its work, which it cannot without its database.
async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    let body = |status: &str, pings: &str| Json(json!({ "status": status, "components": { "db_pings": pings } }));
    if gateway.client().pings_disabled {
        return body("ok", "disabled").into_response();
    }
    match tokio::time::timeout(PING, gateway.books.ping()).await {
        Ok(Ok(())) => body("ok", "ok").into_response(),
        Ok(Err(_)) | Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, body("error", "config store not available")).into_response()
        }
    }
}

async fn version() -> Response {
    Json(json!(concat!("v", env!("CARGO_PKG_VERSION")))).into_response()
}

async fn not_found(uri: Uri) -> Response {
    let message = format!("Route not found: {}", uri.path());
    let problem = Problem::failure(StatusCode::NOT_FOUND, "not_found", message);
    problem.render(wording(uri.path()), &About::default())
}

/// Whose errors a caller of this path expects.
fn wording(path: &str) -> Wording {
    if path.starts_with("/anthropic") { Wording::Anthropic } else { Wording::Native }
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
