//! The command line. Bifrost writes long options with a single dash; both are read.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// A strict AI gateway with Bifrost's configuration, routes and bodies.
#[derive(Clone, Debug, Parser)]
#[command(name = "probity-reference", version, args_override_self = true)]
pub struct Args {
    /// What to do instead of serving
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The folder with config.json, in which config.db is kept
    /// [default: the folder `bifrost` in the user's configuration folder]
    #[arg(long, global = true, env = "APP_DIR")]
    pub app_dir: Option<PathBuf>,
    /// The address to listen on [env: BIFROST_HOST, if APP_HOST is not set] [default: 127.0.0.1]
    #[arg(long, global = true, env = "APP_HOST")]
    pub host: Option<String>,
    /// The port to listen on; 0 takes a free one and prints it
    #[arg(long, global = true, env = "APP_PORT", default_value_t = 8080)]
    pub port: u16,
    /// What is logged to stderr
    #[arg(long, global = true, env = "LOG_LEVEL", value_enum, ignore_case = true, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,
    /// How it is logged
    #[arg(long, global = true, env = "LOG_STYLE", value_enum, ignore_case = true, default_value_t = LogStyle::Json)]
    pub log_style: LogStyle,
    /// The seed of every weighted choice [default: random]
    #[arg(long, env = "PROBITY_REFERENCE_SEED")]
    pub seed: Option<u64>,
    /// Let an administrator advance the clock through `POST /api/test/clock`. Never in production
    #[arg(long)]
    pub test_clock: bool,
}

/// What the gateway does instead of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Print the JSON Schema of config.json
    Schema,
    /// Print the description of the API (OpenAPI)
    Openapi,
    /// Ask the running gateway whether it is well; exit code 0 if it is
    Healthcheck,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum LogLevel {
    /// Everything, the libraries' own lines among it.
    Trace,
    /// Everything that helps to find a fault.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum LogStyle {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl Args {
    /// What was said of the address to listen on.
    pub(crate) fn host(&self) -> String {
        let bifrosts = || set("BIFROST_HOST").and_then(|host| host.into_string().ok());
        self.host.clone().or_else(bifrosts).unwrap_or_else(|| "127.0.0.1".to_owned())
    }

    /// The address to listen on; `localhost` is the loopback address.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.host().as_str() {
            "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
            other => other.parse().ok(),
        }
    }

    /// The application folder.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.app_dir.clone().or_else(|| Some(configuration_folder()?.join("bifrost")))
    }
}

/// The user's configuration folder, where Go and with it Bifrost have it.
fn configuration_folder() -> Option<PathBuf> {
    let home = || set("HOME").map(PathBuf::from);
    if cfg!(target_os = "macos") {
        return Some(home()?.join("Library/Application Support"));
    }
    set("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".config")))
}

/// A variable with a value.
fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Reads a command line, its first word being the program's name. Bifrost's single
/// dashes are taken for double ones.
///
/// # Errors
/// What clap reports, the text of `--help` and `--version` among it.
pub fn args_from<I>(words: I) -> Result<Args, clap::Error>
where
    I: IntoIterator<Item = OsString>,
{
    Args::try_parse_from(words.into_iter().map(normalised))
}

/// A word of several letters after one dash is an option written as Bifrost does.
fn normalised(word: OsString) -> OsString {
    let Some(text) = word.to_str() else {
        return word;
    };
    let name = text.strip_prefix('-').unwrap_or_default();
    let is_long = name.chars().take(2).filter(char::is_ascii_lowercase).count() == 2;
    if is_long { format!("-{text}").into() } else { word }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn args(words: &[&str]) -> Args {
        let words = std::iter::once("reference").chain(words.iter().copied());
        args_from(words.map(OsString::from)).unwrap()
    }

    #[test]
    fn bifrosts_single_dashes_are_read_like_double_ones() {
        let single = args(&[
            "-app-dir",
            "/data",
            "-port=9000",
            "-host",
            "0.0.0.0",
            "-log-level",
            "debug",
            "-log-style",
            "pretty",
        ]);
        assert_eq!(single.app_dir, Some(PathBuf::from("/data")));
        assert_eq!((single.port, single.host.as_deref()), (9000, Some("0.0.0.0")));
        assert_eq!((single.log_level, single.log_style), (LogLevel::Debug, LogStyle::Pretty));
        let double = args(&["--app-dir", "/data", "--port", "9000"]);
        assert_eq!(double.port, 9000);
    }

    #[test]
    fn the_test_clock_is_off_unless_asked_for() {
        assert!(!args(&[]).test_clock);
        assert!(args(&["--test-clock"]).test_clock);
    }

    #[test]
    fn options_may_stand_behind_what_is_to_be_done() {
        let asked = args(&["healthcheck", "-port", "9000", "--host=0.0.0.0"]);
        assert_eq!((asked.command, asked.port), (Some(Command::Healthcheck), 9000));
        assert_eq!(asked.host.as_deref(), Some("0.0.0.0"));
    }

    #[test]
    fn an_unknown_option_is_an_error_that_says_what_was_meant() {
        let words = ["reference", "-prot", "1"].map(OsString::from);
        let error = args_from(words).unwrap_err().to_string();
        assert!(error.contains("'--prot'") && error.contains("'--port'"), "{error}");
    }

    #[test]
    fn one_letter_after_a_dash_is_a_short_option() {
        let words = ["reference", "-h"].map(OsString::from);
        assert_eq!(args_from(words).unwrap_err().kind(), clap::error::ErrorKind::DisplayHelp);
    }
}
