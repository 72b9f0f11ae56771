//! What an administrator changed while an earlier process ran, brought together with
//! `config.json` at a start. Where the file's own entity changed since, the file wins and the
//! change is forgotten; else the change holds.

use serde_json::Value;

use crate::config::{self, Client, Invalid, Settings};
use crate::pricing::{KeptError, KeptOverrides, kept};
use crate::store::{Change, DocumentKind, DocumentRow, FileHash};

/// What the file says, by which a later start knows whether it has changed.
pub(crate) struct FileMarks {
    pub(crate) client: String,
    /// `framework_config` as the management API answers it.
    pub(crate) framework: Value,
}

/// A stored change that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// This version of the gateway does not understand it.
    #[error("a change of the client settings that was made through /api/config cannot be used: {0}")]
    Client(Invalid),
    #[error(transparent)]
    Override(#[from] KeptError),
}

/// The settings that hold from now on, and what has to be written for it.
pub(crate) struct Live {
    pub(crate) client: Client,
    pub(crate) overrides: KeptOverrides,
    pub(crate) marks: FileMarks,
    pub(crate) changes: Vec<Change>,
}

/// Brings the file and the stored changes together.
pub(crate) fn merge(settings: &Settings, documents: Vec<DocumentRow>) -> Result<Live, LiveError> {
    let marks = FileMarks { client: client_hash(&settings.client), framework: settings.pricing.shown() };
    let (overrides, rest): (Vec<_>, Vec<_>) =
        documents.into_iter().partition(|document| document.kind == DocumentKind::PricingOverride);
    let (overrides, changes) = kept::merge(settings.pricing.overrides.clone(), overrides, &settings.providers)?;
    let mut live = Live { client: settings.client.clone(), overrides, marks, changes };
    for document in rest {
        match document.kind {
            DocumentKind::Client => live.client(&document)?,
            DocumentKind::PricingOverride => {}
        }
    }
    Ok(live)
}

impl Live {
    fn client(&mut self, document: &DocumentRow) -> Result<(), LiveError> {
        if document.file_hash.as_ref() != Some(&self.marks.client) {
            self.changes.push(Change::DeleteDocument(document.kind, document.id.clone()));
            return Ok(());
        }
        let written = config::read_part("client", &document.body).map_err(LiveError::Client)?;
        self.client = config::check_client(&written, "client").map_err(LiveError::Client)?;
        Ok(())
    }
}

fn client_hash(client: &Client) -> String {
    FileHash::of(&[&Value::Object(client.written.to_fields()).to_string()]).to_hex()
}
