//! A grant: that a virtual key may use a provider, for which models, with which of
//! the provider's keys, and how often. Bifrost calls it a provider configuration.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{AllowList, Provider, Weight};

/// One entry of a virtual key's `provider_configs`, without budgets and limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) id: Arc<str>,
    pub(crate) provider: Arc<str>,
    /// Without a weight it is used only when a request names the provider.
    pub(crate) weight: Option<Weight>,
    pub(crate) allowed_models: AllowList,
    pub(crate) blacklisted_models: Vec<String>,
    /// Ids or names of the provider's keys.
    pub(crate) key_ids: AllowList,
}

impl Grant {
    /// Whether the virtual key may use `model` of this provider. A blocked name wins, in
    /// whatever case it is written.
    pub(crate) fn allows(&self, provider: &Provider, model: &str) -> bool {
        let is_allowed = |names: &[String]| names.iter().any(|name| provider.api.model(name) == model);
        self.allowed_models.names().is_none_or(is_allowed)
            && !self.blacklisted_models.iter().any(|name| provider.api.model(name).eq_ignore_ascii_case(model))
    }
}

/// The grants as a store keeps them, and as they are recognised at the next start.
pub(crate) fn grants_json(grants: &[Grant]) -> String {
    serde_json::to_string(grants).unwrap_or_else(|_| "[]".to_owned())
}
