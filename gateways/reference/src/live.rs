//! What an administrator changed while an earlier process ran, brought together with
//! `config.json` at a start. Where the file's own entity changed since, the file wins and the
//! change is forgotten; else the change holds.

use serde_json::Value;

use crate::administrator::{self, Administrator, AdministratorError, StoredAdmin};
use crate::config::{self, Admin, Client, Invalid, Settings};
use crate::pricing::{KeptError, KeptOverrides, kept};
use crate::slow_hash::SlowHash;
use crate::store::{Change, DocumentKind, DocumentRow, FileHash};

/// What the file says, by which a later start knows whether it has changed.
pub(crate) struct FileMarks {
    pub(crate) client: String,
    /// A slow hash is made of it only where it is stored.
    pub(crate) admin: Option<Admin>,
    /// `framework_config` as the management API answers it.
    pub(crate) framework: Value,
}

/// A stored change that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// This version of the gateway does not understand it.
    #[error("a change of the client settings that was made through /api/config cannot be used: {0}")]
    Client(Invalid),
    /// This version of the gateway does not understand it.
    #[error("the administrator that was stored through /api/config cannot be read: {0}")]
    Unreadable(Invalid),
    #[error("the administrator that was stored through /api/config cannot be used: {0}")]
    Administrator(#[from] AdministratorError),
    #[error(transparent)]
    Override(#[from] KeptError),
}

/// The settings that hold from now on, and what has to be written for it.
pub(crate) struct Live {
    pub(crate) client: Client,
    pub(crate) admin: Option<Administrator>,
    pub(crate) overrides: KeptOverrides,
    pub(crate) marks: FileMarks,
    pub(crate) changes: Vec<Change>,
}

/// Brings the file and the stored changes together, with `lookup` for variables.
pub(crate) fn merge(
    settings: &Settings,
    documents: Vec<DocumentRow>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Live, LiveError> {
    let marks = FileMarks {
        client: client_hash(&settings.client),
        admin: settings.admin.clone(),
        framework: settings.pricing.shown(),
    };
    let (overrides, rest): (Vec<_>, Vec<_>) =
        documents.into_iter().partition(|document| document.kind == DocumentKind::PricingOverride);
    let (overrides, changes) = kept::merge(settings.pricing.overrides.clone(), overrides, &settings.providers)?;
    let admin = settings.admin.as_ref().map(Administrator::of_file);
    let mut live = Live { client: settings.client.clone(), admin, overrides, marks, changes };
    for document in rest {
        let counts = match document.kind {
            DocumentKind::Client => live.client(&document)?,
            DocumentKind::Auth => live.administrator(&document, &lookup)?,
            DocumentKind::PricingOverride => true,
        };
        if !counts {
            live.changes.push(Change::DeleteDocument(document.kind, document.id));
        }
    }
    Ok(live)
}

impl Live {
    fn client(&mut self, document: &DocumentRow) -> Result<bool, LiveError> {
        if document.file_hash.as_ref() != Some(&self.marks.client) {
            return Ok(false);
        }
        let written = config::read_part("client", &document.body).map_err(LiveError::Client)?;
        self.client = config::check_client(&written, "client").map_err(LiveError::Client)?;
        Ok(true)
    }

    fn administrator(
        &mut self,
        document: &DocumentRow,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<bool, LiveError> {
        let mark: Option<SlowHash> = document.file_hash.as_ref().and_then(|text| serde_json::from_str(text).ok());
        if !mark.is_some_and(|mark| mark.is(&administrator::mark(self.marks.admin.as_ref()))) {
            return Ok(false);
        }
        let stored: StoredAdmin = config::read_part("auth_config", &document.body).map_err(LiveError::Unreadable)?;
        self.admin = Some(Administrator::of_stored(&stored, lookup)?);
        Ok(true)
    }
}

fn client_hash(client: &Client) -> String {
    FileHash::of(&[&Value::Object(client.written.to_fields()).to_string()]).to_hex()
}
