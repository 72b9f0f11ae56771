//! How a worker waits for the next thing to do.
//!
//! To fall asleep and to be woken can take a processor longer than all that the gateway does for a request,
//! most of all a virtual one. So a worker to which things come one upon the other looks for the next one
//! for a moment before it sleeps, as other servers do (Seastar's idle polling, the halt polling of KVM).
//! That costs processor time, and only there: a worker whose last waits were longer, for a model
//! that takes its time, sleeps at once.

use std::cell::{Cell, OnceCell};
use std::future::poll_fn;
use std::io;
use std::num::NonZeroUsize;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::JoinHandle;

/// How long a worker looks before it sleeps.
const LOOKS: Duration = Duration::from_micros(200);
/// How short its waits have to be on average for that.
const BUSY: Duration = Duration::from_micros(100);
/// The longest that a wait counts as: after one of these it takes many short ones to be busy again.
const LONGEST: Duration = Duration::from_millis(2);
/// Of how many waits, about, the average is taken.
const WAITS: u32 = 8;

thread_local! {
    static OWN: Cell<Waits> = const { Cell::new(Waits::NONE) };
    /// Wakes a task that does nothing: a runtime that has a task to run does not sleep.
    static LOOKER: OnceCell<Waker> = const { OnceCell::new() };
}

/// What a worker runs in.
pub(crate) struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    /// For one of so many workers, one a processor. Who has one processor alone does not look: those from
    /// whom something is waited for would have to wait for it.
    pub(crate) fn new(workers: NonZeroUsize) -> io::Result<Runtime> {
        let mut builder = Builder::new_current_thread();
        if workers > NonZeroUsize::MIN {
            builder.on_thread_park(before_sleep);
        }
        builder.enable_all().build().map(Runtime)
    }

    /// Runs a worker to its end. What is still on its way then is dropped; a sync of the disk that goes
    /// on is waited for elsewhere.
    pub(crate) fn run(self, worker: impl Future<Output = ()>) {
        self.0.spawn(look());
        self.0.block_on(worker);
        self.0.shutdown_background();
    }
}

/// Does some of a worker's work in a task of its own, which whenever it goes on ends the worker's wait.
pub(crate) fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(end_waits(work))
}

async fn end_waits<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    poll_fn(|context| {
        let mut waits = OWN.get();
        if waits.end(Instant::now) {
            OWN.set(waits);
        }
        work.as_mut().poll(context)
    })
    .await
}

/// Whether the worker's wait has not been ended, as it is wherever work is done.
#[cfg(test)]
pub(crate) fn is_waiting() -> bool {
    OWN.get().began.is_some()
}

/// What the runtime calls each time before it would sleep.
fn before_sleep() {
    let mut waits = OWN.get();
    let looks = waits.look(Instant::now());
    OWN.set(waits);
    if looks {
        LOOKER.with(|looker| looker.get().map(Waker::wake_by_ref));
    }
}

/// The task that keeps the runtime from sleeping. It never ends.
async fn look() {
    poll_fn(|context| -> Poll<()> {
        LOOKER.with(|looker| {
            looker.get_or_init(|| context.waker().clone());
        });
        Poll::Pending
    })
    .await;
}

/// When the present wait began, and how long the last ones were.
#[derive(Clone, Copy)]
struct Waits {
    began: Option<Instant>,
    average: Duration,
}

impl Waits {
    const NONE: Waits = Waits { began: None, average: LONGEST };

    /// Whether to look once more. The wait begins with the first question.
    fn look(&mut self, now: Instant) -> bool {
        let began = *self.began.get_or_insert(now);
        self.average <= BUSY && now.saturating_duration_since(began) < LOOKS
    }

    /// There is something to do. Tells whether it was waited for.
    fn end(&mut self, now: impl FnOnce() -> Instant) -> bool {
        let Some(began) = self.began.take() else { return false };
        let wait = now().saturating_duration_since(began).min(LONGEST);
        self.average = (self.average * (WAITS - 1) + wait) / WAITS;
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::thread;

    use tokio::runtime::Handle;
    use tokio::sync::oneshot;

    use super::*;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();
    const DEADLINE: Duration = Duration::from_secs(20);

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// A worker's waits on a clock of their own.
    struct Worker {
        waits: Waits,
        now: Instant,
    }

    impl Worker {
        fn new() -> Worker {
            Worker { waits: Waits::NONE, now: Instant::now() }
        }

        /// Waits for so long, and tells how much of it was spent looking.
        fn wait(&mut self, wait: Duration) -> Duration {
            let began = self.now;
            let mut looked = Duration::ZERO;
            while looked < wait && self.waits.look(began + looked) {
                looked += micros(1);
            }
            self.waits.look(began + looked);
            self.now = began + wait;
            assert!(self.waits.end(|| self.now));
            looked
        }
    }

    #[test]
    fn a_worker_looks_while_its_waits_are_short() {
        let mut worker = Worker::new();
        assert_eq!(worker.wait(micros(50)), Duration::ZERO, "it has yet to become busy");
        for _ in 0..40 {
            worker.wait(micros(50));
        }
        assert_eq!(worker.wait(micros(50)), micros(50));
        // Nothing comes: it has looked long enough, and does not again.
        assert_eq!(worker.wait(Duration::from_secs(1)), LOOKS);
        assert_eq!(worker.wait(Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn a_worker_that_waits_for_a_model_does_not_look() {
        let mut worker = Worker::new();
        for _ in 0..100 {
            // For the rest of a request, and then for the model.
            assert_eq!(worker.wait(micros(50)), Duration::ZERO);
            assert_eq!(worker.wait(Duration::from_millis(20)), Duration::ZERO);
        }
    }

    #[test]
    fn work_that_comes_without_a_wait_ends_none() {
        let mut waits = Waits::NONE;
        assert!(!waits.end(Instant::now));
        assert_eq!(waits.average, LONGEST);
    }

    #[test]
    fn a_worker_looks_for_work_and_sleeps_when_none_comes() {
        Runtime::new(TWO).unwrap().run(async { spawn(look_and_sleep()).await.unwrap() });
    }

    #[test]
    fn a_worker_that_is_alone_does_not_look() {
        Runtime::new(NonZeroUsize::MIN).unwrap().run(async {
            OWN.set(Waits { began: Some(Instant::now() + DEADLINE), average: Duration::ZERO });
            told_once_asleep().await;
        });
    }

    async fn look_and_sleep() {
        let metrics = Handle::current().metrics();
        for _ in 0..20 {
            // It may look for as long as nothing comes, since its wait is yet to begin.
            OWN.set(Waits { began: Some(Instant::now() + DEADLINE), average: Duration::ZERO });
            told_by(|tell| tell.send(()).unwrap()).await;
        }
        assert_eq!(metrics.worker_park_count(0), 0, "it slept");
        // Nothing comes before it sleeps.
        OWN.set(Waits { began: None, average: Duration::ZERO });
        told_once_asleep().await;
        assert!(OWN.get().average > Duration::ZERO);
    }

    /// Waits for what another thread tells when this one has gone to sleep.
    async fn told_once_asleep() {
        let metrics = Handle::current().metrics();
        let sleeps = move || metrics.worker_park_count(0) > 0;
        told_by(move |tell| {
            while !sleeps() {
                thread::yield_now();
            }
            tell.send(()).unwrap();
        })
        .await;
    }

    /// Waits for what another thread tells.
    async fn told_by(other: impl FnOnce(oneshot::Sender<()>) + Send + 'static) {
        let (tell, told) = oneshot::channel();
        thread::spawn(move || other(tell));
        tokio::time::timeout(DEADLINE, told).await.unwrap().unwrap();
    }
}
