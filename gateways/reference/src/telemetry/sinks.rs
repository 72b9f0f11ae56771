//! Where records go, without ever holding a request up.

use std::sync::Arc;

use super::active::Active;
use super::exposition::{self, Scrape};
use super::http::{Answered, HttpMetrics};
use super::metrics::{Metrics, Pace};
use super::queue::Queue;
use super::record::CallRecord;

/// Where records go. Dropping the last one lets every sink finish and end.
#[derive(Default)]
pub(crate) struct Telemetry {
    metrics: Metrics,
    http: HttpMetrics,
    pub(super) active: Active,
    /// To the gateway's own log.
    pub(crate) lines: Option<Queue>,
    /// To the log of requests.
    pub(crate) logs: Option<Queue>,
    /// To a collector of traces.
    pub(crate) spans: Option<Queue>,
}

impl Telemetry {
    /// The metrics as text.
    pub(crate) fn metrics(&self) -> Result<String, std::fmt::Error> {
        let queues = [("lines", &self.lines), ("logs", &self.logs), ("spans", &self.spans)];
        let dropped = queues.iter().filter_map(|(sink, queue)| Some((*sink, queue.as_ref()?.dropped())));
        exposition::render(Scrape {
            series: self.metrics.all(),
            keys: self.metrics.keys.all(),
            rotations: self.metrics.keys.rotations(),
            http: self.http.all(),
            active: self.active.all(),
            dropped: dropped.collect(),
        })
    }

    /// Counts an answered request, whatever it asked for.
    pub(crate) fn answered(&self, answered: &Answered<'_>) {
        self.http.count(answered);
    }

    /// The pace of a stream that has begun.
    pub(super) fn pace(&self, record: &CallRecord) -> Option<Pace> {
        record.attempts.last().map(|attempt| self.metrics.pace(record, attempt))
    }

    /// Counts a finished request, and tells every sink of it.
    pub(super) fn tell(&self, record: CallRecord, is_logged: bool) {
        self.metrics.count(&record);
        let logs = self.logs.iter().filter(|_| is_logged);
        let mut queues = self.lines.iter().chain(&self.spans).chain(logs).peekable();
        if queues.peek().is_none() {
            return;
        }
        let record = Arc::new(record);
        queues.for_each(|queue| queue.give(&record));
    }
}
