//! What can be typed.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{out::Format, schema::Subject};
use crate::runtime::Kind;

/// Proves, from the outside, that an AI gateway enforces what it promises.
#[derive(Debug, Parser)]
#[command(name = "probity", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Exit codes: `probity help exit-codes`. Results go to stdout, progress to stderr.")]
pub(super) struct Cli {
    /// Say more on stderr; twice for still more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start gateways, drive them with scenarios, and report a verdict for each.
    Run(RunArgs),
    /// Show what there is to run.
    List(ListArgs),
    /// Show what a scenario or a requirement is about.
    Explain(ExplainArgs),
    /// Check configuration, scenarios and gateway folders without starting anything.
    Check(ConfigArgs),
    /// Remove the containers of runs that were killed.
    Gc,
    /// Serve the mock providers or the reference gateway alone.
    #[command(subcommand)]
    Serve(ServeCommand),
    /// Print the JSON Schema of a file or an output.
    Schema {
        /// Of what.
        subject: Subject,
    },
    /// Print this help, or that on a topic.
    Help {
        /// The topic.
        topic: Option<Topic>,
    },
}

/// Topics of `probity help`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Topic {
    /// What each exit code means.
    ExitCodes,
}

/// Not an option of every command: what `serve upstream` is configured with is something else.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// What `run` does here.
    #[arg(long, value_name = "FILE", default_value = "runner.yaml")]
    pub(super) config: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Scenarios: part of an id, such as `budgets`; `=id` for exactly one. All if none is given.
    #[arg(value_name = "SCENARIO")]
    pub(super) scenarios: Vec<String>,
    /// Only the case of this name, such as `stream=true`.
    #[arg(long, value_name = "CASE")]
    pub(super) case: Option<String>,
    /// A gateway to test, instead of those in the configuration. Can be repeated.
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(super) gateway: Vec<String>,
    /// How gateways are started: process, container, or external.
    #[arg(long, env = "PROBITY_RUNTIME", value_name = "RUNTIME")]
    pub(super) runtime: Option<Kind>,
    /// The address of a gateway that runs already; implies `--runtime external`.
    #[arg(long, value_name = "URL", requires = "upstream")]
    pub(super) url: Option<String>,
    /// With --url: where the mock listens, and so where that gateway's provider must be.
    #[arg(long, value_name = "HOST:PORT", requires = "url")]
    pub(super) upstream: Option<String>,
    /// With --url: the credentials of that gateway's management API.
    #[arg(long, env = "PROBITY_ADMIN", hide_env_values = true, value_name = "USER:PASSWORD")]
    pub(super) admin: Option<String>,
    /// A value for the gateway's templates. Can be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(super) set: Vec<(String, String)>,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// The folder for run log, reports and evidence.
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// From which every random choice follows.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// How many cases run at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// No progress on stderr.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Scenarios: part of an id, such as `budgets`; `=id` for exactly one. All if none is given.
    #[arg(value_name = "SCENARIO")]
    pub(super) scenarios: Vec<String>,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// A scenario's id, or a requirement's, such as `BUD-1`.
    pub(super) id: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum ServeCommand {
    /// Mock model providers with exact prices, scripted faults and a ledger.
    Upstream(UpstreamArgs),
    /// The reference gateway; its own options follow, such as `-app-dir DIR -port 8080`.
    Reference(ReferenceArgs),
}

#[derive(Debug, Args)]
pub(super) struct UpstreamArgs {
    /// The script, as YAML or JSON: the `upstream` of a scenario. One provider, `primary`, if absent.
    #[arg(long = "config", value_name = "FILE")]
    pub(super) script: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub(super) host: std::net::IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub(super) port: u16,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct ReferenceArgs {
    /// The reference gateway's own options; `--help` shows them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    pub(super) options: Vec<OsString>,
}
