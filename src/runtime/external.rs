//! A gateway that somebody else runs.

use std::{
    future::pending,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use reqwest::Url;

use super::{
    Instance, Kind, Login, Runtime, RuntimeError, Site, Start, Stopped,
    api::millis,
    ready::{NotReady, Probe},
};
use crate::{gateway::manifest::ContainerLaunch, scenario::step::Signal};

/// A gateway at an address: it is asked whether it is ready, and never started nor stopped. Its
/// configuration is its owner's, so the mock listens where that says that the provider is.
#[derive(Debug)]
pub struct ExternalRuntime {
    url: Url,
    upstream: SocketAddr,
    login: Login,
    probe: Probe,
}

impl ExternalRuntime {
    /// The gateway at this address, `http://127.0.0.1:8080` for one, which calls its provider at the
    /// address `upstream`. Credentials in the address are left out.
    ///
    /// # Errors
    ///
    /// If that is no HTTP address, or there is no HTTP client to be had.
    pub fn new(url: &str, upstream: SocketAddr, login: Login) -> Result<Self, RuntimeError> {
        let url = without_userinfo(url);
        let bad = || RuntimeError::BadUrl { url: url.clone() };
        let parsed = Url::parse(&url).map_err(|_| bad())?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(bad());
        }
        let probe = if parsed.scheme() == "https" { Probe::remote()? } else { Probe::local()? };
        Ok(Self { url: parsed, upstream, login, probe })
    }

    fn base_url(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }
}

/// An address without `user:password@`.
#[must_use]
pub fn without_userinfo(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

#[async_trait]
impl Runtime for ExternalRuntime {
    fn kind(&self) -> Kind {
        Kind::External
    }

    fn upstream_bind(&self) -> IpAddr {
        self.upstream.ip()
    }

    fn upstream_port(&self) -> u16 {
        self.upstream.port()
    }

    fn login(&self) -> Option<&Login> {
        Some(&self.login)
    }

    async fn site(&self, _container: Option<&ContainerLaunch>) -> Result<Site, RuntimeError> {
        Ok(Site {
            host: self.url.host_str().unwrap_or_default().to_owned(),
            port: self.url.port_or_known_default().unwrap_or_default(),
            data: String::new(),
            upstream_host: self.upstream.ip().to_string(),
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

    use std::net::Ipv4Addr;

    use super::*;

    fn runtime(url: &str) -> Result<ExternalRuntime, RuntimeError> {
        let login = Login { username: String::new(), password: String::new() };
        ExternalRuntime::new(url, SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)), login)
    }

    #[test]
    fn the_slash_at_the_end_of_an_address_does_not_matter() {
        assert_eq!(runtime("http://127.0.0.1:8080/").unwrap().base_url(), "http://127.0.0.1:8080");
        assert_eq!(runtime("https://gateway/base").unwrap().base_url(), "https://gateway/base");
    }

    #[test]
    fn credentials_in_an_address_are_left_out_everywhere() {
        assert_eq!(runtime("http://me:se@cret@127.0.0.1:8080/a@b").unwrap().base_url(), "http://127.0.0.1:8080/a@b");
        let error = runtime("ftp://me:secret@gateway").unwrap_err().to_string();
        assert!(error.contains("ftp://gateway") && !error.contains("secret"), "{error}");
        assert_eq!(without_userinfo("me:secret@gateway"), "gateway");
    }

    #[test]
    fn what_is_no_http_address_is_refused() {
        for url in ["127.0.0.1:8080", "ftp://gateway", "gateway", ""] {
            let error = runtime(url).unwrap_err();
            assert!(matches!(error, RuntimeError::BadUrl { .. }), "{url}: {error}");
        }
    }
}
