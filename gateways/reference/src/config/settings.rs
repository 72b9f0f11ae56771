//! The checked form of the configuration.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderName;
use schemars::JsonSchema;
use serde::Serialize;

use super::file::ClientFile;
use super::overrides::NamedOverride;
use super::provider::Providers;
use super::server::ServerLimits;
use super::written::WrittenProviders;
use crate::ledger::BudgetAdmission;
use crate::rates::Rates;
use crate::store::{Declared, Durability};

/// Everything that `config.json` says, checked.
pub(crate) struct Settings {
    pub(crate) server: ServerLimits,
    pub(crate) client: Client,
    pub(crate) providers: Providers,
    /// The same as they were written, without variables filled in.
    pub(crate) written_providers: WrittenProviders,
    /// The passphrase for credentials that are stored.
    pub(crate) encryption_key: Option<String>,
    /// Administrator's credentials; without them the management API is closed.
    pub(crate) admin: Option<Admin>,
    pub(crate) pricing: Pricing,
    /// Keys, budgets and limits of the file.
    pub(crate) declared: Declared,
    pub(crate) database: PathBuf,
    /// The log of requests, unless there is none.
    pub(crate) logs: Option<PathBuf>,
    pub(crate) durability: Durability,
}

/// `client` and the plugin's switch.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// As it was written, by the file or by an administrator.
    pub(crate) written: ClientFile,
    /// Whether a request without a virtual key is refused.
    pub(crate) key_is_mandatory: bool,
    pub(crate) admission: BudgetAdmission,
    /// Whether a model without a price may be used under a budget, at no cost.
    pub(crate) unpriced_allowed: bool,
    pub(crate) max_body_bytes: usize,
    /// The most that a provider's plain answer may have.
    pub(crate) max_answer_bytes: usize,
    /// Without each of them a request of inference is refused.
    pub(crate) required_headers: Vec<HeaderName>,
    /// Whether `/health` answers without asking the database.
    pub(crate) pings_disabled: bool,
    pub(crate) logging: Logging,
    /// Whether `/metrics` asks for no administrator.
    pub(crate) metrics_are_open: bool,
}

/// What is kept of a request in the log of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logging {
    /// `enable_logging`.
    pub(crate) enabled: bool,
    /// What was asked and answered too: `disable_content_logging: false`.
    pub(crate) content: bool,
    /// For how long.
    pub(crate) retention_days: u32,
}

/// The administrator.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) username: String,
    pub(crate) password: String,
}

/// Where prices come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pricing {
    pub(crate) sheet_url: Option<String>,
    pub(crate) parameters_url: Option<String>,
    pub(crate) sync_interval: Duration,
    pub(crate) overrides: Vec<NamedOverride>,
}

impl Pricing {
    /// `framework_config` as the management API answers it.
    pub(crate) fn shown(&self) -> Framework {
        Framework {
            pricing_url: self.sheet_url.clone(),
            model_parameters_url: self.parameters_url.clone(),
            pricing_sync_interval: self.sync_interval.as_secs(),
        }
    }
}

/// What of the section `framework` the management API answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(crate) struct Framework {
    pricing_url: Option<String>,
    model_parameters_url: Option<String>,
    /// Seconds.
    pricing_sync_interval: u64,
}

/// A price that an administrator sets.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) scope: OverrideScope,
    pub(crate) pattern: OverrideMatch,
    pub(crate) request_types: Vec<RequestType>,
    pub(crate) patch: Rates,
}

impl Override {
    /// Whether both would be for the same request, and equally specific.
    pub(crate) fn clashes_with(&self, other: &Override) -> bool {
        self.scope == other.scope
            && self.pattern == other.pattern
            && self.request_types.iter().any(|kind| other.request_types.contains(kind))
    }
}

/// For whom an override holds: every part that is named must be the request's. The more
/// specific wins: that of a virtual key, then that of a provider's key, then that of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct OverrideScope {
    /// The id of a virtual key.
    pub(crate) virtual_key: Option<String>,
    pub(crate) provider: Option<String>,
    /// The id of a key of that provider.
    pub(crate) provider_key: Option<String>,
}

/// For which models an override holds, its ASCII letters in lower case: a model is the same in
/// whatever case it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OverrideMatch {
    Exact(String),
    /// Every model whose name begins so.
    Prefix(String),
}

/// What kind of request it is, in Bifrost's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RequestType {
    ChatCompletion,
    TextCompletion,
    Responses,
    Embedding,
    ImageGeneration,
    Speech,
    Transcription,
}

impl RequestType {
    /// Each of them.
    pub(crate) const ALL: [RequestType; 7] = [
        RequestType::ChatCompletion,
        RequestType::TextCompletion,
        RequestType::Responses,
        RequestType::Embedding,
        RequestType::ImageGeneration,
        RequestType::Speech,
        RequestType::Transcription,
    ];

    /// The word in `request_types`; that of a stream means its twin without.
    pub(crate) fn from_word(word: &str) -> Option<RequestType> {
        let words = HashMap::from([
            ("chat_completion", RequestType::ChatCompletion),
            ("text_completion", RequestType::TextCompletion),
            ("responses", RequestType::Responses),
            ("embedding", RequestType::Embedding),
            ("image_generation", RequestType::ImageGeneration),
            ("speech", RequestType::Speech),
            ("transcription", RequestType::Transcription),
        ]);
        words.get(word.strip_suffix("_stream").unwrap_or(word)).copied()
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            RequestType::ChatCompletion => "chat_completion",
            RequestType::TextCompletion => "text_completion",
            RequestType::Responses => "responses",
            RequestType::Embedding => "embedding",
            RequestType::ImageGeneration => "image_generation",
            RequestType::Speech => "speech",
            RequestType::Transcription => "transcription",
        }
    }
}
