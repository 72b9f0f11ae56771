//! Which providers hold at a start, and how an administrator's change of them is stored.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::sealer::{Sealer, SecretError};
use super::start::LiveError;
use crate::config::{self, Fields, Providers, WrittenProvider, WrittenProviders};
use crate::store::{Change, DocumentKind, DocumentRow, Standing};

/// What a document begins with whose rest is sealed.
const SEALED: &str = "sealed:";

/// The providers that hold from now on.
pub(super) struct Merged {
    pub(super) written: WrittenProviders,
    pub(super) checked: Providers,
    /// Those of the file that had been deleted and are back, since the file changed them.
    pub(super) back: Vec<String>,
    pub(super) changes: Vec<Change>,
}

/// Brings the file's providers and the stored ones together. `checked` are the file's.
pub(super) fn merge(
    file: &WrittenProviders,
    checked: &Providers,
    documents: Vec<DocumentRow>,
    sealer: Option<&Sealer>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Merged, LiveError> {
    let mut merging = Merging { file, sealer, written: file.clone(), touched: HashSet::new(), back: HashSet::new() };
    let mut changes = Vec::new();
    let (providers, keys): (Vec<_>, Vec<_>) =
        documents.into_iter().partition(|document| document.kind == DocumentKind::Provider);
    // The providers first: whether a key counts depends on them.
    for document in providers.into_iter().chain(keys) {
        let counts = match document.kind {
            DocumentKind::Provider => merging.provider(&document)?,
            _ => merging.key(&document)?,
        };
        if !counts {
            changes.push(Change::DeleteDocument(document.kind, document.id));
        }
    }
    let Merging { written, touched, back, .. } = merging;
    let back = back.into_iter().filter(|name| file.contains_key(name)).collect();
    let mut all = Providers::default();
    for (name, provider) in &written {
        let provider = match checked.get(name.as_str()).filter(|_| !touched.contains(name)) {
            Some(provider) => Arc::clone(provider),
            None => Arc::new(provider.check(name, &lookup).map_err(LiveError::Provider)?),
        };
        all.insert(name.as_str().into(), provider);
    }
    Ok(Merged { written, checked: all, back, changes })
}

struct Merging<'a> {
    file: &'a WrittenProviders,
    sealer: Option<&'a Sealer>,
    written: WrittenProviders,
    /// The providers that are not as the file has them.
    touched: HashSet<String>,
    /// The providers that had been deleted and are back, since the file changed.
    back: HashSet<String>,
}

impl Merging<'_> {
    /// Applies a stored provider, unless the file has a newer word.
    fn provider(&mut self, document: &DocumentRow) -> Result<bool, LiveError> {
        let name = &document.id;
        let of_file = self.file.get(name);
        if document.standing == Standing::Deleted {
            if document.file_hash.is_none() || document.file_hash != of_file.map(WrittenProvider::whole_mark) {
                self.back.insert(name.clone());
                return Ok(false);
            }
            self.written.shift_remove(name);
            return Ok(true);
        }
        if document.file_hash != of_file.map(WrittenProvider::settings_mark) {
            return Ok(false);
        }
        let mut settings = open(self.sealer, &document.body)?;
        for (header, value) in headers_mut(&mut settings).into_iter().flatten().filter(|(_, value)| value.is_null()) {
            *value = of_file.and_then(|provider| file_header(provider, header)).cloned().unwrap_or_default();
        }
        self.written.entry(name.clone()).or_default().settings = settings;
        self.touched.insert(name.clone());
        Ok(true)
    }

    /// Applies a stored key, unless the file has a newer word.
    fn key(&mut self, document: &DocumentRow) -> Result<bool, LiveError> {
        let Some((name, id)) = document.id.split_once('/') else {
            return Ok(false);
        };
        let of_file = self.file.get(name);
        let mark = of_file.and_then(|provider| provider.key_mark(id));
        if self.back.contains(name) || document.file_hash != mark {
            return Ok(false);
        }
        let Some(provider) = self.written.get_mut(name) else {
            // Of a provider that an administrator deleted, and may make again.
            return Ok(document.standing == Standing::Deleted);
        };
        self.touched.insert(name.to_owned());
        if document.standing == Standing::Deleted {
            provider.keys.shift_remove(id);
            return Ok(true);
        }
        let mut fields = open(self.sealer, &document.body)?;
        let value = of_file.and_then(|provider| provider.keys.get(id)?.get("value"));
        if let (false, Some(value)) = (fields.contains_key("value"), value) {
            fields.insert("value".to_owned(), value.clone());
        }
        provider.keys.insert(id.to_owned(), fields);
        Ok(true)
    }
}

/// How an administrator's change of providers is stored.
pub(crate) struct Documents<'a> {
    pub(crate) file: &'a WrittenProviders,
    pub(crate) sealer: Option<&'a Sealer>,
}

/// Why a change cannot be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unstorable {
    /// A credential would stand in the database as it is.
    #[error(
        "the value of the {what} '{name}' cannot be stored: no encryption key is configured. Set `encryption_key` in config.json or BIFROST_ENCRYPTION_KEY, or write \"env.NAME\""
    )]
    InClear {
        /// Whose value it is: a key's or a header's.
        what: &'static str,
        name: String,
    },
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Documents<'_> {
    pub(crate) fn put_provider(&self, name: &str, settings: &Fields) -> Result<Change, Unstorable> {
        let of_file = self.file.get(name);
        let mut stored = settings.clone();
        for (header, value) in headers_mut(&mut stored).into_iter().flatten() {
            if of_file.and_then(|provider| file_header(provider, header)) == Some(&*value) {
                // The file has it; null stands for that.
                *value = Value::Null;
            }
            self.check_clear("header", header, value.as_str())?;
        }
        Ok(Change::PutDocument(DocumentRow {
            kind: DocumentKind::Provider,
            id: name.to_owned(),
            body: seal(self.sealer, &stored)?,
            file_hash: of_file.map(WrittenProvider::settings_mark),
            standing: Standing::Live,
        }))
    }

    pub(crate) fn put_key(&self, provider: &str, id: &str, fields: &Fields) -> Result<Change, Unstorable> {
        let of_file = self.file.get(provider);
        let mut stored = fields.clone();
        let is_the_files = of_file.and_then(|provider| provider.keys.get(id)?.get("value")) == stored.get("value");
        if is_the_files {
            // The file has it; it need not be here too.
            stored.shift_remove("value");
        }
        let key_name = fields.get("name").and_then(Value::as_str).unwrap_or(id);
        self.check_clear("key", key_name, stored.get("value").and_then(Value::as_str))?;
        Ok(Change::PutDocument(DocumentRow {
            kind: DocumentKind::ProviderKey,
            id: format!("{provider}/{id}"),
            body: seal(self.sealer, &stored)?,
            file_hash: of_file.and_then(|provider| provider.key_mark(id)),
            standing: Standing::Live,
        }))
    }

    /// Refuses what would stand in the database as it is.
    fn check_clear(&self, what: &'static str, name: &str, value: Option<&str>) -> Result<(), Unstorable> {
        match value {
            Some(text) if self.sealer.is_none() && !text.is_empty() && !text.starts_with("env.") => {
                Err(Unstorable::InClear { what, name: name.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// What the file has must not come back at the next start; the rest is forgotten.
    pub(crate) fn delete_key(&self, provider: &str, id: &str) -> Change {
        let mark = self.file.get(provider).and_then(|provider| provider.key_mark(id));
        deleted(DocumentKind::ProviderKey, format!("{provider}/{id}"), mark)
    }

    pub(crate) fn delete_provider(&self, name: &str, provider: &WrittenProvider) -> Vec<Change> {
        let mark = self.file.get(name).map(WrittenProvider::whole_mark);
        let mut changes: Vec<Change> = provider.keys.keys().map(|id| self.delete_key(name, id)).collect();
        changes.push(deleted(DocumentKind::Provider, name.to_owned(), mark));
        changes
    }
}

fn deleted(kind: DocumentKind, id: String, mark: Option<String>) -> Change {
    match mark {
        None => Change::DeleteDocument(kind, id),
        file_hash => {
            Change::PutDocument(DocumentRow { kind, id, body: "{}".to_owned(), file_hash, standing: Standing::Deleted })
        }
    }
}

/// The headers that a provider is sent, whose values may be credentials.
fn headers_mut(settings: &mut Fields) -> Option<&mut Fields> {
    settings.get_mut("network_config")?.get_mut("extra_headers")?.as_object_mut()
}

fn file_header<'a>(provider: &'a WrittenProvider, name: &str) -> Option<&'a Value> {
    provider.settings.get("network_config")?.get("extra_headers")?.get(name)
}

/// As it is stored: sealed where there is a key for it.
fn seal(sealer: Option<&Sealer>, fields: &Fields) -> Result<String, SecretError> {
    let text = Value::Object(fields.clone()).to_string();
    sealer.map_or(Ok(text.clone()), |sealer| Ok(format!("{SEALED}{}", sealer.seal(&text)?)))
}

fn open(sealer: Option<&Sealer>, body: &str) -> Result<Fields, LiveError> {
    let text = match (body.strip_prefix(SEALED), sealer) {
        (None, _) => body.to_owned(),
        (Some(_), None) => return Err(SecretError::NoKey.into()),
        (Some(sealed), Some(sealer)) => sealer.open(sealed)?,
    };
    config::read_part("providers", &text).map_err(LiveError::Provider)
}
