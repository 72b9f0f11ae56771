//! The schema of a file that is whole, or a layer over another file that it `extends`.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// From the schema of a whole file to that of a file which may also be a layer: in a layer nothing is
/// required, and `null` removes what is below. Lists are not merged, so what stands in one is whole.
pub(super) fn or_layer(whole: &Schema) -> Schema {
    let mut root = Map::new();
    let mut body = whole.as_object().cloned().unwrap_or_default();
    let mut definitions = body.remove("$defs").and_then(|value| value.as_object().cloned()).unwrap_or_default();
    for name in ["$schema", "title", "description"] {
        root.extend(body.remove_entry(name));
    }
    let layers: Vec<_> = definitions.iter().map(|(name, schema)| (layer_of(name), relaxed(schema))).collect();
    definitions.extend(layers);
    let mut layer = relaxed(&Value::Object(body.clone()));
    if let Some(Value::Object(properties)) = layer.get_mut("properties") {
        let about = "The gateway's folder over whose manifest this one is laid";
        properties.insert("extends".to_owned(), json!({ "type": "string", "description": about }));
    }
    root.insert("if".to_owned(), json!({ "required": ["extends"] }));
    root.insert("then".to_owned(), layer);
    root.insert("else".to_owned(), Value::Object(body));
    root.insert("$defs".to_owned(), Value::Object(definitions));
    root.into()
}

fn layer_of(name: &str) -> String {
    format!("{name}.layer")
}

fn relaxed(schema: &Value) -> Value {
    // The choices of `oneOf` are told apart by what they require.
    let Some(fields) = schema.as_object().filter(|fields| !fields.contains_key("oneOf")) else {
        return schema.clone();
    };
    let relax = |(name, value): (&String, &Value)| {
        let value = match (name.as_str(), value) {
            ("required", _) => return None,
            ("$ref", Value::String(target)) => layer_of(target).into(),
            ("properties", Value::Object(properties)) => {
                Value::Object(properties.iter().map(|(name, schema)| (name.clone(), removable(schema))).collect())
            }
            ("additionalProperties", Value::Object(_)) => removable(value),
            ("anyOf", Value::Array(choices)) => choices.iter().map(relaxed).collect(),
            _ => value.clone(),
        };
        Some((name.clone(), value))
    };
    Value::Object(fields.iter().filter_map(relax).collect())
}

fn removable(schema: &Value) -> Value {
    json!({ "anyOf": [relaxed(schema), { "type": "null" }] })
}
