//! A request's body: read as a whole, in time and no longer than it may be.

use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::errors::Problem;

/// The body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the request's body did not arrive in time")]
struct TooSlow;

/// The whole body, of at most so many bytes.
pub(crate) async fn whole(body: Body, most: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, most).await.map_err(|error| {
        if was_too_slow(&error) {
            return Problem::failure(StatusCode::REQUEST_TIMEOUT, "request_timeout", TooSlow.to_string());
        }
        let most = if most >> 20 > 0 { format!("{} MB", most >> 20) } else { format!("{} KB", most >> 10) };
        let message = format!("the request's body is incomplete or larger than {most}");
        Problem::failure(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    })
}

/// Whether a body ended because its caller was too slow.
fn was_too_slow(error: &axum::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// `body`, which fails unless it is complete so long from now.
pub(crate) fn in_time(body: Body, timeout: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(Timed { body, deadline: Instant::now() + timeout, alarm: None })
}

struct Timed {
    body: Body,
    deadline: Instant,
    /// Made when a piece has to be waited for: most bodies come with their heads.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let deadline = self.deadline;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Some(Err(axum::Error::new(TooSlow))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
