//! Whether a gateway is ready.

use std::{error::Error, future::Future, pin::pin, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::RuntimeError;

/// Between two questions: at first, and at most. On loopback a gateway that does not listen yet
/// refuses at once, so asking costs nothing; one that takes seconds is not asked a thousand times.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What came of a question that was still open at its end.
const UNANSWERED: &str = "accepted, but not answered";

/// How long one question may stay open.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Asks gateways whether they are ready.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    client: reqwest::Client,
}

/// Why a gateway is not ready.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotReady {
    /// It ended, in these words.
    Ended(String),
    /// It runs; this came of the last question.
    Late(String),
}

impl Probe {
    /// For gateways of this machine, which speak plain HTTP: a machine without certificates of
    /// authorities has gateways too, and to read them takes longer than many a start.
    pub(super) fn local() -> Result<Self, RuntimeError> {
        Self::new(reqwest::Client::builder().tls_certs_only([]))
    }

    /// For gateways anywhere, with the certificates that this machine trusts.
    pub(super) fn remote() -> Result<Self, RuntimeError> {
        Self::new(reqwest::Client::builder())
    }

    fn new(builder: reqwest::ClientBuilder) -> Result<Self, RuntimeError> {
        // Fails only if there is a provider already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = builder
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // A connection that was kept open would be one that the gateway must close to stop.
            .pool_max_idle_per_host(0)
            .tcp_nodelay(true)
            .build()
            .map_err(RuntimeError::Client)?;
        Ok(Self { client })
    }

    /// Waits until `url` answers 200 while the gateway lives; `end` completes with its last words.
    /// The one place that waits for a gateway: it asks, pauses, asks again, until the deadline.
    pub(super) async fn wait(
        &self,
        url: &str,
        within: Duration,
        end: impl Future<Output = String>,
    ) -> Result<(), NotReady> {
        let deadline = Instant::now() + within;
        let mut end = pin!(end);
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            let question = self.ask(url, deadline.min(Instant::now() + ANSWERS_WITHIN));
            let answer = tokio::select! {
                biased;
                how = &mut end => return Err(NotReady::Ended(how)),
                answer = question => answer,
            };
            let next = Instant::now() + pause;
            match answer {
                // Somebody else may have answered if our own gateway could not get its port.
                Ok(()) => {
                    return end.now_or_never().map_or(Ok(()), |how| Err(NotReady::Ended(how)));
                }
                // A question that the deadline cut short says less than the one before it.
                Err(answer) if answer == UNANSWERED && Instant::now() >= deadline && last.is_some() => {}
                Err(answer) => last = Some(answer),
            }
            if next >= deadline {
                return Err(NotReady::Late(last.unwrap_or_default()));
            }
            tokio::select! {
                biased;
                how = &mut end => return Err(NotReady::Ended(how)),
                () = sleep_until(next) => {}
            }
            pause = (pause + pause / 4).min(LONGEST_PAUSE);
        }
    }

    async fn ask(&self, url: &str, deadline: Instant) -> Result<(), String> {
        match timeout_at(deadline, self.client.get(url).send()).await {
            Ok(Ok(answer)) if answer.status() == reqwest::StatusCode::OK => Ok(()),
            Ok(Ok(answer)) => Err(format!("status {}", answer.status().as_u16())),
            Ok(Err(error)) => Err(root(&error)),
            Err(_) => Err(UNANSWERED.to_owned()),
        }
    }
}

/// What lies at the bottom of an error: `Connection refused` rather than `error sending request`.
fn root(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::{
        future::{pending, ready},
        net::{Ipv4Addr, SocketAddr},
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    use axum::{Router, http::StatusCode, routing::get};
    use tokio::net::TcpListener;

    use super::*;

    async fn serve(router: Router) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn a_gateway_is_asked_until_it_answers_200() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let answer = move || async move {
            if count.fetch_add(1, Ordering::SeqCst) < 3 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        };
        let address = serve(Router::new().route("/health", get(answer))).await;
        let url = format!("http://{address}/health");
        Probe::local().unwrap().wait(&url, Duration::from_secs(10), pending()).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn a_gateway_that_never_answers_200_is_late_and_its_last_answer_is_told() {
        let address = serve(Router::new()).await;
        let url = format!("http://{address}/health");
        let outcome = Probe::local().unwrap().wait(&url, Duration::from_secs(1), pending()).await;
        assert_eq!(outcome.unwrap_err(), NotReady::Late("status 404".into()));
    }

    #[tokio::test]
    async fn an_answer_does_not_count_once_the_gateway_has_ended() {
        let address = serve(Router::new().route("/health", get(|| async {}))).await;
        let url = format!("http://{address}/health");
        let end = ready("exit code 3".to_owned());
        let outcome = Probe::local().unwrap().wait(&url, Duration::from_secs(10), end).await;
        assert_eq!(outcome.unwrap_err(), NotReady::Ended("exit code 3".into()));
    }
}
