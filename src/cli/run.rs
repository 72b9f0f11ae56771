//! `probity run`: the main job.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{args::RunArgs, failed, loaded, out, rerun::rerun, say, target::target};
use crate::{
    exit::Exit,
    report::{
        self,
        log::{self, LogWriter},
        model::Report,
        progress::Progress,
        write::WriteError,
    },
    run::{Interrupt, Plan, RunError, plan},
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
pub(super) struct Stopped {
    exit: Exit,
    why: String,
}

pub(super) fn stopped(exit: Exit) -> impl FnOnce(String) -> Stopped {
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
    let had_run = was_run_in(&out);
    let mut log = LogWriter::create(&out)?;
    if had_run {
        clear_earlier(&out)?;
    }
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
    if args.url.is_some() && names.len() > 1 {
        return Err(stopped(Exit::Usage)("one gateway is at --url: give one --gateway".to_owned()));
    }
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
    // At --url there is one gateway, and one address for its mock.
    let jobs = if args.url.is_some() { 1 } else { args.jobs.map_or(runner.jobs.get(), usize::from) };
    let plan = Plan { targets, seed, jobs, evidence: out.join(EVIDENCE), rerun: rerun(args, seed) };
    Ok((plan, out))
}

/// Whether an earlier run of ours wrote into this folder. Where none did, nothing in it is ours to remove.
fn was_run_in(out: &Path) -> bool {
    let Ok(file) = File::open(out.join(log::FILE)) else { return false };
    let mut head = String::new();
    // A head that cannot be read is none of ours.
    let _ = BufReader::new(file).read_line(&mut head);
    serde_json::from_str::<serde_json::Value>(&head).is_ok_and(|event| event["event"] == "run_started")
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
