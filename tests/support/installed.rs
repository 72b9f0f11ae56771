//! Tests that need packages of another language, which are installed on first use.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use libtest_mimic::{Completion, Failed, Trial};
use probity::runtime::RuntimeError;

use super::{not_run, root};

/// Why it cannot be had, in a line.
#[derive(Clone)]
pub struct Missing(pub String);

impl Missing {
    /// With the last line of what the installing program wrote.
    pub fn with_log(reason: &str, log: &str) -> Self {
        let lines = reason.lines().chain(log.lines().last());
        Self(lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": "))
    }
}

impl From<RuntimeError> for Missing {
    fn from(error: RuntimeError) -> Self {
        Self::with_log(&error.to_string(), error.log_tail().unwrap_or_default())
    }
}

/// Installs what a file names, and says where.
pub type Make = fn(&Path) -> Result<PathBuf, Missing>;

/// A test that needs what a file of the repository names. It is given the folder with it; where that
/// cannot be had, the test is not run, and says why.
pub fn trial(
    name: &str,
    packages: &'static str,
    make: Make,
    test: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match folder(packages, make) {
        Ok(folder) => test(&folder).map(|()| Completion::Completed),
        Err(Missing(reason)) => not_run(&reason),
    })
}

/// Whatever stood in its way once is not tried again: without a registry, each try takes minutes.
fn folder(packages: &'static str, make: Make) -> Result<PathBuf, Missing> {
    static MADE: Mutex<Option<HashMap<&str, Result<PathBuf, Missing>>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap();
    made.get_or_insert_default().entry(packages).or_insert_with(|| make(&root().join(packages))).clone()
}

/// The folder of that name, below `target` as those of `probity run`.
pub fn below_target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(name)
}
