//! What an administrator changed beside keys and meters: one JSON document an entity. What
//! was never changed has none; then `config.json` alone says what it is.

use super::rows::Standing;

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DocumentKind {
    /// The `client` section.
    Client,
    /// The administrator.
    Auth,
    /// The salt of the encryption key, and a text by which a wrong one is known.
    Encryption,
    /// One of `pricing_overrides`.
    PricingOverride,
    /// A provider without its keys; the id is its name.
    Provider,
    /// A provider's key; the id is `provider/key`.
    ProviderKey,
}

const KINDS: [(DocumentKind, &str); 6] = [
    (DocumentKind::Client, "client"),
    (DocumentKind::Auth, "auth"),
    (DocumentKind::Encryption, "encryption"),
    (DocumentKind::PricingOverride, "pricing_override"),
    (DocumentKind::Provider, "provider"),
    (DocumentKind::ProviderKey, "provider_key"),
];

impl DocumentKind {
    pub(super) fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    pub(super) fn from_word(word: &str) -> Option<DocumentKind> {
        KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

/// A document as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentRow {
    pub(crate) kind: DocumentKind,
    /// Empty where there is only one of its kind.
    pub(crate) id: String,
    /// JSON, or a sealed text.
    pub(crate) body: String,
    /// By which the entity of config.json is known as it was when it was changed: its hash, of the
    /// administrator's a slow one in JSON. `None` for one that was made through the API.
    pub(crate) file_hash: Option<String>,
    pub(crate) standing: Standing,
}
