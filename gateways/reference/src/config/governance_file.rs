//! The shape of `config.json`'s section `governance`. Every unknown field is an error.
//!
//! There may be very many virtual keys: their lists are kept without room to grow.

use schemars::JsonSchema;
use serde::Deserialize;

use super::each::Each;
use super::file::{AuthFile, OverrideFile};
use super::place::Place;
use super::rate_limit::RateLimitSpec;
use super::types::{AllowList, ConfigId, Weight};
use crate::few::few;
use crate::money::Usd;
use crate::objects::read_from_objects;
use crate::window::ResetDuration;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct GovernanceFile<'a> {
    pub(super) auth_config: Option<AuthFile>,
    #[serde(borrow, default)]
    #[schemars(with = "Vec<CustomerFile>")]
    pub(super) customers: Each<'a, CustomerFile>,
    #[serde(borrow, default)]
    #[schemars(with = "Vec<TeamFile>")]
    pub(super) teams: Each<'a, TeamFile>,
    #[serde(borrow, default)]
    #[schemars(with = "Vec<VirtualKeyFile>")]
    pub(super) virtual_keys: Each<'a, VirtualKeyFile>,
    #[serde(borrow, default)]
    #[schemars(with = "Vec<ModelConfigFile>")]
    pub(super) model_configs: Each<'a, ModelConfigFile>,
    #[serde(borrow, default)]
    #[schemars(with = "Vec<ProviderLimitsFile>")]
    pub(super) providers: Each<'a, ProviderLimitsFile>,
    #[serde(borrow, default)]
    #[schemars(with = "Vec<BudgetFile>")]
    pub(super) budgets: Each<'a, BudgetFile>,
    #[serde(borrow, default)]
    #[schemars(with = "Vec<RateLimitSpec>")]
    pub(super) rate_limits: Each<'a, RateLimitSpec>,
    #[serde(default)]
    pub(super) pricing_overrides: Vec<OverrideFile>,
}

/// What an owner says of its budgets and limits, in the spellings of all of Bifrost's
/// versions. Whatever is said counts.
pub(super) struct MetersFile {
    pub(super) budgets: Spelled<BudgetFile>,
    pub(super) budget_ids: Spelled<ConfigId>,
    pub(super) rate_limits: Spelled<RateLimitSpec>,
    pub(super) rate_limit_ids: Spelled<ConfigId>,
}

/// One in a field of its own, and a list of the same.
pub(super) struct Spelled<T> {
    one: Option<T>,
    list: Box<[T]>,
}

/// The field of one, or an item of the list: `budget`, or `budgets[1]`.
#[derive(Clone, Copy)]
pub(super) enum Spelling {
    One,
    Listed(usize),
}

impl<T> Spelled<T> {
    /// All of them, each with how it was spelled.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (Spelling, T)> {
        let list = self.list.into_iter().enumerate().map(|(index, item)| (Spelling::Listed(index), item));
        self.one.map(|item| (Spelling::One, item)).into_iter().chain(list)
    }
}

impl Spelling {
    /// Where it stands: in the field `one`, or in the list `list`.
    pub(super) fn place<'a>(self, at: &'a Place<'a>, one: &'a str, list: &'a str) -> Place<'a> {
        match self {
            Spelling::One => at.field(one),
            Spelling::Listed(index) => at.item(list, index),
        }
    }
}

/// An entity of the file that can own budgets and limits: its own fields, and theirs. serde
/// cannot refuse unknown fields beside flattened ones, so that they stand in each.
macro_rules! owner_file {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, remote = "Self")]
        pub(super) struct $name {
            $($(#[$meta])* pub(super) $field: $type,)*
            #[serde(default, deserialize_with = "few")]
            budgets: Box<[BudgetFile]>,
            /// The single budget of 1.3 and 1.4.
            budget: Option<Box<BudgetFile>>,
            budget_id: Option<ConfigId>,
            #[serde(default, deserialize_with = "few")]
            budget_ids: Box<[ConfigId]>,
            rate_limit: Option<Box<RateLimitSpec>>,
            #[serde(default, deserialize_with = "few")]
            rate_limits: Box<[RateLimitSpec]>,
            rate_limit_id: Option<ConfigId>,
            #[serde(default, deserialize_with = "few")]
            rate_limit_ids: Box<[ConfigId]>,
        }

        read_from_objects!($name);

        impl $name {
            /// Takes what it says of its budgets and limits.
            pub(super) fn take_meters(&mut self) -> MetersFile {
                let one = self.rate_limit.take().map(|one| *one);
                MetersFile {
                    budgets: Spelled { one: self.budget.take().map(|one| *one), list: std::mem::take(&mut self.budgets) },
                    budget_ids: Spelled { one: self.budget_id.take(), list: std::mem::take(&mut self.budget_ids) },
                    rate_limits: Spelled { one, list: std::mem::take(&mut self.rate_limits) },
                    rate_limit_ids: Spelled { one: self.rate_limit_id.take(), list: std::mem::take(&mut self.rate_limit_ids) },
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
        #[serde(default, deserialize_with = "few")]
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
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct BudgetFile {
    pub(crate) id: Option<ConfigId>,
    #[schemars(extend("exclusiveMinimum" = 0))]
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

read_from_objects!(GovernanceFile<'a>, BudgetFile);
