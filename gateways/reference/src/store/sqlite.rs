//! The store in `config.db`: SQLite with a write-ahead log.
//!
//! The schema is kept by sqlx's migrations. What is written afterwards goes through rusqlite, on the
//! thread that asks: a statement of sqlx crosses to a thread of its own and back, which was measured
//! to take ten times as long as a commit.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, TransactionBehavior, params};
use sqlx::Connection as _;
use sqlx::migrate::Migrator;

use crate::ledger::{Amount, MeterId};

use super::Store;
use super::checkpoints::Checkpoints;
use super::database::{self, Durability, StoreError, from_sqlx};
use super::documents::DocumentRow;
use super::rows::{Batch, HoldRow, Saved};
use super::statements::{self, Read};

static MIGRATIONS: Migrator = sqlx::migrate!();
/// After how many commits the content of the write-ahead log moves into the database.
const COMMITS_BETWEEN_CHECKPOINTS: u32 = 1_000;

/// An open `config.db`.
pub(crate) struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    checkpoints: Checkpoints,
    commits: u32,
}

impl SqliteStore {
    /// Opens the database, making it where there is none, and brings its schema up
    /// to date. A damaged file is an error and never a fresh start.
    pub(crate) async fn open(path: &Path, durability: Durability) -> Result<SqliteStore, StoreError> {
        let checked = database::open(path, durability, &MIGRATIONS).await?;
        checked.close().await.map_err(|error| from_sqlx(path, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| from_rusqlite(path, &error);
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        configure(&connection, durability).map_err(failed)?;
        let checkpoints = Checkpoints::start(path).map_err(failed)?;
        Ok(SqliteStore { path: path.to_owned(), connection, checkpoints, commits: 0 })
    }

    fn write(&mut self, batch: &Batch) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        statements::apply(&transaction, &batch.changes)?;
        let mut insert =
            transaction.prepare_cached("INSERT INTO holds (id, cost, tokens, meters) VALUES (?, ?, ?, ?)")?;
        for HoldRow { id, cost, tokens, meters } in &batch.holds {
            let tokens = Amount::of_count(*tokens).raw();
            insert.execute(params![id.0, cost.pico(), tokens, meters_json(meters)])?;
        }
        // A state that was noted before an edit began a new window does not bring the old one back.
        let mut update = transaction
            .prepare_cached("UPDATE meters SET used = ?, window_start = max(window_start, ?) WHERE id = ?")?;
        for state in batch.states.values() {
            update.execute(params![state.used.raw(), state.window_start.millis(), state.id.as_str()])?;
        }
        let mut delete = transaction.prepare_cached("DELETE FROM holds WHERE id = ?")?;
        for id in &batch.closed {
            delete.execute([id.0])?;
        }
        drop((insert, update, delete));
        if batch.is_ping {
            // An empty batch runs no statement that could find its table gone.
            transaction.execute("DELETE FROM holds WHERE id = 0", [])?;
            transaction.execute("UPDATE meters SET used = used WHERE id = ''", [])?;
        }
        transaction.commit()
    }

    /// Reads a table row by row, into a list of its size: there may be many.
    fn read<T>(&self, table: &str, read: fn(&Row<'_>) -> Read<T>) -> Result<Vec<T>, StoreError> {
        let failed = |error| from_rusqlite(&self.path, &error);
        let count: Result<u32, _> =
            self.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        let mut all = Vec::with_capacity(count.map_err(failed)? as usize);
        let mut statement = self.connection.prepare(&format!("SELECT * FROM {table}")).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let Some(one) = read(row).map_err(failed)? else {
                let id: String = row.get("id").unwrap_or_default();
                return Err(StoreError::Damaged(self.path.clone(), format!("{table}: row '{id}'")));
            };
            all.push(one);
        }
        Ok(all)
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Saved, StoreError> {
        Ok(Saved {
            customers: self.read("customers", statements::customer)?,
            teams: self.read("teams", statements::team)?,
            models: self.read("model_configs", statements::model)?,
            keys: self.read("virtual_keys", statements::key)?,
            meters: self.read("meters", statements::meter)?,
            holds: self.read("holds", statements::hold)?,
            documents: self.read("documents", DocumentRow::read)?,
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.write(batch).map_err(|error| from_rusqlite(&self.path, &error))?;
        self.commits += 1;
        if self.commits >= COMMITS_BETWEEN_CHECKPOINTS {
            self.commits = 0;
            self.checkpoints.ask();
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        drop(self.checkpoints);
        self.connection.close().map_err(|(_, error)| from_rusqlite(&self.path, &error))
    }
}

fn configure(connection: &Connection, durability: Durability) -> Result<(), rusqlite::Error> {
    let synchronous = match durability {
        Durability::Process => "NORMAL",
        Durability::PowerLoss => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)
}

fn from_rusqlite(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged(path.to_owned(), error.to_string())
        }
        _ => StoreError::Sqlite(path.to_owned(), error.to_string()),
    }
}

/// The ids of a hold's meters as its row has them.
fn meters_json(meters: &[MeterId]) -> String {
    let ids: Vec<_> = meters.iter().map(MeterId::as_str).collect();
    serde_json::json!(ids).to_string()
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
        let other = Connection::open(&path).unwrap();
        other.execute("ALTER TABLE holds RENAME TO broken", []).unwrap();
        let hold = HoldRow { id: HoldId(1), cost: Usd::ZERO, tokens: 0, meters: [].into() };
        let batch = Batch { holds: vec![hold], ..Batch::default() };
        for _ in 0..4 {
            store.commit(&batch).unwrap_err();
        }
        other.execute("ALTER TABLE broken RENAME TO holds", []).unwrap();
        store.commit(&batch).unwrap();
        assert_eq!(store.load().unwrap().holds.len(), 1);
    }
}
