//! Moves the content of the write-ahead log into the database, which takes syncs of the disk: on a
//! thread of its own, so that no request waits for them.

use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::database;

/// From how many pages on the log is not left to grow until the traffic pauses: 64 MB.
const MOST_PAGES: i64 = 16_000;
/// Where the disk takes no longer for a checkpoint, the log is emptied after each.
const BRIEF: Duration = Duration::from_millis(2);

/// Asks for checkpoints. Dropping it waits for the one that is being made.
pub(super) struct Checkpoints {
    asked: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub(super) fn start(database: &Path) -> Result<Checkpoints, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(database, flags)?;
        let (asked, questions) = mpsc::sync_channel(1);
        let file = database.to_owned();
        let thread = std::thread::spawn(move || {
            // The rows of a first start have gone to their place without a log.
            if let Err(error) = database::sync(&file) {
                tracing::warn!(%error, "what the start has written may not survive a loss of power yet");
            }
            while questions.recv().is_ok() {
                if let Err(error) = checkpoint(&connection) {
                    tracing::warn!(%error, "the database's log could not be folded into it, and grows");
                }
            }
        });
        Ok(Checkpoints { asked: Some(asked), thread: Some(thread) })
    }

    /// One that is being made already serves as well.
    pub(super) fn ask(&self) {
        if let Some(asked) = &self.asked {
            let _ = asked.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.asked = None;
        // Its panic would have been reported already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// While others write, a passive checkpoint never empties the log. It is emptied while they wait:
/// where that is soon done, since SQLite finds a page in a short log several times as fast as in
/// a long one; and where the log is too long.
fn checkpoint(connection: &Connection) -> Result<(), rusqlite::Error> {
    let began = Instant::now();
    let pages: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
    if began.elapsed() < BRIEF || pages > MOST_PAGES {
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
    }
    Ok(())
}
