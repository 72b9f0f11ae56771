//! What outlives the process, in `config.db`.
//!
//! | when | what is written, each in one transaction |
//! |---|---|
//! | at a start, before anybody is served | what the file changed; leftover holds, as spent |
//! | before a request goes upstream | its hold |
//! | before its answer is complete | the usage of its meters, and that its hold is gone |
//! | before a change through the API is confirmed | the change, with the usage of that moment |
//! | at a stop | what could not be written before |
//!
//! Nothing is written, and nothing else is done, when a window ends: a meter's next use begins the
//! next one. A commit goes to the database's write-ahead log, which is folded into the database
//! now and then, and at the stop.
//!
//! - [`writer`]: what is written to disk, and when
//! - [`rows`]: the shapes that a store keeps
//! - [`database`]: a file of SQLite's
//! - [`sqlite`]: the store in `config.db`
//! - [`used`]: which budgets and limits hold from a start on, and what is used of each
//! - [`tables`]: its tables, and how a row of each is read and written
//! - [`columns`]: how each value stands in a column
//! - [`checkpoints`]: when the database's log is folded into it
//! - [`declared`]: the entities and meters of `config.json`
//! - [`documents`]: what an administrator changed beside them
//! - [`entities`]: customers, teams and model configurations
//! - [`file_hash`]: by what a changed entity of the file is known
//! - [`lock`]: one process for one database
//! - [`mutex`]: how the writer and the checkpoints lock
//! - [`noted`]: rows, and whether they have to be written
//! - [`merge`]: which wins at a start, `config.json` or the database
//! - [`pairs`]: which meter of the one is which of the other

mod checkpoints;
mod columns;
pub(crate) mod database;
mod declared;
mod documents;
mod entities;
mod file_hash;
mod lock;
mod merge;
mod mutex;
mod noted;
mod pairs;
mod rows;
mod sqlite;
mod tables;
mod used;
mod writer;

pub(crate) use database::{Durability, StoreError};
pub(crate) use declared::{Declared, DeclaredEntity, DeclaredKey, DeclaredMeter, DeclaredMeters, Hashed};
pub(crate) use documents::{DocumentKind, DocumentRow};
pub(crate) use entities::{Customer, Entity, EntityRow, ModelConfig, Team};
pub(crate) use file_hash::{FileHash, document_hash};
pub(crate) use lock::{DatabaseLock, LockError};
pub(crate) use merge::{MergeError, Merged, merge};
pub(crate) use noted::{Noted, NotedMeter};
pub(crate) use rows::{
    Batch, Change, HoldId, HoldRow, KeyRow, Membership, MeterRow, OwnerKey, Saved, Standing, StoredKey, StoredMeter,
};
pub(crate) use sqlite::SqliteStore;
pub(crate) use writer::{Company, NotWritten, Writer, Written};

/// Whether to wait for another process that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    None,
    /// For some seconds.
    Some,
}

/// Tells of a meter that is read whether it is known, and need not be copied.
pub(crate) type IsKnown<'a> = &'a mut dyn FnMut(&StoredMeter<'_>) -> bool;

/// A place that keeps entities, meters and holds. Its functions block for as long as the disk takes.
pub(crate) trait Store: Send + 'static {
    /// Everything that is kept, but for the meters.
    fn load(&mut self) -> Result<Saved, StoreError>;

    /// The meters but for those of which `is_known` says that they are known already: there may
    /// be hundreds of thousands.
    fn meters(&mut self, is_known: IsKnown<'_>) -> Result<Vec<MeterRow>, StoreError>;

    /// Writes what a start has changed, and the batch, in one transaction.
    fn begin(&mut self, merged: &Merged, batch: &Batch) -> Result<(), StoreError>;

    /// Writes the batch in one transaction: all of it or nothing. Where another process writes,
    /// [`StoreError::Busy`] comes at once or after some seconds, as `patience` says.
    fn commit(&mut self, batch: &Batch, patience: Patience) -> Result<(), StoreError>;

    /// Closes the store, after which another process may open it.
    fn close(self: Box<Self>) -> Result<(), StoreError>;
}
