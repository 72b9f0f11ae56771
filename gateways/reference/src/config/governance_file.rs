//! The shape of `config.json`'s section `governance`. Every unknown field is an error.
//!
//! There may be very many virtual keys: their lists are kept without room to grow.

use schemars::JsonSchema;
use serde::Deserialize;

use super::file::{AuthFile, OverrideFile};
use super::types::{AllowList, ConfigId, Weight};
use crate::money::Usd;
use crate::window::ResetDuration;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GovernanceFile {
    pub(super) auth_config: Option<AuthFile>,
    #[serde(default)]
    pub(super) customers: Vec<CustomerFile>,
    #[serde(default)]
    pub(super) teams: Vec<TeamFile>,
    #[serde(default)]
    pub(super) virtual_keys: Vec<VirtualKeyFile>,
    #[serde(default)]
    pub(super) model_configs: Vec<ModelConfigFile>,
    #[serde(default)]
    pub(super) providers: Vec<ProviderLimitsFile>,
    #[serde(default)]
    pub(super) budgets: Vec<BudgetFile>,
    #[serde(default)]
    pub(super) rate_limits: Vec<RateLimitFile>,
    #[serde(default)]
    pub(super) pricing_overrides: Vec<OverrideFile>,
}

/// What an owner says of its budgets and limits, in the spellings of all of Bifrost's
/// versions. Whatever is said counts. Each stands beside its field, like `budgets[1]`.
pub(super) struct MetersFile {
    pub(super) budgets: Vec<(String, BudgetFile)>,
    pub(super) budget_ids: Vec<(String, ConfigId)>,
    pub(super) rate_limits: Vec<(String, RateLimitFile)>,
    pub(super) rate_limit_ids: Vec<(String, ConfigId)>,
}

/// The field of a single rate limit.
pub(super) const RATE_LIMIT: &str = "rate_limit";

/// What stands in a field and in the list of the same, each with its field.
fn fields<T>(name: &str, one: Option<T>, list: &mut Box<[T]>) -> Vec<(String, T)> {
    let list = std::mem::take(list).into_iter().enumerate();
    let list = list.map(|(index, item)| (format!("{name}s[{index}]"), item));
    one.map(|item| (name.to_owned(), item)).into_iter().chain(list).collect()
}

/// An entity of the file that can own budgets and limits: its own fields, and theirs. serde
/// cannot refuse unknown fields beside flattened ones, so that they stand in each.
macro_rules! owner_file {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$meta])* pub(super) $field: $type,)*
            #[serde(default)]
            budgets: Box<[BudgetFile]>,
            /// The single budget of 1.3 and 1.4.
            budget: Option<Box<BudgetFile>>,
            budget_id: Option<ConfigId>,
            #[serde(default)]
            budget_ids: Box<[ConfigId]>,
            rate_limit: Option<Box<RateLimitFile>>,
            #[serde(default)]
            rate_limits: Box<[RateLimitFile]>,
            rate_limit_id: Option<ConfigId>,
            #[serde(default)]
            rate_limit_ids: Box<[ConfigId]>,
        }

        impl $name {
            /// Takes what it says of its budgets and limits.
            pub(super) fn take_meters(&mut self) -> MetersFile {
                MetersFile {
                    budgets: fields("budget", self.budget.take().map(|one| *one), &mut self.budgets),
                    budget_ids: fields("budget_id", self.budget_id.take(), &mut self.budget_ids),
                    rate_limits: fields(RATE_LIMIT, self.rate_limit.take().map(|one| *one), &mut self.rate_limits),
                    rate_limit_ids: fields("rate_limit_id", self.rate_limit_id.take(), &mut self.rate_limit_ids),
                }
            }
        }
    };
}

owner_file! {
    CustomerFile {
        #[serde(default)]
        calendar_aligned: bool,
        id: Option<ConfigId>,
        name: String,
    }
}

owner_file! {
    TeamFile {
        #[serde(default)]
        calendar_aligned: bool,
        id: Option<ConfigId>,
        name: String,
        customer_id: Option<ConfigId>,
    }
}

owner_file! {
    VirtualKeyFile {
        id: Option<ConfigId>,
        name: String,
        #[serde(default)]
        description: String,
        value: Option<String>,
        is_active: Option<bool>,
        #[serde(default)]
        calendar_aligned: bool,
        /// RFC 3339.
        expires_at: Option<String>,
        team_id: Option<ConfigId>,
        customer_id: Option<ConfigId>,
        #[serde(default)]
        provider_configs: Box<[ProviderConfigFile]>,
    }
}

owner_file! {
    ProviderConfigFile {
        id: Option<ConfigId>,
        provider: String,
        weight: Option<Weight>,
        allowed_models: Option<AllowList>,
        #[serde(default)]
        blacklisted_models: Vec<String>,
        key_ids: Option<AllowList>,
    }
}

owner_file! {
    ModelConfigFile {
        #[serde(default)]
        calendar_aligned: bool,
        id: Option<ConfigId>,
        model_name: String,
        provider: Option<String>,
        /// `global` (default) or `virtual_key`.
        scope: Option<String>,
        scope_id: Option<ConfigId>,
    }
}

owner_file! {
    /// Budgets and limits of a provider, for whoever asks.
    ProviderLimitsFile {
        name: String,
    }
}

/// A budget, in the list of all or inside its owner.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetFile {
    pub(crate) id: Option<ConfigId>,
    pub(crate) max_limit: Usd,
    pub(crate) reset_duration: ResetDuration,
    pub(crate) customer_id: Option<ConfigId>,
    pub(crate) team_id: Option<ConfigId>,
    pub(crate) virtual_key_id: Option<ConfigId>,
    pub(crate) provider_config_id: Option<ConfigId>,
    pub(crate) model_config_id: Option<ConfigId>,
    /// The name of a provider.
    pub(crate) provider: Option<ConfigId>,
    /// Wins over that of the owner.
    pub(crate) calendar_aligned: Option<bool>,
}

/// A rate limit, in the list of all or inside its owner.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitFile {
    pub(crate) id: Option<ConfigId>,
    pub(crate) request_max_limit: Option<u64>,
    pub(crate) request_reset_duration: Option<ResetDuration>,
    pub(crate) token_max_limit: Option<u64>,
    pub(crate) token_reset_duration: Option<ResetDuration>,
}
