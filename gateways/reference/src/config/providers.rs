//! Providers of the file, checked.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::file::{BackoffFile, ProviderFile, ProviderKeyFile};
use super::load::Invalid;
use super::settings::{ApiBase, Provider, ProviderKey, Providers};
use super::types::{AllowList, Weight};

const REQUEST_TIMEOUT_SECONDS: u64 = 300;
const STREAM_IDLE_TIMEOUT_SECONDS: u64 = 120;
const BACKOFF_INITIAL: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Checks all providers. In a file of version 1, empty lists allow all.
pub(super) fn check(files: indexmap::IndexMap<String, ProviderFile>, lists_v1: bool) -> Result<Providers, Invalid> {
    let mut providers = Providers::new();
    for (name, file) in files {
        let provider = provider(&name, file, lists_v1)?;
        providers.insert(Arc::clone(&provider.name), Arc::new(provider));
    }
    Ok(providers)
}

fn provider(name: &str, file: ProviderFile, lists_v1: bool) -> Result<Provider, Invalid> {
    let at = |field: &str| format!("providers.{name}{field}");
    if name.is_empty() || name.contains('/') {
        return Err(Invalid::new(at(""), "a provider's name cannot be empty or contain a slash"));
    }
    let is_keyless = file.custom_provider_config.as_ref().is_some_and(|custom| custom.is_key_less);
    let (api, default_url) = base(name, &file)?;
    let base_url = match (file.network_config.base_url.as_deref(), default_url) {
        (Some(url), _) => url,
        (None, Some(url)) => url,
        (None, None) => {
            return Err(Invalid::new(at(".network_config.base_url"), "a custom provider needs one"));
        }
    };
    check_url(base_url, file.network_config.allow_private_network)
        .map_err(|problem| Invalid::new(at(".network_config.base_url"), problem))?;
    if file.keys.is_empty() && !is_keyless {
        return Err(Invalid::new(
            at(".keys"),
            "the provider has no key; a provider that needs none says `is_key_less: true`",
        ));
    }
    let base_url = base_url.trim_end_matches('/').to_owned();
    let keys = keys(name, file.keys, lists_v1)?;
    let network = file.network_config;
    let seconds = |value: Option<u64>, default| Duration::from_secs(value.unwrap_or(default));
    let timeouts = [network.default_request_timeout_in_seconds, network.stream_idle_timeout_in_seconds];
    if timeouts.contains(&Some(0)) {
        return Err(Invalid::new(at(".network_config"), "a timeout must be at least one second"));
    }
    Ok(Provider {
        name: name.into(),
        api,
        base_url,
        keys,
        is_keyless,
        request_timeout: seconds(network.default_request_timeout_in_seconds, REQUEST_TIMEOUT_SECONDS),
        stream_idle_timeout: seconds(network.stream_idle_timeout_in_seconds, STREAM_IDLE_TIMEOUT_SECONDS),
        max_retries: network.max_retries.unwrap_or(0),
        backoff_initial: backoff(&network.retry_backoff_initial, BACKOFF_INITIAL),
        backoff_max: backoff(&network.retry_backoff_max, BACKOFF_MAX),
    })
}

/// Whose protocol the provider speaks, and where it is if the file does not say.
fn base(name: &str, file: &ProviderFile) -> Result<(ApiBase, Option<&'static str>), Invalid> {
    let standard = match name {
        "openai" => Some((ApiBase::OpenAi, Some("https://api.openai.com"))),
        "anthropic" => Some((ApiBase::Anthropic, Some("https://api.anthropic.com"))),
        _ => None,
    };
    match (&file.custom_provider_config, standard) {
        (None, Some(standard)) => Ok(standard),
        (Some(_), Some(_)) => Err(Invalid::new(
            format!("providers.{name}.custom_provider_config"),
            "a custom provider cannot have the name of a standard one",
        )),
        (Some(custom), None) => match custom.base_provider_type.as_str() {
            "openai" => Ok((ApiBase::OpenAi, None)),
            "anthropic" => Ok((ApiBase::Anthropic, None)),
            other => Err(Invalid::new(
                format!("providers.{name}.custom_provider_config.base_provider_type"),
                format!("`{other}` is not supported by the reference gateway; `openai` and `anthropic` are"),
            )),
        },
        (None, None) => Err(Invalid::new(
            format!("providers.{name}"),
            "is not supported by the reference gateway as a standard provider; give it a `custom_provider_config`",
        )),
    }
}

fn keys(provider: &str, files: Vec<ProviderKeyFile>, lists_v1: bool) -> Result<Vec<ProviderKey>, Invalid> {
    let mut keys: Vec<ProviderKey> = Vec::new();
    for (index, file) in files.into_iter().enumerate() {
        let at = format!("providers.{provider}.keys[{index}]");
        if file.value.is_empty() {
            return Err(Invalid::new(format!("{at}.value"), "a provider's key cannot be empty"));
        }
        if reqwest::header::HeaderValue::from_str(&file.value).is_err() {
            return Err(Invalid::new(format!("{at}.value"), "the key cannot stand in a header"));
        }
        if keys.iter().any(|key| key.name == file.name) {
            return Err(Invalid::new(format!("{at}.name"), format!("`{}` stands there twice", file.name)));
        }
        if file.enabled == Some(false) {
            continue;
        }
        let models = file.models.unwrap_or(AllowList::All);
        keys.push(ProviderKey {
            id: file.id.map_or_else(|| file.name.clone(), |id| id.0),
            name: file.name,
            value: file.value,
            weight: file.weight.unwrap_or(Weight::ONE),
            models: if lists_v1 { models.empty_means_all() } else { models },
            blacklisted_models: file.blacklisted_models,
        });
    }
    Ok(keys)
}

fn backoff(file: &Option<BackoffFile>, default: Duration) -> Duration {
    match file {
        None => default,
        Some(BackoffFile::Millis(millis)) => Duration::from_millis(*millis),
        Some(BackoffFile::Text(text)) => Duration::from_millis(text.millis().unsigned_abs()),
    }
}

/// Loopback may always be called, private ranges if the file allows it, and
/// link-local addresses, where clouds keep credentials, never.
fn check_url(text: &str, allow_private: bool) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("`{text}` is no http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL cannot carry credentials".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(v4)) if v4.is_link_local() => Err(format!("{host} is link-local and never called")),
        Some(IpAddr::V6(v6)) if v6.is_unicast_link_local() => Err(format!("{host} is link-local and never called")),
        Some(IpAddr::V4(v4)) if v4.is_private() && !allow_private => {
            Err(format!("{host} is a private address; `allow_private_network: true` allows it"))
        }
        Some(IpAddr::V6(v6)) if v6.is_unique_local() && !allow_private => {
            Err(format!("{host} is a private address; `allow_private_network: true` allows it"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_allowed_private_only_if_said_and_link_local_never() {
        assert!(check_url("http://127.0.0.1:9000/primary", false).is_ok());
        assert!(check_url("https://api.example.com", false).is_ok());
        assert!(check_url("http://10.0.0.1", false).is_err());
        assert!(check_url("http://10.0.0.1", true).is_ok());
        assert!(check_url("http://169.254.169.254/latest", true).is_err());
        assert!(check_url("http://[::ffff:169.254.169.254]/", true).is_err());
        assert!(check_url("ftp://example.com", false).is_err());
        assert!(check_url("http://user:secret@example.com", false).is_err());
    }
}
