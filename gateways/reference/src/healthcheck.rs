//! `healthcheck`: asks a running gateway whether it is well, for containers without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::StatusCode;

use crate::args::Args;
use crate::connect::describe;

/// As long as whoever asks for a container's health usually waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the gateway is not known to be well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwell {
    #[error("`{0}` is no address to ask")]
    Address(String),
    #[error("cannot prepare the question: {0}")]
    Client(reqwest::Error),
    #[error("the gateway at {0} does not answer: {1}")]
    Silent(SocketAddr, String),
    #[error("the gateway at {0} answered {1}")]
    Status(SocketAddr, StatusCode),
}

/// Asks `/health` where the gateway listens if it was started with the same options and
/// variables.
pub(crate) async fn ask(args: &Args) -> Result<(), Unwell> {
    let address = args.address().ok_or_else(|| Unwell::Address(args.host()))?;
    let address = SocketAddr::new(reachable(address), args.port);
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE);
    let client = client.build().map_err(Unwell::Client)?;
    let answer = client.get(format!("http://{address}/health")).send().await;
    let status = answer.map_err(|error| Unwell::Silent(address, describe(&error)))?.status();
    if status.is_success() { Ok(()) } else { Err(Unwell::Status(address, status)) }
}

/// Who listens on every address can be asked on this one.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}
