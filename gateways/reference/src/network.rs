//! Which addresses a provider may have. Loopback may always be named, private ranges if the file
//! allows it, and link-local addresses, where clouds keep credentials, never.
//!
//! An address that the file names is checked at the start, a name whenever it is resolved for a
//! connection: what it stands for can change in between.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where the variables name a proxy. It resolves names itself, and its own may be private.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Amazon's metadata service; its address has the form of a private one.
const AMAZON_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// How far an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Loopback,
    Private,
    LinkLocal,
    Public,
}

/// Why an address is not called.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// No setting allows it.
    #[error("{0} is link-local and never called")]
    LinkLocal(String),
    /// A setting allows it.
    #[error("{0} is a private address; `allow_private_network: true` allows it")]
    Private(String),
    /// A name that is no `localhost` and leads back to this machine.
    #[error("{0} is this machine, which a name may stand for only with `allow_private_network: true`")]
    ThisMachine(String),
}

fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(v4) if v4.is_loopback() => Reach::Loopback,
        IpAddr::V4(v4) if v4.is_link_local() => Reach::LinkLocal,
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            if v4.is_private() || is_shared || first == 0 { Reach::Private } else { Reach::Public }
        }
        IpAddr::V6(v6) if v6.is_loopback() => Reach::Loopback,
        IpAddr::V6(v6) if v6.is_unicast_link_local() || v6 == AMAZON_METADATA => Reach::LinkLocal,
        IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unspecified() => Reach::Private,
        IpAddr::V6(_) => Reach::Public,
    }
}

/// Checks an address that a URL names.
pub(crate) fn check_address(address: IpAddr, allow_private: bool) -> Result<(), Forbidden> {
    match reach(address) {
        Reach::LinkLocal => Err(Forbidden::LinkLocal(address.to_string())),
        Reach::Private if !allow_private => Err(Forbidden::Private(address.to_string())),
        _ => Ok(()),
    }
}

/// Of the addresses that a name stands for, those that may be called, or why none may.
fn check_name(name: &str, found: Vec<SocketAddr>, allow_private: bool) -> io::Result<Vec<SocketAddr>> {
    let mut allowed = Vec::new();
    let mut forbidden = None;
    for address in found {
        let outcome = match reach(address.ip()) {
            Reach::Loopback if !allow_private && !is_localhost(name) => {
                Err(Forbidden::ThisMachine(address.ip().to_string()))
            }
            _ => check_address(address.ip(), allow_private),
        };
        match outcome {
            Ok(()) => allowed.push(address),
            Err(reason) => forbidden = Some(reason),
        }
    }
    match forbidden {
        Some(reason) if allowed.is_empty() => Err(io::Error::other(format!("{name} stands for {reason}"))),
        _ => Ok(allowed),
    }
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Finds the addresses of a name.
type Lookup = fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// Resolves names for connections, and leaves out what may not be called.
pub(crate) struct Resolver {
    allow_private: bool,
    proxies: Vec<String>,
    lookup: Lookup,
}

impl Resolver {
    /// With the system's lookup and the proxies of the environment.
    pub(crate) fn new(allow_private: bool) -> Resolver {
        let proxies = PROXIES.iter().filter_map(|name| std::env::var(name).ok()).filter_map(|url| host_of(&url));
        Resolver { allow_private, proxies: proxies.collect(), lookup: system }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let is_proxy = self.proxies.contains(&name);
        let (lookup, allow_private) = (self.lookup, self.allow_private);
        async move {
            let found = lookup(name.clone()).await?;
            let allowed = if is_proxy { found } else { check_name(&name, found, allow_private)? };
            Ok(Box::new(allowed.into_iter()) as Addrs)
        }
        .boxed()
    }
}

fn system(name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed()
}

fn host_of(proxy: &str) -> Option<String> {
    // A proxy may be written without a scheme.
    let url = Url::parse(proxy).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{proxy}")).ok())?;
    url.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn checked(name: &str, addresses: &[&str], allow_private: bool) -> Result<usize, String> {
        let found = addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect();
        check_name(name, found, allow_private).map(|allowed| allowed.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_private_range_asks_for_permission_and_link_local_ones_get_none() {
        for private in ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "fd12::1", "::"] {
            let address: IpAddr = private.parse().unwrap();
            assert!(check_address(address, false).is_err() && check_address(address, true).is_ok(), "{private}");
        }
        for never in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254"] {
            assert!(check_address(never.parse().unwrap(), true).is_err(), "{never}");
        }
        for allowed in ["127.0.0.1", "::1", "8.8.8.8", "100.128.0.1", "2606:4700::1111"] {
            assert!(check_address(allowed.parse().unwrap(), false).is_ok(), "{allowed}");
        }
    }

    #[test]
    fn a_name_is_as_good_as_what_it_stands_for() {
        assert_eq!(checked("api.example.com", &["8.8.8.8", "10.0.0.1"], false), Ok(1));
        assert_eq!(checked("localhost", &["127.0.0.1", "::1"], false), Ok(2));
        assert_eq!(checked("internal", &["10.0.0.1"], true), Ok(1));
        let refused = checked("rebound.example.com", &["127.0.0.1"], false).unwrap_err();
        assert!(refused.starts_with("rebound.example.com stands for 127.0.0.1 is this machine"), "{refused}");
        assert!(checked("internal", &["10.0.0.1"], false).is_err());
        assert!(checked("metadata", &["169.254.169.254"], true).is_err());
    }

    #[test]
    fn a_proxy_is_known_however_it_is_written() {
        assert_eq!(host_of("http://proxy.internal:3128"), Some("proxy.internal".to_owned()));
        assert_eq!(host_of("proxy.internal:3128"), Some("proxy.internal".to_owned()));
    }

    /// A name that leads to this machine, as one does that was rebound.
    fn rebound(_: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        async { Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))]) }.boxed()
    }

    #[tokio::test]
    async fn a_connection_is_not_made_to_where_a_name_may_not_lead() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let script = mock_upstream::Script::usual();
        let upstream = mock_upstream::Upstream::start(([127, 0, 0, 1], 0).into(), script).await.unwrap();
        let url = format!("http://rebound.example.com:{}/primary/v1/models", upstream.addr().port());
        for (allow_private, proxies, is_reached) in
            [(false, vec![], false), (true, vec![], true), (false, vec!["rebound.example.com".to_owned()], true)]
        {
            let resolver = Resolver { allow_private, proxies, lookup: rebound };
            let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).dns_resolver(resolver);
            let answer = client.build().unwrap().get(&url).send().await;
            assert_eq!(answer.is_ok(), is_reached, "{answer:?}");
        }
    }
}
