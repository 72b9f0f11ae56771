//! Where a request goes: the providers to try, in order. Pure functions of the
//! request, the virtual key, the providers and one random number.

use std::sync::Arc;

use crate::config::{Provider, Providers, Weight};
use crate::dice::choose;
use crate::pin::Pin;
use crate::policy::VirtualKey;

/// A provider and the model to ask it for.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) provider: Arc<Provider>,
    /// As limits, lists and prices know it.
    pub(crate) model: String,
    /// The provider key that the caller pins.
    pub(crate) pin: Pin,
}

/// Why a model leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    /// The virtual key may not use this provider.
    #[error("Provider '{0}' is not allowed for this virtual key")]
    ProviderBlocked(String),
    /// The virtual key may not use any provider.
    #[error("No provider is allowed for this virtual key")]
    NoProvider,
    /// The virtual key may not use this model.
    #[error("Model '{0}' is not allowed for this virtual key")]
    ModelBlocked(String),
    /// No provider's key may be used for it.
    #[error("no keys found for provider: {provider} and model: {model}")]
    NoKey { provider: String, model: String },
    /// The key that the caller pins is not there, or not for this request.
    #[error("the provider key '{pin}' is not available for model '{model}'")]
    Pinned { pin: String, model: String },
    /// A fallback says no provider.
    #[error("fallbacks: '{0}' begins with no provider of this gateway; write it as 'provider/model'")]
    Fallback(String),
    /// Nothing says which provider has the model.
    #[error("could not auto resolve a provider for the request, please specify a provider explicitly")]
    Unresolved,
}

/// The first provider to try or why there is none, and the fallbacks.
pub(crate) struct Plan {
    pub(crate) first: Result<Candidate, RouteError>,
    pub(crate) fallbacks: Vec<Candidate>,
}

/// Plans a request for `model` (`name`, or `provider/name`).
pub(crate) fn plan(
    model: &str,
    fallbacks: &[String],
    key: Option<&VirtualKey>,
    pin: &Pin,
    providers: &Providers,
    dice: u64,
) -> Plan {
    let named: Result<Vec<_>, RouteError> =
        fallbacks.iter().map(|text| split(text, providers).ok_or_else(|| RouteError::Fallback(text.clone()))).collect();
    let named = match named {
        Ok(named) => named,
        Err(error) => return Plan { first: Err(error), fallbacks: Vec::new() },
    };
    let mut plan = match split(model, providers) {
        Some((provider, model)) => Plan { first: explicit(provider, model, key, pin), fallbacks: Vec::new() },
        None => match key {
            Some(key) => weighted(model, key, pin, providers, dice),
            None => Plan { first: anyone(model, pin, providers), fallbacks: Vec::new() },
        },
    };
    if matches!(plan.first, Err(RouteError::Pinned { .. })) {
        // Another provider would serve with a key that was not asked for.
        return Plan { fallbacks: Vec::new(), ..plan };
    }
    // The caller's own list replaces the key's, unless the key allows nothing of it; what else
    // it does not allow is dropped.
    let own = |(provider, model)| explicit(provider, model, key, &Pin::default()).ok();
    let allowed: Vec<Candidate> = named.into_iter().filter_map(own).collect();
    if !allowed.is_empty() {
        plan.fallbacks = allowed;
    }
    let mut seen: Vec<(Arc<str>, String)> = Vec::new();
    if let Ok(first) = &plan.first {
        seen.push((Arc::clone(&first.provider.name), first.model.clone()));
    }
    plan.fallbacks.retain(|candidate| {
        let target = (Arc::clone(&candidate.provider.name), candidate.model.clone());
        let new = !seen.contains(&target);
        seen.push(target);
        new
    });
    plan
}

/// `provider/model`, if the part before the first slash is a provider.
fn split<'a>(text: &'a str, providers: &'a Providers) -> Option<(&'a Arc<Provider>, &'a str)> {
    let (provider, model) = text.split_once('/')?;
    Some((providers.get(provider)?, model))
}

/// What the key allows, for a provider that is named.
pub(crate) fn explicit(
    provider: &Arc<Provider>,
    model: &str,
    key: Option<&VirtualKey>,
    pin: &Pin,
) -> Result<Candidate, RouteError> {
    let model = provider.api.model(model);
    if let Some(key) = key {
        let grant = key.grant(&provider.name);
        let grant = grant.ok_or_else(|| RouteError::ProviderBlocked(provider.name.to_string()))?;
        if !grant.grant.allows(provider, model) {
            return Err(RouteError::ModelBlocked(model.to_owned()));
        }
    }
    if !has_key(provider, model, key, pin) {
        if !pin.is_empty() {
            return Err(pinned(pin, model));
        }
        return Err(RouteError::NoKey { provider: provider.name.to_string(), model: model.to_owned() });
    }
    Ok(candidate(provider, model, pin))
}

fn candidate(provider: &Arc<Provider>, model: &str, pin: &Pin) -> Candidate {
    let model = provider.api.model(model).to_owned();
    Candidate { provider: Arc::clone(provider), model, pin: pin.clone() }
}

fn pinned(pin: &Pin, model: &str) -> RouteError {
    RouteError::Pinned { pin: pin.shown(), model: model.to_owned() }
}

/// Whether a key of the provider may be used for the model, by this virtual key, and is pinned
/// if one is.
fn has_key(provider: &Provider, model: &str, key: Option<&VirtualKey>, pin: &Pin) -> bool {
    let allowed = key.and_then(|key| key.grant(&provider.name)).map(|policy| &policy.grant.key_ids);
    let model = provider.api.model(model);
    provider.is_keyless && pin.is_empty() || provider.keys_for(model, allowed).any(|own| pin.admits(own))
}

/// Without a virtual key: the first provider of the file that has the model.
fn anyone(model: &str, pin: &Pin, providers: &Providers) -> Result<Candidate, RouteError> {
    providers
        .values()
        .find(|provider| has_key(provider, model, None, pin))
        .map(|provider| candidate(provider, model, pin))
        .ok_or_else(|| if pin.is_empty() { RouteError::Unresolved } else { pinned(pin, model) })
}

/// One grant by weight, then the rest by descending weight, then by the file's order.
fn weighted(model: &str, key: &VirtualKey, pin: &Pin, providers: &Providers, dice: u64) -> Plan {
    if key.grants.is_empty() {
        return Plan { first: Err(RouteError::NoProvider), fallbacks: Vec::new() };
    }
    let allowed: Vec<_> = key
        .grants
        .iter()
        .map(|policy| &policy.grant)
        .filter_map(|grant| Some((providers.get(&grant.provider)?, grant)))
        .filter(|(provider, grant)| grant.allows(provider, provider.api.model(model)))
        .collect();
    if allowed.is_empty() {
        let first = Err(RouteError::ModelBlocked(model.to_owned()));
        return Plan { first, fallbacks: Vec::new() };
    }
    let mut usable: Vec<(Weight, &Arc<Provider>)> = allowed
        .iter()
        .filter(|(provider, _)| has_key(provider, model, Some(key), &Pin::default()))
        .filter_map(|(provider, grant)| Some((grant.weight?, *provider)))
        .collect();
    if usable.is_empty() {
        return Plan { first: Err(RouteError::Unresolved), fallbacks: Vec::new() };
    }
    // A stable sort: equal weights stay in the file's order.
    usable.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    // A pin says which provider is first, and nothing of those after it.
    let (places, weights): (Vec<usize>, Vec<Weight>) = usable
        .iter()
        .enumerate()
        .filter(|(_, (_, provider))| has_key(provider, model, Some(key), pin))
        .map(|(place, (weight, _))| (place, *weight))
        .unzip();
    let Some(place) = places.get(choose(&weights, dice)) else {
        return Plan { first: Err(pinned(pin, model)), fallbacks: Vec::new() };
    };
    let (_, first) = usable.remove(*place);
    let fallbacks = usable.into_iter().map(|(_, provider)| candidate(provider, model, &Pin::default())).collect();
    Plan { first: Ok(candidate(first, model, pin)), fallbacks }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
