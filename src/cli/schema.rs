//! `probity schema`: the JSON Schemas (draft 2020-12) of what people write and programs read.

mod layer;
mod placeholder;

use clap::ValueEnum;
use schemars::{
    JsonSchema, Schema,
    generate::{Contract, SchemaSettings},
};

use super::list::ListEntry;
use crate::{
    config::RunnerConfig,
    gateway::manifest::Manifest,
    report::{event::Event, json, model::Report},
    scenario::step::Scenario,
};
use placeholder::{TEMPLATE, VARIABLE};

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// A scenario file.
    Scenario,
    /// A gateway's `gateway.yaml`.
    Gateway,
    /// `runner.yaml`.
    Runner,
    /// What `run --format json` prints.
    Report,
    /// What `list --format json` prints.
    List,
    /// A line of the run log.
    RunLog,
}

impl Subject {
    /// The schema.
    #[must_use]
    pub fn schema(self) -> Schema {
        match self {
            Self::Scenario => TEMPLATE.allowed_in(written::<Scenario>("A scenario of probity")),
            Self::Gateway => layer::or_layer(&written::<Manifest>("A gateway's manifest for probity")),
            Self::Runner => VARIABLE.allowed_in(written::<RunnerConfig>("The configuration of probity's runner")),
            Self::Report => printed::<Report>("A report of probity"),
            Self::List => printed::<Vec<ListEntry>>("The scenarios of probity"),
            Self::RunLog => printed::<Event>("A line of probity's run log"),
        }
    }

    /// The schema as text.
    #[must_use]
    pub fn text(self) -> String {
        json::pretty(&self.schema())
    }
}

/// The schema of what a person writes: what has a default may be left out.
fn written<T: JsonSchema>(title: &str) -> Schema {
    generated::<T>(Contract::Deserialize, title)
}

/// The schema of what probity prints: what is always there can be relied upon.
fn printed<T: JsonSchema>(title: &str) -> Schema {
    generated::<T>(Contract::Serialize, title)
}

fn generated<T: JsonSchema>(contract: Contract, title: &str) -> Schema {
    let mut settings = SchemaSettings::draft2020_12();
    settings.contract = contract;
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    // It speaks of the type in the program, which is not always what stands in the file.
    schema.remove("description");
    schema
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use serde_json::{Value, json};

    use super::*;
    use crate::{cli::list, document::Document, report::fixture};

    /// What a schema has against a value, a line each.
    fn objections(subject: Subject, value: &Value) -> Vec<String> {
        let validator = jsonschema::draft202012::new(subject.schema().as_value()).unwrap();
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    fn scenario(text: &str) -> Vec<String> {
        let document = Document::parse(Path::new("a.yaml"), text).unwrap();
        objections(Subject::Scenario, document.value())
    }

    const SCENARIO: &str = r#"
id: budgets/virtual-key-trips
requirement: BUD-1
title: A virtual key that has spent its budget is refused with 402
needs: [budgets.virtual_key]
policy:
  virtual_keys:
    - name: agent
      budgets: [{ limit: $0.005, reset: "{{ window }}" }]
steps:
  - call: { as: agent, times: 4 }
    expect: { status: 200 }
  - call: { as: agent, stream: "{{ stream }}", route: "{{ route }}", times: "{{ times }}" }
    expect:
      refused: budget_exceeded
      status: "{{ status }}"
      names: { scope: virtual_key, limit: $0.005 }
      upstream: { calls: "{{ calls }}" }
  - burst: { clients: "{{ clients }}" }
    expect: { refused: "{{ reason }}" }
  - restart: { signal: "{{ signal }}" }
  - settle: {}
    expect:
      ledger: { calls: 4, charged: $0.005 }
      usage: { agent: "{{ cap }}" }
      fact: "{{ {'spend lost': 'spend_lost'} }}"
matrix:
  stream: [false, true]
"#;

    #[test]
    fn every_schema_is_a_valid_one_with_a_title_and_no_id() {
        for subject in Subject::value_variants() {
            let schema = subject.schema().to_value();
            assert!(jsonschema::draft202012::meta::is_valid(&schema), "{subject:?}");
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            assert!(schema["title"].as_str().unwrap().contains("probity"), "{subject:?}");
            assert!(schema.get("$id").is_none(), "{subject:?}");
        }
    }

    #[test]
    fn a_scenario_with_a_template_for_any_value_keeps_to_the_schema() {
        assert_eq!(scenario(SCENARIO), Vec::<String>::new());
    }

    #[test]
    fn every_file_of_this_repository_keeps_to_its_schema() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut seen = 0;
        for (subject, folder, last) in [
            (Subject::Runner, ".", "runner.yaml"),
            (Subject::Gateway, "gateways/*", "gateway.yaml"),
            (Subject::Scenario, "scenarios/*", ""),
        ] {
            for path in files(root, folder, last) {
                let document = Document::load(&path).unwrap();
                assert_eq!(objections(subject, document.value()), Vec::<String>::new(), "{}", path.display());
                seen += 1;
            }
        }
        assert!(seen > 3, "only {seen} files were found");
    }

    /// The YAML files of this name, or of any, in a folder or in each folder of it.
    fn files(root: &Path, folder: &str, name: &str) -> Vec<PathBuf> {
        let inside =
            |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let folders = match folder.strip_suffix("/*") {
            Some(parent) => inside(&root.join(parent)).into_iter().filter(|path| path.is_dir()).collect(),
            None => vec![root.join(folder)],
        };
        let named = |path: &PathBuf| {
            path.ends_with(name) || (name.is_empty() && path.extension().is_some_and(|end| end == "yaml"))
        };
        folders.iter().flat_map(|folder| inside(folder)).filter(named).collect()
    }

    #[test]
    fn a_manifest_that_extends_another_may_leave_out_and_remove_but_not_misspell() {
        let gateway = |manifest: Value| objections(Subject::Gateway, &manifest);
        let thin =
            json!({ "extends": "bifrost", "name": "mine", "settings": null, "admin": { "usage": { "path": "/me" } } });
        assert_eq!(gateway(thin.clone()), Vec::<String>::new());
        let mut alone = thin.clone();
        alone.as_object_mut().unwrap().remove("extends");
        assert!(!gateway(alone).is_empty(), "without another below it, it lacks its routes");
        let mut typo = thin;
        typo["admin"]["usage"] = json!({ "pth": "/me" });
        assert!(!gateway(typo).is_empty());
    }

    #[test]
    fn a_runners_setting_may_name_a_variable_but_not_be_just_anything() {
        let runner = |value: &str| objections(Subject::Runner, &json!({ "targets": ["reference"], "runtime": value }));
        assert_eq!(runner("process"), Vec::<String>::new());
        assert_eq!(runner("${RUNTIME:-process}"), Vec::<String>::new());
        assert!(!runner("balloon").is_empty());
    }

    #[test]
    fn a_value_that_is_no_template_must_be_of_the_right_kind() {
        for (good, bad) in [
            ("stream: \"{{ stream }}\"", "stream: \"maybe\""),
            ("times: 4", "times: often"),
            ("route: \"{{ route }}\"", "route: chatter"),
            ("limit: $0.005, reset", "limit: 0.005, reset"),
            ("reset: \"{{ window }}\"", "reset: soon"),
            ("signal: \"{{ signal }}\"", "signal: hup"),
            ("refused: budget_exceeded", "refused: budget_gone"),
            ("settle: {}", "setle: {}"),
            ("settle: {}", "settle: soon"),
            ("id: budgets/virtual-key-trips", "ident: budgets/virtual-key-trips"),
        ] {
            assert!(SCENARIO.contains(good), "{good}");
            assert!(!scenario(&SCENARIO.replacen(good, bad, 1)).is_empty(), "{bad} is accepted");
        }
    }

    #[test]
    fn each_report_keeps_to_its_schema() {
        for events in [
            fixture::conforming(),
            fixture::mixed(),
            fixture::interrupted(),
            fixture::not_ready(),
            fixture::mixed()[..9].to_vec(),
        ] {
            let report: Value = serde_json::from_str(&json::render(&Report::from_events(&events))).unwrap();
            assert_eq!(objections(Subject::Report, &report), Vec::<String>::new());
        }
    }

    #[test]
    fn a_report_that_lacks_a_figure_breaks_its_schema() {
        let mut report = serde_json::to_value(Report::from_events(&fixture::conforming())).unwrap();
        report["targets"][0]["summary"]["checks"].as_object_mut().unwrap().remove("judged");
        assert!(!objections(Subject::Report, &report).is_empty());
    }

    #[test]
    fn a_report_is_read_back_as_it_was() {
        for events in [fixture::mixed(), fixture::interrupted()] {
            let report = Report::from_events(&events);
            assert_eq!(serde_json::from_str::<Report>(&json::render(&report)).unwrap(), report);
        }
    }

    #[test]
    fn each_line_of_a_run_log_keeps_to_its_schema() {
        for event in [fixture::mixed(), fixture::interrupted(), fixture::not_ready()].concat() {
            assert_eq!(objections(Subject::RunLog, &serde_json::to_value(event).unwrap()), Vec::<String>::new());
        }
        assert!(!objections(Subject::RunLog, &json!({ "event": "party" })).is_empty());
    }

    #[test]
    fn the_list_keeps_to_its_schema() {
        let listed: Value = serde_json::from_str(&list::json(&list::tests::entries())).unwrap();
        assert_eq!(objections(Subject::List, &listed), Vec::<String>::new());
        assert!(!objections(Subject::List, &json!([{ "id": "a/b" }])).is_empty());
    }
}
