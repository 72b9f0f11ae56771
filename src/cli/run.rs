//! `probity run`: the main job.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{args::RunArgs, drawn, failed, loaded, out, say};
use crate::{
    document::closest,
    exit::Exit,
    gateway::Gateway,
    report::{self, log::LogWriter, model::Report, progress::Progress, write::WriteError},
    run::{Interrupt, Plan, RunError, Target, plan},
    runtime::{ContainerRuntime, ExternalRuntime, Kind, ProcessRuntime, Runtime, RuntimeError, python},
};

/// The reports beside the run log: all of a run as JSON, and as JUnit.
const REPORTS: [&str; 2] = ["report.json", "junit.xml"];

/// The folder with one folder for each case that did not pass.
const EVIDENCE: &str = "evidence";

/// Runs the selected scenarios, writes the reports, and prints one.
pub(super) async fn run(args: RunArgs) -> Exit {
    match try_run(args).await {
        Ok(exit) => exit,
        Err(Stopped { exit, why }) => failed(exit, &why),
    }
}

/// Why a run ended before its end.
struct Stopped {
    exit: Exit,
    why: String,
}

fn stopped(exit: Exit) -> impl FnOnce(String) -> Stopped {
    move |why| Stopped { exit, why }
}

impl From<WriteError> for Stopped {
    fn from(error: WriteError) -> Self {
        Self { exit: error.exit(), why: error.to_string() }
    }
}

async fn try_run(args: RunArgs) -> Result<Exit, Stopped> {
    // Before anything that could be left behind, such as an installation half done.
    let mut interrupt =
        Interrupt::listen().map_err(|error| stopped(Exit::Bug)(RunError::Signals(error).to_string()))?;
    let (plan, out) = tokio::select! {
        prepared = prepare(&args) => prepared?,
        () = interrupt.asked() => return Err(stopped(Exit::Incomplete)("interrupted before the run began".to_owned())),
    };
    // Before anything is started: a folder that cannot be written costs nobody a run. And after all that
    // can be wrong with what was asked for: a typo does not cost the log of the last run.
    let mut log = LogWriter::create(&out)?;
    clear_earlier(&out)?;
    let progress = Progress::new(args.quiet);
    let outcome = crate::run::run_until(plan, &mut log, &progress, interrupt).await.map_err(|error| match error {
        RunError::Log(error) => error.into(),
        other => stopped(Exit::Bug)(other.to_string()),
    })?;
    drop(progress);
    let report = Report::from_events(&outcome.events);
    let text = match args.format {
        out::Format::Text => report::terminal::render(&report, out::style()),
        out::Format::Json => report::json::render(&report),
    };
    let printed = out::print(&text);
    if let Err(error) = &printed {
        say(&error.to_string());
    }
    let exit = out::exit_after(&printed, report.exit());
    // The verdict is on the screen already: a file that cannot be written does not take it back.
    match write_reports(&report, &out) {
        Err(Stopped { why, .. }) if exit != Exit::Ok => Ok(failed(exit, &why)),
        written => written.map(|()| exit),
    }
}

/// Reads and checks everything, and finds the runtimes; the plan and the output folder.
async fn prepare(args: &RunArgs) -> Result<(Plan, PathBuf), Stopped> {
    let loaded = loaded::load(&args.config.config).map_err(stopped(Exit::Usage))?;
    let runner = &loaded.config.runner;
    let entries = loaded.selected(&args.scenarios);
    if entries.is_empty() {
        return Err(stopped(Exit::Nothing)(loaded.nothing_selected(&args.scenarios)));
    }
    let out = args.out.clone().unwrap_or_else(|| runner.out.clone());
    let names = if args.gateway.is_empty() { &runner.targets } else { &args.gateway };
    let mut targets = Vec::new();
    for name in names {
        let target = Arc::new(target(name, args, &loaded, &out).await?);
        let selected = |case: &crate::scenario::Case| args.case.as_ref().is_none_or(|name| *name == case.name);
        let planned = plan::plan(target, &entries, &loaded.config.eval, &selected)
            .map_err(|error| stopped(Exit::Usage)(error.to_string()))?;
        targets.push(planned);
    }
    if targets.iter().all(|planned| planned.declared.is_empty()) {
        let why = format!("no case is called `{}`", args.case.clone().unwrap_or_default());
        return Err(stopped(Exit::Nothing)(why));
    }
    let seed = args.seed.or(runner.seed).unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 16);
    let jobs = args.jobs.map_or(runner.jobs, usize::from);
    let plan = Plan { targets, seed, jobs, evidence: out.join(EVIDENCE), rerun: rerun(args, seed) };
    Ok((plan, out))
}

/// Reports of an earlier run would be mistaken for evidence of this one.
fn clear_earlier(out: &Path) -> Result<(), Stopped> {
    let evidence = out.join(EVIDENCE);
    let files = REPORTS.map(|name| out.join(name));
    let removed = files.iter().map(|path| (path, std::fs::remove_file(path)));
    for (path, removed) in removed.chain(std::iter::once((&evidence, std::fs::remove_dir_all(&evidence)))) {
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(stopped(Exit::Unwritable)(format!("cannot clear {}: {error}", path.display())));
        }
    }
    Ok(())
}

fn write_reports(report: &Report, out: &Path) -> Result<(), Stopped> {
    let [json_file, junit_file] = REPORTS.map(|name| out.join(name));
    report::write::write_file(&json_file, &report::json::render(report))?;
    let junit = report::junit::render(report).map_err(|error| stopped(Exit::Bug)(error.to_string()))?;
    report::write::write_file(&junit_file, &junit)?;
    Ok(())
}

async fn target(name: &str, args: &RunArgs, loaded: &loaded::Loaded, out: &Path) -> Result<Target, Stopped> {
    let runner = &loaded.config.runner;
    let (folder, version) = name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)));
    if !runner.gateways.join(folder).join("gateway.yaml").is_file() {
        return Err(stopped(Exit::Usage)(no_such_gateway(&runner.gateways, folder)));
    }
    let set = args.set.iter().cloned().collect();
    let gateway = Gateway::load(&runner.gateways, folder, &set, |name| std::env::var(name).ok())
        .map_err(|error| stopped(Exit::Usage)(drawn(*error)))?;
    let (runtime, why) = runtime(&gateway, args, runner.runtime, out).await.map_err(|error| not_ready(&error))?;
    let installed = install(&gateway, runtime.kind(), out, args.quiet).await.map_err(|error| not_ready(&error))?;
    let version = version.map_or_else(|| gateway.manifest.version.clone(), str::to_owned);
    let probity = std::env::current_exe().map_err(|error| stopped(Exit::Bug)(error.to_string()))?;
    Ok(Target { gateway, version, runtime, why, installed, probity })
}

fn not_ready(error: &RuntimeError) -> Stopped {
    let log = error.log_tail().map_or(String::new(), |log| format!("\n{log}"));
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    stopped(Exit::NotReady)(format!("{text}{log}"))
}

/// The runtime that was asked for; a process where nothing was and the gateway can be one.
async fn runtime(
    gateway: &Gateway,
    args: &RunArgs,
    configured: Option<Kind>,
    out: &Path,
) -> Result<(Arc<dyn Runtime>, String), RuntimeError> {
    if let Some(url) = &args.url {
        return Ok((Arc::new(ExternalRuntime::new(url)?), format!("external, at {url}")));
    }
    let launch = &gateway.manifest.launch;
    let (kind, why) = match args.runtime.or(configured) {
        Some(kind) => (kind, "as asked for"),
        None if launch.is_process(&gateway.settings) => (Kind::Process, "the default"),
        None => (Kind::Container, "nothing else can be started here"),
    };
    let runtime: Arc<dyn Runtime> = match kind {
        Kind::Process => Arc::new(ProcessRuntime::new(out)?),
        Kind::Container => Arc::new(ContainerRuntime::connect(&uuid::Uuid::new_v4().simple().to_string()).await?),
        Kind::External => {
            return Err(RuntimeError::Unsupported { kind, what: "be used without --url" });
        }
    };
    Ok((runtime, format!("{kind} ({why})")))
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
    let meant = closest(name, names.iter().map(String::as_str))
        .map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    format!("there is no gateway `{name}` in {} ({}){meant}", gateways.display(), names.join(", "))
}

/// The command that runs one case again, up to its target and id.
fn rerun(args: &RunArgs, seed: u64) -> String {
    let mut command = "cargo run -- run".to_owned();
    let config = &args.config.config;
    if config != Path::new("runner.yaml") {
        command += &format!(" --config {}", config.display());
    }
    for (name, value) in &args.set {
        command += &format!(" --set {name}={value}");
    }
    if let Some(runtime) = args.runtime {
        command += &format!(" --runtime {runtime}");
    }
    if let Some(url) = &args.url {
        command += &format!(" --url {url}");
    }
    command + &format!(" --seed {seed}")
}
