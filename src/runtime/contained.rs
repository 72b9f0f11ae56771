//! A gateway in a container.

use std::{
    future::pending,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::time::timeout;

use super::{
    Instance, RuntimeError, Site, Start, Stopped,
    api::millis,
    group::KILLED_WITHIN,
    handle::{Container, ended, meaning, published},
    lease::Lease,
    log::{TAIL, last_lines},
    memory,
    ready::{NotReady, Probe},
};
use crate::scenario::step::Signal;

/// How long the port of a container that runs may take to be published.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(1);

/// A gateway's container.
#[derive(Debug)]
pub(super) struct ContainerInstance {
    container: Container,
    lease: Lease,
    probe: Probe,
    /// Inside.
    port: u16,
    data: String,
    start: Start,
    /// On this machine; another after each start.
    published: u16,
    /// Nobody has stopped it.
    running: bool,
    ready: Duration,
    peak: Option<u64>,
}

impl ContainerInstance {
    /// A gateway whose container was started at that moment, when it is ready. If it does not get
    /// ready, it is removed.
    pub(super) async fn started(
        container: Container,
        lease: Lease,
        probe: Probe,
        site: Site,
        start: Start,
        since: Instant,
    ) -> Result<Self, RuntimeError> {
        let mut gateway = Self {
            container,
            lease,
            probe,
            port: site.port,
            data: site.data,
            start,
            published: 0,
            running: true,
            ready: Duration::ZERO,
            peak: None,
        };
        match gateway.become_ready(since).await {
            Ok(()) => Ok(gateway),
            Err(error) => {
                gateway.lease.release().await;
                Err(error)
            }
        }
    }

    async fn become_ready(&mut self, since: Instant) -> Result<(), RuntimeError> {
        let found = self.container.inspect().await?;
        if let Some(port) = published(&found, self.port) {
            self.published = port;
        } else {
            // A container that has ended already has no ports.
            let outcome = timeout(PUBLISHED_WITHIN, self.container.end()).await;
            let reason = match outcome {
                Ok(status) => NotReady::Ended(ended(status?)),
                Err(_) => NotReady::Late(format!("port {} is not published", self.port)),
            };
            return Err(self.not_ready(reason).await);
        }
        let url = self.ready_url();
        let end = async {
            match self.container.end().await {
                Ok(status) => ended(status),
                // Whether it lives is not known: then the deadline decides.
                Err(_) => pending().await,
            }
        };
        let outcome = self.probe.wait(&url, self.start.ready_within, end).await;
        self.ready = since.elapsed();
        match outcome {
            Ok(()) => Ok(()),
            Err(reason) => Err(self.not_ready(reason).await),
        }
    }

    async fn not_ready(&self, reason: NotReady) -> RuntimeError {
        let log = last_lines(&self.container.log().await, TAIL);
        match reason {
            NotReady::Ended(how) => RuntimeError::ExitedAtStart { how, log },
            NotReady::Late(last) => {
                RuntimeError::NeverReady { url: self.ready_url(), within: self.start.ready_within, last, log }
            }
        }
    }

    fn ready_url(&self) -> String {
        format!("{}{}", self.base_url(), self.start.ready_path)
    }

    /// Signals it and waits for its end: its exit status, and whether it had to be killed after all.
    async fn end(&self, signal: Signal) -> Result<(i64, bool), RuntimeError> {
        if signal == Signal::Term {
            self.container.signal("SIGTERM").await?;
            if let Ok(status) = timeout(self.start.stops_within, self.container.end()).await {
                return Ok((status?, false));
            }
        }
        self.container.signal("SIGKILL").await?;
        match timeout(KILLED_WITHIN, self.container.end()).await {
            Ok(status) => Ok((status?, signal == Signal::Term)),
            Err(late) => Err(RuntimeError::docker(format!("kill container {}", self.container.id), late)),
        }
    }
}

#[async_trait]
impl Instance for ContainerInstance {
    fn base_url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.published)
    }

    async fn stop(&mut self, signal: Signal) -> Result<Stopped, RuntimeError> {
        self.peak = self.peak_memory_kib().await;
        let since = Instant::now();
        self.running = false;
        let (status, forced) = self.end(signal).await?;
        let (code, signal) = meaning(status);
        Ok(Stopped { code, signal, millis: millis(since.elapsed()), forced })
    }

    async fn start_again(&mut self, files: Vec<(String, String)>) -> Result<(), RuntimeError> {
        if self.running {
            self.stop(Signal::Kill).await?;
        }
        if !files.is_empty() {
            self.container.write(&self.data, &files).await?;
        }
        let since = Instant::now();
        self.container.start().await?;
        self.running = true;
        let outcome = self.become_ready(since).await;
        if outcome.is_err() {
            // It counts as stopped, whatever it does: nobody can call it.
            self.running = false;
            self.container.signal("SIGKILL").await?;
        }
        outcome
    }

    async fn exited(&mut self) -> Option<String> {
        if !self.running {
            return None;
        }
        let state = self.container.inspect().await.ok()?.state?;
        if state.running == Some(true) {
            return None;
        }
        Some(ended(state.exit_code.unwrap_or(0)))
    }

    async fn log(&self) -> String {
        self.container.log().await
    }

    async fn ready_millis(&self) -> u64 {
        millis(self.ready)
    }

    async fn peak_memory_kib(&self) -> Option<u64> {
        let pid = async {
            let state = self.container.inspect().await.ok()?.state?;
            u32::try_from(state.pid?).ok().filter(|pid| *pid > 0)
        };
        let now = pid.await.and_then(|pid| memory::peak_kib_in(&self.container.id, pid));
        now.max(self.peak)
    }

    async fn discard(self: Box<Self>) {
        // Nothing outlives its container, so it need not be asked to clean up: that would cost each case a stop.
        self.lease.release().await;
    }
}
