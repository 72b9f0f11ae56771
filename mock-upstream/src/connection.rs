//! Connections whose end is in our hands: closed or reset at once, whatever the HTTP
//! library above is doing, and with a signal when what was written has left.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const OPEN: u8 = 0;
const CLOSE: u8 = 1;
const RESET: u8 = 2;

/// A handle on a connection, for whoever answers on it.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    end: AtomicU8,
    /// Wakes the task that serves the connection, so that it notices the end.
    server: AtomicWaker,
    /// How often everything that was written has been handed to the kernel.
    flushes: AtomicU64,
    flushed: AtomicWaker,
}

impl Line {
    /// Closes the connection; what was not written is lost.
    pub(crate) fn close(&self) {
        self.end(CLOSE);
    }

    /// Resets the connection.
    pub(crate) fn reset(&self) {
        self.end(RESET);
    }

    fn end(&self, how: u8) {
        self.0.end.store(how, Ordering::Release);
        self.0.server.wake();
    }

    /// A mark in time for `flushed_since`.
    pub(crate) fn flushes(&self) -> u64 {
        self.0.flushes.load(Ordering::Acquire)
    }

    /// Until everything that was written up to the mark has been handed to the kernel.
    pub(crate) async fn flushed_since(&self, mark: u64) {
        poll_fn(|context| {
            self.0.flushed.register(context.waker());
            if self.flushes() == mark { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

/// A connection from a client.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    line: Line,
    id: u64,
    register: Arc<Register>,
}

impl Connection {
    /// Remembers who to wake at the end, and says whether it has come.
    fn check(&self, context: &Context<'_>) -> io::Result<()> {
        self.line.0.server.register(context.waker());
        match self.line.0.end.load(Ordering::Acquire) {
            OPEN => Ok(()),
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.line.0.end.load(Ordering::Acquire) == RESET {
            // Without this the kernel would say goodbye politely.
            let _ = self.stream.set_zero_linger();
        }
        self.register.remove(self.id);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.line.0.flushes.fetch_add(1, Ordering::AcqRel);
        self.line.0.flushed.wake();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.0.end.load(Ordering::Acquire) == RESET {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Every open connection of one listener.
#[derive(Debug, Default)]
pub(crate) struct Register {
    lines: Mutex<(u64, HashMap<u64, Line>)>,
    changed: Notify,
}

impl Register {
    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Line>)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self) -> (u64, Line) {
        let line = Line(Arc::default());
        let mut lines = self.lock();
        lines.0 += 1;
        let id = lines.0;
        lines.1.insert(id, line.clone());
        (id, line)
    }

    fn remove(&self, id: u64) {
        self.lock().1.remove(&id);
        self.changed.notify_waiters();
    }

    /// Closes every connection.
    pub(crate) fn close(&self) {
        for line in self.lock().1.values() {
            line.close();
        }
    }

    /// Until no connection is open.
    pub(crate) async fn empty(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.lock().1.is_empty() {
                return;
            }
            changed.await;
        }
    }
}

/// A listener whose connections are registered.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) register: Arc<Register>,
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, client)) => {
                    // Head and body apart would cost 40 ms a call otherwise.
                    let _ = stream.set_nodelay(true);
                    let (id, line) = self.register.add();
                    let register = Arc::clone(&self.register);
                    return (Connection { stream, line, id, register }, client);
                }
                // Out of file descriptors, most likely: nothing tells when one is free again.
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Line {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Line {
        stream.io().line.clone()
    }
}
