//! An upstream in this process.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::call;
use crate::connection::{Door, Line, Register};
use crate::control;
use crate::ledger::Ledger;
use crate::script::Script;
use crate::validate::ScriptError;
use crate::world::World;

/// How long `stop` waits for connections that were told to close.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why an upstream did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The script makes no sense.
    #[error("the script of the upstream makes no sense: {0}")]
    Script(#[from] ScriptError),
    /// The address is taken, or not this machine's.
    #[error("the upstream cannot listen on {addr}: {source}")]
    Listen {
        /// Where it should have listened.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Mock providers behind one listener. A clone is another handle on the same upstream, which
/// ends with `stop`, or when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Upstream {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    addr: SocketAddr,
    world: Arc<World>,
    register: Arc<Register>,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl Upstream {
    /// Listens on `addr` and plays the script. Port 0 takes a free port. The listener is bound
    /// when this returns.
    ///
    /// # Errors
    /// The script makes no sense, or the address cannot be listened on.
    pub async fn start(addr: SocketAddr, script: Script) -> Result<Upstream, StartError> {
        script.validate()?;
        let failed = |source| StartError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let world = Arc::new(World::new(script));
        let register = Arc::<Register>::default();
        let service = control::routes()
            .fallback(call::handle)
            .with_state(Arc::clone(&world))
            .into_make_service_with_connect_info::<Line>();
        let door = Door { listener, register: Arc::clone(&register) };
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(door, service).await {
                tracing::error!("the upstream stopped serving: {error}");
            }
        });
        let server = Mutex::new(Some(server));
        Ok(Upstream { inner: Arc::new(Inner { addr, world, register, server }) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// The script that is being played.
    pub fn script(&self) -> Script {
        Script::clone(&self.inner.world.script())
    }

    /// Plays another script from the next request on. Requests being answered keep theirs, and
    /// all fault rules count anew.
    ///
    /// # Errors
    /// The script makes no sense; the one before stays.
    pub fn set_script(&self, script: Script) -> Result<(), ScriptError> {
        script.validate()?;
        self.inner.world.set_script(script);
        Ok(())
    }

    /// The ledger as it is now.
    pub fn ledger(&self) -> Ledger {
        self.inner.world.ledger()
    }

    /// Empties the ledger. Requests being answered are forgotten too.
    pub fn clear(&self) {
        self.inner.world.clear();
    }

    /// Waits until the ledger fulfils a condition, for so long at most, and says whether it did.
    /// The condition is asked now and after each change of the ledger, and must be quick: the
    /// ledger is locked meanwhile.
    pub async fn wait_until<F: FnMut(&Ledger) -> bool>(&self, condition: F, deadline: Duration) -> bool {
        self.inner.world.wait_until(condition, deadline).await
    }

    /// Closes the listener and all connections at once. The port is free when this returns, and
    /// the ledger has requests that were being answered as left by their clients.
    pub async fn stop(self) {
        let server = self.inner.take_server();
        if let Some(server) = server {
            server.abort();
            // It was aborted: how it ended is no news.
            let _ = server.await;
        }
        self.inner.register.close();
        if tokio::time::timeout(GOODBYE, self.inner.register.empty()).await.is_err() {
            tracing::warn!("connections of the upstream outlive it");
        }
    }
}

impl Inner {
    fn take_server(&self) -> Option<JoinHandle<()>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(server) = self.take_server() {
            server.abort();
        }
        self.register.close();
    }
}
