//! Plays writes on a connection, each on its own, and keeps the books while doing so.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;

use crate::breakage::Ending;
use crate::connection::Line;
use crate::ledger::Outcome;
use crate::world::Open;
use crate::write::Write;

/// The rest of an answer.
#[derive(Debug)]
pub(crate) struct Player {
    writes: VecDeque<Write>,
    ending: Ending,
    outcome: Outcome,
    open: Open,
    line: Line,
    /// The connection's flushes when the write before was handed over.
    mark: Option<u64>,
}

impl Player {
    pub(crate) fn new(writes: VecDeque<Write>, ending: Ending, outcome: Outcome, mut open: Open, line: Line) -> Player {
        if writes.is_empty() {
            open.settle(outcome, None);
        }
        Player { writes, ending, outcome, open, line, mark: None }
    }

    /// The body, a write at a time.
    pub(crate) fn play(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures_util::stream::unfold(self, |mut player| async move {
            let bytes = player.next().await?;
            Some((Ok(bytes), player))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(mark) = self.mark.take() {
            self.line.flushed_since(mark).await;
        }
        let Some(write) = self.writes.pop_front() else {
            return self.end().await;
        };
        wait(write.wait).await;
        self.open.produce(write.tokens);
        if self.writes.is_empty() {
            // In the books before the client can have it: who has the whole answer finds it there.
            self.open.settle(self.outcome, None);
        }
        self.mark = Some(self.line.flushes());
        Some(write.bytes)
    }

    async fn end(&self) -> Option<Bytes> {
        match self.ending {
            Ending::Proper => return None,
            Ending::Reset => self.line.reset(),
            Ending::Closed => self.line.close(),
            Ending::LeftOpen => {}
        }
        std::future::pending().await
    }
}

/// Waits without going to the timer for nothing.
pub(crate) async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
