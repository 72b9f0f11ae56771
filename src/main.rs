//! The `probity` executable: parses the command line, and hands over.

use std::process::ExitCode;

fn main() -> ExitCode {
    probity::cli::main()
}
