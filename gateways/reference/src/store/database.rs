//! A database file: SQLite with a write-ahead log, made whole or not at all.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sqlx::Connection as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

/// What a commit survives: `client.durability`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The death of the process.
    #[default]
    Process,
    /// The loss of power: a commit waits for the disk.
    PowerLoss,
}

/// What went wrong with the database, and which file it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// SQLite refused.
    #[error("the database {} cannot be used: {}", .0.display(), .1)]
    Sqlite(PathBuf, String),
    /// Another process is writing to it.
    #[error("the database {} is being written to by another process", .0.display())]
    Busy(PathBuf),
    /// The file is no intact database. It is left as it is.
    #[error("the database {} is damaged ({}); restore a copy, or move it away to begin with an empty one", .0.display(), .1)]
    Damaged(PathBuf, String),
    /// A later version of the gateway has written it.
    #[error("the database {} has schema version {}, which is newer than this gateway knows", .0.display(), .1)]
    Newer(PathBuf, i64),
    /// The schema could not be brought up to date.
    #[error("the schema of the database {} cannot be brought up to date: {}", .0.display(), .1)]
    Migrate(PathBuf, MigrateError),
    /// Nobody can say whether there is a file.
    #[error("the database {} cannot be opened: {}", .0.display(), .1)]
    Open(PathBuf, std::io::Error),
    /// The file could not be made.
    #[error("the database {} cannot be made: {}", .0.display(), .1)]
    Create(PathBuf, std::io::Error),
}

/// How the file is opened once it is there.
pub(crate) fn options(path: &Path, durability: Durability) -> SqliteConnectOptions {
    let synchronous = match durability {
        Durability::Process => SqliteSynchronous::Normal,
        Durability::PowerLoss => SqliteSynchronous::Full,
    };
    SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Wal).synchronous(synchronous)
}

/// Opens the database, making it where there is none, and brings its schema up
/// to date. A damaged file is an error and never a fresh start.
pub(crate) async fn open(
    path: &Path,
    durability: Durability,
    migrations: &Migrator,
) -> Result<SqliteConnection, StoreError> {
    let failed = |error| from_sqlx(path, &error);
    if !is_there(path)? {
        let unfinished = begin(path, migrations).await?;
        finish(&unfinished, path, durability)?;
    }
    let options = options(path, durability);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    let check: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await.map_err(failed)?;
    if check != "ok" {
        return Err(StoreError::Damaged(path.to_owned(), check));
    }
    migrate(path, &mut connection, migrations).await?;
    Ok(connection)
}

/// Whether there is a database. What is left of one is damage: a new one in its place would have
/// forgotten what was spent.
pub(super) fn is_there(path: &Path) -> Result<bool, StoreError> {
    let damaged = |what: &str| Err(StoreError::Damaged(path.to_owned(), what.to_owned()));
    match std::fs::metadata(path) {
        Ok(file) if file.len() == 0 => damaged("the file is empty"),
        Ok(_) => Ok(true),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::Open(path.to_owned(), error)),
        Err(_) if std::fs::symlink_metadata(path).is_ok() => damaged("it is a link to a file that is not there"),
        Err(_) => {
            let mut log = path.as_os_str().to_owned();
            log.push("-wal");
            if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
                return damaged("the file is gone, and its write-ahead log is not");
            }
            Ok(false)
        }
    }
}

/// Makes a new database under another name, and tells which, until it is complete and
/// [`finish`] gives it its own: an empty file is therefore always damage.
pub(super) async fn begin(path: &Path, migrations: &Migrator) -> Result<PathBuf, StoreError> {
    let unfinished = path.with_extension("db.new");
    if unfinished.exists() {
        std::fs::remove_file(&unfinished).map_err(|error| StoreError::Create(path.to_owned(), error))?;
    }
    let options = SqliteConnectOptions::new()
        .filename(&unfinished)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off);
    let failed = |error| from_sqlx(path, &error);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    migrate(path, &mut connection, migrations).await?;
    connection.close().await.map_err(failed)?;
    Ok(unfinished)
}

/// Gives a new database its name. Nobody writes to it meanwhile.
pub(super) fn finish(unfinished: &Path, path: &Path, durability: Durability) -> Result<(), StoreError> {
    let io = |error| StoreError::Create(path.to_owned(), error);
    if durability == Durability::Process {
        return std::fs::rename(unfinished, path).map_err(io);
    }
    // The content first, so that the name never stands for less.
    sync(unfinished).and_then(|()| std::fs::rename(unfinished, path)).map_err(io)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(folder).map_err(io)
}

/// Waits until a file, or the names in a folder, are on disk.
pub(super) fn sync(path: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

async fn migrate(path: &Path, connection: &mut SqliteConnection, migrations: &Migrator) -> Result<(), StoreError> {
    migrations.run(connection).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => StoreError::Newer(path.to_owned(), version),
        MigrateError::Execute(error) => from_sqlx(path, &error),
        other => StoreError::Migrate(path.to_owned(), other),
    })
}

pub(crate) fn from_sqlx(path: &Path, error: &sqlx::Error) -> StoreError {
    // SQLITE_CORRUPT and SQLITE_NOTADB, and their extended codes.
    let damaged = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<u32>().ok())
        .is_some_and(|code| matches!(code & 0xff, 11 | 26));
    if damaged {
        StoreError::Damaged(path.to_owned(), error.to_string())
    } else {
        StoreError::Sqlite(path.to_owned(), error.to_string())
    }
}
