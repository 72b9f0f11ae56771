//! What a gateway can say that it has. The list is closed: a scenario that needs anything else, and a
//! manifest that claims it, is wrong.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A capability. Which routes, key headers and admin operations there are follows from a manifest's other
/// parts, and is not listed here.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Calls without a virtual key can be let pass.
    #[serde(rename = "keys.optional")]
    KeysOptional,
    /// A virtual key can be configured that is switched off.
    #[serde(rename = "keys.inactive")]
    KeysInactive,
    /// A virtual key's value can be chosen by the author of the configuration.
    #[serde(rename = "keys.literal")]
    KeysLiteral,
    /// A virtual key can have a cap on what it spends.
    #[serde(rename = "budgets.virtual_key")]
    BudgetsVirtualKey,
    /// A virtual key can have a cap on what it spends at one provider.
    #[serde(rename = "budgets.provider")]
    BudgetsProvider,
    /// A virtual key can have several caps, of windows of different lengths.
    #[serde(rename = "budgets.several")]
    BudgetsSeveral,
    /// A virtual key's calls in a window can be limited.
    #[serde(rename = "limits.requests")]
    LimitsRequests,
    /// A virtual key's tokens in a window can be limited.
    #[serde(rename = "limits.tokens")]
    LimitsTokens,
    /// A budget's window can be as short as `promises.shortest_window`, and ends.
    #[serde(rename = "windows.budgets")]
    WindowsBudgets,
    /// A limit's window can be as short as `promises.shortest_window`, and ends.
    #[serde(rename = "windows.limits")]
    WindowsLimits,
    /// A virtual key can name several providers, in the order in which they are tried.
    #[serde(rename = "routing.order")]
    RoutingOrder,
    /// The price of a model can be configured.
    #[serde(rename = "pricing.overrides")]
    PricingOverrides,
    /// Answers can be streamed.
    #[serde(rename = "streaming")]
    Streaming,
    /// It can be stopped, and started again on its data.
    #[serde(rename = "restart")]
    Restart,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::KeysOptional,
        Self::KeysInactive,
        Self::KeysLiteral,
        Self::BudgetsVirtualKey,
        Self::BudgetsProvider,
        Self::BudgetsSeveral,
        Self::LimitsRequests,
        Self::LimitsTokens,
        Self::WindowsBudgets,
        Self::WindowsLimits,
        Self::RoutingOrder,
        Self::PricingOverrides,
        Self::Streaming,
        Self::Restart,
    ];

    /// The word for it in scenarios, manifests and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::KeysOptional => "keys.optional",
            Self::KeysInactive => "keys.inactive",
            Self::KeysLiteral => "keys.literal",
            Self::BudgetsVirtualKey => "budgets.virtual_key",
            Self::BudgetsProvider => "budgets.provider",
            Self::BudgetsSeveral => "budgets.several",
            Self::LimitsRequests => "limits.requests",
            Self::LimitsTokens => "limits.tokens",
            Self::WindowsBudgets => "windows.budgets",
            Self::WindowsLimits => "windows.limits",
            Self::RoutingOrder => "routing.order",
            Self::PricingOverrides => "pricing.overrides",
            Self::Streaming => "streaming",
            Self::Restart => "restart",
        }
    }
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
        for capability in Capability::ALL {
            assert_eq!(serde_json::to_value(capability).unwrap(), capability.word());
        }
    }
}
