//! `mock-upstream`: the mock providers alone.

use std::process::ExitCode;

use clap::Parser;
use mock_upstream::cli::{ServeArgs, run};

/// Mock model providers with exact prices, scripted faults and a ledger of every request.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(flatten)]
    args: ServeArgs,
}

fn main() -> ExitCode {
    run(&Command::parse().args)
}
