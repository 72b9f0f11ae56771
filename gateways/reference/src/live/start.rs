//! What an administrator changed while an earlier process ran, brought together with
//! `config.json` at a start. Where the file's own entity changed since, the file wins and the
//! change is forgotten; else the change holds.

use serde_json::{Value, json};

use super::providers;
use super::sealer::{Sealer, SecretError};
use crate::administrator::{self, Administrator, AdministratorError, StoredAdmin};
use crate::config::{self, Admin, Client, Framework, Invalid, Providers, Settings, WrittenProviders};
use crate::pricing::{KeptError, KeptOverrides, kept};
use crate::slow_hash::{SlowHash, new_salt};
use crate::store::{Change, DocumentKind, DocumentRow, Standing, document_hash};

/// What the file says, by which a later start knows whether it has changed.
pub(crate) struct FileMarks {
    pub(crate) client: String,
    /// A slow hash is made of it only where it is stored.
    pub(crate) admin: Option<Admin>,
    /// `framework_config` as the management API answers it.
    pub(crate) framework: Framework,
    pub(crate) providers: WrittenProviders,
}

/// What is sealed with the encryption key, so that another one is known at the start.
const CHECK: &str = "probity";

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
    #[error("a change that was made through /api/providers cannot be used: {0}")]
    Provider(Invalid),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("what the database says about its encryption cannot be read")]
    Encryption,
}

/// The settings that hold from now on, and what has to be written for it.
pub(crate) struct Live {
    pub(crate) client: Client,
    pub(crate) admin: Option<Administrator>,
    pub(crate) overrides: KeptOverrides,
    pub(crate) written: WrittenProviders,
    pub(crate) providers: Providers,
    /// Providers of the file that had been deleted and are back.
    pub(crate) back: Vec<String>,
    pub(crate) sealer: Option<Sealer>,
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
        providers: settings.written_providers.clone(),
    };
    let (mut of_providers, mut of_overrides, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for document in documents {
        match document.kind {
            DocumentKind::Provider | DocumentKind::ProviderKey => of_providers.push(document),
            DocumentKind::PricingOverride => of_overrides.push(document),
            DocumentKind::Client | DocumentKind::Auth | DocumentKind::Encryption => rest.push(document),
        }
    }
    let encryption = rest.iter().find(|document| document.kind == DocumentKind::Encryption);
    let (sealer, new) = sealer(settings.encryption_key.as_deref(), encryption)?;
    let merged = providers::merge(&marks.providers, &settings.providers, of_providers, sealer.as_ref(), &lookup)?;
    let (overrides, of_overrides) = kept::merge(settings.pricing.overrides.clone(), of_overrides, &merged.checked)?;
    let mut live = Live {
        client: settings.client.clone(),
        admin: settings.admin.as_ref().map(Administrator::of_file),
        overrides,
        written: merged.written,
        providers: merged.checked,
        back: merged.back,
        sealer,
        marks,
        changes: merged.changes.into_iter().chain(new).chain(of_overrides).collect(),
    };
    for document in rest {
        let counts = match document.kind {
            DocumentKind::Client => live.client(&document)?,
            DocumentKind::Auth => live.administrator(&document, &lookup)?,
            DocumentKind::Encryption
            | DocumentKind::PricingOverride
            | DocumentKind::Provider
            | DocumentKind::ProviderKey => true,
        };
        if !counts {
            live.changes.push(Change::DeleteDocument(document.kind, document.id));
        }
    }
    Ok(live)
}

/// The sealer for the configured key, if it is the one that the database knows. At the first
/// start with a key the database gets to know it.
fn sealer(
    passphrase: Option<&str>,
    known: Option<&DocumentRow>,
) -> Result<(Option<Sealer>, Option<Change>), LiveError> {
    let Some(passphrase) = passphrase else {
        return Ok((None, None));
    };
    if let Some(known) = known {
        let body: Value = serde_json::from_str(&known.body).map_err(|_| LiveError::Encryption)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).ok_or(LiveError::Encryption);
        let sealer = Sealer::new(passphrase, text("salt")?)?;
        return if sealer.open(text("check")?)? == CHECK {
            Ok((Some(sealer), None))
        } else {
            Err(LiveError::Encryption)
        };
    }
    let salt = new_salt();
    let sealer = Sealer::new(passphrase, &salt)?;
    let document = DocumentRow {
        kind: DocumentKind::Encryption,
        id: String::new(),
        body: json!({ "salt": salt, "check": sealer.seal(CHECK)? }).to_string(),
        file_hash: None,
        standing: Standing::Live,
    };
    Ok((Some(sealer), Some(Change::PutDocument(document))))
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
    document_hash(&[&Value::Object(client.written.to_fields()).to_string()])
}
