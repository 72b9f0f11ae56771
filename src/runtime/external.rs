//! A gateway that somebody else runs.

use std::{
    future::pending,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use reqwest::Url;

use super::{
    Instance, Kind, Runtime, RuntimeError, Site, Start, Stopped,
    api::millis,
    ready::{NotReady, Probe},
};
use crate::{gateway::manifest::ContainerLaunch, scenario::step::Signal};

/// A gateway at an address: it is asked whether it is ready, and never started nor stopped.
#[derive(Debug)]
pub struct ExternalRuntime {
    url: Url,
    probe: Probe,
}

impl ExternalRuntime {
    /// The gateway at this address, `http://127.0.0.1:8080` for one.
    ///
    /// # Errors
    ///
    /// If that is no HTTP address, or there is no HTTP client to be had.
    pub fn new(url: &str) -> Result<Self, RuntimeError> {
        let bad = || RuntimeError::BadUrl { url: url.to_owned() };
        let parsed = Url::parse(url).map_err(|_| bad())?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(bad());
        }
        let probe = if parsed.scheme() == "https" { Probe::remote()? } else { Probe::local()? };
        Ok(Self { url: parsed, probe })
    }

    fn base_url(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }
}

#[async_trait]
impl Runtime for ExternalRuntime {
    fn kind(&self) -> Kind {
        Kind::External
    }

    fn upstream_bind(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    async fn site(&self, _container: Option<&ContainerLaunch>) -> Result<Site, RuntimeError> {
        Ok(Site {
            host: self.url.host_str().unwrap_or_default().to_owned(),
            port: self.url.port_or_known_default().unwrap_or_default(),
            data: String::new(),
            upstream_host: Ipv4Addr::LOCALHOST.to_string(),
            folder: None,
        })
    }

    async fn launch(&self, _site: Site, start: Start) -> Result<Box<dyn Instance>, RuntimeError> {
        let url = format!("{}{}", self.base_url(), start.ready_path);
        let since = Instant::now();
        let outcome = self.probe.wait(&url, start.ready_within, pending()).await;
        outcome.map_err(|(NotReady::Late(last) | NotReady::Ended(last))| RuntimeError::NeverReady {
            url,
            within: start.ready_within,
            last,
            log: String::new(),
        })?;
        Ok(Box::new(ExternalInstance { base_url: self.base_url(), ready: since.elapsed() }))
    }
}

#[derive(Debug)]
struct ExternalInstance {
    base_url: String,
    ready: Duration,
}

#[async_trait]
impl Instance for ExternalInstance {
    fn base_url(&self) -> String {
        self.base_url.clone()
    }

    async fn stop(&mut self, _signal: Signal) -> Result<Stopped, RuntimeError> {
        Err(RuntimeError::Unsupported { kind: Kind::External, what: "stop a gateway" })
    }

    async fn start_again(&mut self, _files: Vec<(String, String)>) -> Result<(), RuntimeError> {
        Err(RuntimeError::Unsupported { kind: Kind::External, what: "start a gateway again" })
    }

    async fn exited(&mut self) -> Option<String> {
        None
    }

    async fn log(&self) -> String {
        String::new()
    }

    async fn ready_millis(&self) -> u64 {
        millis(self.ready)
    }

    async fn peak_memory_kib(&self) -> Option<u64> {
        None
    }

    async fn discard(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_slash_at_the_end_of_an_address_does_not_matter() {
        assert_eq!(ExternalRuntime::new("http://127.0.0.1:8080/").unwrap().base_url(), "http://127.0.0.1:8080");
        assert_eq!(ExternalRuntime::new("https://gateway/base").unwrap().base_url(), "https://gateway/base");
    }

    #[test]
    fn what_is_no_http_address_is_refused() {
        for url in ["127.0.0.1:8080", "ftp://gateway", "gateway", ""] {
            let error = ExternalRuntime::new(url).unwrap_err();
            assert!(matches!(error, RuntimeError::BadUrl { .. }), "{url}: {error}");
        }
    }
}
