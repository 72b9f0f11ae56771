//! The command line: one file a subcommand.

mod args;
mod check;
pub mod explain;
mod gc;
pub mod help;
pub mod list;
mod loaded;
pub mod out;
mod rerun;
mod run;
pub mod schema;
mod serve;
mod target;

use std::{
    io::IsTerminal,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use clap::Parser;

use crate::{document, exit::Exit};
use args::{Cli, Command};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; everything else is wrong usage. Nobody is left to tell
            // when the output is gone.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let _ = miette::set_hook(Box::new(|_| Box::new(miette::MietteHandlerOpts::new().width(120).build())));
    if !matches!(cli.command, Command::Serve(args::ServeCommand::Reference(_))) {
        // The gateway has options of its own for it.
        logging(cli.verbose);
    }
    match cli.command {
        Command::Run(args) => on_runtime(run::run(args)).into(),
        Command::List(args) => list_command(&args).into(),
        Command::Explain(args) => explain_command(&args).into(),
        Command::Check(args) => check::check(&args.config).into(),
        Command::Gc => on_runtime(gc::gc()).into(),
        Command::Serve(args) => serve::serve(args),
        Command::Schema { subject } => printed(&subject.text()).into(),
        Command::Help { topic } => help_command(topic).into(),
    }
}

fn on_runtime(command: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        // Nothing is used after a panic but its exit code; its message is on stderr by then.
        Ok(runtime) => panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(command)))
            .unwrap_or_else(|_| failed(Exit::Bug, "this is a bug of probity; please report what stands above")),
        Err(error) => failed(Exit::Bug, &format!("the asynchronous runtime could not be started: {error}")),
    }
}

fn logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::new(format!("error,probity={level}"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time();
    let _ = lines.with_ansi(std::io::stderr().is_terminal()).try_init();
}

fn list_command(args: &args::ListArgs) -> Exit {
    let loaded = match loaded::load(&args.config.config) {
        Ok(loaded) => loaded,
        Err(why) => return failed(Exit::Usage, &why),
    };
    let entries: Vec<_> = loaded.selected(&args.scenarios).into_iter().map(loaded::list_entry).collect();
    if entries.is_empty() {
        return failed(Exit::Nothing, &loaded.nothing_selected(&args.scenarios));
    }
    match args.format {
        out::Format::Text => printed(&list::text(&entries, out::style())),
        out::Format::Json => printed(&list::json(&entries)),
    }
}

fn explain_command(args: &args::ExplainArgs) -> Exit {
    let loaded = match loaded::load(&args.config.config) {
        Ok(loaded) => loaded,
        Err(why) => return failed(Exit::Usage, &why),
    };
    let explained: Vec<_> = loaded.catalogue.entries.iter().map(loaded::explained).collect();
    match explain::explain(&args.id, &explained, &loaded.catalogue.requirements, out::style()) {
        Ok(text) => printed(&text),
        Err(error) => failed(Exit::Usage, &error.to_string()),
    }
}

fn help_command(topic: Option<args::Topic>) -> Exit {
    match topic {
        Some(args::Topic::ExitCodes) => printed(&help::exit_codes()),
        None => printed(&<Cli as clap::CommandFactory>::command().render_long_help().to_string()),
    }
}

/// Prints a result, and says how the command ends.
fn printed(text: &str) -> Exit {
    let printed = out::print(text);
    if let Err(error) = &printed {
        say(&error.to_string());
    }
    out::exit_after(&printed, Exit::Ok)
}

/// An error in a file, with the lines around its place.
fn drawn(error: document::DocumentError) -> String {
    format!("{:?}", miette::Report::new(error)).trim().to_owned()
}

/// Says on stderr why the command ends as it does.
fn failed(exit: Exit, why: &str) -> Exit {
    say(why);
    exit
}

fn say(text: &str) {
    use std::io::Write as _;
    // A stderr that is gone leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "probity: {}", text.trim());
}
