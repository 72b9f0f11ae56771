//! The credentials of a case: each follows from the seed, the case and what it is for.

use indexmap::IndexMap;
use mock_upstream::{Fault, Script};
use uuid::Uuid;

use super::{complete::complete_key, secrets::Secrets, start::Start};
use crate::{
    gateway::render::AdminCredentials,
    policy::{Policy, Provider},
    runtime::Login,
};

/// The keys of each provider, made for this run.
pub(super) fn upstream_keys(start: Start<'_>, policy: &Policy) -> IndexMap<String, String> {
    let key = |name: String| {
        let key = format!("up-{}", made(start, &format!("upstream key {name}")));
        (name, key)
    };
    policy.providers.iter().flat_map(Provider::key_names).map(key).collect()
}

/// What stands in an error's message of a script for the key of the provider.
const ITS_KEY: &str = "<key>";

/// The script with the values of the keys that its faults name, and of the one that its errors tell.
#[must_use]
pub(super) fn with_keys(mut script: Script, upstream_keys: &IndexMap<String, String>) -> Script {
    for (provider, behaviour) in &mut script.providers {
        for rule in &mut behaviour.faults {
            let named = rule.key.as_ref().and_then(|key| upstream_keys.get(&format!("{provider}/{key}")));
            rule.key = named.or(rule.key.as_ref()).cloned();
            if let Some(Fault::Status { message: Some(message), .. }) = &mut rule.fault {
                let own = upstream_keys.get(provider).map_or("", String::as_str);
                *message = message.replace(ITS_KEY, own);
            }
        }
    }
    script
}

/// Whether an error of a script tells the key of the provider: one of ours, which a gateway must have been
/// given to know it.
#[must_use]
pub fn tells_its_key(script: &Script) -> bool {
    let mut rules = script.providers.values().flat_map(|provider| &provider.faults);
    rules.any(
        |rule| matches!(&rule.fault, Some(Fault::Status { message: Some(message), .. }) if message.contains(ITS_KEY)),
    )
}

/// A value that follows from the seed, the case and what it is for.
fn made(start: Start<'_>, what: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{} {} {what}", start.seed, start.name).as_bytes())
}

/// The login of a management API that is made for this run.
pub(super) fn credentials(start: Start<'_>) -> AdminCredentials {
    // Upper case, lower case, a digit and a sign: some gateways refuse a simpler one.
    let password = format!("Pb1!{}", made(start, "admin password").simple());
    given(&Login { username: "probity".to_owned(), password })
}

/// A login that was given.
pub(super) fn given(login: &Login) -> AdminCredentials {
    use base64::Engine as _;
    let Login { username, password } = login.clone();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    AdminCredentials { username, password, basic }
}

/// The policy with every key's value, and the providers that each key may use in order.
pub(super) fn with_values(start: Start<'_>, policy: &Policy, secrets: &mut Secrets) -> Policy {
    let mut policy = policy.clone();
    let everywhere: Vec<_> = policy.providers.iter().map(|provider| provider.name.clone()).collect();
    for key in &mut policy.virtual_keys {
        let prefix = &start.gateway.manifest.keys.prefix;
        complete_key(key, &everywhere, |name| format!("{prefix}{}", made(start, &format!("virtual key {name}"))));
        secrets.plant(key.value.as_deref().unwrap_or_default(), &format!("virtual key {}", key.name));
    }
    policy
}
