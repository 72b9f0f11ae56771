//! What the tests of the whole share: the runtime that this machine has, and runs of single scenarios.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod installed;
pub mod node;
pub mod program;
pub mod python;
pub mod readme;
pub mod served;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use probity::{
    config::Config,
    gateway::Gateway,
    report::{
        log::LogWriter,
        model::{Report, ScenarioResult},
        progress::Progress,
    },
    run::{Plan, Target, plan},
    runtime::{Kind, Setup, choose},
    scenario::{CaseContext, Catalogue},
};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The executable under test.
pub fn probity() -> PathBuf {
    env!("CARGO_BIN_EXE_probity").into()
}

/// The folder for what a test writes.
pub fn out(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Whether whatever a test needs must be there: `PROBITY_REQUIRE=all`, as in CI.
pub fn everything_required() -> bool {
    std::env::var("PROBITY_REQUIRE").is_ok_and(|value| value == "all")
}

/// What a test says where something that it needs is not there: that it was not run, and why.
/// Where everything must be there, that is a failure.
pub fn not_run(reason: &str) -> Result<Completion, Failed> {
    if everything_required() {
        return Err(format!("PROBITY_REQUIRE=all, and this test cannot be run: {reason}").into());
    }
    Ok(Completion::ignored_with(format!("not run: {reason}")))
}

/// Runs the trials that the command line asks for. The first line says in what gateways run.
#[expect(clippy::print_stdout, reason = "a test binary's first line says what it runs in")]
pub fn run_trials(trials: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    let arguments = Arguments::from_args();
    if !arguments.list {
        println!("\n{}", Bench::get().why);
    }
    libtest_mimic::run(&arguments, trials()).exit_code()
}

/// Waits for a future, on the runtime of this test binary.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let new = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    RUNTIME.get_or_init(new).block_on(future)
}

/// Runs scenarios of the catalogue against the reference gateway, in the runtime that this machine has.
pub struct Bench {
    target: Arc<Target>,
    /// Which runtime that is, and why, in a line.
    pub why: String,
    config: Config,
    pub catalogue: Catalogue,
}

impl Bench {
    /// The bench of this test binary.
    pub fn get() -> &'static Self {
        static BENCH: OnceLock<Bench> = OnceLock::new();
        BENCH.get_or_init(Self::new)
    }

    fn new() -> Self {
        let setup =
            Setup { run: uuid::Uuid::new_v4().simple().to_string(), out: out("runtime"), executable: Some(probity()) };
        let forced = std::env::var("PROBITY_RUNTIME").ok().filter(|value| !value.is_empty());
        let forced =
            forced.map(|value| value.parse::<Kind>().unwrap_or_else(|error| panic!("PROBITY_RUNTIME: {error}")));
        let chosen = wait(choose(forced, &setup));
        let (runtime, why) = chosen.unwrap_or_else(|error| panic!("{error}"));
        let config = Config::load(&root().join("runner.yaml"), |name| std::env::var(name).ok()).unwrap();
        let context = CaseContext { eval: config.eval.clone(), ..CaseContext::default() };
        let catalogue = Catalogue::load(&config.runner.scenarios, &context).unwrap();
        let gateway =
            Gateway::load(&config.runner.gateways, "reference", &indexmap::IndexMap::new(), |_| None).unwrap();
        let target = Target {
            version: gateway.manifest.version.clone(),
            gateway,
            runtime,
            why: why.clone(),
            installed: String::new(),
            probity: probity(),
            first_start: plan::FirstStart::new(),
        };
        Self { target: Arc::new(target), why, config, catalogue }
    }

    /// Runs one scenario, all its cases.
    pub fn run(&self, id: &str) -> ScenarioResult {
        let report = self.report(id);
        let target = report.targets.first().expect("one target was planned");
        assert_eq!(target.problem, None, "the reference gateway must get ready");
        target.scenarios.first().expect("one scenario was planned").clone()
    }

    fn report(&self, id: &str) -> Report {
        let entry = self.catalogue.find(id).unwrap_or_else(|| panic!("there is no scenario {id}"));
        let planned = plan::plan(Arc::clone(&self.target), &[entry], &self.config.eval, &|_| true).unwrap();
        let out = out(&format!("{}-{}", std::process::id(), id.replace('/', "-")));
        let plan = Plan {
            targets: vec![planned],
            seed: 1,
            jobs: 2,
            evidence: out.join("evidence"),
            rerun: "cargo run -- run".to_owned(),
        };
        let mut log = LogWriter::create(&out).unwrap();
        let outcome = wait(probity::run::run(plan, &mut log, &Progress::new(true))).unwrap();
        Report::from_events(&outcome.events)
    }
}

/// What to say of a scenario that did not pass: every check that did not, with its witnesses.
pub fn explain_failure(scenario: &ScenarioResult) -> String {
    let mut text = format!("{}: {}\n", scenario.id, scenario.verdict);
    for check in scenario.cases.iter().flat_map(|case| &case.checks) {
        if check.verdict != probity::verdict::Verdict::Pass {
            text += &format!("{}\n", serde_json::to_string_pretty(check).unwrap());
        }
    }
    text
}
