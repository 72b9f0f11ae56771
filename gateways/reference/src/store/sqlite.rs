//! The store in `config.db`: SQLite with a write-ahead log.
//!
//! The schema is kept by sqlx's migrations. What is written afterwards goes through rusqlite, on the
//! thread that asks: a statement of sqlx crosses to a thread of its own and back, which was measured
//! to take ten times as long as a commit.

use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};
use sqlx::Connection as _;
use sqlx::migrate::Migrator;

use super::checkpoints::Checkpoints;
use super::database::{self, Durability, StoreError, from_sqlx};
use super::merge::Merged;
use super::noted::Noted;
use super::rows::{Batch, MeterRow, Saved};
use super::tables::{self, Columns, Kept};
use super::{IsKnown, Patience, Store};

static MIGRATIONS: Migrator = sqlx::migrate!();
/// After how many commits the content of the write-ahead log moves into the database.
const COMMITS_BETWEEN_CHECKPOINTS: u32 = 1_000;

/// An open `config.db`.
pub(crate) struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    /// Under which name a new database stands, until it has its first rows.
    unfinished: Option<PathBuf>,
    durability: Durability,
    /// None while the database is new.
    checkpoints: Option<Checkpoints>,
    commits: u32,
    /// How long the connection waits where another one writes.
    patience: Patience,
}

impl SqliteStore {
    /// Opens the database and brings its schema up to date. Where there is none, a new one is
    /// made, which has its name when [`Store::begin`] has written its first rows. A damaged file is
    /// an error and never a fresh start.
    pub(crate) async fn open(path: &Path, durability: Durability) -> Result<SqliteStore, StoreError> {
        let unfinished = if database::is_there(path)? {
            let checked = database::open(path, durability, &MIGRATIONS).await?;
            checked.close().await.map_err(|error| from_sqlx(path, &error))?;
            None
        } else {
            Some(database::begin(path, &MIGRATIONS).await?)
        };
        let mut store = SqliteStore {
            path: path.to_owned(),
            connection: connect(path, unfinished.as_deref().unwrap_or(path))?,
            unfinished,
            durability,
            checkpoints: None,
            commits: 0,
            patience: Patience::Some,
        };
        match store.unfinished {
            Some(_) => new(&store.connection).map_err(|error| from_rusqlite(path, &error))?,
            None => store.configure()?,
        }
        Ok(store)
    }

    /// From now on commits are what the durability says.
    fn configure(&mut self) -> Result<(), StoreError> {
        let failed = |error| from_rusqlite(&self.path, &error);
        configure(&self.connection, self.durability).map_err(failed)?;
        self.checkpoints = Some(Checkpoints::start(&self.path).map_err(failed)?);
        Ok(())
    }

    /// A new database that is complete gets its name.
    fn finish_new(&mut self) -> Result<(), StoreError> {
        let Some(unfinished) = self.unfinished.take() else { return Ok(()) };
        database::finish(&unfinished, &self.path, self.durability)?;
        self.connection = connect(&self.path, &self.path)?;
        self.configure()
    }

    /// The turn of a commit. While the log is emptied, the database is as busy as if another process wrote.
    fn turn(&self, patience: Patience) -> Result<Option<MutexGuard<'_, ()>>, StoreError> {
        let Some(turns) = self.checkpoints.as_ref().map(Checkpoints::turns) else { return Ok(None) };
        match patience {
            Patience::None => turns.take_at_once().map(Some).ok_or_else(|| StoreError::Busy(self.path.clone())),
            Patience::Some => Ok(Some(turns.take())),
        }
    }

    /// Writes in one transaction.
    fn transact(&self, write: impl FnOnce(&Connection) -> Result<(), rusqlite::Error>) -> Result<(), StoreError> {
        let connection = &self.connection;
        let attempt = || {
            run(connection, "BEGIN IMMEDIATE")?;
            let written = write(connection).and_then(|()| run(connection, "COMMIT"));
            if written.is_err() && !connection.is_autocommit() {
                run(connection, "ROLLBACK")?;
            }
            written
        };
        attempt().map_err(|error| from_rusqlite(&self.path, &error))
    }

    /// Reads a table.
    fn all<T: Kept>(&self) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        self.each::<T>(|row| {
            all.push(T::read(&mut Columns::of(row))?);
            Ok(())
        })?;
        // There may be many.
        all.shrink_to_fit();
        Ok(all)
    }

    /// Reads a table row by row.
    fn each<T: Kept>(&self, mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<()>) -> Result<(), StoreError> {
        let failed = |error| from_rusqlite(&self.path, &error);
        let mut statement = self.connection.prepare(T::TABLE.all).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            read(row).map_err(|error| match strange_column(&error) {
                Some(column) => StoreError::Damaged(self.path.clone(), strange(T::TABLE.name, row, column)),
                None => failed(error),
            })?;
        }
        Ok(())
    }
}

/// The column with a value that no gateway wrote so, if that is what is wrong.
fn strange_column(error: &rusqlite::Error) -> Option<usize> {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match error {
        FromSqlConversionFailure(column, ..) | IntegralValueOutOfRange(column, _) | InvalidColumnType(column, ..) => {
            Some(*column)
        }
        _ => None,
    }
}

/// Which value of which row no gateway wrote so.
fn strange(table: &str, row: &Row<'_>, column: usize) -> String {
    let id = match row.get_ref("id") {
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(value) => value.as_str().unwrap_or_default().to_owned(),
        Err(_) => String::new(),
    };
    let column = row.as_ref().column_name(column).unwrap_or_default();
    format!("table {table}, row '{id}', column {column}")
}

/// Runs a statement that is kept: to parse it anew for each commit costs as much as a row.
fn run(connection: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn write(connection: &Connection, batch: &Batch) -> Result<(), rusqlite::Error> {
    batch.changes.iter().try_for_each(|change| tables::apply(connection, change))?;
    if !batch.holds.is_empty() {
        let mut insert =
            connection.prepare_cached("INSERT INTO holds (id, cost, tokens, meters) VALUES (?, ?, ?, ?)")?;
        batch.holds.iter().try_for_each(|hold| hold.put(&mut insert).map(drop))?;
    }
    if !batch.states.is_empty() {
        // A state that was noted before an edit began a new window does not bring the old one back.
        let mut update = connection
            .prepare_cached("UPDATE meters SET used = ?, window_start = max(window_start, ?) WHERE id = ?")?;
        for state in batch.states.values() {
            update.execute(params![state.used, state.window_start, state.id])?;
        }
    }
    if !batch.closed.is_empty() {
        let mut delete = connection.prepare_cached("DELETE FROM holds WHERE id = ?")?;
        batch.closed.iter().try_for_each(|id| delete.execute([id]).map(drop))?;
    }
    if batch.is_ping {
        // A commit that changes no page finds a disk with room whenever it is asked, and an empty
        // batch runs no statement that could find its table gone.
        run(connection, "INSERT OR REPLACE INTO holds (id, cost, tokens, meters) VALUES (0, 0, 0, '[]')")?;
        run(connection, "DELETE FROM holds WHERE id = 0")?;
        run(connection, "UPDATE meters SET used = used WHERE id = ''")?;
    }
    Ok(())
}

/// Writes the rows that a start changed, in the order of their ids: each then stands beside the
/// one that was written before.
fn write_merged(connection: &Connection, merged: &Merged) -> Result<(), rusqlite::Error> {
    let mut keys: Vec<_> = merged.keys.iter().filter_map(Noted::changed).collect();
    keys.sort_unstable_by(|a, b| a.row.id.cmp(&b.row.id));
    tables::put(connection, keys)?;
    let mut meters: Vec<_> = merged.meters.iter().filter_map(Noted::changed).map(Box::as_ref).collect();
    meters.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    tables::put(connection, meters)
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Saved, StoreError> {
        Ok(Saved {
            customers: self.all()?,
            teams: self.all()?,
            models: self.all()?,
            keys: self.all()?,
            holds: self.all()?,
            documents: self.all()?,
        })
    }

    fn meters(&mut self, is_known: IsKnown<'_>) -> Result<Vec<MeterRow>, StoreError> {
        let mut unknown = Vec::new();
        self.each::<MeterRow>(|row| {
            if !is_known(&tables::stored_meter(&mut Columns::of(row))?) {
                unknown.push(MeterRow::read(&mut Columns::of(row))?);
            }
            Ok(())
        })?;
        Ok(unknown)
    }

    fn begin(&mut self, merged: &Merged, batch: &Batch) -> Result<(), StoreError> {
        self.transact(|connection| {
            write(connection, batch)?;
            write_merged(connection, merged)
        })?;
        self.finish_new()
    }

    fn commit(&mut self, batch: &Batch, patience: Patience) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        if patience != self.patience {
            self.connection.busy_timeout(wait(patience)).map_err(|error| from_rusqlite(&self.path, &error))?;
            self.patience = patience;
        }
        let turn = self.turn(patience)?;
        if batch.is_one_hold() {
            // A statement by itself is a transaction.
            write(&self.connection, batch).map_err(|error| from_rusqlite(&self.path, &error))?;
        } else {
            self.transact(|connection| write(connection, batch))?;
        }
        drop(turn);
        self.commits += 1;
        if self.commits >= COMMITS_BETWEEN_CHECKPOINTS {
            self.commits = 0;
            self.checkpoints.iter().for_each(Checkpoints::ask);
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        drop(self.checkpoints);
        self.connection.close().map_err(|(_, error)| from_rusqlite(&self.path, &error))
    }
}

/// Connects to the database at `path`, which may still have another name.
fn connect(path: &Path, name: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connected = Connection::open_with_flags(name, flags).and_then(|connection| {
        connection.busy_timeout(wait(Patience::Some))?;
        Ok(connection)
    });
    connected.map_err(|error| from_rusqlite(path, &error))
}

/// Its first rows may be very many. They go straight to their place: a database that is not
/// complete is thrown away at the next start.
fn new(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    connection.pragma_update(None, "synchronous", "OFF")
}

fn configure(connection: &Connection, durability: Durability) -> Result<(), rusqlite::Error> {
    let synchronous = match durability {
        Durability::Process => "NORMAL",
        Durability::PowerLoss => "FULL",
    };
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)
}

fn wait(patience: Patience) -> Duration {
    match patience {
        Patience::None => Duration::ZERO,
        Patience::Some => Duration::from_secs(5),
    }
}

fn from_rusqlite(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged(path.to_owned(), error.to_string())
        }
        Some(ErrorCode::DatabaseBusy) => StoreError::Busy(path.to_owned()),
        _ => StoreError::Sqlite(path.to_owned(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::rows::{HoldId, HoldRow};
    use super::*;
    use crate::money::Usd;

    fn holds(ids: &[i64]) -> Batch {
        let hold = |id: &i64| HoldRow { id: HoldId(*id), cost: Usd::ZERO, tokens: 0, meters: [].into() };
        Batch { holds: ids.iter().map(hold).collect(), ..Batch::default() }
    }

    #[tokio::test]
    async fn a_new_database_has_its_name_when_it_has_its_first_rows() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("config.db");
        let mut store = SqliteStore::open(&path, Durability::PowerLoss).await.unwrap();
        assert!(!path.exists());
        drop(store);
        // What a start has left that went no further is begun anew.
        store = SqliteStore::open(&path, Durability::Process).await.unwrap();
        store.begin(&Merged::default(), &holds(&[1])).unwrap();
        assert!(path.exists());
        // A reader does not wait for a writer, and the other way round.
        let other = Connection::open(&path).unwrap();
        let mode: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        let count: i64 = other.query_row("SELECT count(*) FROM holds", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
        Box::new(store).close().unwrap();
        assert_eq!(SqliteStore::open(&path, Durability::Process).await.unwrap().load().unwrap().holds.len(), 1);
    }

    #[tokio::test]
    async fn after_batches_that_failed_the_next_one_is_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("config.db");
        let mut store = SqliteStore::open(&path, Durability::Process).await.unwrap();
        store.begin(&Merged::default(), &Batch::default()).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute("ALTER TABLE holds RENAME TO broken", []).unwrap();
        // One hold is written by itself, two in a transaction that has to be rolled back.
        let batches = [holds(&[1]), holds(&[2, 3])];
        for batch in batches.iter().cycle().take(8) {
            store.commit(batch, Patience::Some).unwrap_err();
        }
        other.execute("ALTER TABLE broken RENAME TO holds", []).unwrap();
        for batch in &batches {
            store.commit(batch, Patience::Some).unwrap();
        }
        assert_eq!(store.load().unwrap().holds.len(), 3);
    }

    #[tokio::test]
    async fn a_commit_without_patience_is_told_that_the_database_is_busy_while_the_log_is_emptied() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("config.db");
        let mut store = SqliteStore::open(&path, Durability::Process).await.unwrap();
        store.begin(&Merged::default(), &Batch::default()).unwrap();
        let turns = store.checkpoints.as_ref().unwrap().shared_turns();
        let emptying = turns.take();
        let told = store.commit(&holds(&[1]), Patience::None);
        assert!(matches!(told, Err(StoreError::Busy(_))), "{told:?}");
        drop(emptying);
        store.commit(&holds(&[1]), Patience::None).unwrap();
        assert_eq!(store.load().unwrap().holds.len(), 1);
    }
}
