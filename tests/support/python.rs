//! Tests that need Python packages, which are installed on first use.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use libtest_mimic::{Completion, Failed, Trial};
use probity::runtime::python;

use super::{not_run, root, wait};

/// A test that needs what a requirements file of the repository names. It is given the virtual
/// environment; where that cannot be had, the test is not run, and says why.
pub fn trial(
    name: &str,
    requirements: &'static str,
    test: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match environment(requirements) {
        Ok(venv) => test(&venv).map(|()| Completion::Completed),
        Err(reason) => not_run(&reason),
    })
}

/// The environment, beside those of `probity run` so that both share them. Whatever stood in its
/// way once is not tried again: without a registry, each try takes minutes.
fn environment(requirements: &'static str) -> Result<PathBuf, String> {
    static MADE: Mutex<Option<HashMap<&str, Result<PathBuf, String>>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap();
    made.get_or_insert_default().entry(requirements).or_insert_with(|| make(&root().join(requirements))).clone()
}

fn make(requirements: &Path) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let tell = |line: &str| eprintln!("{line}");
    wait(python::ensure(requirements, &target.join("venv"), tell)).map_err(|error| {
        let log = error.log_tail().and_then(|log| log.lines().last()).unwrap_or_default();
        let reason = format!("{error}\n{log}");
        reason.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
    })
}
