//! A thread on which work with containers is done, always to its end.
//!
//! A container that is being created when its future is dropped would stay behind, and a
//! destructor cannot wait for a daemon. So what creates and removes containers is handed to this
//! thread, which outlives the futures that asked for it: when its owner is dropped (at the end of
//! a run, after Ctrl-C, in a panic) it first finishes what it was given.

use std::{future::Future, io, pin::Pin, thread, time::Duration};

use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long the last work may take before the thread gives up on a daemon that hangs.
const FINISHES_WITHIN: Duration = Duration::from_secs(60);

/// The thread. Dropping it waits until all work is done.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread =
            thread::Builder::new().name("containers".to_owned()).spawn(move || runtime.block_on(work(queue)))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has the work done, whether its result is awaited or not.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (result, receiver) = oneshot::channel();
        let job = Box::pin(async move {
            // It is no error that nobody waits for the result any more.
            let _ = result.send(work.await);
        });
        if let Some(jobs) = &self.jobs {
            // The queue is open as long as the worker lives.
            let _ = jobs.send(job);
        }
        receiver
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already told where it happened.
            let _ = thread.join();
        }
    }
}

async fn work(mut queue: mpsc::UnboundedReceiver<Job>) {
    let mut running = JoinSet::new();
    while let Some(job) = queue.recv().await {
        running.spawn(job);
        while running.try_join_next().is_some() {}
    }
    let finish = async { while running.join_next().await.is_some() {} };
    if timeout(FINISHES_WITHIN, finish).await.is_err() {
        tracing::warn!("the Docker daemon does not answer; `probity gc` removes what is left of this run");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[test]
    fn a_worker_that_is_dropped_finishes_what_it_was_given() {
        let done = Arc::new(AtomicU32::new(0));
        let worker = Worker::start().unwrap();
        for _ in 0..10 {
            let done = Arc::clone(&done);
            drop(worker.submit(async move {
                tokio::task::yield_now().await;
                done.fetch_add(1, Ordering::SeqCst);
            }));
        }
        drop(worker);
        assert_eq!(done.load(Ordering::SeqCst), 10);
    }

    #[test]
    fn the_result_of_work_can_be_awaited() {
        let worker = Worker::start().unwrap();
        let result = worker.submit(async { 7 });
        assert_eq!(result.blocking_recv().unwrap(), 7);
    }
}
