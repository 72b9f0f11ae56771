//! The overrides of `config.json` and of the administrators, brought together. What was
//! never changed through the API has no document; then the file alone says what it is.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::config::{Invalid, NamedOverride, Override, OverrideSpec, Providers};
use crate::store::{Change, DocumentKind, DocumentRow, Standing, document_hash};

/// An override in force.
#[derive(Clone, Debug)]
pub(crate) struct KeptOverride {
    pub(crate) spec: OverrideSpec,
    pub(crate) checked: Override,
    /// Hash of the entity in `config.json`; `None` for one that was made through the API.
    pub(crate) file_hash: Option<String>,
    /// When an administrator made or changed it; `None` for one as the file has it.
    pub(crate) times: Option<Times>,
}

/// When an override was made and changed, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

/// All overrides in force by id, those that were made through the API first: of two for the
/// same, that of the file counts.
pub(crate) type KeptOverrides = IndexMap<String, KeptOverride>;

/// A stored override that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the pricing override '{id}' that was made through the API cannot be read: {error}")]
pub(crate) struct KeptError {
    id: String,
    error: serde_json::Error,
}

#[derive(Serialize, Deserialize)]
struct Body {
    spec: OverrideSpec,
    times: Times,
}

impl KeptOverride {
    /// One that an administrator makes or changes now.
    pub(crate) fn edited(spec: OverrideSpec, checked: Override, before: Option<&KeptOverride>, now: Moment) -> Self {
        let updated = now.millis();
        let created = before.and_then(|before| before.times).map_or(updated, |times| times.created);
        let file_hash = before.and_then(|before| before.file_hash.clone());
        KeptOverride { spec, checked, file_hash, times: Some(Times { created, updated }) }
    }

    /// What to write for it.
    pub(crate) fn put(&self, id: &str) -> Change {
        let times = self.times.unwrap_or(Times { created: 0, updated: 0 });
        let body = serde_json::to_string(&Body { spec: self.spec.clone(), times }).unwrap_or_default();
        self.document(id, body, Standing::Live)
    }

    /// What to write when it is deleted: one of the file must not come back at the next start.
    pub(crate) fn delete(&self, id: &str) -> Change {
        match self.file_hash {
            Some(_) => self.document(id, String::new(), Standing::Deleted),
            None => Change::DeleteDocument(DocumentKind::PricingOverride, id.to_owned()),
        }
    }

    fn document(&self, id: &str, body: String, standing: Standing) -> Change {
        let kind = DocumentKind::PricingOverride;
        Change::PutDocument(DocumentRow { kind, id: id.to_owned(), body, file_hash: self.file_hash.clone(), standing })
    }
}

/// Brings the file and the stored changes together. Where the file's own entity changed
/// since, or left, the file wins and the change is forgotten.
pub(crate) fn merge(
    file: Vec<NamedOverride>,
    documents: Vec<DocumentRow>,
    providers: &Providers,
) -> Result<(KeptOverrides, Vec<Change>), KeptError> {
    let mut of_file: KeptOverrides = file.into_iter().map(of_file).collect();
    let mut kept = KeptOverrides::new();
    let mut changes = Vec::new();
    for document in documents {
        let id = document.id;
        let is_current = of_file.get(&id).map(|known| &known.file_hash) == Some(&document.file_hash);
        if document.file_hash.is_some() && !is_current || document.file_hash.is_none() && of_file.contains_key(&id) {
            changes.push(Change::DeleteDocument(document.kind, id));
            continue;
        }
        if document.standing != Standing::Live {
            of_file.shift_remove(&id);
            continue;
        }
        let body: Body = serde_json::from_str(&document.body).map_err(|error| KeptError { id: id.clone(), error })?;
        match body.spec.check("", providers) {
            Ok(checked) => {
                let known =
                    KeptOverride { spec: body.spec, checked, file_hash: document.file_hash, times: Some(body.times) };
                let among = if known.file_hash.is_some() { &mut of_file } else { &mut kept };
                among.insert(id, known);
            }
            // Its provider is gone, or the key of it: there is nothing that it could price.
            Err(Invalid { at, problem }) => tracing::warn!(id, at, problem, "a pricing override has no effect"),
        }
    }
    kept.extend(of_file);
    Ok((kept, changes))
}

fn of_file(file: NamedOverride) -> (String, KeptOverride) {
    let NamedOverride { id, spec, checked } = file;
    let hash = document_hash(&[&serde_json::to_string(&spec).unwrap_or_default()]);
    (id, KeptOverride { spec, checked, file_hash: Some(hash), times: None })
}
