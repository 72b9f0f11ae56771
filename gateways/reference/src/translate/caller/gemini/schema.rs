//! Gemini's schemas, a dialect of OpenAPI's, as JSON Schema.

use serde_json::{Map, Value, json};

/// Fields whose value is a schema for each name.
const NAMED: [&str; 3] = ["properties", "defs", "$defs"];
/// Fields whose values are data, not schemas.
const DATA: [&str; 4] = ["enum", "required", "example", "default"];

/// The schema in JSON Schema's words: types in lower case, `nullable` as a type.
pub(super) fn to_json_schema(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        return match schema {
            Value::Array(schemas) => schemas.iter().map(to_json_schema).collect(),
            other => other.clone(),
        };
    };
    let mut out = Map::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            // Says in which order to write, which a JSON object has of itself.
            ("propertyOrdering", _) | ("nullable", _) => {}
            ("type", Value::String(kind)) => {
                out.insert(name.clone(), json!(kind.to_ascii_lowercase()));
            }
            // Gemini writes 64-bit numbers as texts.
            ("minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties", value) => {
                let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
                out.insert(name.clone(), number.map_or_else(|| value.clone(), Value::from));
            }
            (named, Value::Object(schemas)) if NAMED.contains(&named) => {
                let schemas = schemas.iter().map(|(name, schema)| (name.clone(), to_json_schema(schema)));
                out.insert(name.clone(), Value::Object(schemas.collect()));
            }
            (data, value) if DATA.contains(&data) => {
                out.insert(name.clone(), value.clone());
            }
            (_, value) => {
                out.insert(name.clone(), to_json_schema(value));
            }
        }
    }
    if fields.get("nullable") == Some(&Value::Bool(true))
        && let Some(kind) = out.get("type").cloned()
    {
        out.insert("type".to_owned(), json!([kind, "null"]));
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_in_lower_case_and_null_is_a_type() {
        let schema = json!({
            "type": "OBJECT",
            "properties": {
                "type": {"type": "STRING", "enum": ["A", "B"], "nullable": true},
                "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "maxItems": "3"},
                "either": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN"}]},
            },
            "required": ["type"],
            "propertyOrdering": ["list", "type"],
        });
        insta::assert_json_snapshot!(to_json_schema(&schema));
    }
}
