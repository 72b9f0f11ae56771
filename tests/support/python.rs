//! Tests that need Python packages, which are installed on first use.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use probity::runtime::python;

use super::{
    installed::{self, Missing},
    wait,
};

/// A test that needs what a requirements file of the repository names. It is given the virtual
/// environment; where that cannot be had, the test is not run, and says why.
pub fn trial(
    name: &str,
    requirements: &'static str,
    test: impl FnOnce(&Path) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    installed::trial(name, requirements, make, test)
}

/// Beside the environments of `probity run`, so that both share them.
fn make(requirements: &Path) -> Result<PathBuf, Missing> {
    let tell = |line: &str| eprintln!("{line}");
    Ok(wait(python::ensure(requirements, &installed::below_target("venv"), tell))?)
}
