//! The store in `config.db`: SQLite with a write-ahead log.

use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Connection as _, Row as _};

use crate::ledger::{Amount, MeterId};

use super::Store;
use super::database::{self, Durability, StoreError, from_sqlx};
use super::documents::DocumentRow;
use super::rows::{Batch, Saved};
use super::statements::{self, Read};

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
        Ok(Saved {
            customers: self.read("SELECT * FROM customers", statements::customer).await?,
            teams: self.read("SELECT * FROM teams", statements::team).await?,
            models: self.read("SELECT * FROM model_configs", statements::model).await?,
            keys: self.read("SELECT * FROM virtual_keys", statements::key).await?,
            meters: self.read("SELECT * FROM meters", statements::meter).await?,
            holds: self.read("SELECT * FROM holds", statements::hold).await?,
            documents: self.read("SELECT * FROM documents", DocumentRow::read).await?,
        })
    }

    /// Reads row by row: there may be many.
    async fn read<T>(&mut self, query: &'static str, read: fn(&SqliteRow) -> Read<T>) -> Result<Vec<T>, StoreError> {
        let path = &self.path;
        let failed = |error| from_sqlx(path, error);
        let mut rows = sqlx::query(query).fetch(&mut self.connection);
        let mut all = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let Some(one) = read(&row).map_err(failed)? else {
                let id = row.try_get::<String, _>("id").unwrap_or_default();
                return Err(StoreError::Damaged(path.clone(), format!("{query}: row '{id}'")));
            };
            all.push(one);
        }
        Ok(all)
    }

    async fn write(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let (holds, states, closed) = usage_json(batch);
        if batch.changes.is_empty() {
            let usage = sqlx::query(USAGE_ALONE).bind(holds).bind(states).bind(closed);
            return usage.execute(&mut self.connection).await.map(drop);
        }
        let mut transaction = self.connection.begin().await?;
        statements::apply(&mut transaction, &batch.changes).await?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::rows::{HoldId, HoldRow};
    use super::*;
    use crate::money::Usd;

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
