//! The store in `config.db`: SQLite with a write-ahead log.

use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Connection as _, Row as _};

use crate::clock::Moment;
use crate::ledger::{Amount, MeterId};
use crate::money::Usd;
use crate::window::ResetDuration;

use super::Store;
use super::database::{self, Durability, StoreError, from_sqlx};
use super::documents::DocumentRow;
use super::rows::{Batch, Change, HoldId, HoldRow, KeyRow, MeterRow, OwnerKey, Saved, Standing};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Writes holds, states and closings of a whole batch, each from one JSON list.
macro_rules! usage_sql {
    () => {
        "INSERT INTO holds (id, cost, tokens, meters)
           SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?);
         -- A state that was noted before an edit began a new window does not bring the old one back.
         UPDATE meters SET used = j.value->>1, window_start = max(window_start, j.value->>2)
           FROM json_each(?) AS j WHERE meters.id = j.value->>0;
         DELETE FROM holds WHERE id IN (SELECT value FROM json_each(?));"
    };
}
const USAGE: &str = usage_sql!();
const USAGE_ALONE: &str = concat!("BEGIN IMMEDIATE;", usage_sql!(), "COMMIT;");

/// An open `config.db`.
pub(crate) struct SqliteStore {
    path: PathBuf,
    options: SqliteConnectOptions,
    connection: SqliteConnection,
}

impl SqliteStore {
    /// Opens the database, making it where there is none, and brings its schema up
    /// to date. A damaged file is an error and never a fresh start.
    pub(crate) async fn open(path: &Path, durability: Durability) -> Result<SqliteStore, StoreError> {
        let options = database::options(path, durability);
        let connection = database::open(path, durability, &MIGRATIONS).await?;
        Ok(SqliteStore { path: path.to_owned(), options, connection })
    }

    async fn load_all(&mut self) -> Result<Saved, StoreError> {
        let path = &self.path;
        let damaged = |what: String| StoreError::Damaged(path.clone(), what);
        let failed = |error| from_sqlx(path, error);
        let mut saved = Saved::default();
        for row in sqlx::query("SELECT * FROM virtual_keys").fetch_all(&mut self.connection).await.map_err(failed)? {
            let id: String = row.try_get("id").map_err(failed)?;
            let key = key_row(&row).map_err(failed)?;
            saved.keys.push(key.ok_or_else(|| damaged(format!("virtual key {id}")))?);
        }
        for row in sqlx::query("SELECT * FROM meters").fetch_all(&mut self.connection).await.map_err(failed)? {
            let id: String = row.try_get("id").map_err(failed)?;
            let meter = meter_row(&row).map_err(failed)?;
            saved.meters.push(meter.ok_or_else(|| damaged(format!("meter {id}")))?);
        }
        for row in sqlx::query("SELECT * FROM holds").fetch_all(&mut self.connection).await.map_err(failed)? {
            let hold = hold_row(&row).map_err(failed)?;
            saved.holds.push(hold.ok_or_else(|| damaged("a hold".to_owned()))?);
        }
        for row in sqlx::query("SELECT * FROM documents").fetch_all(&mut self.connection).await.map_err(failed)? {
            let document = DocumentRow::read(&row).map_err(failed)?;
            saved.documents.push(document.ok_or_else(|| damaged("a document".to_owned()))?);
        }
        Ok(saved)
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let (holds, states, closed) = usage_json(batch);
        if batch.changes.is_empty() {
            let usage = sqlx::query(USAGE_ALONE).bind(holds).bind(states).bind(closed);
            return usage.execute(&mut self.connection).await.map(drop);
        }
        let mut transaction = self.connection.begin().await?;
        for change in &batch.changes {
            apply(&mut transaction, change).await?;
        }
        sqlx::query(USAGE).bind(holds).bind(states).bind(closed).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Begins anew after a failure: a transaction may still be open, and sqlx cannot run a
    /// list of statements again of which one has failed. Closing takes back what was begun.
    async fn reconnect(&mut self) {
        match SqliteConnection::connect_with(&self.options).await {
            Ok(new) => {
                let old = std::mem::replace(&mut self.connection, new);
                // It is gone whether or not it could say goodbye.
                let _ = old.close_hard().await;
            }
            // The next batch fails too, and tries again.
            Err(error) => tracing::error!(%error, "could not open the database again"),
        }
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> BoxFuture<'_, Result<Saved, StoreError>> {
        self.load_all().boxed()
    }

    fn commit<'a>(&'a mut self, batch: &'a Batch) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            if batch.is_empty() {
                return Ok(());
            }
            let outcome = self.write(batch).await;
            if outcome.is_err() {
                self.reconnect().await;
            }
            outcome.map_err(|error| from_sqlx(&self.path, error))
        }
        .boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        async move {
            let path = self.path;
            self.connection.close().await.map_err(|error| from_sqlx(&path, error))
        }
        .boxed()
    }
}

fn usage_json(batch: &Batch) -> (String, String, String) {
    let holds: Vec<_> = batch
        .holds
        .iter()
        .map(|hold| {
            let meters: Vec<_> = hold.meters.iter().map(MeterId::as_str).collect();
            let tokens = Amount::of_count(hold.tokens).raw();
            (hold.id.0, hold.cost.pico(), tokens, serde_json::json!(meters).to_string())
        })
        .collect();
    let states: Vec<_> =
        batch.states.values().map(|state| (state.id.as_str(), state.used.raw(), state.window_start.millis())).collect();
    let closed: Vec<_> = batch.closed.iter().map(|id| id.0).collect();
    let text = |value: serde_json::Value| value.to_string();
    (text(serde_json::json!(holds)), text(serde_json::json!(states)), text(serde_json::json!(closed)))
}

async fn apply(connection: &mut SqliteConnection, change: &Change) -> Result<(), sqlx::Error> {
    let query = match change {
        Change::PutKey(key) => sqlx::query(
            "INSERT OR REPLACE INTO virtual_keys
             (id, name, description, is_active, value_hash, value_hint, grants, calendar_aligned, expires_at,
              retired_hash, file_hash, created_at, updated_at, standing)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&key.id)
        .bind(&key.name)
        .bind(&key.description)
        .bind(key.is_active)
        .bind(&key.value_hash)
        .bind(&key.value_hint)
        .bind(&key.grants)
        .bind(key.calendar_aligned)
        .bind(key.expires_at.map(Moment::millis))
        .bind(&key.retired_hash)
        .bind(&key.file_hash)
        .bind(key.created_at.millis())
        .bind(key.updated_at.millis())
        .bind(key.standing.word()),
        Change::PutMeter(meter) => {
            let (level, owner) = meter.owner.parts();
            sqlx::query(
                "INSERT OR REPLACE INTO meters
                 (id, owner_level, owner_id, max_amount, reset_duration, calendar_aligned, used, window_start, file_hash,
                  standing)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(meter.id.as_str())
            .bind(level)
            .bind(owner)
            .bind(meter.limit.raw())
            .bind(meter.reset_duration.text())
            .bind(meter.reset_duration.is_on_calendar())
            .bind(meter.used.raw())
            .bind(meter.window_start.millis())
            .bind(&meter.file_hash)
            .bind(meter.standing.word())
        }
        Change::DeleteKey(id) => sqlx::query("DELETE FROM virtual_keys WHERE id = ?").bind(id),
        Change::DeleteMeter(id) => sqlx::query("DELETE FROM meters WHERE id = ?").bind(id.as_str()),
        Change::PutDocument(document) => document.put(),
        Change::DeleteDocument(kind, id) => kind.delete(id),
    };
    query.execute(connection).await.map(drop)
}

fn key_row(row: &SqliteRow) -> Result<Option<KeyRow>, sqlx::Error> {
    let Some(standing) = Standing::from_word(row.try_get("standing")?) else {
        return Ok(None);
    };
    Ok(Some(KeyRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        is_active: row.try_get("is_active")?,
        value_hash: row.try_get("value_hash")?,
        value_hint: row.try_get("value_hint")?,
        grants: row.try_get("grants")?,
        calendar_aligned: row.try_get("calendar_aligned")?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(Moment::from_millis),
        retired_hash: row.try_get("retired_hash")?,
        file_hash: row.try_get("file_hash")?,
        created_at: Moment::from_millis(row.try_get("created_at")?),
        updated_at: Moment::from_millis(row.try_get("updated_at")?),
        standing,
    }))
}

fn meter_row(row: &SqliteRow) -> Result<Option<MeterRow>, sqlx::Error> {
    let id = MeterId::parse(row.try_get("id")?);
    let owner = OwnerKey::from_parts(row.try_get("owner_level")?, row.try_get("owner_id")?);
    let reset_duration = row.try_get::<&str, _>("reset_duration")?.parse::<ResetDuration>().ok();
    let is_aligned = row.try_get("calendar_aligned")?;
    let reset_duration = reset_duration.and_then(|length| length.aligned(is_aligned).ok());
    let standing = Standing::from_word(row.try_get("standing")?);
    let (Some(id), Some(owner), Some(reset_duration), Some(standing)) = (id, owner, reset_duration, standing) else {
        return Ok(None);
    };
    Ok(Some(MeterRow {
        id,
        owner,
        limit: Amount::from_raw(row.try_get("max_amount")?),
        reset_duration,
        used: Amount::from_raw(row.try_get("used")?),
        window_start: Moment::from_millis(row.try_get("window_start")?),
        file_hash: row.try_get("file_hash")?,
        standing,
    }))
}

fn hold_row(row: &SqliteRow) -> Result<Option<HoldRow>, sqlx::Error> {
    let meters: Option<Vec<String>> = serde_json::from_str(row.try_get("meters")?).ok();
    let meters = meters.and_then(|ids| ids.iter().map(|id| MeterId::parse(id)).collect());
    let (cost, tokens): (i64, i64) = (row.try_get("cost")?, row.try_get("tokens")?);
    let id = HoldId(row.try_get("id")?);
    Ok(meters.map(|meters| HoldRow { id, cost: Usd::from_pico(cost), tokens: tokens.unsigned_abs(), meters }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn after_batches_that_failed_the_next_one_is_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("config.db");
        let mut store = SqliteStore::open(&path, Durability::Process).await.unwrap();
        let other = SqliteConnectOptions::new().filename(&path);
        let mut other = SqliteConnection::connect_with(&other).await.unwrap();
        sqlx::query("ALTER TABLE holds RENAME TO broken").execute(&mut other).await.unwrap();
        let hold = HoldRow { id: HoldId(1), cost: Usd::ZERO, tokens: 0, meters: [].into() };
        let batch = Batch { holds: vec![hold], ..Batch::default() };
        for _ in 0..4 {
            store.commit(&batch).await.unwrap_err();
        }
        sqlx::query("ALTER TABLE broken RENAME TO holds").execute(&mut other).await.unwrap();
        store.commit(&batch).await.unwrap();
        assert_eq!(store.load().await.unwrap().holds.len(), 1);
    }
}
