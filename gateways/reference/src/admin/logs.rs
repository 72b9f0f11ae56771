//! `/api/logs`: what was asked, how it ended, what it cost.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{InPath, InQuery};
use super::auth::Authorized;
use super::reply::{Reply, invalid, missing, respond};
use crate::clock::Moment;
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::logs::{Entry, Logs, Order, Page, Query, SortBy, Totals};
use crate::money::Usd;
use crate::routes::{Routes, get};
use crate::store::StoreError;
use crate::telemetry::Queue;

const DEFAULT_LIMIT: u32 = 50;
const MOST: u32 = 1_000;

/// What a query string can say. A list is one text, its values divided by commas.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    virtual_key_ids: Option<String>,
    team_ids: Option<String>,
    customer_ids: Option<String>,
    providers: Option<String>,
    models: Option<String>,
    stop_reasons: Option<String>,
    status: Option<String>,
    objects: Option<String>,
    request_ids: Option<String>,
    stream: Option<bool>,
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    start_time: Option<Timestamp>,
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    end_time: Option<Timestamp>,
    #[schemars(extend("pattern" = "^[0-9]+([.][0-9]{1,12})?$"))]
    min_cost: Option<String>,
    #[schemars(extend("pattern" = "^[0-9]+([.][0-9]{1,12})?$"))]
    max_cost: Option<String>,
    min_tokens: Option<i64>,
    max_tokens: Option<i64>,
    min_latency: Option<i64>,
    max_latency: Option<i64>,
    sort_by: SortBy,
    order: Order,
    limit: Option<u32>,
    offset: u32,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Listed {
    logs: Vec<Entry>,
    pagination: Pagination,
    stats: Totals,
    has_logs: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Pagination {
    limit: u32,
    offset: u32,
    sort_by: SortBy,
    order: Order,
    total_count: i64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Dropped {
    dropped_requests: u64,
}

/// The routes of the log of requests.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/logs", get(list).asking::<Asked>().answering::<Listed>())
        .route("/api/logs/stats", get(stats).asking::<Asked>().answering::<Totals>())
        .route("/api/logs/dropped", get(dropped).answering::<Dropped>())
        .route("/api/logs/{id}", get(read).answering::<Entry>())
}

async fn list(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InQuery(asked): InQuery<Asked>) -> Reply {
    let (query, page) = wanted(asked)?;
    let logs = logs(&gateway).await?;
    let entries = logs.page(&query, &page).await.map_err(|error| unreadable(&error))?;
    let stats = logs.totals(&query).await.map_err(|error| unreadable(&error))?;
    let has_logs = stats.total_requests > 0;
    let Page { sort_by, order, limit, offset } = page;
    let pagination = Pagination { limit, offset, sort_by, order, total_count: stats.total_requests };
    Ok(respond(&Listed { logs: entries, pagination, stats, has_logs }))
}

async fn stats(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InQuery(asked): InQuery<Asked>) -> Reply {
    let (query, _) = wanted(asked)?;
    let totals = logs(&gateway).await?.totals(&query).await.map_err(|error| unreadable(&error))?;
    Ok(respond(&totals))
}

async fn read(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InPath(id): InPath<String>) -> Reply {
    let entry = logs(&gateway).await?.entry(&id).await.map_err(|error| unreadable(&error))?;
    Ok(respond(&entry.ok_or_else(|| missing("Log not found"))?))
}

/// How many finished requests did not reach the log.
async fn dropped(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    respond(&Dropped { dropped_requests: gateway.telemetry.logs.as_ref().map_or(0, Queue::dropped) })
}

/// The log, with every request that has ended by now.
async fn logs(gateway: &Gateway) -> Result<&Logs, Problem> {
    let (Some(logs), Some(queue)) = (&gateway.logs, &gateway.telemetry.logs) else {
        let message = "There is no log of requests: config.json says logs_store.enabled: false";
        return Err(Problem::new(StatusCode::NOT_FOUND, "logs_disabled", message));
    };
    queue.flush().await;
    Ok(logs)
}

fn wanted(asked: Asked) -> Result<(Query, Page), Problem> {
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
    if limit > MOST {
        return Err(invalid(format!("limit must be at most {MOST}")));
    }
    let list = |text: Option<String>| -> Vec<String> {
        text.unwrap_or_default().split(',').filter(|value| !value.is_empty()).map(str::to_owned).collect()
    };
    let money = |field: &str, text: Option<String>| {
        text.map(|text| text.parse::<Usd>().map_err(|error| invalid(format!("{field}: {error}")))).transpose()
    };
    let moment = |time: Timestamp| Moment::from_millis(time.as_millisecond());
    let query = Query {
        virtual_key_ids: list(asked.virtual_key_ids),
        team_ids: list(asked.team_ids),
        customer_ids: list(asked.customer_ids),
        providers: list(asked.providers),
        models: list(asked.models),
        stop_reasons: list(asked.stop_reasons),
        status: list(asked.status),
        objects: list(asked.objects),
        request_ids: list(asked.request_ids),
        stream: asked.stream,
        start_time: asked.start_time.map(moment),
        end_time: asked.end_time.map(moment),
        min_cost: money("min_cost", asked.min_cost)?,
        max_cost: money("max_cost", asked.max_cost)?,
        min_tokens: asked.min_tokens,
        max_tokens: asked.max_tokens,
        min_latency: asked.min_latency,
        max_latency: asked.max_latency,
    };
    Ok((query, Page { sort_by: asked.sort_by, order: asked.order, limit, offset: asked.offset }))
}

fn unreadable(error: &StoreError) -> Problem {
    tracing::error!(%error, "the log of requests cannot be read");
    Problem::failure(StatusCode::INTERNAL_SERVER_ERROR, "logs_unreadable", "The log of requests cannot be read")
}
