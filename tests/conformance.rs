//! One test a scenario, so that `cargo test budgets` picks an area: the reference gateway meets each.
//! Where a Docker daemon answers it runs in containers, else as processes; the first line says which.

mod support;

use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use probity::verdict::Verdict;
use support::{Bench, explain_failure, run_trials};

fn main() -> ExitCode {
    let trial = |id: &str| {
        let id = id.to_owned();
        Trial::test(id.clone(), move || passes(&id))
    };
    run_trials(|| Bench::get().catalogue.entries.iter().map(|entry| trial(&entry.id)).collect())
}

fn passes(id: &str) -> Result<(), Failed> {
    let scenario = Bench::get().run(id);
    if scenario.verdict != Verdict::Pass {
        return Err(explain_failure(&scenario).into());
    }
    let unsupported = scenario.cases.iter().flat_map(|case| &case.checks).find(|check| check.unsupported.is_some());
    match unsupported {
        Some(check) => Err(format!("the reference gateway must support everything: {check:?}").into()),
        None => Ok(()),
    }
}
