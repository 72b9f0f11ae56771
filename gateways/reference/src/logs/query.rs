//! Which requests an administrator asks for, and in which order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite};

use crate::clock::Moment;
use crate::money::Usd;

/// Every condition holds; one that is empty always does.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) virtual_key_ids: Vec<String>,
    pub(crate) team_ids: Vec<String>,
    pub(crate) customer_ids: Vec<String>,
    pub(crate) providers: Vec<String>,
    pub(crate) models: Vec<String>,
    pub(crate) stop_reasons: Vec<String>,
    pub(crate) status: Vec<String>,
    pub(crate) objects: Vec<String>,
    pub(crate) request_ids: Vec<String>,
    pub(crate) stream: Option<bool>,
    pub(crate) start_time: Option<Moment>,
    pub(crate) end_time: Option<Moment>,
    pub(crate) min_cost: Option<Usd>,
    pub(crate) max_cost: Option<Usd>,
    pub(crate) min_tokens: Option<i64>,
    pub(crate) max_tokens: Option<i64>,
    /// Milliseconds.
    pub(crate) min_latency: Option<i64>,
    pub(crate) max_latency: Option<i64>,
}

/// A part of the requests, in an order.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) sort_by: SortBy,
    pub(crate) order: Order,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

/// What requests are ordered by.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SortBy {
    #[default]
    Timestamp,
    Latency,
    Tokens,
    Cost,
}

/// In which direction.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Asc,
    #[default]
    Desc,
}

impl Query {
    /// The statement that selects `columns` of what is asked for.
    pub(super) fn select(&self, columns: &'static str) -> QueryBuilder<Sqlite> {
        let mut sql = QueryBuilder::new("SELECT ");
        sql.push(columns).push(" FROM logs WHERE TRUE");
        for (column, values) in [
            ("virtual_key_id", &self.virtual_key_ids),
            ("team_id", &self.team_ids),
            ("customer_id", &self.customer_ids),
            ("provider", &self.providers),
            ("model", &self.models),
            ("stop_reason", &self.stop_reasons),
            ("status", &self.status),
            ("object", &self.objects),
            ("request_id", &self.request_ids),
        ] {
            if values.is_empty() {
                continue;
            }
            sql.push(" AND ").push(column).push(" IN (");
            let mut list = sql.separated(", ");
            for value in values {
                list.push_bind(value.clone());
            }
            sql.push(")");
        }
        if let Some(stream) = self.stream {
            sql.push(" AND stream = ").push_bind(stream);
        }
        let millis = |latency: i64| latency.saturating_mul(1_000);
        for (condition, value) in [
            (" AND started_at >= ", self.start_time.map(Moment::millis)),
            (" AND started_at <= ", self.end_time.map(Moment::millis)),
            (" AND cost >= ", self.min_cost.map(Usd::pico)),
            (" AND cost <= ", self.max_cost.map(Usd::pico)),
            (" AND input_tokens + output_tokens >= ", self.min_tokens),
            (" AND input_tokens + output_tokens <= ", self.max_tokens),
            (" AND latency >= ", self.min_latency.map(millis)),
            (" AND latency <= ", self.max_latency.map(millis)),
        ] {
            if let Some(value) = value {
                sql.push(condition).push_bind(value);
            }
        }
        sql
    }
}

impl Page {
    pub(super) fn add_to(&self, sql: &mut QueryBuilder<Sqlite>) {
        let order = match self.order {
            Order::Asc => "ASC",
            Order::Desc => "DESC",
        };
        let column = match self.sort_by {
            SortBy::Timestamp => "started_at",
            SortBy::Latency => "latency",
            SortBy::Tokens => "input_tokens + output_tokens",
            SortBy::Cost => "cost",
        };
        // Ids are in the order of time, so that pages never overlap.
        sql.push(format_args!(" ORDER BY {column} {order}, id {order} LIMIT ")).push_bind(self.limit);
        sql.push(" OFFSET ").push_bind(self.offset);
    }
}
