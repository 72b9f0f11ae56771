//! What `probity run` tests: a gateway, the version of it that was asked for, and where it lives.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    args::RunArgs,
    drawn,
    loaded::Loaded,
    run::{Stopped, stopped},
    say,
};
use crate::{
    document::closest,
    exit::Exit,
    gateway::{Gateway, version::Launched},
    run::{Target, plan::FirstStart},
    runtime::{
        AbsentRuntime, ContainerRuntime, ExternalRuntime, Kind, Login, ProcessRuntime, Runtime, RuntimeError, chain,
        python, without_userinfo,
    },
};

/// The target of this name, `<gateway>` or `<gateway>@<version>`, with all that it needs installed.
pub(super) async fn target(name: &str, args: &RunArgs, loaded: &Loaded, out: &Path) -> Result<Target, Stopped> {
    let runner = &loaded.config.runner;
    let (folder, version) = name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)));
    if !runner.gateways.join(folder).join("gateway.yaml").is_file() {
        return Err(stopped(Exit::Usage)(no_such_gateway(&runner.gateways, folder)));
    }
    let set = args.set.iter().cloned().collect();
    let gateway = Gateway::load(&runner.gateways, folder, &set, |name| std::env::var(name).ok())
        .map_err(|error| stopped(Exit::Usage)(drawn(*error)))?;
    let (kind, why) = kind(&gateway, args, runner.runtime);
    let version = version.map_or_else(|| gateway.manifest.version.clone(), str::to_owned);
    can_be(&gateway, kind, &version).map_err(stopped(Exit::Usage))?;
    let (runtime, why) = match &args.url {
        Some(url) => (external(url, args)?, format!("external, at {}", without_userinfo(url))),
        None => match started(kind, out).await {
            // Only whoever asked for it knows where that gateway is.
            Err(error @ RuntimeError::Unsupported { .. }) => return Err(stopped(Exit::Usage)(error.to_string())),
            started => (started.unwrap_or_else(|error| absent(kind, &error)), format!("{kind} ({why})")),
        },
    };
    let (runtime, installed) = match install(&gateway, kind, out, args.quiet).await {
        Ok(installed) => (runtime, installed),
        Err(error) => (absent(kind, &error), String::new()),
    };
    let probity = std::env::current_exe().map_err(|error| stopped(Exit::Bug)(error.to_string()))?;
    let first_start = FirstStart::new();
    Ok(Target { gateway, version, runtime, why, installed, probity, first_start })
}

/// What stands in for a runtime that is not there: the target does not get ready, and the others are tested.
fn absent(kind: Kind, error: &RuntimeError) -> Arc<dyn Runtime> {
    let log = error.log_tail().map_or(String::new(), |log| format!("\n{log}"));
    Arc::new(AbsentRuntime::new(kind, format!("{}{log}", chain(error))))
}

/// The runtime that was asked for, and why; a process where nothing was and the gateway can be one.
fn kind(gateway: &Gateway, args: &RunArgs, configured: Option<Kind>) -> (Kind, &'static str) {
    if args.url.is_some() {
        return (Kind::External, "at --url");
    }
    match args.runtime.or(configured) {
        Some(kind) => (kind, "as asked for"),
        None if gateway.manifest.launch.is_process(&gateway.settings) => (Kind::Process, "the default"),
        None => (Kind::Container, "nothing else can be started here"),
    }
}

/// A report names the version that was tested, so a version that would not be started is refused, unless
/// the gateway itself says at its first start which it is.
fn can_be(gateway: &Gateway, kind: Kind, version: &str) -> Result<(), String> {
    let manifest = &gateway.manifest;
    let (launched, install) = match kind {
        Kind::External => return Ok(()),
        Kind::Process => {
            (Launched::Process, manifest.launch.process.as_ref().and_then(|launch| launch.install.as_ref()))
        }
        Kind::Container => (Launched::Container, None),
    };
    if version == manifest.version || gateway.follows_version(launched) {
        return Ok(());
    }
    let name = &manifest.name;
    let only = |why: String| Err(format!("{name}@{version} cannot be started as a {kind}: {why}"));
    match install {
        Some(install) => only(format!("{} pins {name} to {}", install.requirements, manifest.version)),
        None if manifest.version_probe.is_some() => Ok(()),
        None => only(format!("its manifest starts {} whichever is asked for", manifest.version)),
    }
}

async fn started(kind: Kind, out: &Path) -> Result<Arc<dyn Runtime>, RuntimeError> {
    Ok(match kind {
        Kind::Process => Arc::new(ProcessRuntime::new(out)?),
        Kind::Container => Arc::new(ContainerRuntime::connect(&uuid::Uuid::new_v4().simple().to_string()).await?),
        Kind::External => {
            return Err(RuntimeError::Unsupported { kind, what: "be used without --url" });
        }
    })
}

/// A gateway that somebody else runs, and what its owner must have configured for it.
fn external(url: &str, args: &RunArgs) -> Result<Arc<dyn Runtime>, Stopped> {
    let upstream = address(args.upstream.as_deref().unwrap_or_default()).map_err(stopped(Exit::Usage))?;
    let login = login(args.admin.as_deref()).map_err(stopped(Exit::Usage))?;
    let runtime = ExternalRuntime::new(url, upstream, login).map_err(|error| match error {
        error @ RuntimeError::BadUrl { .. } => stopped(Exit::Usage)(error.to_string()),
        error => stopped(Exit::NotReady)(chain(&error)),
    })?;
    if without_userinfo(url) != url {
        say("the credentials in --url are not used; --admin gives those of the management API");
    }
    if !args.quiet {
        say(&format!(
            "the gateway must be configured so: provider `primary`, of OpenAI's kind, at http://{upstream}/primary \
             with any key; model mock-1 at $2.50 and $10.00 per million tokens in and out; virtual keys mandatory; no retries"
        ));
    }
    Ok(Arc::new(runtime))
}

/// Where the mock listens: the gateway's owner has configured it, so it must not change.
fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |why: &str| format!("--upstream {text}: {why}; write an address of this machine, as 127.0.0.1:9000");
    let resolved = text.to_socket_addrs().map_err(|error| wrong(&error.to_string()))?.next();
    let address = resolved.ok_or_else(|| wrong("nobody has this name"))?;
    if address.port() == 0 { Err(wrong("the port must be fixed")) } else { Ok(address) }
}

/// Nothing of it is shown when it is wrong: it may be a password.
fn login(text: Option<&str>) -> Result<Login, String> {
    let Some(text) = text else { return Ok(Login { username: String::new(), password: String::new() }) };
    let (username, password) = text.split_once(':').ok_or("--admin (or PROBITY_ADMIN) must be USER:PASSWORD")?;
    Ok(Login { username: username.to_owned(), password: password.to_owned() })
}

/// Installs what the gateway's process needs; where it is then.
async fn install(gateway: &Gateway, kind: Kind, out: &Path, quiet: bool) -> Result<String, RuntimeError> {
    let process = gateway.manifest.launch.process.as_ref().filter(|_| kind == Kind::Process);
    let Some(install) = process.and_then(|launch| launch.install.as_ref()) else { return Ok(String::new()) };
    let requirements: PathBuf = gateway.file(&install.requirements);
    let venvs = out.parent().unwrap_or(out).join("venv");
    let told = |line: &str| {
        if !quiet {
            say(line);
        }
    };
    Ok(python::ensure(&requirements, &venvs, told).await?.display().to_string())
}

/// What to say of a gateway that has no folder.
pub(super) fn no_such_gateway(gateways: &Path, name: &str) -> String {
    let names = Gateway::names(gateways);
    if names.is_empty() {
        let folder = gateways.display();
        return format!(
            "there is no gateway in {folder}; `gateways` in the configuration says where their folders are"
        );
    }
    let meant = closest(name, names.iter().map(String::as_str))
        .map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    format!("there is no gateway `{name}` in {} ({}){meant}", gateways.display(), names.join(", "))
}
