//! Schemas of files in which a text may stand for a value that is filled in later.

use schemars::{
    Schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Value, json};

/// A text that stands for a value that it is not itself.
#[derive(Clone, Copy)]
pub(super) struct Placeholder {
    /// What it looks like.
    pattern: &'static str,
    /// What becomes of it.
    about: &'static str,
    /// Whether it can become anything but a string.
    typed: bool,
}

/// Any value of a scenario file may be a template, such as `stream: "{{ stream }}"`.
pub(super) const TEMPLATE: Placeholder =
    Placeholder { pattern: r"\{\{[\s\S]*\}\}", about: "A template, filled in for each case", typed: true };

/// Any string of `runner.yaml` may name a variable, such as `runtime: ${RUNTIME:-process}`.
pub(super) const VARIABLE: Placeholder =
    Placeholder { pattern: r"\$\{.*\}", about: "Replaced from the environment", typed: false };

impl Placeholder {
    /// The schema of a file, with the placeholder as one more form of each value in it.
    pub(super) fn allowed_in(mut self, mut schema: Schema) -> Schema {
        transform_subschemas(&mut self, &mut schema);
        schema
    }

    fn schema(self) -> Value {
        json!({ "type": "string", "pattern": self.pattern, "description": self.about })
    }

    /// Whether a schema is of a value that the placeholder may stand for, and does not fit.
    fn is_refused_by(self, schema: &Value) -> bool {
        let other = |name: &Value| self.typed && !matches!(name.as_str(), Some("string" | "null"));
        let narrow = ["enum", "const", "pattern"].iter().any(|keyword| schema.get(keyword).is_some());
        match schema.get("type") {
            Some(Value::Array(names)) => names.iter().any(other) || narrow,
            Some(name) => other(name) || narrow,
            None => narrow,
        }
    }

    /// What a schema says beyond which values fit stays where it is; the rest becomes one of two choices.
    fn beside(self, schema: &mut Schema) {
        let kept = ["title", "description", "default"];
        let Some(fields) = schema.as_object_mut() else { return };
        let (stay, narrow): (Vec<_>, Vec<_>) =
            std::mem::take(fields).into_iter().partition(|(name, _)| kept.contains(&name.as_str()));
        fields.extend(stay);
        let narrow = Value::Object(narrow.into_iter().collect());
        fields.insert("anyOf".to_owned(), Value::Array(vec![narrow, self.schema()]));
    }

    /// One more choice beside the others, rather than one in each: of `oneOf`, only one may fit.
    fn among(mut self, choices: &mut Vec<Value>) {
        let refused = choices.iter().any(|choice| self.is_refused_by(choice));
        for choice in choices.iter_mut() {
            if let Ok(choice) = choice.try_into() {
                transform_subschemas(&mut self, choice);
            }
        }
        choices.extend(refused.then(|| self.schema()));
    }
}

impl Transform for Placeholder {
    fn transform(&mut self, schema: &mut Schema) {
        for keyword in ["oneOf", "anyOf"] {
            if let Some(Value::Array(choices)) = schema.get_mut(keyword) {
                return self.among(choices);
            }
        }
        transform_subschemas(self, schema);
        if self.is_refused_by(schema.as_value()) {
            self.beside(schema);
        }
    }
}
