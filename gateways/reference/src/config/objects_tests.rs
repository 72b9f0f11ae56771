//! Wherever an object stands in `config.json`, no list of its values does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Map, Value, json};

use super::load;
use super::schema::schema;

/// Notes the paths of the objects that a schema has, and how many fields each may have.
fn note(whole: &Value, schema: &Value, path: &str, places: &mut Vec<(String, usize)>) {
    let schema = schema["$ref"].as_str().map_or(schema, |to| whole.pointer(&to[1..]).unwrap());
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        note(whole, one, path, places);
    }
    if let Some(items) = schema.get("items") {
        note(whole, items, &format!("{path}[0]"), places);
    }
    if schema["type"] != "object" {
        return;
    }
    let fields = schema["properties"].as_object();
    places.push((path.to_owned(), fields.map_or(1, Map::len)));
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, field) in fields.into_iter().flatten() {
        note(whole, field, &below(name), places);
    }
    // One of any name; prices have sizes besides, which are looked at with the figures.
    if schema["additionalProperties"]["$ref"].is_string() {
        note(whole, &schema["additionalProperties"], &below("some"), places);
    }
}

/// A file that has nothing but this, at this path.
fn file(path: &str, value: Value) -> Value {
    path.rsplit('.').filter(|name| !name.is_empty()).fold(value, |value, name| match name.strip_suffix("[0]") {
        Some(list) => json!({ (list): [value] }),
        None => json!({ (name): value }),
    })
}

#[test]
fn a_list_stands_for_no_object_of_the_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let schema = schema();
    let mut places = Vec::new();
    note(&schema, &schema, "", &mut places);
    let mut wrong = Vec::new();
    for (path, fields) in &places {
        for list in [vec![], vec![Value::Null; *fields]] {
            let file = file(path, list.into()).to_string();
            std::fs::write(folder.path().join("config.json"), &file).unwrap();
            let said = load(folder.path(), |_| None).err().map_or_else(String::new, |error| error.to_string());
            let at = if path.is_empty() { ":1:1".to_owned() } else { format!(" {path}") };
            if !said.ends_with(&format!("{at}: expected an object")) {
                wrong.push(format!("{file}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(places.len() > 60, "{}", places.len());
}
