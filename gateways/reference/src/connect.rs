//! Connections to providers, kept open between calls.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url};

use crate::network::Resolver;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to all providers.
pub(crate) struct Connections {
    local: Client,
    /// To where everybody may.
    public: Distant,
    /// Also to private addresses, where the file allows it.
    private: Distant,
}

/// Connections beyond this machine, through a proxy if there is one.
struct Distant {
    allow_private: bool,
    /// For plain HTTP. It needs no certificates, which an image from scratch does not have.
    plain: Client,
    /// Made at the first call over TLS: it reads the system's certificates.
    secure: OnceLock<Client>,
}

impl Connections {
    pub(crate) fn new() -> Result<Connections, reqwest::Error> {
        Ok(Connections {
            local: builder().no_proxy().tls_certs_only([]).build()?,
            public: Distant::new(false)?,
            private: Distant::new(true)?,
        })
    }

    /// The client for a URL: plain HTTP to this machine needs neither proxy nor certificates.
    pub(crate) fn client(&self, url: &str, allow_private: bool) -> Result<&Client, reqwest::Error> {
        let is_plain = !url.starts_with("https:");
        if is_plain && is_loopback(url) {
            return Ok(&self.local);
        }
        let distant = if allow_private { &self.private } else { &self.public };
        if is_plain { Ok(&distant.plain) } else { distant.secure() }
    }
}

impl Distant {
    fn new(allow_private: bool) -> Result<Distant, reqwest::Error> {
        let plain = builder().tls_certs_only([]).dns_resolver(Resolver::new(allow_private)).build()?;
        Ok(Distant { allow_private, plain, secure: OnceLock::new() })
    }

    fn secure(&self) -> Result<&Client, reqwest::Error> {
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

pub(crate) fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
