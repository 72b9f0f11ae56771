//! Connections to providers, kept open between calls.

use std::error::Error;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header, uri::InvalidUri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::{Client, ClientBuilder, Url};
use thread_local::ThreadLocal;

use crate::network::Resolver;
use crate::sent::SentBody;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to all providers. Each thread has its own: one that another thread reads would
/// have to wake it for every piece.
pub(crate) struct Connections(ThreadLocal<OfThread>);

struct OfThread {
    local: Local,
    /// To where everybody may.
    public: Distant,
    /// Also to private addresses, where the file allows it.
    private: Distant,
}

/// Connections to this machine over plain HTTP. They need neither proxy, nor certificates, nor a
/// redirect, and so nothing of what reqwest puts around each call.
type Local = hyper_util::client::legacy::Client<HttpConnector, SentBody>;

/// Connections beyond this machine, through a proxy if there is one.
struct Distant {
    allow_private: bool,
    /// For plain HTTP. It needs no certificates, which an image from scratch does not have.
    plain: Client,
    /// Made at the first call over TLS: it reads the system's certificates.
    secure: OnceLock<Client>,
}

/// Why a call got no head of an answer: the cause, for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoAnswer(pub(crate) String);

impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> NoAnswer {
        NoAnswer(describe(&error))
    }
}

impl From<hyper_util::client::legacy::Error> for NoAnswer {
    fn from(error: hyper_util::client::legacy::Error) -> NoAnswer {
        NoAnswer(cause(&error).unwrap_or_else(|| error.to_string()))
    }
}

impl From<InvalidUri> for NoAnswer {
    fn from(error: InvalidUri) -> NoAnswer {
        NoAnswer(format!("its URL cannot be called: {error}"))
    }
}

impl Connections {
    pub(crate) fn new() -> Result<Connections, reqwest::Error> {
        let connections = Connections(ThreadLocal::new());
        connections.0.get_or_try(OfThread::new)?;
        Ok(connections)
    }

    /// Sends a body, and waits for the head of the answer.
    pub(crate) async fn post(
        &self,
        url: &str,
        allow_private: bool,
        mut headers: HeaderMap,
        body: SentBody,
    ) -> Result<Response<Body>, NoAnswer> {
        let own = self.0.get_or_try(OfThread::new)?;
        let uri: Uri = url.parse()?;
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let is_secure = uri.scheme_str() == Some("https");
        if !is_secure && uri.host().is_some_and(is_loopback) {
            let mut request = Request::new(body);
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri;
            *request.headers_mut() = headers;
            return Ok(own.local.request(request).await?.map(Body::new));
        }
        let distant = if allow_private { &own.private } else { &own.public };
        let request = distant.client(is_secure)?.post(url).headers(headers).body(reqwest::Body::wrap(body));
        let answer: Response<reqwest::Body> = request.send().await?.into();
        Ok(answer.map(Body::new))
    }
}

impl OfThread {
    fn new() -> Result<OfThread, reqwest::Error> {
        Ok(OfThread { local: local(), public: Distant::new(false)?, private: Distant::new(true)? })
    }
}

fn local() -> Local {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    hyper_util::client::legacy::Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
}

impl Distant {
    fn new(allow_private: bool) -> Result<Distant, reqwest::Error> {
        let plain = builder().tls_certs_only([]).dns_resolver(Resolver::new(allow_private)).build()?;
        Ok(Distant { allow_private, plain, secure: OnceLock::new() })
    }

    fn client(&self, is_secure: bool) -> Result<&Client, reqwest::Error> {
        if !is_secure {
            return Ok(&self.plain);
        }
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let client = builder().dns_resolver(Resolver::new(self.allow_private)).build()?;
        Ok(self.secure.get_or_init(|| client))
    }
}

fn builder() -> ClientBuilder {
    // A redirect would carry the provider's key to another host.
    Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true)
}

/// A client for a URL that the administrator names and that is no provider's.
pub(crate) fn fetcher(url: &str) -> Result<Client, reqwest::Error> {
    let client = if url.starts_with("https:") { builder() } else { builder().tls_certs_only([]) };
    let client = if leads_here(url) { client.no_proxy() } else { client.dns_resolver(Resolver::new(true)) };
    client.build()
}

/// Whether a URL leads to this machine.
pub(crate) fn leads_here(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(is_loopback))
}

/// Whether a URL's host is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The innermost cause: what a person wants to know, without the URL.
pub(crate) fn describe(error: &reqwest::Error) -> String {
    let status = || error.status().map(|status| format!("the answer was {status}"));
    cause(error).or_else(status).unwrap_or_else(|| "the connection failed".to_owned())
}

/// The innermost cause of an error, if it has any.
pub(crate) fn cause(error: &dyn Error) -> Option<String> {
    let mut innermost = error.source()?;
    while let Some(deeper) = innermost.source() {
        innermost = deeper;
    }
    Some(innermost.to_string())
}
