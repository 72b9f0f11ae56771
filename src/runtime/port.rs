//! A port for a gateway to listen on.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
    process,
    sync::{Mutex, PoisonError},
    time::Duration,
};

#[cfg(target_os = "linux")]
use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixListener},
};

use tokio::time::{Instant, sleep};

use super::RuntimeError;

/// The ports that are tried. They lie below those that a kernel gives to outgoing connections: a
/// gateway that is started again needs its port once more, and a burst of calls made meanwhile
/// could otherwise hold it.
const FIRST: u16 = 20_000;
const LAST: u16 = 29_999;

/// How long a port may take to be free after its process was killed.
const FREED_WITHIN: Duration = Duration::from_millis(500);

/// What this process has handed out, and where it looks next.
struct Ports {
    reserved: BTreeSet<u16>,
    next: Option<u16>,
}

static PORTS: Mutex<Ports> = Mutex::new(Ports { reserved: BTreeSet::new(), next: None });

/// A port on 127.0.0.1 that nobody listens on, and that this process gives to no one else. Nor does any
/// other run of this machine, even while its gateway is down: it will be started again on it.
#[derive(Debug)]
pub(super) struct Reservation {
    port: u16,
    _claim: Claim,
}

impl Reservation {
    pub(super) fn new() -> Result<Self, RuntimeError> {
        let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut port = ports.next.unwrap_or_else(first_of_this_process);
        for _ in FIRST..=LAST {
            let candidate = port;
            port = if port == LAST { FIRST } else { port + 1 };
            if !ports.reserved.contains(&candidate)
                && is_free(candidate)
                && let Some(claim) = Claim::of(candidate)
            {
                ports.next = Some(port);
                ports.reserved.insert(candidate);
                return Ok(Self { port: candidate, _claim: claim });
            }
        }
        Err(RuntimeError::NoPort { first: FIRST, last: LAST })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        PORTS.lock().unwrap_or_else(PoisonError::into_inner).reserved.remove(&self.port);
    }
}

/// What tells other runs that a port is somebody's: a socket of an abstract name, which lives where ports
/// do, in the network namespace, and goes with its process, however that ends.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Claim(#[expect(dead_code, reason = "it is held, and nobody calls it")] UnixListener);

#[cfg(target_os = "linux")]
impl Claim {
    /// Nothing if another run has it.
    fn of(port: u16) -> Option<Self> {
        let address = SocketAddr::from_abstract_name(format!("probity-port-{port}")).ok()?;
        UnixListener::bind_addr(&address).ok().map(Self)
    }
}

/// Elsewhere there are no such names: two runs at once only begin far apart.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Claim;

#[cfg(not(target_os = "linux"))]
impl Claim {
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    fn of(_: u16) -> Option<Self> {
        Some(Self)
    }
}

/// Whether a program could listen on this port of 127.0.0.1 now.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Waits until this port can be listened on: a gateway that was killed a moment ago may have left
/// a process that is not yet gone. False if somebody keeps it.
pub(super) async fn is_freed(port: u16) -> bool {
    let deadline = Instant::now() + FREED_WITHIN;
    while !is_free(port) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(5)).await;
    }
    true
}

/// Two runs at once begin far apart, so that they hardly meet.
fn first_of_this_process() -> u16 {
    let span = u32::from(LAST - FIRST) + 1;
    let offset = process::id().wrapping_mul(97) % span;
    FIRST + u16::try_from(offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn no_port_is_handed_out_twice() {
        let held: Vec<_> = (0..50).map(|_| Reservation::new().unwrap()).collect();
        let ports: BTreeSet<_> = held.iter().map(Reservation::port).collect();
        assert_eq!(ports.len(), held.len());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_port_that_another_run_will_start_its_gateway_on_again_is_not_taken() {
        let first = Reservation::new().unwrap();
        let others: Vec<_> = (1..=3).filter_map(|next| Claim::of(first.port() + next)).collect();
        assert!(others.len() == 3 && Claim::of(first.port()).is_none());
        let second = Reservation::new().unwrap();
        assert!(second.port() > first.port() + 3, "{second:?} is another run's: {others:?}");
        drop(others);
        assert!(Claim::of(first.port() + 1).is_some());
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }

    #[tokio::test]
    async fn a_port_that_is_given_up_soon_is_waited_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let give_up = async { drop(listener) };
        assert!(tokio::join!(biased; is_freed(port), give_up).0);
        let _kept = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_freed(port).await);
    }
}
