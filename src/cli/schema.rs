//! `probity schema`: the JSON Schemas (draft 2020-12) of what people write and programs read.

use clap::ValueEnum;
use schemars::{
    JsonSchema, Schema,
    generate::{Contract, SchemaSettings},
    json_schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::Value;

use super::list::ListEntry;
use crate::{
    config::RunnerConfig,
    gateway::manifest::Manifest,
    report::{event::Event, json, model::Report},
    scenario::step::Scenario,
};

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
            Self::Scenario => templated(written::<Scenario>("A probity scenario")),
            Self::Gateway => written::<Manifest>("A gateway's manifest for probity"),
            Self::Runner => written::<RunnerConfig>("The configuration of probity's runner"),
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
    schema
}

/// Any scalar of a scenario file may be a template, such as `stream: "{{ stream }}"`.
fn templated(mut schema: Schema) -> Schema {
    AllowTemplates.transform(&mut schema);
    schema
}

#[derive(Clone, Copy)]
struct AllowTemplates;

impl Transform for AllowTemplates {
    fn transform(&mut self, schema: &mut Schema) {
        for choice in ["oneOf", "anyOf"] {
            let Some(Value::Array(branches)) = schema.get_mut(choice) else { continue };
            // One more branch, rather than one in each: of `oneOf`, only one may fit.
            let (scalars, others): (Vec<Value>, Vec<Value>) = branches.drain(..).partition(refuses_templates);
            let template = scalars.iter().any(refuses_templates).then(|| template().to_value());
            branches.extend(scalars);
            let from = branches.len();
            branches.extend(others);
            for branch in &mut branches[from..] {
                if let Ok(branch) = branch.try_into() {
                    self.transform(branch);
                }
            }
            branches.extend(template);
            return;
        }
        if refuses_templates(schema.as_value()) {
            either(schema);
        } else {
            transform_subschemas(self, schema);
        }
    }
}

/// Whether a schema is of a scalar that a template is not.
fn refuses_templates(schema: &Value) -> bool {
    let scalar = |name: &Value| matches!(name.as_str(), Some("boolean" | "integer" | "number"));
    let narrow = ["enum", "const", "pattern"].iter().any(|keyword| schema.get(keyword).is_some());
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(scalar) || narrow,
        Some(name) => scalar(name) || narrow,
        None => narrow,
    }
}

fn template() -> Schema {
    json_schema!({ "type": "string", "pattern": r"\{\{.*\}\}", "description": "A template, filled in for each case" })
}

/// What a schema says beyond which values fit stays where it is; the rest becomes one of two choices.
fn either(schema: &mut Schema) {
    let kept = ["title", "description", "default", "$schema", "$defs"];
    let Some(fields) = schema.as_object_mut() else { return };
    let (stay, narrow): (Vec<_>, Vec<_>) =
        std::mem::take(fields).into_iter().partition(|(name, _)| kept.contains(&name.as_str()));
    fields.extend(stay);
    let narrow = Value::Object(narrow.into_iter().collect());
    fields.insert("anyOf".to_owned(), Value::Array(vec![narrow, template().to_value()]));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::path::Path;

    use serde_json::json;

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
    fn a_scenario_with_a_template_for_any_scalar_keeps_to_the_schema() {
        assert_eq!(scenario(SCENARIO), Vec::<String>::new());
    }

    #[test]
    fn a_templates_own_braces_are_not_enough_for_a_wrong_scalar() {
        for (good, bad) in [
            ("stream: \"{{ stream }}\"", "stream: \"maybe\""),
            ("times: 4", "times: often"),
            ("route: \"{{ route }}\"", "route: chatter"),
            ("limit: $0.005, reset", "limit: 0.005, reset"),
            ("reset: \"{{ window }}\"", "reset: soon"),
            ("signal: \"{{ signal }}\"", "signal: hup"),
            ("refused: budget_exceeded", "refused: budget_gone"),
            ("settle: {}", "setle: {}"),
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
