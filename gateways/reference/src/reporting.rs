//! Starts what finished requests are reported to, and waits for its end.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::logs::{self, Logs};
use crate::store::{DatabaseLock, LockError, StoreError};
use crate::telemetry::{Receiver, Spans, SpansError, Telemetry, lines, queue};

/// Why requests could not be reported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportingError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Spans(#[from] SpansError),
}

/// What the gateway needs to report its requests.
pub(crate) struct Reporting {
    pub(crate) telemetry: Arc<Telemetry>,
    /// The log of requests, to be read.
    pub(crate) logs: Option<Logs>,
}

/// Those that will write reports.
pub(crate) struct Writers {
    lines: Receiver,
    log: Option<LogWriter>,
    spans: Option<(Spans, Receiver)>,
}

struct LogWriter {
    lock: DatabaseLock,
    connection: SqliteConnection,
    records: Receiver,
}

impl Reporting {
    /// Opens the log of requests, if there is one, and the way to a collector of traces, if
    /// the environment names one.
    pub(crate) async fn prepare(logs_path: Option<&Path>) -> Result<(Reporting, Writers), ReportingError> {
        let mut telemetry = Telemetry::default();
        let (to_lines, lines) = queue();
        // A log that takes no such lines needs no records.
        telemetry.lines = lines::are_wanted().then_some(to_lines);
        let mut opened = None;
        let mut log = None;
        if let Some(path) = logs_path {
            let lock = DatabaseLock::take(path)?;
            let (logs, connection) = logs::open(path).await?;
            let (to_log, records) = queue();
            telemetry.logs = Some(to_log);
            opened = Some(logs);
            log = Some(LogWriter { lock, connection, records });
        }
        let spans = Spans::from_env()?.map(|spans| {
            let (to_spans, records) = queue();
            telemetry.spans = Some(to_spans);
            (spans, records)
        });
        Ok((Reporting { telemetry: Arc::new(telemetry), logs: opened }, Writers { lines, log, spans }))
    }
}

impl Writers {
    /// Lets them begin. They end when the gateway is gone and everything is written.
    pub(crate) fn start(self, gateway: &Arc<Gateway>) -> JoinSet<()> {
        let mut writing = JoinSet::new();
        writing.spawn(lines::write_all(self.lines));
        if let Some((spans, records)) = self.spans {
            writing.spawn(spans.write_all(records));
        }
        if let Some(LogWriter { lock, connection, records }) = self.log {
            let clock = Arc::clone(&gateway.clock);
            let gateway = Arc::downgrade(gateway);
            // A gateway that is about to end forgets nothing more.
            let keep_days = move || Some(gateway.upgrade()?.client().logging.retention_days);
            writing.spawn(async move {
                logs::write_all(connection, records, clock, keep_days).await;
                drop(lock);
            });
        }
        writing
    }
}
