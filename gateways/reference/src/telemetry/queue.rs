//! The bounded way from a request to a sink: a request never waits, and what does not
//! fit is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::record::CallRecord;

/// How many records may wait for one sink.
const CAPACITY: usize = 16_384;
/// How many records a sink gets at once.
const BATCH: usize = 1_000;
/// How long the first record of a batch waits for others.
const GATHER: Duration = Duration::from_millis(50);

/// The requests' end of the way.
#[derive(Clone)]
pub(crate) struct Queue {
    records: mpsc::Sender<Arc<CallRecord>>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    dropped: Arc<AtomicU64>,
}

/// The sink's end.
pub(crate) struct Receiver {
    records: mpsc::Receiver<Arc<CallRecord>>,
    flushes: mpsc::Receiver<oneshot::Sender<()>>,
    dropped: Arc<AtomicU64>,
    /// Waits until everything that is there now has been taken and dealt with.
    flush: Option<oneshot::Sender<()>>,
    /// Whether a [`Queue`] is left.
    is_open: bool,
}

/// Makes the way to one sink.
pub(crate) fn queue() -> (Queue, Receiver) {
    let (records, received) = mpsc::channel(CAPACITY);
    let (flushes, flushed) = mpsc::channel(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let receiver =
        Receiver { records: received, flushes: flushed, dropped: Arc::clone(&dropped), flush: None, is_open: true };
    (Queue { records, flushes, dropped }, receiver)
}

impl Queue {
    /// Hands a record over, or counts it as dropped where the sink is too slow.
    pub(crate) fn give(&self, record: &Arc<CallRecord>) {
        if self.records.try_send(Arc::clone(record)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything that was given before has reached the sink.
    pub(crate) async fn flush(&self) {
        let (done, waiting) = oneshot::channel();
        if self.flushes.send(done).await.is_ok() {
            // A sink that has ended has nothing left to do.
            let _ = waiting.await;
        }
    }

    /// How many records did not reach the sink.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Receiver {
    /// The next batch; that it is asked for says that the one before has been dealt with.
    /// `None` when the last [`Queue`] is gone and everything was taken. Between two batches
    /// records only pile up: waking the sink for each would cost the requests time.
    pub(crate) async fn next_batch(&mut self) -> Option<Vec<Arc<CallRecord>>> {
        let mut batch = Vec::new();
        loop {
            while batch.len() < BATCH
                && let Ok(record) = self.records.try_recv()
            {
                batch.push(record);
            }
            if !batch.is_empty() {
                return Some(batch);
            }
            if let Some(flush) = self.flush.take() {
                // Who asked may have left.
                let _ = flush.send(());
            }
            if !self.is_open {
                return None;
            }
            tokio::select! {
                first = self.records.recv() => {
                    self.is_open = first.is_some();
                    batch.extend(first);
                }
                flush = self.flushes.recv() => self.flush = flush,
            }
            if self.is_open && self.flush.is_none() {
                self.flush = tokio::time::timeout(GATHER, self.flushes.recv()).await.ok().flatten();
            }
        }
    }

    /// So many records that were taken did not get where they should.
    pub(crate) fn lost(&self, count: usize) {
        self.dropped.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn give(queue: &Queue, count: usize) {
        let record = Arc::new(CallRecord::sample("mock-1"));
        (0..count).for_each(|_| queue.give(&record));
    }

    #[tokio::test]
    async fn what_a_sink_cannot_take_is_dropped_and_counted() {
        let (queue, mut receiver) = queue();
        give(&queue, CAPACITY + 3);
        assert_eq!(queue.dropped(), 3);
        assert_eq!(receiver.next_batch().await.unwrap().len(), BATCH);
        receiver.lost(2);
        assert_eq!(queue.dropped(), 5);
    }

    #[tokio::test]
    async fn a_flush_waits_until_everything_before_it_was_dealt_with() {
        let (queue, mut receiver) = queue();
        give(&queue, BATCH + 1);
        let taken = std::cell::Cell::new(0);
        let sink = async {
            while let Some(batch) = receiver.next_batch().await {
                taken.set(taken.get() + batch.len());
            }
        };
        let asking = async {
            queue.flush().await;
            drop(queue);
            taken.get()
        };
        let ((), taken_by_then) = tokio::join!(sink, asking);
        assert_eq!(taken_by_then, BATCH + 1);
    }

    #[tokio::test]
    async fn a_sink_ends_when_the_last_queue_is_gone_and_everything_was_taken() {
        let (queue, mut receiver) = queue();
        give(&queue, 2);
        drop(queue);
        assert_eq!(receiver.next_batch().await.unwrap().len(), 2);
        assert!(receiver.next_batch().await.is_none());
    }
}
