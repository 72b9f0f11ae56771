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

/// The script with the models of the one before it that it does not name.
#[must_use]
pub fn with_models_of(script: &Script, before: Script) -> Script {
    let mut script = script.clone();
    for (name, model) in before.models {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_change_of_the_upstream_counts_for_the_models_that_it_names_and_leaves_the_others() {
        let script = |text: &str| serde_json::from_str::<Script>(text).unwrap();
        let before = script(r#"{"models": {"mock-1": {"usage": {"output": 1}}, "mock-2": {"usage": {"output": 2}}}}"#);
        let change = script(r#"{"models": {"mock-1": {"usage": {"output": 3000}}}}"#);
        let merged = completed_script(&with_models_of(&change, before), &Policy::default());
        let output = |name: &str| merged.models[name].usage.output;
        assert_eq!((output("mock-1"), output("mock-2")), (3000, 2));
    }
}
