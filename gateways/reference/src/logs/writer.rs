//! Writes finished requests to `logs.db` in batches, and forgets old ones.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, QueryBuilder, Sqlite};

use crate::clock::{Clock, Moment};
use crate::telemetry::{Attempt, CallRecord, Receiver};

/// How many rows a statement adds. Of few sizes, so that each is prepared once and kept.
const ROWS: [usize; 3] = [64, 8, 1];
/// How often old requests are looked for, in milliseconds.
const FORGET_EVERY: i64 = 3_600_000;
/// How many old requests are forgotten in one transaction.
const FORGET_AT_ONCE: u32 = 1_000;
const DAY: i64 = 86_400_000;

/// Writes until the last request has ended, and closes the database. `keep_days` tells
/// for how long requests are kept, while anything is to be forgotten.
pub(crate) async fn write_all(
    mut connection: SqliteConnection,
    mut records: Receiver,
    clock: Arc<Clock>,
    keep_days: impl Fn() -> Option<u32>,
) {
    let mut next_look = clock.now();
    while let Some(batch) = records.next_batch().await {
        if let Err(error) = write(&mut connection, &batch).await {
            tracing::error!(%error, "requests were not logged");
            records.lost(batch.len());
        }
        let now = clock.now();
        if now >= next_look
            && let Some(days) = keep_days()
        {
            let oldest = now.after(-DAY.saturating_mul(i64::from(days)));
            let is_more = forget(&mut connection, oldest).await.unwrap_or_else(|error| {
                tracing::error!(%error, "old requests were not removed from the log");
                false
            });
            // Many are forgotten between batches, so that new ones do not wait until there is no room.
            if !is_more {
                next_look = now.after(FORGET_EVERY);
            }
        }
    }
    if let Err(error) = connection.close().await {
        tracing::error!(%error, "the log of requests was not closed properly");
    }
}

/// Adds all of a batch or nothing.
async fn write(connection: &mut SqliteConnection, batch: &[Arc<CallRecord>]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut rest = batch;
    for size in ROWS {
        while let Some((rows, tail)) = rest.split_at_checked(size) {
            insert(&mut transaction, rows).await?;
            rest = tail;
        }
    }
    transaction.commit().await
}

async fn insert(connection: &mut SqliteConnection, records: &[Arc<CallRecord>]) -> Result<(), sqlx::Error> {
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(
        "INSERT INTO logs (id, request_id, started_at, route, object, stream, model_requested, provider, model, \
         fallback_index, attempts, virtual_key_id, virtual_key_name, team_id, team_name, customer_id, \
         customer_name, stop_reason, status, status_code, error_type, input_tokens, \
         output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost, latency, first_chunk, input, output) ",
    );
    sql.push_values(records, |mut row, record| {
        let attempt = record.deciding_attempt();
        let tokens = record.tokens();
        let content = record.content.as_ref();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        row.push_bind(record.id.to_string())
            .push_bind(record.request_id.as_deref())
            .push_bind(record.started_at.millis())
            .push_bind(record.route)
            .push_bind(record.kind.word())
            .push_bind(record.is_stream)
            .push_bind(record.model_asked.as_str())
            .push_bind(attempt.map_or("", |attempt| &*attempt.provider))
            .push_bind(attempt.map_or("", |attempt| attempt.model.as_str()))
            .push_bind(attempt.map_or(0, |attempt| count(attempt.index)))
            .push_bind(attempts(&record.attempts))
            .push_bind(record.key().map(|(id, _)| id))
            .push_bind(record.key().map(|(_, name)| name))
            .push_bind(record.team().map(|(id, _)| id))
            .push_bind(record.team().map(|(_, name)| name))
            .push_bind(record.customer().map(|(id, _)| id))
            .push_bind(record.customer().map(|(_, name)| name))
            .push_bind(record.stop_reason())
            .push_bind(record.outcome.word())
            .push_bind(record.outcome.status())
            .push_bind(record.outcome.error())
            .push_bind(count(tokens.input))
            .push_bind(count(tokens.output))
            .push_bind(count(tokens.cached))
            .push_bind(count(tokens.cache_write))
            .push_bind(count(tokens.reasoning))
            .push_bind(record.cost().pico())
            .push_bind(micros(record.latency))
            .push_bind(record.first_chunk.map(micros))
            .push_bind(content.map(|content| text(&content.input)))
            .push_bind(content.map(|content| text(&content.output)));
    });
    sql.build().execute(connection).await.map(drop)
}

/// A provider's turn as the column has it.
#[derive(Serialize)]
struct AttemptColumn<'a> {
    provider: &'a str,
    model: &'a str,
    fallback_index: usize,
    key_id: Option<&'a str>,
    key_name: Option<&'a str>,
    called: bool,
    failure: Option<&'a str>,
    /// As a text: what reads it back must not round it.
    cost: String,
}

fn attempts(attempts: &[Attempt]) -> String {
    let list: Vec<_> = attempts.iter().map(AttemptColumn::of).collect();
    // Texts and numbers always have a form in JSON.
    serde_json::to_string(&list).unwrap_or_default()
}

impl<'a> AttemptColumn<'a> {
    fn of(attempt: &'a Attempt) -> AttemptColumn<'a> {
        AttemptColumn {
            provider: &attempt.provider,
            model: &attempt.model,
            fallback_index: attempt.index,
            key_id: attempt.key.as_ref().map(|key| key.id.as_str()),
            key_name: attempt.key.as_ref().map(|key| key.name.as_str()),
            called: attempt.latency.is_some(),
            failure: attempt.failure.as_ref().map(|failure| failure.word.as_str()),
            cost: attempt.cost.to_string(),
        }
    }
}

/// Forgets some of the oldest, and tells whether there may be more.
async fn forget(connection: &mut SqliteConnection, before: Moment) -> Result<bool, sqlx::Error> {
    const OLDEST: &str =
        "DELETE FROM logs WHERE rowid IN (SELECT rowid FROM logs WHERE started_at < ? ORDER BY started_at LIMIT ?)";
    let query = sqlx::query(OLDEST).bind(before.millis()).bind(FORGET_AT_ONCE);
    let forgotten = query.execute(&mut *connection).await?.rows_affected();
    Ok(forgotten >= u64::from(FORGET_AT_ONCE))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn count<N: TryInto<i64>>(number: N) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
