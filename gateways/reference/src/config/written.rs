//! Providers as they were written, by `config.json` or by an administrator: JSON in which
//! `env.NAME` is not filled in, so that what is stored and shown is the reference.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::load::Invalid;
use super::provider::Provider;
use super::providers::check_written;
use super::types::Fields;
use crate::store::document_hash;

/// A provider as it was written, its credentials among it: nothing prints it.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct WrittenProvider {
    /// Everything but the keys.
    pub(crate) settings: Fields,
    /// By id.
    pub(crate) keys: IndexMap<String, Fields>,
}

/// All providers, by name.
pub(crate) type WrittenProviders = IndexMap<String, WrittenProvider>;

impl WrittenProvider {
    /// The provider of the file, or of a body that has keys in it.
    pub(crate) fn new(mut whole: Fields) -> WrittenProvider {
        let keys = match whole.shift_remove("keys") {
            Some(Value::Array(keys)) => keys,
            _ => Vec::new(),
        };
        let keys = keys.into_iter().filter_map(|key| match key {
            Value::Object(fields) => Some((key_id(&fields), fields)),
            _ => None,
        });
        WrittenProvider { keys: keys.collect(), settings: whole }
    }

    /// The checked provider, with `lookup` for variables.
    pub(crate) fn check(&self, name: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Provider, Invalid> {
        let mut whole = self.settings.clone();
        whole.insert("keys".to_owned(), self.keys.values().cloned().map(Value::Object).collect());
        check_written(name, &Value::Object(whole).to_string(), lookup)
    }

    /// By which a change of the file's settings is known.
    pub(crate) fn settings_mark(&self) -> String {
        mark(&self.settings)
    }

    /// By which a change of the file's key is known.
    pub(crate) fn key_mark(&self, id: &str) -> Option<String> {
        self.keys.get(id).map(mark)
    }

    /// By which any change of the file's provider is known.
    pub(crate) fn whole_mark(&self) -> String {
        let keys: Vec<String> = self.keys.values().map(mark).collect();
        document_hash(&[&self.settings_mark(), &keys.concat()])
    }
}

/// The id that a key says, or its name.
fn key_id(fields: &Fields) -> String {
    match fields.get("id").filter(|id| !id.is_null()).or_else(|| fields.get("name")) {
        Some(Value::String(id)) => id.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// The same for the same fields in whatever order.
fn mark(fields: &Fields) -> String {
    document_hash(&[&sorted(&Value::Object(fields.clone())).to_string()])
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(Map::from_iter(fields))
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
