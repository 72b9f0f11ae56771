//! Whether the database can be written, for whoever asks: strangers, too, and without end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use crate::store::NotWritten;

/// For how long one answer is good: a commit is for requests, and not for those who ask.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// What a ping comes to.
type Answer = Shared<BoxFuture<'static, Result<(), NotWritten>>>;

/// The last ping, and when it was begun. All who ask within a second have its answer in common,
/// and whoever leaves early takes it from nobody.
#[derive(Default)]
pub(crate) struct Pulse(Mutex<Option<(Instant, Answer)>>);

impl Pulse {
    /// The answer of the last ping, or of a new one.
    pub(crate) fn felt<F>(&self, now: Instant, ping: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Result<(), NotWritten>> + Send + 'static,
    {
        // It is replaced in one step, and whole after a panic.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((begun, answer)) if now.duration_since(*begun) < GOOD_FOR => answer.clone(),
            _ => last.insert((now, ping().boxed().shared())).1.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_ask_within_a_second_share_one_ping_and_later_ones_the_next() {
        let (pulse, begun) = (Pulse::default(), Instant::now());
        let pings = std::sync::atomic::AtomicUsize::new(0);
        let ask = |millis, answer| {
            pulse.felt(begun + Duration::from_millis(millis), || {
                pings.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                std::future::ready(answer)
            })
        };
        // One who leaves before the answer is there.
        drop(ask(0, Ok(())));
        let mut answers = Vec::new();
        for millis in [0, 1, 999, 1_000, 1_999, 2_000] {
            let is_full = (1_000..2_000).contains(&millis);
            let answer = ask(millis, if is_full { Err(NotWritten) } else { Ok(()) });
            answers.push(answer.await.is_ok());
        }
        assert_eq!(answers, [true, true, true, false, false, true]);
        assert_eq!(pings.into_inner(), 3);
    }
}
