//! Connections: how many, how long a caller may take to speak and to listen, and the end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;

use crate::config::ServerLimits;

/// How long the gateway waits where the system has no file descriptor left for a connection.
const BREATH: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`, then takes no more connections and waits until those that are
/// open have ended and `idle` is, for at most the limits' `drain`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &ServerLimits,
    stop: impl Future<Output = ()>,
    idle: impl Future<Output = ()>,
) {
    let open = GracefulShutdown::new();
    accept(listener, &router, limits, stop, &open).await;
    let drained = async {
        open.shutdown().await;
        idle.await;
    };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!("requests were still on their way when the time to stop was over");
    }
}

/// Takes connections until `stop`. Those beyond the most wait in the system's queue. The
/// listener is closed at the end: nobody can connect to a gateway that stops.
async fn accept(
    listener: TcpListener,
    router: &Router,
    limits: &ServerLimits,
    stop: impl Future<Output = ()>,
    open: &GracefulShutdown,
) {
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let mut stop = std::pin::pin!(stop);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(limits.head_bytes);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut stop => return,
            next = next => next,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { return };
        match accepted {
            Ok(connection) => start(connection, &http, router, limits, open.watcher(), place),
            Err(error) => recover(&error).await,
        }
    }
}

/// Serves one connection in a task of its own.
fn start(
    (stream, caller): (TcpStream, SocketAddr),
    http: &http1::Builder,
    router: &Router,
    limits: &ServerLimits,
    watcher: Watcher,
    place: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::warn!(%error, "a connection without TCP_NODELAY");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_timeout));
    let stream: Pin<Box<TimeoutStream<TcpStream>>> = Box::pin(stream);
    let service = TowerToHyperService::new(router.clone());
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(caller));
        hyper::service::Service::call(&service, request)
    });
    let connection = watcher.watch(http.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // A caller that left, spoke too slowly or did not listen.
            tracing::debug!(%caller, %error, "a connection ended early");
        }
        drop(place);
    });
}

/// A caller that is gone before it was accepted is nobody's concern; the system's limits are.
async fn recover(error: &io::Error) {
    let gone = [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
    if !gone.contains(&error.kind()) {
        tracing::error!(%error, "a connection could not be taken");
        tokio::time::sleep(BREATH).await;
    }
}
