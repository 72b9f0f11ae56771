//! `probity serve`: the mock providers or the reference gateway, alone.

use std::{ffi::OsString, net::SocketAddr, path::Path, process::ExitCode};

use mock_upstream::Script;

use super::{
    args::{ServeCommand, UpstreamArgs},
    drawn, failed, say,
};
use crate::{
    document::{Document, DocumentError},
    exit::Exit,
    scenario::script,
};

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
        None => Script::usual(),
        Some(path) => match loaded(path) {
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
            say(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

/// A script that can be played.
fn loaded(path: &Path) -> Result<Script, Box<DocumentError>> {
    let document = Document::load(path)?;
    let script = document.decode()?;
    script::check(&script).map_err(|(at, message)| document.error(&at, &message, None))?;
    Ok(script)
}
