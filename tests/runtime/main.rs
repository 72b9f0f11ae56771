//! Runtimes on real processes, real sockets and, where a Docker daemon answers, real containers.
//!
//! The gateway that they start is this very executable: with `TOY` in its environment it serves
//! instead of testing. It has no harness of its own for that reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod container;
mod external;
mod process;
mod python;
mod support;
mod toy;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Ok(mode) = std::env::var("TOY") {
        return support::wait(toy::run(mode));
    }
    let trials = [process::trials(), container::trials(), external::trials(), python::trials()];
    libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect()).exit_code()
}
