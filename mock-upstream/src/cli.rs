//! The command line of the upstream alone.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use thiserror::Error;

use crate::control;
use crate::route::Sheet;
use crate::script::Script;
use crate::upstream::{StartError, Upstream};
use crate::validate::ScriptError;

/// Serve mock providers until told to stop.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The script, as JSON. Without it: one provider `primary` with one model `mock-1`, at
    /// 100 + 100 tokens and $0.00125 a call.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

/// Why the upstream could not be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The file of the script cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no script.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// The script cannot be played.
    #[error("{}: {source}", path.display())]
    Script {
        /// The file.
        path: PathBuf,
        /// What makes no sense, and whose.
        source: ScriptError,
    },
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The system would not let us wait for signals, start threads or print.
    #[error("the upstream cannot be served: {0}")]
    System(#[from] io::Error),
}

impl ServeError {
    /// 2: the configuration is wrong; 3: it did not get ready.
    pub fn exit_code(&self) -> u8 {
        match self {
            ServeError::Read { .. } | ServeError::Parse { .. } | ServeError::Script { .. } => 2,
            ServeError::Start(StartError::Script(_)) => 2,
            ServeError::Start(StartError::Listen { .. }) | ServeError::System(_) => 3,
        }
    }
}

/// Serves as the arguments say, and reports what goes wrong in one line on stderr.
pub fn run(args: &ServeArgs) -> ExitCode {
    let served = script(args.config.as_deref()).and_then(|script| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve_forever(SocketAddr::new(args.host, args.port), script))
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A stderr that is gone leaves nobody to tell.
            let _ = writeln!(io::stderr(), "mock-upstream: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn script(path: Option<&Path>) -> Result<Script, ServeError> {
    let Some(path) = path else {
        return Ok(Script::usual());
    };
    let failed = |source| ServeError::Read { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(failed)?;
    let script: Script =
        serde_json::from_str(&text).map_err(|source| ServeError::Parse { path: path.to_owned(), source })?;
    script.validate().map_err(|source| ServeError::Script { path: path.to_owned(), source })?;
    Ok(script)
}

/// Listens on `addr`, prints one line with the address and the paths to stdout, and serves until
/// SIGTERM or Ctrl-C, on which it returns at once.
///
/// # Errors
/// The script makes no sense, the address cannot be listened on, or stdout is closed.
pub async fn serve_forever(addr: SocketAddr, script: Script) -> Result<(), ServeError> {
    // Before the line that says it is ready, lest a signal sent on reading it is missed.
    let mut signals = Signals::new()?;
    let upstream = Upstream::start(addr, script).await?;
    let line = ready_line(upstream.addr(), &upstream.script());
    {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    signals.next().await;
    upstream.stop().await;
    Ok(())
}

fn ready_line(addr: SocketAddr, script: &Script) -> String {
    let providers: Vec<String> = script.providers.keys().map(|name| format!("/{name}/v1")).collect();
    let sheets: Vec<&str> = Sheet::ALL.into_iter().map(Sheet::path).collect();
    format!(
        "mock-upstream listens on http://{addr} providers {} ledger {} script {} sheets {}",
        providers.join(" "),
        control::LEDGER,
        control::SCRIPT,
        sheets.join(" ")
    )
}

#[cfg(unix)]
struct Signals {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        // Without a way to be told, it serves until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
