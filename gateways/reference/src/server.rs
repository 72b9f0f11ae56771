//! The routes, and what holds for each of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, RawQuery, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::admin;
use crate::config::ServerLimits;
use crate::errors::{About, Problem, Wording};
use crate::gateway::Gateway;
use crate::inference::{self, Asked, Route};
use crate::listen::{self, ListenError};
use crate::routes::{Answer, Method, Methods, Routes, Served, get, post};
use crate::telemetry::{Answered, Telemetry};
use crate::{openapi, slow_body};

/// How long the database may take to answer a ping.
const PING: Duration = Duration::from_secs(2);
/// Where the API's description is.
const OPENAPI: &str = "/api/openapi.json";
/// The provider that serves Azure's paths, by Bifrost's name for it.
const AZURE: &str = "azure";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Serves until `stop`, then ends as [`listen::serve`] says.
pub(crate) async fn run(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    limits: ServerLimits,
    stop: impl Future<Output = ()>,
) -> Result<(), ListenError> {
    let router = router(Arc::clone(&gateway), limits.body_timeout);
    listen::serve(listener, router, gateway, limits, stop).await
}

/// Everything that is served but the description of it.
fn routes(has_test_clock: bool) -> Routes {
    let inference = inference_routes();
    Routes::new()
        .merge(inference.clone())
        .nest("/litellm", inference.clone())
        .nest("/langchain", inference)
        .merge(admin::routes(has_test_clock))
        .route("/health", get(health).answering::<Health>().with(&[StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]))
        .route("/api/version", get(version).answering::<String>())
}

/// The description of what is served, itself included.
fn description(routes: &Routes) -> Value {
    let method = Method { answer: Answer::json::<Map<String, Value>>(), ..Method::named("get") };
    let own = Served { path: OPENAPI.to_owned(), method };
    let table: Vec<Served> = routes.table().iter().cloned().chain([own]).collect();
    openapi::document(&table)
}

/// The description of what a gateway serves that is no test's.
pub(crate) fn api() -> Value {
    description(&routes(false))
}

fn router(gateway: Arc<Gateway>, body_timeout: Duration) -> Router {
    let routes = routes(gateway.has_test_clock);
    let description = Bytes::from(description(&routes).to_string());
    let described = move || {
        let description = description.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], description) }
    };
    let telemetry = Arc::clone(&gateway.telemetry);
    let around_each = Around { body_timeout, aside: Handle::current(), telemetry };
    let router = routes.route(OPENAPI, get(described)).into_router();
    router
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(around_each, around))
        .with_state(gateway)
}

/// Every protocol's routes, each under its own prefix; OpenAI's also without one.
fn inference_routes() -> Routes {
    let of_openai = Routes::new()
        .route("/chat/completions", infer(Route::ChatCompletions))
        .route("/completions", infer(Route::Completions))
        .route("/responses", infer(Route::Responses))
        .route("/embeddings", infer(Route::Embeddings))
        .route("/images/generations", infer(Route::Images))
        .route("/audio/speech", infer(Route::Speech))
        .route("/audio/transcriptions", infer(Route::Transcriptions))
        .route("/models", models(Wording::Native));
    // Clients differ in whether their base URL ends with the version.
    let openai = Routes::new().nest("/v1", of_openai.clone());
    let unversioned = of_openai;
    let anthropic = Routes::new()
        .route("/v1/messages", infer(Route::Messages))
        .route("/v1/messages/count_tokens", infer(Asked::message_tokens()))
        .route("/v1/models", models(Wording::Anthropic));
    let gemini = Routes::new()
        .route("/v1beta/models", models(Wording::Gemini))
        .route("/v1beta/models/{*rest}", post(of_gemini).answering_what(inference::gemini_answers));
    openai
        .clone()
        .nest("/openai", openai)
        .nest("/openai", unversioned)
        .nest("/openai/deployments/{deployment}", azure_routes())
        .nest("/anthropic", anthropic)
        .nest("/genai", gemini)
}

/// Azure's routes, whose path names the model: they are those of the clients made for it.
fn azure_routes() -> Routes {
    let routes = [
        ("/chat/completions", Route::ChatCompletions),
        ("/completions", Route::Completions),
        ("/embeddings", Route::Embeddings),
        ("/images/generations", Route::Images),
        ("/audio/speech", Route::Speech),
        ("/audio/transcriptions", Route::Transcriptions),
    ];
    routes.into_iter().fold(Routes::new(), |table, (path, route)| table.route(path, of_deployment(route)))
}

/// The handler of a route of Azure's: the provider `azure` serves it, where there is one.
fn of_deployment(route: Route) -> Methods {
    let handler =
        move |State(gateway): State<Arc<Gateway>>, Path(deployment): Path<String>, headers: HeaderMap, body: Body| {
            let has_azure = gateway.providers().contains_key(AZURE);
            let model = if has_azure { format!("{AZURE}/{deployment}") } else { deployment };
            inference::handle(gateway, Asked { model: Some(model), ..route.into() }, headers, body)
        };
    post(handler).answering_what(inference::answers(&route.into()))
}

/// The handler of an inference route.
fn infer(asked: impl Into<Asked>) -> Methods {
    let asked = asked.into();
    let content = inference::answers(&asked);
    let handler = move |State(gateway): State<Arc<Gateway>>, headers: HeaderMap, body: Body| {
        inference::handle(gateway, asked.clone(), headers, body)
    };
    post(handler).answering_what(content)
}

/// The handler of Gemini's routes, which name model and action in the path.
async fn of_gemini(
    State(gateway): State<Arc<Gateway>>,
    Path(rest): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match Asked::of_gemini(&rest, query.as_deref()) {
        Some(asked) => inference::handle(gateway, asked, headers, body).await,
        None => not_found(&format!("/genai/v1beta/models/{rest}")),
    }
}

/// The handler of a list of models.
fn models(wording: Wording) -> Methods {
    let handler = async move |State(gateway): State<Arc<Gateway>>, headers: HeaderMap| {
        inference::list_models(&gateway, &headers, wording)
    };
    get(handler).answering_what(inference::object)
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Health {
    /// `ok` or `error`.
    status: &'static str,
    components: Components,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Components {
    /// `ok`, `disabled`, or what is wrong.
    db_pings: &'static str,
}

/// Says whether the gateway can do its work, which it cannot without its database.
async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    let body = |status, db_pings| Json(Health { status, components: Components { db_pings } });
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
    Json(concat!("v", env!("CARGO_PKG_VERSION"))).into_response()
}

async fn unknown(uri: Uri) -> Response {
    not_found(uri.path())
}

fn not_found(path: &str) -> Response {
    let problem = Problem::failure(StatusCode::NOT_FOUND, "not_found", format!("Route not found: {path}"));
    problem.render(wording(path), &About::default())
}

/// Whose errors a caller of this path expects.
fn wording(path: &str) -> Wording {
    let prefixes = ["/litellm", "/langchain"];
    let path = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
    match path {
        path if path.starts_with("/anthropic/") => Wording::Anthropic,
        path if path.starts_with("/genai/") => Wording::Gemini,
        _ => Wording::Native,
    }
}

/// What is done around every request.
#[derive(Clone)]
struct Around {
    body_timeout: Duration,
    /// Runs what may take its time.
    aside: Handle,
    telemetry: Arc<Telemetry>,
}

/// Whatever is asked for is answered, and counted.
async fn around(State(around): State<Around>, request: HttpRequest, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, request_bytes) = (request.method().clone(), request.body().size_hint().exact());
    let response = answered(&around, request, next).await;
    around.telemetry.answered(&Answered {
        route: route.as_ref().map(MatchedPath::as_str),
        method: &method,
        status: response.status().as_u16(),
        duration: began.elapsed(),
        request_bytes,
        response_bytes: response.body().size_hint().exact(),
    });
    response
}

/// A body must arrive in time. A caller's `x-request-id` comes back, and means nothing else. What
/// is done for an administrator holds no other request of the same worker up.
async fn answered(around: &Around, request: HttpRequest, next: Next) -> Response {
    let request = request.map(|body| slow_body::in_time(body, around.body_timeout));
    let id: Option<HeaderValue> = request.headers().get(REQUEST_ID).cloned();
    let mut response = if is_administration(request.uri().path()) {
        around.aside.spawn(next.run(request)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request ended abnormally");
            let message = "internal server error";
            let problem = Problem::failure(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message);
            problem.render(Wording::Native, &About::default())
        })
    } else {
        next.run(request).await
    };
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn is_administration(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics"
}
