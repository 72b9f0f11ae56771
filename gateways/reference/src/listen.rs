//! Connections: how many, how long a caller may take to speak and to listen, and the end.

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use crate::config::ServerLimits;
use crate::gateway::Gateway;
use crate::idle;
use crate::workers::{Connection, Connections, Ended, Workers};

/// How long the gateway waits where the system has no file descriptor left for a connection.
const BREATH: Duration = Duration::from_millis(100);

/// Why connections were not served to the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("cannot start threads that serve connections: {0}")]
    Start(io::Error),
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Serves `router` until `stop`, then takes no more connections and waits until those that are
/// open have ended and the gateway is idle, for at most the limits' `drain`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    gateway: Arc<Gateway>,
    limits: ServerLimits,
    stop: impl Future<Output = ()>,
) -> Result<(), ListenError> {
    let count = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let work = move |connections| work(connections, router.clone(), Arc::clone(&gateway), limits);
    let workers = Workers::start(count, work).map_err(ListenError::Start)?;
    let accepted = accept(listener, &workers, limits.max_connections, stop).await;
    let ended = workers.end().await;
    Ok(accepted.and(ended)?)
}

/// Takes connections until `stop`. Those beyond the most wait in the system's queue. The
/// listener is closed at the end: nobody can connect to a gateway that stops.
async fn accept(
    listener: TcpListener,
    workers: &Workers,
    most: usize,
    stop: impl Future<Output = ()>,
) -> Result<(), Ended> {
    let places = Arc::new(Semaphore::new(most));
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            next = next => next,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { return Ok(()) };
        match accepted.and_then(|(stream, caller)| Ok((stream.into_std()?, caller))) {
            Ok((stream, caller)) => workers.give(stream, caller, place)?,
            Err(error) => recover(&error).await,
        }
    }
}

/// Serves the connections that one worker gets, and in the end lets them end.
async fn work(mut connections: Connections, router: Router, gateway: Arc<Gateway>, limits: ServerLimits) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(limits.head_bytes);
    let open = GracefulShutdown::new();
    while let Some(connection) = connections.recv().await {
        if let Err(error) = start(connection, &http, &router, limits.write_timeout, open.watcher()) {
            tracing::error!(%error, "a connection could not be served");
        }
    }
    let drained = async {
        open.shutdown().await;
        // A call that its caller has left goes on.
        gateway.inflight.none().await;
    };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!("requests were still on their way when the time to stop was over");
    }
}

/// Serves one connection in a task of its own.
fn start(
    Connection { stream, caller, place }: Connection,
    http: &http1::Builder,
    router: &Router,
    write_timeout: Duration,
    watcher: Watcher,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = TimeoutStream::new(TcpStream::from_std(stream)?);
    stream.set_write_timeout(Some(write_timeout));
    let stream: Pin<Box<TimeoutStream<TcpStream>>> = Box::pin(stream);
    let service = TowerToHyperService::new(router.clone());
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(caller));
        hyper::service::Service::call(&service, request)
    });
    let connection = watcher.watch(http.serve_connection(TokioIo::new(stream), service));
    idle::spawn(async move {
        if let Err(error) = connection.await {
            // A caller that left, spoke too slowly or did not listen.
            tracing::debug!(%caller, %error, "a connection ended early");
        }
        drop(place);
    });
    Ok(())
}

/// A caller that is gone before it was accepted is nobody's concern; the system's limits are.
async fn recover(error: &io::Error) {
    let gone = [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
    if !gone.contains(&error.kind()) {
        tracing::error!(%error, "a connection could not be taken");
        tokio::time::sleep(BREATH).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use axum::http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_request_ends_its_workers_wait() {
        let work = |mut connections: Connections| async move {
            let answer = async || if idle::is_waiting() { StatusCode::CONFLICT } else { StatusCode::OK };
            let (router, open) = (Router::new().fallback(answer), GracefulShutdown::new());
            while let Some(connection) = connections.recv().await {
                let write_timeout = Duration::from_secs(20);
                start(connection, &http1::Builder::new(), &router, write_timeout, open.watcher()).unwrap();
            }
        };
        // One that is alone does not note its waits.
        let workers = Workers::start(NonZeroUsize::new(2).unwrap(), work).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = async {
            // Before the first one it may not have waited.
            for _ in 0..3 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        };
        accept(listener, &workers, 1, asked).await.unwrap();
        workers.end().await.unwrap();
    }
}
