//! `runner.yaml`: what `probity run` does here.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    document::{Document, DocumentError},
    interpolate::interpolate,
    money::Usd,
    runtime::Kind,
    scenario::Eval,
};

/// What `probity run` does without arguments. Paths are relative to the file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunnerConfig {
    /// The gateways to test: `<gateway>` or `<gateway>@<version>`.
    pub targets: Vec<String>,
    /// The folder with one folder a gateway.
    #[serde(default = "gateways")]
    pub gateways: PathBuf,
    /// The folder with requirements and scenarios.
    #[serde(default = "scenarios")]
    pub scenarios: PathBuf,
    /// The folder for run log, reports and evidence.
    #[serde(default = "out")]
    pub out: PathBuf,
    /// How many cases run at once.
    #[serde(default = "jobs")]
    pub jobs: NonZeroUsize,
    /// From which every random choice follows; another in each run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How gateways are started: `process` if absent, and `container` where a gateway has no other way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Kind>,
    /// The eval harness's contract.
    #[serde(default)]
    pub eval: EvalConfig,
}

fn gateways() -> PathBuf {
    "gateways".into()
}

fn scenarios() -> PathBuf {
    "scenarios".into()
}

fn out() -> PathBuf {
    "target/probity".into()
}

fn jobs() -> NonZeroUsize {
    NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN)
}

/// The eval harness's contract: a model under a hard cap.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// The model's name.
    pub model: String,
    /// The cap in US dollars, with or without the dollar sign.
    pub max_budget: String,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { model: "mock-1".to_owned(), max_budget: "1".to_owned() }
    }
}

/// `runner.yaml`, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the file says, its paths made absolute or relative to the current folder.
    pub runner: RunnerConfig,
    /// The eval harness's contract.
    pub eval: Eval,
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or used, or names a variable that is not set; the error points at the field.
    pub fn load(path: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Box<DocumentError>> {
        let document = Document::load(path)?;
        let document = document.map_strings(|text| interpolate(text, &environment).map(serde_json::Value::String))?;
        let mut runner: RunnerConfig = document.decode()?;
        let least = Eval::least_budget();
        let cap = Usd::from_plain(&runner.eval.max_budget).ok().filter(|cap| *cap >= least).ok_or_else(|| {
            let (cap, least) = (&runner.eval.max_budget, least.dollars());
            let message = format!("\"{cap}\" is not an amount of at least {least}; write it as 0.50");
            document.error(&["eval".into(), "max_budget".into()], &message, None)
        })?;
        if runner.targets.is_empty() {
            let message = "nothing would be tested: name at least one gateway, as [reference]";
            return Err(document.error(&["targets".into()], message, None));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            for path in [&mut runner.gateways, &mut runner.scenarios, &mut runner.out] {
                *path = folder.join(&*path);
            }
        }
        let eval = Eval { model: runner.eval.model.clone(), max_budget: cap };
        Ok(Self { runner, eval })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn load(text: &str, budget: Option<&str>) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runner.yaml");
        std::fs::write(&path, text).unwrap();
        let environment = |name: &str| (name == "BUDGET").then(|| budget.map(str::to_owned)).flatten();
        Config::load(&path, environment)
            .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "."))
    }

    const FILE: &str = "targets: [reference]\neval:\n  max_budget: ${BUDGET:-1}\n";

    #[test]
    fn the_cap_comes_from_the_environment_or_its_default() {
        assert_eq!(load(FILE, Some("0.5")).unwrap().eval.max_budget.to_string(), "$0.5");
        assert_eq!(load(FILE, None).unwrap().eval.max_budget.to_string(), "$1");
    }

    #[test]
    fn a_cap_that_is_no_amount_is_refused_with_its_line() {
        let error = load(FILE, Some("much")).unwrap_err();
        assert_eq!(
            error,
            "./runner.yaml:3: eval.max_budget: \"much\" is not an amount of at least 0.00104; write it as 0.50"
        );
    }

    #[test]
    fn an_unset_variable_is_refused_with_its_line() {
        let error = load("targets: [a]\nout: ${NOWHERE}\n", None).unwrap_err();
        assert!(error.starts_with("./runner.yaml:2: out: the environment variable NOWHERE is not set"), "{error}");
    }

    #[test]
    fn a_configuration_that_tests_nothing_is_refused_with_its_line() {
        let error = load("targets: []\n", None).unwrap_err();
        assert!(error.starts_with("./runner.yaml:1: targets: nothing would be tested"), "{error}");
    }

    #[test]
    fn a_number_of_jobs_that_is_none_is_refused_with_its_line_and_what_is_wanted() {
        for (jobs, found) in [
            ("four", "invalid type: string \"four\""),
            ("0", "invalid value: integer `0`"),
            ("-1", "invalid value: integer `-1`"),
            ("1.5", "invalid type: floating point `1.5`"),
        ] {
            let error = load(&format!("targets: [a]\njobs: {jobs}\n"), None).unwrap_err();
            assert_eq!(error, format!("./runner.yaml:2: jobs: {found}, expected a whole number, at least 1"));
        }
    }

    #[test]
    fn a_typo_is_refused_with_its_line() {
        let error = load("targts: [a]\n", None).unwrap_err();
        assert!(error.starts_with("./runner.yaml:1: targts: unknown field `targts`"), "{error}");
    }
}
