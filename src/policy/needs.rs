//! What a gateway must have so that it can be configured with a policy.

use std::{collections::HashSet, iter};

use super::{
    Api, ModelCaps, Policy,
    caps::{Budget, Capped, Limits},
};
use crate::capability::Capability;

impl Policy {
    /// The capabilities without which a gateway cannot even be configured with this policy.
    #[must_use]
    pub fn needs(&self) -> Vec<Capability> {
        let budgets = self.levels().filter(|level| !level.budgets.is_empty()).map(|level| level.budgets_need);
        let limits = self.levels().filter(|level| !level.limits.is_empty()).map(|level| level.limits_need);
        let mut needs: Vec<_> = self.other_needs().chain(budgets).chain(limits).collect();
        let mut seen = HashSet::new();
        needs.retain(|need| seen.insert(*need));
        needs
    }

    fn other_needs(&self) -> impl Iterator<Item = Capability> {
        let keys = &self.virtual_keys;
        let routes = || keys.iter().flat_map(|key| &key.providers);
        let mut budgets = self.levels().flat_map(|level| level.budgets);
        let limits = |test: fn(&Limits) -> bool| self.levels().any(|level| test(level.limits));
        let prices = &self.price_overrides;
        let conditions = [
            (Capability::KeysOptional, !self.mandatory_keys),
            (Capability::KeysInactive, keys.iter().any(|key| !key.active)),
            (Capability::KeysLiteral, keys.iter().any(|key| key.value.is_some())),
            (Capability::KeysExpire, keys.iter().any(|key| key.expires.is_some())),
            (Capability::HeadersRequired, !self.required_headers.is_empty()),
            (Capability::ModelsAllowed, routes().any(|route| !route.models.is_empty())),
            (Capability::ModelsBlocked, routes().any(|route| !route.blocked_models.is_empty())),
            (Capability::LimitsRequests, limits(|limits| limits.requests.is_some())),
            (Capability::LimitsTokens, limits(|limits| limits.tokens.is_some())),
            (Capability::WindowsCalendar, budgets.any(|budget| budget.calendar)),
            (Capability::ProvidersAnthropic, self.providers.iter().any(|provider| provider.api == Api::Anthropic)),
            (Capability::ProvidersGemini, self.providers.iter().any(|provider| provider.api == Api::Gemini)),
            (Capability::RoutingRetries, self.providers.iter().any(|provider| provider.retries.is_some())),
            (Capability::RoutingKeys, self.providers.iter().any(|provider| !provider.keys.is_empty())),
            (Capability::RoutingOrder, routes().count() > keys.len()),
            (Capability::PricingOverrides, !prices.is_empty()),
            (Capability::PricingWildcards, prices.iter().any(|price| price.model.ends_with('*'))),
            (Capability::PricingScopes, prices.iter().any(|price| !price.is_for_all())),
            (Capability::PricingReasoning, prices.iter().any(|price| price.reasoning.is_some())),
        ];
        conditions.into_iter().filter(|(_, needed)| *needed).map(|(capability, _)| capability)
    }

    /// Everybody who can have caps.
    fn levels(&self) -> impl Iterator<Item = Level<'_>> {
        let keys = self.virtual_keys.iter();
        let keys = keys.flat_map(|key| iter::once(Level::of(key)).chain(key.providers.iter().map(Level::of)));
        let everybody = self.customers.iter().map(Level::of).chain(self.teams.iter().map(Level::of));
        everybody.chain(self.providers.iter().map(Level::of)).chain(self.models.iter().map(Level::of_model)).chain(keys)
    }
}

/// Somebody who can have caps, and the capabilities to have them.
struct Level<'a> {
    budgets: &'a [Budget],
    limits: &'a Limits,
    budgets_need: Capability,
    limits_need: Capability,
}

impl<'a> Level<'a> {
    /// A model's cap for one key takes more than one for everybody.
    fn of_model(model: &'a ModelCaps) -> Self {
        let level = Self::of(model);
        if model.virtual_key.is_none() {
            return level;
        }
        let (budgets_need, limits_need) = (Capability::BudgetsVirtualKeyModel, Capability::LimitsVirtualKeyModel);
        Self { budgets_need, limits_need, ..level }
    }

    fn of<T: Capped>(one: &'a T) -> Self {
        Self { budgets: one.budgets(), limits: one.limits(), budgets_need: T::BUDGETS, limits_need: T::LIMITS }
    }
}
