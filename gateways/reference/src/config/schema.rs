//! The JSON Schema (draft 2020-12) of `config.json`, made from the types that read it.

use std::borrow::Cow;

use schemars::generate::{Contract, SchemaSettings};
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::file::{ConfigFile, ProviderFile, ProviderKeyFile};
use super::overrides::PatchText;
use super::types::{AllowList, ConfigId, Only, Weight};
use crate::clock::Moment;
use crate::money::Usd;
use crate::window::ResetDuration;

/// A text that stands for the value of a variable.
const VARIABLE: &str = "^env\\..+$";

/// One or more numbers with Go's units, or one with a unit of a day and longer.
const LENGTH: &str =
    "^\\+?(([0-9]+\\.?[0-9]*|\\.[0-9]+)(ns|us|\u{b5}s|\u{3bc}s|ms|s|m|h))+$|^\\+?([0-9]+\\.?[0-9]*|\\.[0-9]+)[dwMQY]$";

/// The schema of `config.json`.
pub(crate) fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = Contract::Deserialize);
    let mut schema = settings.into_generator().into_root_schema_for::<ConfigFile<'_>>();
    AllowVariables.transform(&mut schema);
    schema.insert("title".to_owned(), json!("config.json of the reference gateway"));
    schema.to_value()
}

/// The schema of a provider, as the management API takes and shows it.
pub(crate) fn provider_schema() -> Value {
    written_schema::<ProviderFile>()
}

/// The schema of a provider's key, as the management API takes and shows it.
pub(crate) fn provider_key_schema() -> Value {
    written_schema::<ProviderKeyFile>()
}

/// The schema of a type, with all that it is made of in its place.
pub(crate) fn inline_schema<T: JsonSchema>() -> Value {
    inline::<T>().to_value()
}

/// The schema of a type in which variables may be named.
fn written_schema<T: JsonSchema>() -> Value {
    let mut schema = inline::<T>();
    // A name of this program's own.
    schema.remove("title");
    AllowVariables.transform(&mut schema);
    schema.to_value()
}

fn inline<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.contract = Contract::Deserialize;
        settings.inline_subschemas = true;
        // It stands inside a document of the same dialect.
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>()
}

struct AllowVariables;

impl Transform for AllowVariables {
    fn transform(&mut self, schema: &mut Schema) {
        // What is inside first: what is put around it must not be met again.
        transform_subschemas(self, schema);
        allow_variable(schema);
    }
}

/// Wherever a text must have a certain form, it may also be `env.NAME`.
fn allow_variable(schema: &mut Schema) {
    let Some(fields) = schema.as_object_mut() else { return };
    let is_text = fields.get("type").is_some_and(|kind| match kind {
        Value::Array(kinds) => kinds.contains(&json!("string")),
        kind => kind == "string",
    });
    let is_certain = ["const", "enum", "pattern"].iter().any(|word| fields.contains_key(*word));
    if !is_text || !is_certain {
        return;
    }
    let mut certain = std::mem::take(fields);
    for word in ["title", "description", "default"] {
        if let Some(value) = certain.remove(word) {
            fields.insert(word.to_owned(), value);
        }
    }
    fields.insert("anyOf".to_owned(), json!([certain, { "type": "string", "pattern": VARIABLE }]));
}

/// A schema that stands where it is used.
macro_rules! inline_schema {
    ($type:ty, $name:literal, |$generator:pat_param| $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
    ($type:ty, $name:literal, $schema:expr) => {
        inline_schema!($type, $name, |_| $schema);
    };
}

impl<const VALUE: bool> JsonSchema for Only<VALUE> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Only{VALUE}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": VALUE })
    }
}

inline_schema!(
    AllowList,
    "AllowList",
    json_schema!({
        "description": "Which names are allowed: none, some, or [\"*\"] for all.",
        "type": "array",
        "items": { "type": "string", "minLength": 1 },
        "uniqueItems": true,
    })
);
inline_schema!(
    ConfigId,
    "ConfigId",
    json_schema!({
        "description": "An id: a text or a whole number.",
        "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "integer", "minimum": 0 }],
    })
);
inline_schema!(
    Weight,
    "Weight",
    json_schema!({
        "description": "How often one of several is chosen, relative to the others; at most 6 decimal places.",
        "type": "number",
        "minimum": 0,
    })
);
inline_schema!(Usd, "Usd", |generator| {
    let mut schema = json_schema!({ "description": "Dollars, at most 12 decimal places.", "type": "number" });
    // A sum of what is used can be a little more than what may be asked for.
    if generator.contract().is_deserialize() {
        schema.insert("exclusiveMaximum".to_owned(), json!(9_223_372));
    }
    schema
});
inline_schema!(
    Moment,
    "Moment",
    json_schema!({ "description": "A point in time, in UTC.", "type": "string", "format": "date-time" })
);
inline_schema!(
    ResetDuration,
    "ResetDuration",
    json_schema!({
        "description": "A length of time, like 30s, 5m, 1h, 1d, 1w, 1M, 1Y.",
        "type": "string",
        "pattern": LENGTH,
    })
);
inline_schema!(PatchText, "PatchText", |generator| {
    if generator.contract().is_serialize() {
        return prices();
    }
    json_schema!({
        "description": "Prices by the names of the price sheet, as an object or as a JSON text of one.",
        "anyOf": [prices(), { "type": "string" }],
    })
});

/// A figure for each price, null for none, and for a search one for each of its sizes.
fn prices() -> Schema {
    let price = json!({ "type": "number", "minimum": 0 });
    let prices = json!([price, { "type": "object", "additionalProperties": price }, { "type": "null" }]);
    json_schema!({ "type": "object", "additionalProperties": { "anyOf": prices } })
}
