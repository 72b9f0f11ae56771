//! `probity serve`: the mock providers or the reference gateway, alone.

use std::{ffi::OsString, net::SocketAddr, process::ExitCode};

use super::{
    args::{ServeCommand, UpstreamArgs},
    drawn, failed,
};
use crate::{document::Document, exit::Exit};

/// Serves until it is asked to stop.
pub(super) fn serve(command: ServeCommand) -> ExitCode {
    match command {
        ServeCommand::Upstream(args) => upstream(&args),
        ServeCommand::Reference(args) => {
            let name = OsString::from("probity serve reference");
            reference(std::iter::once(name).chain(args.options))
        }
    }
}

fn reference(words: impl Iterator<Item = OsString>) -> ExitCode {
    let args = match probity_reference::args_from(words) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(probity_reference::serve(args)),
        Err(error) => failed(Exit::Bug, &error.to_string()).into(),
    }
}

fn upstream(args: &UpstreamArgs) -> ExitCode {
    let script = match &args.script {
        None => mock_upstream::Script::usual(),
        Some(path) => match Document::load(path).and_then(|document| document.decode()) {
            Ok(script) => script,
            Err(error) => return failed(Exit::Usage, &drawn(*error)).into(),
        },
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(Exit::Bug, &error.to_string()).into(),
    };
    let address = SocketAddr::new(args.host, args.port);
    match runtime.block_on(mock_upstream::serve_forever(address, script)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failed(Exit::Usage, &error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}
