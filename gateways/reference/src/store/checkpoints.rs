//! Moves the content of the write-ahead log into the database, which takes syncs of the disk: on a
//! thread of its own, so that no request waits for them. Only where the log is to be emptied do commits
//! wait, for the little that has come since.

use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::database;
use super::mutex::{lock, lock_at_once};

/// From how many pages on the log is not left to grow until the traffic pauses: 64 MB.
const MOST_PAGES: i64 = 16_000;
/// How long commits may wait for somebody who reads from a log that is to be emptied.
const MOST_WAIT: Duration = Duration::from_millis(250);

/// Commits, and the emptying of the log: one at a time, each in its turn. By SQLite's own lock, which is
/// only looked at now and then, commits that follow each other closely would let nobody come between.
#[derive(Default)]
pub(super) struct Turns {
    /// Held by whoever has the turn after this one.
    next: Mutex<()>,
    now: Mutex<()>,
}

impl Turns {
    /// Waits for a turn.
    pub(super) fn take(&self) -> MutexGuard<'_, ()> {
        // Whoever ends a turn and wants another one finds this taken.
        let _next = lock(&self.next);
        lock(&self.now)
    }

    /// A turn if nobody has it or waits for it.
    pub(super) fn take_at_once(&self) -> Option<MutexGuard<'_, ()>> {
        let _next = lock_at_once(&self.next)?;
        lock_at_once(&self.now)
    }
}

/// Asks for checkpoints. Dropping it waits for the one that is being made.
pub(super) struct Checkpoints {
    asked: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    turns: Arc<Turns>,
}

impl Checkpoints {
    pub(super) fn start(database: &Path) -> Result<Checkpoints, rusqlite::Error> {
        let connection = open(database)?;
        let (asked, questions) = mpsc::sync_channel(1);
        let file = database.to_owned();
        let turns = Arc::new(Turns::default());
        let theirs = Arc::clone(&turns);
        let thread = std::thread::spawn(move || {
            // The rows of a first start have gone to their place without a log.
            if let Err(error) = database::sync(&file) {
                tracing::warn!(%error, "what the start has written may not survive a loss of power yet");
            }
            while questions.recv().is_ok() {
                match checkpoint(&connection, &theirs, MOST_PAGES) {
                    Ok(Log::Short | Log::Emptied) => {}
                    Ok(Log::Held) => {
                        tracing::warn!("others use the database without a pause, and its log grows meanwhile");
                    }
                    Err(error) => tracing::warn!(%error, "the database's log could not be folded into it, and grows"),
                }
            }
        });
        Ok(Checkpoints { asked: Some(asked), thread: Some(thread), turns })
    }

    /// In whose turns commits are made.
    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// The same for a test that holds one while it writes.
    #[cfg(test)]
    pub(super) fn shared_turns(&self) -> Arc<Turns> {
        Arc::clone(&self.turns)
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

fn open(database: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(MOST_WAIT)?;
    Ok(connection)
}

/// What became of the log.
#[derive(Debug, PartialEq, Eq)]
enum Log {
    /// What it holds is in the database too, or will be at the next checkpoint.
    Short,
    /// It was too long, and begins anew.
    Emptied,
    /// It is too long, and others use it.
    Held,
}

/// While commits go on, a passive checkpoint never empties the log; one of more than so many
/// pages is emptied while they wait.
fn checkpoint(connection: &Connection, turns: &Turns, most_pages: i64) -> Result<Log, rusqlite::Error> {
    let (pages, _) = passive(connection)?;
    if pages <= most_pages {
        return Ok(Log::Short);
    }
    let _turn = turns.take();
    // Nothing can be emptied that a reader has yet to read, and commits would wait for it in vain. A commit
    // that was about to end was such a reader too.
    let (pages, moved) = passive(connection)?;
    if moved < pages {
        return Ok(Log::Held);
    }
    let held = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))?;
    Ok(if held { Log::Held } else { Log::Emptied })
}

/// Moves what nobody keeps from being moved. How many pages the log has, and how many of them were moved.
fn passive(connection: &Connection) -> Result<(i64, i64), rusqlite::Error> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_log_that_is_too_long_is_emptied_once_nobody_reads_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.db");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        let reader = Connection::open(&path).unwrap();
        let connection = open(&path).unwrap();
        let turns = Turns::default();
        assert_eq!(checkpoint(&connection, &turns, 1_000).unwrap(), Log::Short);

        // What the reader reads is the newest, and then it is no longer.
        writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        assert_eq!(checkpoint(&connection, &turns, 0).unwrap(), Log::Held);
        writer.execute_batch("INSERT INTO t VALUES (3)").unwrap();
        assert_eq!(checkpoint(&connection, &turns, 0).unwrap(), Log::Held);

        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(checkpoint(&connection, &turns, 0).unwrap(), Log::Emptied);
        writer.execute_batch("INSERT INTO t VALUES (4)").unwrap();
        let rows: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 4);
    }

    #[test]
    fn a_log_that_is_too_long_is_emptied_however_closely_commits_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.db");
        let writer = Connection::open(&path).unwrap();
        writer.busy_timeout(Duration::from_secs(60)).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)").unwrap();
        let connection = open(&path).unwrap();
        let (turns, commits, is_over) = (Turns::default(), AtomicUsize::new(0), AtomicBool::new(false));
        // As two threads do whose commits take their time, and follow each other at once.
        let commit = |writer: &Connection| {
            let _turn = turns.take();
            let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)";
            writer.execute_batch(&format!("DELETE FROM t; {rows} INSERT INTO t SELECT i FROM n")).unwrap();
            commits.fetch_add(1, Ordering::Relaxed);
        };
        let writer = Mutex::new(writer);
        std::thread::scope(|scope| {
            let threads = [(); 2].map(|()| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        commit(&writer.lock().unwrap());
                    }
                })
            });
            let go_on = || threads.iter().any(|thread| !thread.is_finished());
            let emptied = (0..5).filter(|_| {
                let before = commits.load(Ordering::Relaxed);
                while commits.load(Ordering::Relaxed) < before + 3 && go_on() {
                    std::thread::yield_now();
                }
                checkpoint(&connection, &turns, 0).is_ok_and(|log| log == Log::Emptied)
            });
            let emptied = emptied.count();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(emptied, 5);
        });
    }
}
