//! Where records go, without ever holding a request up.

use std::sync::Arc;

use super::queue::Queue;
use super::record::CallRecord;

/// Where records go. Dropping the last one lets every sink finish and end.
#[derive(Default)]
pub(crate) struct Telemetry {
    /// To the gateway's own log.
    pub(crate) lines: Option<Queue>,
    /// To the log of requests.
    pub(crate) logs: Option<Queue>,
}

impl Telemetry {
    /// Tells every sink of a finished request.
    pub(super) fn tell(&self, record: CallRecord, is_logged: bool) {
        let logs = self.logs.iter().filter(|_| is_logged);
        let mut queues = self.lines.iter().chain(logs).peekable();
        if queues.peek().is_none() {
            return;
        }
        let record = Arc::new(record);
        queues.for_each(|queue| queue.give(&record));
    }
}
