//! What a gateway can say that it has. The list is closed: a scenario that needs anything else, and a
//! manifest that claims it, is wrong.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares the capabilities, each with its word in scenarios, manifests and reports.
macro_rules! capabilities {
    ($($(#[doc = $about:literal])+ $name:ident => $word:literal,)+) => {
        /// A capability. Which routes, key headers and admin operations there are follows from a
        /// manifest's other parts, and is not listed here.
        #[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
        pub enum Capability {
            $($(#[doc = $about])+ #[serde(rename = $word)] $name,)+
        }

        impl Capability {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word for it in scenarios, manifests and reports.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

capabilities! {
    /// Calls without a virtual key can be let pass.
    KeysOptional => "keys.optional",
    /// A virtual key can be configured that is switched off.
    KeysInactive => "keys.inactive",
    /// A virtual key's value can be chosen by the author of the configuration.
    KeysLiteral => "keys.literal",
    /// A virtual key can be given a time from which on it is refused.
    KeysExpire => "keys.expire",
    /// Headers can be named without which every call is refused.
    HeadersRequired => "headers.required",
    /// The models that a virtual key may use can be listed.
    ModelsAllowed => "models.allowed",
    /// Models that a virtual key may not use can be listed.
    ModelsBlocked => "models.blocked",
    /// A customer can have a cap on what its teams and keys spend.
    BudgetsCustomer => "budgets.customer",
    /// A team can have a cap on what its keys spend.
    BudgetsTeam => "budgets.team",
    /// A virtual key can have a cap on what it spends.
    BudgetsVirtualKey => "budgets.virtual_key",
    /// A virtual key can have a cap on what it spends at one provider.
    BudgetsVirtualKeyProvider => "budgets.virtual_key_provider",
    /// A provider can have a cap on what everybody spends at it.
    BudgetsProvider => "budgets.provider",
    /// A model can have a cap on what everybody spends on it.
    BudgetsModel => "budgets.model",
    /// A model can have a cap on what one virtual key spends on it.
    BudgetsVirtualKeyModel => "budgets.virtual_key_model",
    /// A virtual key can have several caps, of windows of different lengths.
    BudgetsSeveral => "budgets.several",
    /// Calls in a window can be limited.
    LimitsRequests => "limits.requests",
    /// Tokens in a window can be limited.
    LimitsTokens => "limits.tokens",
    /// A customer can have limits.
    LimitsCustomer => "limits.customer",
    /// A team can have limits.
    LimitsTeam => "limits.team",
    /// A virtual key can have limits.
    LimitsVirtualKey => "limits.virtual_key",
    /// A virtual key can have limits at one provider.
    LimitsVirtualKeyProvider => "limits.virtual_key_provider",
    /// A provider can have limits for everybody.
    LimitsProvider => "limits.provider",
    /// A model can have limits for everybody.
    LimitsModel => "limits.model",
    /// A model can have limits for one virtual key.
    LimitsVirtualKeyModel => "limits.virtual_key_model",
    /// A budget's window can be as short as `promises.shortest_window`, and ends.
    WindowsBudgets => "windows.budgets",
    /// A limit's window can be as short as `promises.shortest_window`, and ends.
    WindowsLimits => "windows.limits",
    /// A budget's windows can follow the calendar.
    WindowsCalendar => "windows.calendar",
    /// It speaks to a provider of Anthropic's protocol, on every route that it has.
    ProvidersAnthropic => "providers.anthropic",
    /// It speaks to a provider of Gemini's protocol, on every route that it has.
    ProvidersGemini => "providers.gemini",
    /// A virtual key can name several providers, in the order in which they are tried.
    RoutingOrder => "routing.order",
    /// A caller can name fallbacks in its request.
    RoutingFallbacks => "routing.fallbacks",
    /// A caller can name the provider before the model: `primary/mock-1`.
    RoutingNamed => "routing.named",
    /// A provider that fails can be tried again.
    RoutingRetries => "routing.retries",
    /// A provider can have several keys, and another is taken when one is refused.
    RoutingKeys => "routing.keys",
    /// The price of a model can be configured.
    PricingOverrides => "pricing.overrides",
    /// The price of all models whose names begin alike can be configured.
    PricingWildcards => "pricing.wildcards",
    /// The price of a model can be configured for a provider, one of its keys or a virtual key alone.
    PricingScopes => "pricing.scopes",
    /// Reasoning can have a price of its own.
    PricingReasoning => "pricing.reasoning",
    /// Answers can be streamed.
    Streaming => "streaming",
    /// It can be stopped, and started again on its data.
    Restart => "restart",
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_capability_is_written_as_it_is_read() {
        for &capability in Capability::ALL {
            assert_eq!(serde_json::to_value(capability).unwrap(), capability.word());
        }
    }
}
