//! The threads that serve connections, one a core, each with a runtime of its own.
//!
//! A request, its caller's connection and its provider's never leave their thread, so that no
//! step on its way has to wake another one. What is no request (the management API, reports,
//! checkpoints) stays on the runtime that starts the workers, and holds none of them up.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::idle;

/// A caller's connection, and the place that it takes until it is dropped.
pub(crate) struct Connection {
    /// Does not block.
    pub(crate) stream: TcpStream,
    pub(crate) caller: SocketAddr,
    pub(crate) place: Place,
}

/// One of the connections that the gateway may have.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    open: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a worker gets, until nothing more comes.
pub(crate) type Connections = mpsc::UnboundedReceiver<Connection>;

/// A worker has ended before it was told to, which its own panic has reported.
#[derive(Debug, thiserror::Error)]
#[error("a thread that served connections has ended")]
pub(crate) struct Ended;

/// All workers.
pub(crate) struct Workers(Vec<Worker>);

struct Worker {
    connections: mpsc::UnboundedSender<Connection>,
    /// How many it serves.
    open: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Workers {
    /// Starts so many threads that each do `work` with the connections they get.
    pub(crate) fn start<F: Future<Output = ()>>(
        count: NonZeroUsize,
        work: impl Fn(Connections) -> F + Clone + Send + 'static,
    ) -> io::Result<Workers> {
        let start = |number| {
            let (sender, connections) = mpsc::unbounded_channel();
            let runtime = idle::Runtime::new(count)?;
            let work = work.clone();
            let name = format!("worker-{number}");
            let thread = thread::Builder::new().name(name).spawn(move || runtime.run(work(connections)))?;
            Ok(Worker { connections: sender, open: Arc::default(), thread })
        };
        (0..count.get()).map(start).collect::<io::Result<_>>().map(Workers)
    }

    /// Gives a connection to the worker that has the fewest.
    pub(crate) fn give(
        &self,
        stream: TcpStream,
        caller: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), Ended> {
        let idlest = self.0.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed)).ok_or(Ended)?;
        idlest.open.fetch_add(1, Ordering::Relaxed);
        let place = Place { _permit: permit, open: Arc::clone(&idlest.open) };
        idlest.connections.send(Connection { stream, caller, place }).map_err(|_| Ended)
    }

    /// Tells all workers that nothing more comes, and waits until they have ended.
    pub(crate) async fn end(self) -> Result<(), Ended> {
        let threads: Vec<_> = self.0.into_iter().map(|worker| worker.thread).collect();
        let join = move || threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| Ended));
        tokio::task::spawn_blocking(join).await.map_err(|_| Ended)?
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::net::TcpListener;

    use tokio::sync::Semaphore;

    use super::*;

    /// Gives connections to workers that tell what they get, and keep it.
    struct Given {
        workers: Workers,
        told: mpsc::UnboundedReceiver<String>,
        listener: TcpListener,
        places: Arc<Semaphore>,
    }

    impl Given {
        fn new(count: usize) -> Given {
            let (tell, told) = mpsc::unbounded_channel();
            let work = move |mut connections: Connections| {
                let tell = tell.clone();
                async move {
                    let mut kept = Vec::new();
                    while let Some(connection) = connections.recv().await {
                        kept.push(connection);
                        tell.send(thread::current().name().unwrap().to_owned()).unwrap();
                    }
                }
            };
            Given {
                workers: Workers::start(NonZeroUsize::new(count).unwrap(), work).unwrap(),
                told,
                listener: TcpListener::bind("127.0.0.1:0").unwrap(),
                places: Arc::new(Semaphore::new(10)),
            }
        }

        async fn give(&self) -> Result<(), Ended> {
            let stream = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
            let (_, caller) = self.listener.accept().unwrap();
            let place = Arc::clone(&self.places).acquire_owned().await.unwrap();
            self.workers.give(stream, caller, place)
        }
    }

    #[tokio::test]
    async fn each_worker_gets_as_many_connections_and_gives_their_places_back() {
        let mut given = Given::new(3);
        let mut names = Vec::new();
        for _ in 0..6 {
            given.give().await.unwrap();
            names.push(given.told.recv().await.unwrap());
        }
        names.sort();
        assert_eq!(names, ["worker-0", "worker-0", "worker-1", "worker-1", "worker-2", "worker-2"]);
        assert_eq!(given.places.available_permits(), 4);
        given.workers.end().await.unwrap();
        assert_eq!(given.places.available_permits(), 10);
    }

    #[tokio::test]
    async fn a_worker_that_has_ended_is_no_end_in_silence() {
        let workers = Workers::start(NonZeroUsize::MIN, async |_: Connections| panic!("a test's")).unwrap();
        assert!(workers.end().await.is_err());
    }
}
