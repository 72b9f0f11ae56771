//! What goes without saying in a scenario: the usual model, and the providers that a key may use.

use mock_upstream::Script;

use crate::policy::{Policy, Route, VirtualKey};

/// The script with what goes without saying: the usual model, and every provider of the policy.
#[must_use]
pub fn completed_script(script: &Script, policy: &Policy) -> Script {
    let mut script = script.clone();
    for provider in &policy.providers {
        script.providers.entry(provider.name.clone()).or_default();
    }
    for (name, model) in Script::usual().models {
        script.models.entry(name).or_insert(model);
    }
    script
}

/// The policy with the providers that each key may use in order; the gateway makes the keys' values.
pub(super) fn with_routes(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    let everywhere: Vec<_> = policy.providers.iter().map(|provider| provider.name.clone()).collect();
    policy.virtual_keys.iter_mut().for_each(|key| complete_routes(key, &everywhere));
    policy
}

/// Fills in what a scenario leaves open of a key: its value, and its providers in order.
pub fn complete_key(key: &mut VirtualKey, everywhere: &[String], value: impl FnOnce(&str) -> String) {
    key.value.get_or_insert_with(|| value(&key.name));
    complete_routes(key, everywhere);
}

/// Fills in the providers of a key in order: every one of the policy if the scenario leaves them open.
pub fn complete_routes(key: &mut VirtualKey, everywhere: &[String]) {
    if key.providers.is_empty() {
        key.providers = everywhere.iter().map(|name| Route::to(name)).collect();
    }
    for (index, route) in key.providers.iter_mut().enumerate() {
        route.weight.get_or_insert(if index == 0 { 100 } else { 0 });
    }
}
