//! A request of the log as it is answered, in Bifrost's shape.

use std::borrow::Cow;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};

use super::writer::AttemptColumn;
use crate::clock::Moment;
use crate::money::Usd;

/// A request.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Log", deny_unknown_fields)]
pub(crate) struct Entry {
    id: String,
    request_id: Option<String>,
    timestamp: Moment,
    route: String,
    object: String,
    stream: bool,
    model_requested: String,
    provider: String,
    model: String,
    fallback_index: i64,
    /// Every provider's turn.
    #[schemars(with = "Vec<AttemptColumn<'static>>")]
    attempt_trail: Box<RawValue>,
    virtual_key_id: Option<String>,
    virtual_key_name: Option<String>,
    team_id: Option<String>,
    team_name: Option<String>,
    customer_id: Option<String>,
    customer_name: Option<String>,
    stop_reason: Option<String>,
    status: String,
    status_code: i64,
    error_type: Option<String>,
    token_usage: TokenUsage,
    cost: Usd,
    /// Milliseconds.
    latency: Exact,
    /// Milliseconds from the request's arrival to a stream's first event.
    time_to_first_chunk: Option<Exact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TokenUsage {
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
    cached_tokens: i64,
    cache_write_tokens: i64,
    reasoning_tokens: i64,
}

/// A number of which every digit is shown.
#[derive(Clone, Copy)]
struct Exact(Decimal);

impl Exact {
    /// Microseconds as milliseconds.
    fn millis(micros: i64) -> Exact {
        Exact(Decimal::new(micros, 3))
    }

    /// How many percent `part` is of `whole`; of nothing, 0.
    fn percent(part: i64, whole: i64) -> Exact {
        Exact(Decimal::new(part.saturating_mul(10_000).checked_div(whole).unwrap_or(0), 2))
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.0.normalize().to_string();
        RawValue::from_string(digits).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl JsonSchema for Exact {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Exact".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

impl FromRow<'_, SqliteRow> for Entry {
    fn from_row(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
        let attempts = RawValue::from_string(row.try_get("attempts")?);
        let (input, output): (i64, i64) = (row.try_get("input_tokens")?, row.try_get("output_tokens")?);
        Ok(Entry {
            id: row.try_get("id")?,
            request_id: row.try_get("request_id")?,
            timestamp: Moment::from_millis(row.try_get("started_at")?),
            route: row.try_get("route")?,
            object: row.try_get("object")?,
            stream: row.try_get("stream")?,
            model_requested: row.try_get("model_requested")?,
            provider: row.try_get("provider")?,
            model: row.try_get("model")?,
            fallback_index: row.try_get("fallback_index")?,
            attempt_trail: attempts.map_err(|error| sqlx::Error::Decode(error.into()))?,
            virtual_key_id: row.try_get("virtual_key_id")?,
            virtual_key_name: row.try_get("virtual_key_name")?,
            team_id: row.try_get("team_id")?,
            team_name: row.try_get("team_name")?,
            customer_id: row.try_get("customer_id")?,
            customer_name: row.try_get("customer_name")?,
            stop_reason: row.try_get("stop_reason")?,
            status: row.try_get("status")?,
            status_code: row.try_get("status_code")?,
            error_type: row.try_get("error_type")?,
            token_usage: TokenUsage {
                prompt_tokens: input,
                completion_tokens: output,
                total_tokens: input.saturating_add(output),
                cached_tokens: row.try_get("cached_tokens")?,
                cache_write_tokens: row.try_get("cache_write_tokens")?,
                reasoning_tokens: row.try_get("reasoning_tokens")?,
            },
            cost: Usd::from_pico(row.try_get("cost")?),
            latency: Exact::millis(row.try_get("latency")?),
            time_to_first_chunk: row.try_get::<Option<i64>, _>("first_chunk")?.map(Exact::millis),
            input: row.try_get("input")?,
            output: row.try_get("output")?,
        })
    }
}

/// Sums over requests.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogStats", deny_unknown_fields)]
pub(crate) struct Totals {
    pub(crate) total_requests: i64,
    /// Percent.
    success_rate: Exact,
    /// Milliseconds.
    average_latency: Exact,
    total_tokens: i64,
    total_cost: Usd,
}

impl Totals {
    pub(super) const COLUMNS: &str = "count(*) AS requests, coalesce(sum(status = 'success'), 0) AS successes, \
         coalesce(sum(latency), 0) AS latency, coalesce(sum(input_tokens + output_tokens), 0) AS tokens, \
         coalesce(sum(cost), 0) AS cost";
}

impl FromRow<'_, SqliteRow> for Totals {
    fn from_row(row: &SqliteRow) -> Result<Totals, sqlx::Error> {
        let requests: i64 = row.try_get("requests")?;
        let latency: i64 = row.try_get("latency")?;
        Ok(Totals {
            total_requests: requests,
            success_rate: Exact::percent(row.try_get("successes")?, requests),
            average_latency: Exact::millis(latency.checked_div(requests).unwrap_or(0)),
            total_tokens: row.try_get("tokens")?,
            total_cost: Usd::from_pico(row.try_get("cost")?),
        })
    }
}
