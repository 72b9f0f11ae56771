//! Runs the reference gateway.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match probity_reference::args_from(std::env::args_os()) {
        Ok(args) => probity_reference::serve(args).await,
        Err(error) => {
            // Help goes to stdout, a mistake to stderr; nothing is left to do if neither is open.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}
