//! Writes finished requests to `logs.db` in batches, and forgets old ones.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
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
    loop {
        let batch = {
            // Begun once: what it has taken already would go with it.
            let mut next_batch = pin!(records.next_batch());
            loop {
                let now = clock.now();
                if now >= next_look {
                    next_look = look(&mut connection, now, keep_days()).await;
                }
                tokio::select! {
                    biased;
                    batch = &mut next_batch => break batch,
                    () = tokio::time::sleep(now.until(next_look)) => {}
                }
            }
        };
        let Some(batch) = batch else { break };
        if let Err(error) = write(&mut connection, &batch).await {
            tracing::error!(%error, "requests were not logged");
            records.lost(batch.len());
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

/// A provider's turn.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attempt", deny_unknown_fields)]
pub(super) struct AttemptColumn<'a> {
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

/// Forgets some of what is too old, and tells when to look again: at once where there may be more.
/// New ones come between, so that they do not wait until there is no room.
async fn look(connection: &mut SqliteConnection, now: Moment, keep_days: Option<u32>) -> Moment {
    let later = now.after(FORGET_EVERY);
    let Some(days) = keep_days else { return later };
    let oldest = now.after(-DAY.saturating_mul(i64::from(days)));
    match forget(connection, oldest).await {
        Ok(true) => now,
        Ok(false) => later,
        Err(error) => {
            tracing::error!(%error, "old requests were not removed from the log");
            later
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::logs;
    use crate::telemetry::queue;

    const DEADLINE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_is_too_old_is_forgotten_to_the_last_though_nothing_new_comes() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("logs.db");
        let (_, mut connection) = logs::open(&path).await.unwrap();
        let count = 2 * FORGET_AT_ONCE + 1;
        let record = |_| {
            let mut record = CallRecord::sample("mock-1");
            record.id = uuid::Uuid::new_v4();
            Arc::new(record)
        };
        let old: Vec<_> = (0..count).map(record).collect();
        write(&mut connection, &old).await.unwrap();
        let mut reading = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        let (queue, records) = queue();
        let writing = tokio::spawn(write_all(connection, records, Arc::default(), || Some(7)));
        let forgotten = async {
            let left = async |reading: &mut SqliteConnection| -> i64 {
                sqlx::query_scalar("SELECT count(*) FROM logs").fetch_one(reading).await.unwrap()
            };
            while left(&mut reading).await > 0 {}
        };
        tokio::time::timeout(DEADLINE, forgotten).await.unwrap();
        drop(queue);
        writing.await.unwrap();
    }
}
