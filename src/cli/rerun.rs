//! The command that runs one case again. It is printed and kept, so it shows no value that may be a credential.

use std::path::Path;

use super::args::RunArgs;
use crate::runtime::without_userinfo;

/// The command that runs one case again, up to its target and id.
pub(super) fn rerun(args: &RunArgs, seed: u64) -> String {
    let mut words: Vec<String> = ["cargo", "run", "--", "run"].map(str::to_owned).into();
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), quoted(value)]);
    let config = &args.config.config;
    if config != Path::new("runner.yaml") {
        option("--config", &config.display().to_string());
    }
    for (name, _) in &args.set {
        option("--set", &format!("{name}=…"));
    }
    if let Some(runtime) = args.runtime {
        option("--runtime", &runtime.to_string());
    }
    if let Some(url) = &args.url {
        option("--url", &without_userinfo(url));
    }
    if let Some(upstream) = &args.upstream {
        option("--upstream", upstream);
    }
    if args.url.is_some() && args.admin.is_some() {
        option("--admin", "…");
    }
    option("--seed", &seed.to_string());
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+…".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn rerun_of(words: &[&str]) -> String {
        let words = ["probity", "run"].iter().chain(words);
        let Command::Run(args) = Cli::try_parse_from(words).unwrap().command else { panic!("it is `run`") };
        rerun(&RunArgs { runtime: None, ..args }, 7)
    }

    #[test]
    fn values_that_may_be_credentials_are_left_out() {
        let words = ["--set", "bin=/opt/secret", "--url", "http://me:secret@gateway:1", "--upstream", "127.0.0.1:9000"];
        let command = rerun_of(&[&words[..], &["--admin", "me:secret"]].concat());
        assert_eq!(
            command,
            "cargo run -- run --set bin=… --url http://gateway:1 --upstream 127.0.0.1:9000 --admin … --seed 7"
        );
    }

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        let command = rerun_of(&["--config", "my file's.yaml"]);
        assert_eq!(command, r"cargo run -- run --config 'my file'\''s.yaml' --seed 7");
    }
}
