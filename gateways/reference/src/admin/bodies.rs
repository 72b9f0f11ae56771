//! Bodies of requests as Bifrost has them. An unknown field is an error.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::reply::invalid;
use crate::config::{AllowList, ConfigId, RateLimitSpec, Weight};
use crate::errors::Problem;
use crate::money::Usd;
use crate::objects::read_from_objects;
use crate::window::ResetDuration;

/// What a body says of budgets and limits. What is absent stays as it is.
#[derive(Debug, Default)]
pub(super) struct MetersBody {
    /// Replaces the list; a budget with the same window keeps its usage.
    pub(super) budgets: Option<Vec<BudgetBody>>,
    /// Changes what it names; without any limit, it removes all.
    pub(super) rate_limit: Option<RateLimitSpec>,
    /// Replaces all limits; one with the same window keeps its usage.
    pub(super) rate_limits: Option<Vec<RateLimitSpec>>,
    /// Nothing of the owner's budgets is used.
    pub(super) reset_budget_usage: bool,
}

/// The body of an entity with budgets and limits: its own fields, and theirs. serde cannot
/// refuse unknown fields beside flattened ones, so that they stand in each.
macro_rules! limited_body {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, remote = "Self")]
        pub(super) struct $name {
            $($(#[$meta])* pub(super) $field: $type,)*
            budgets: Option<Vec<BudgetBody>>,
            /// The single budget of earlier versions.
            budget: Option<BudgetBody>,
            rate_limit: Option<RateLimitSpec>,
            rate_limits: Option<Vec<RateLimitSpec>>,
            #[serde(default)]
            reset_budget_usage: bool,
        }

        read_from_objects!($name);

        impl $name {
            /// Takes what it says of budgets and limits.
            pub(super) fn take_meters(&mut self) -> Result<MetersBody, Problem> {
                if self.budget.is_some() && self.budgets.is_some() {
                    return Err(invalid("only one of 'budget' or 'budgets' may be set"));
                }
                if self.rate_limit.is_some() && self.rate_limits.is_some() {
                    return Err(invalid("only one of 'rate_limit' or 'rate_limits' may be set"));
                }
                Ok(MetersBody {
                    budgets: self.budgets.take().or_else(|| Some(vec![self.budget.take()?])),
                    rate_limit: self.rate_limit.take(),
                    rate_limits: self.rate_limits.take(),
                    reset_budget_usage: self.reset_budget_usage,
                })
            }
        }
    };
}

limited_body! {
    /// A virtual key to make, or what to change of one: what is absent stays as it is.
    KeyBody {
        #[schemars(length(min = 1))]
        name: Option<String>,
        description: Option<String>,
        is_active: Option<bool>,
        #[serde(default, deserialize_with = "nullable")]
        team_id: Option<Option<String>>,
        #[serde(default, deserialize_with = "nullable")]
        customer_id: Option<Option<String>>,
        /// Replaces the list; a provider that stays keeps its budgets and limits.
        provider_configs: Option<Vec<GrantBody>>,
        /// Holds for every window of it that the body does not set otherwise.
        calendar_aligned: Option<bool>,
        /// RFC 3339; an empty text means never.
        expires_at: Option<String>,
    }
}

limited_body! {
    /// What a virtual key may use of a provider.
    GrantBody {
        id: Option<ConfigId>,
        provider: String,
        weight: Option<Weight>,
        allowed_models: Option<AllowList>,
        #[serde(default)]
        blacklisted_models: Vec<String>,
        key_ids: Option<AllowList>,
    }
}

limited_body! {
    CustomerBody {
        #[schemars(length(min = 1))]
        name: Option<String>,
        /// Holds for every window of it that the body does not set otherwise.
        calendar_aligned: Option<bool>,
    }
}

limited_body! {
    TeamBody {
        #[schemars(length(min = 1))]
        name: Option<String>,
        /// Holds for every window of it that the body does not set otherwise.
        calendar_aligned: Option<bool>,
        #[serde(default, deserialize_with = "nullable")]
        customer_id: Option<Option<String>>,
    }
}

limited_body! {
    ModelBody {
        #[schemars(length(min = 1))]
        model_name: Option<String>,
        /// Holds for every window of it that the body does not set otherwise.
        calendar_aligned: Option<bool>,
        #[serde(default, deserialize_with = "nullable")]
        provider: Option<Option<String>>,
        /// `global` (default) or `virtual_key`.
        scope: Option<String>,
        #[serde(default, deserialize_with = "nullable")]
        scope_id: Option<Option<String>>,
    }
}

limited_body! {
    /// Budgets and limits of a provider, for whoever asks.
    ProviderBody {}
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct BudgetBody {
    pub(super) id: Option<ConfigId>,
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(super) max_limit: Usd,
    pub(super) reset_duration: ResetDuration,
    /// Wins over that of the owner.
    pub(super) calendar_aligned: Option<bool>,
}

read_from_objects!(BudgetBody);

/// A field that is null says something, other than one that is absent.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
