//! Opens `logs.db`, and answers from it.

use std::path::{Path, PathBuf};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, FromRow as _};
use tokio::sync::Mutex;

use super::entry::{Entry, Totals};
use super::query::{Page, Query};
use crate::store::{Durability, StoreError, database};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations-logs");

/// The log of requests, to be read. Whoever reads waits its turn.
pub(crate) struct Logs {
    path: PathBuf,
    connection: Mutex<SqliteConnection>,
}

/// Opens the database, or makes it. The connection is for its writer.
pub(crate) async fn open(path: &Path) -> Result<(Logs, SqliteConnection), StoreError> {
    let writing = database::open(path, Durability::Process, &MIGRATIONS).await?;
    let options: SqliteConnectOptions = database::options(path, Durability::Process).read_only(true);
    let reading = SqliteConnection::connect_with(&options).await;
    let reading = reading.map_err(|error| database::from_sqlx(path, &error))?;
    Ok((Logs { path: path.to_owned(), connection: Mutex::new(reading) }, writing))
}

impl Logs {
    /// The requests that a query asks for.
    pub(crate) async fn page(&self, query: &Query, page: &Page) -> Result<Vec<Entry>, StoreError> {
        let mut sql = query.select("*");
        page.add_to(&mut sql);
        let mut connection = self.connection.lock().await;
        let rows = sql.build().fetch_all(&mut *connection).await.map_err(|error| self.failed(&error))?;
        rows.iter().map(Entry::from_row).collect::<Result<_, _>>().map_err(|error| self.failed(&error))
    }

    /// One request.
    pub(crate) async fn entry(&self, id: &str) -> Result<Option<Entry>, StoreError> {
        let mut connection = self.connection.lock().await;
        let found = sqlx::query_as("SELECT * FROM logs WHERE id = ?").bind(id).fetch_optional(&mut *connection).await;
        found.map_err(|error| self.failed(&error))
    }

    /// The sums over the requests that a query asks for.
    pub(crate) async fn totals(&self, query: &Query) -> Result<Totals, StoreError> {
        let mut sql = query.select(Totals::COLUMNS);
        let mut connection = self.connection.lock().await;
        let row = sql.build().fetch_one(&mut *connection).await.map_err(|error| self.failed(&error))?;
        Totals::from_row(&row).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &sqlx::Error) -> StoreError {
        database::from_sqlx(&self.path, error)
    }
}
