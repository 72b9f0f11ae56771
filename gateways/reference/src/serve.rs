//! From the command line to a gateway that serves, and to its end.

use std::collections::HashSet;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::{Guesses, Sessions};
use crate::args::{Args, Command, LogLevel, LogStyle};
use crate::books::Books;
use crate::clock::Clock;
use crate::config::{self, ConfigError, Invalid, Settings};
use crate::dice::Dice;
use crate::gateway::{Gateway, Inflight};
use crate::generated_keys::{self, GeneratedKeysError};
use crate::healthcheck;
use crate::last_spent::LastSpent;
use crate::ledger::Ledger;
use crate::listen::ListenError;
use crate::live::{self, LiveError};
use crate::panics;
use crate::policy::{self, Policy};
use crate::pricing::{Catalog, Overrides, PricingError, Sheet};
use crate::reporting::{Reporting, ReportingError};
use crate::server;
use crate::store::{
    Batch, DatabaseLock, Declared, Hashed, IsKnown, LockError, MergeError, Merged, Saved, SqliteStore, Store,
    StoreError, Writer, merge,
};
use crate::upstream::Upstream;

/// How long the last records may take to reach the log, after the requests ended.
const FLUSH: Duration = Duration::from_secs(1);

/// Why the gateway could not start, or did not end as it should.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("there is no application folder; name one with --app-dir")]
    NoFolder,
    #[error("`{0}` is no address to listen on")]
    Address(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Reporting(#[from] ReportingError),
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Pricing(#[from] PricingError),
    #[error("cannot prepare connections to providers: {0}")]
    Client(reqwest::Error),
    #[error(transparent)]
    Generated(#[from] GeneratedKeysError),
    #[error(transparent)]
    Serve(#[from] ListenError),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error("the configuration could not be hashed: {0}")]
    Hashing(#[from] tokio::task::JoinError),
}

impl ServeError {
    /// The same with its place in the file, where an entity of the file is to blame.
    fn located(self, folder: &Path) -> ServeError {
        match self {
            ServeError::Merge(error) => {
                ConfigError::located(folder, Invalid::new(error.at(), error.to_string())).into()
            }
            other => other,
        }
    }
}

/// Runs the gateway until SIGTERM or SIGINT. What prevents a start is one line on
/// stderr and an exit code that is not 0.
pub async fn serve(args: Args) -> ExitCode {
    match args.command {
        Some(Command::Schema) => print(&config::schema()),
        Some(Command::Openapi) => print(&server::api()),
        Some(Command::Healthcheck) => {
            // Another user of this process may have installed a provider; either does.
            let _ = rustls::crypto::ring::default_provider().install_default();
            exit_code(healthcheck::ask(&args).await)
        }
        None => {
            begin_logging(&args);
            panics::tell_without_messages();
            exit_code(run(args).await)
        }
    }
}

fn exit_code(outcome: Result<(), impl std::fmt::Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where stderr is closed.
            let _ = writeln!(std::io::stderr(), "probity-reference: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a document to stdout.
fn print(document: &serde_json::Value) -> ExitCode {
    let written = writeln!(std::io::stdout(), "{document:#}");
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(args: Args) -> Result<(), ServeError> {
    // From here on a signal ends the process in order.
    let terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    // Another user of this process may have installed a provider; either does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = args.folder().ok_or(ServeError::NoFolder)?;
    let host = args.address().ok_or_else(|| ServeError::Address(args.host()))?;
    let settings = config::load(&folder, |name| std::env::var(name).ok())?;
    let _lock = DatabaseLock::take(&settings.database)?;
    let address = SocketAddr::new(host, args.port);
    let listen = |error| ServeError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let limits = settings.server;
    let (reporting, writers) = Reporting::prepare(settings.logs.as_deref()).await?;
    let (gateway, writer) = build(settings, &args, &folder, reporting).await?;
    let reports = writers.start(&gateway);
    let refresh = tokio::spawn(refresh_prices(Arc::clone(&gateway)));
    announce(address);
    let served = server::run(listener, Arc::clone(&gateway), limits, stop(terminate, interrupt)).await;
    refresh.abort();
    // The task holds the gateway until it is gone.
    let _ = refresh.await;
    drop(gateway);
    if tokio::time::timeout(FLUSH, reports.join_all()).await.is_err() {
        // A request that outlived the deadline, or a collector that does not answer.
        tracing::warn!("what was reported of the last requests did not arrive everywhere in time");
    }
    // What such a request may cost is on disk, and counts as spent.
    writer.finish()?;
    Ok(served?)
}

async fn build(
    mut settings: Settings,
    args: &Args,
    folder: &Path,
    reporting: Reporting,
) -> Result<(Arc<Gateway>, Writer), ServeError> {
    let declared = std::mem::take(&mut settings.declared);
    let hashing = tokio::task::spawn_blocking(|| Hashed::from(declared));
    let upstream = Upstream::new().map_err(ServeError::Client)?;
    let sheet = Arc::new(Sheet::load(&settings.pricing).await?);
    let clock = Arc::new(Clock::default());
    let mut store = SqliteStore::open(&settings.database, settings.durability).await?;
    let mut saved = store.load()?;
    let mut hashed = hashing.await?;
    known_keys(&settings, &hashed.declared, &saved).map_err(|invalid| ConfigError::located(folder, invalid))?;
    let live = live::merge(&settings, std::mem::take(&mut saved.documents), |name| std::env::var(name).ok())?;
    let closed = saved.holds.iter().map(|hold| hold.id).collect();
    hashed.declared.back = live.back;
    let meters = |is_known: IsKnown<'_>| Ok::<_, ServeError>(store.meters(is_known)?);
    let merged = merge(hashed, saved, meters, clock.now());
    let mut merged = merged.map_err(|error| error.located(folder))?;
    generated_keys::add(folder, &merged.generated)?;
    let changes = std::mem::take(&mut merged.changes).into_iter().chain(live.changes).collect();
    let batch = Batch { closed, changes, ..Batch::default() };
    let (policy, ledger) = begin(&mut store, merged, &batch)?;
    let writer = Writer::new(Box::new(store), settings.durability);
    let seed = args.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    let gateway = Gateway {
        client: ArcSwap::from_pointee(live.client),
        providers: ArcSwap::from_pointee(live.providers),
        written: ArcSwap::from_pointee(live.written),
        sealer: live.sealer,
        admin: ArcSwapOption::from_pointee(live.admin),
        sessions: Sessions::default(),
        guesses: Guesses::default(),
        file: live.marks,
        books: Arc::new(Books::new(ledger, writer.clone(), Arc::clone(&clock))),
        clock,
        dice: Dice::new(seed),
        upstream,
        inflight: Inflight::new(),
        has_test_clock: args.test_clock,
        policy: RwLock::new(policy),
        catalog: RwLock::new(Arc::new(Catalog { sheet, overrides: Arc::new(Overrides::of(live.overrides)) })),
        sheet_source: settings.pricing,
        last_spent: LastSpent::default(),
        telemetry: reporting.telemetry,
        logs: reporting.logs,
        editing: tokio::sync::Mutex::new(()),
    };
    Ok((Arc::new(gateway), writer))
}

/// Writes what the start has changed, while what requests are decided by is built of the same rows:
/// there may be much of both.
fn begin(store: &mut SqliteStore, merged: Merged, batch: &Batch) -> Result<(Policy, Ledger), StoreError> {
    let (begun, built) = std::thread::scope(|scope| {
        let build = scope.spawn(|| policy::build(&merged));
        let begun = store.begin(&merged, batch);
        (begun, build.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    // Nobody has to wait until it is gone.
    tokio::task::spawn_blocking(|| drop(merged));
    begun.map(|()| built)
}

/// An override for a virtual key that nobody knows would price nothing: a misspelt id, most
/// likely. One that is deleted may come back.
fn known_keys(settings: &Settings, declared: &Declared, saved: &Saved) -> Result<(), Invalid> {
    if settings.pricing.overrides.is_empty() {
        return Ok(());
    }
    let declared = declared.keys.iter().map(|key| key.id.as_ref());
    let known: HashSet<&str> = declared.chain(saved.keys.iter().map(|key| key.row.id.as_ref())).collect();
    for (index, known_override) in settings.pricing.overrides.iter().enumerate() {
        if let Some(id) = known_override.checked.scope.virtual_key.as_ref().filter(|id| !known.contains(id.as_str())) {
            let at = format!("governance.pricing_overrides[{index}].virtual_key_id");
            return Err(Invalid::new(at, format!("there is no virtual key `{id}`")));
        }
    }
    Ok(())
}

/// Reads the price sheet again and again. Where that fails, prices stay as they are.
async fn refresh_prices(gateway: Arc<Gateway>) {
    let source = &gateway.sheet_source;
    if source.sheet_url.is_none() && source.parameters_url.is_none() {
        return;
    }
    loop {
        tokio::time::sleep(source.sync_interval).await;
        if let Err(error) = gateway.read_sheet().await {
            tracing::warn!(%error, "prices were not refreshed");
        }
    }
}

/// Says on stdout where the gateway listens: it is ready.
fn announce(address: SocketAddr) {
    let mut stdout = std::io::stdout();
    // Nobody has to listen.
    let _ = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
}

async fn stop(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn begin_logging(args: &Args) {
    let level = match args.log_level {
        LogLevel::Trace => tracing::Level::TRACE,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Error => tracing::Level::ERROR,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    // Where a subscriber is installed already, its owner decides.
    let _ = match args.log_style {
        LogStyle::Json => builder.json().try_init(),
        LogStyle::Pretty => builder.try_init(),
    };
}
