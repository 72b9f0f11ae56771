//! Providers of the file, checked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::env;
use super::file::{BackoffFile, CustomFile, ProviderFile, ProviderKeyFile};
use super::load::{Invalid, read_part};
use super::position::path_of_byte;
use super::provider::{ApiBase, Paths, Provider, ProviderKey, Providers};
use super::standard::{self, REQUESTS, Standard, dialect_at, is_unspoken, standard};
use super::timeout;
use super::types::{AllowList, Weight};
use crate::network;

const REQUEST_TIMEOUT_SECONDS: u64 = 300;
const STREAM_IDLE_TIMEOUT_SECONDS: u64 = 120;
const BACKOFF_INITIAL: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Checks all providers. `empty_means_all` is whether a key with an empty list of models
/// serves all, as up to 1.4.
pub(super) fn check(
    files: indexmap::IndexMap<String, ProviderFile>,
    empty_means_all: bool,
) -> Result<Providers, Invalid> {
    let mut providers = Providers::default();
    for (name, file) in files {
        let provider = provider(&name, file, empty_means_all)?;
        if provider.keys.is_empty() && !provider.is_keyless {
            let problem = "the provider has no key; a provider that needs none says `is_key_less: true`";
            return Err(Invalid::new(format!("providers.{name}.keys"), problem));
        }
        providers.insert(Arc::clone(&provider.name), Arc::new(provider));
    }
    Ok(providers)
}

/// Checks a provider as an administrator wrote it, with `lookup` for variables. It may have no
/// key yet.
pub(crate) fn check_written(
    name: &str,
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Provider, Invalid> {
    let place = format!("providers.{name}");
    let resolved = env::resolve(text.to_owned(), lookup).map_err(|error| {
        let within = path_of_byte(text, error.at).map_or_else(String::new, |path| format!(".{path}"));
        Invalid::new(format!("{place}{within}"), error.to_string())
    })?;
    let checked = read_part(&place, &resolved.text).and_then(|file| provider(name, file, false));
    checked.map_err(|Invalid { at, problem }| Invalid::new(at, resolved.hide_values(&problem)))
}

fn provider(name: &str, file: ProviderFile, empty_means_all: bool) -> Result<Provider, Invalid> {
    let at = |field: &str| format!("providers.{name}{field}");
    if name.is_empty() || name.contains('/') {
        return Err(Invalid::new(at(""), "a provider's name cannot be empty or contain a slash"));
    }
    let standard = base(name, &file)?;
    let network = file.network_config;
    let allow_private = network.allow_private_network;
    let keys = keys(name, file.keys, standard, allow_private, empty_means_all)?;
    let is_keyless = match &file.custom_provider_config {
        Some(custom) => custom.is_key_less,
        None => standard.is_local && keys.is_empty(),
    };
    let base_url = match (network.base_url.as_deref(), standard.url) {
        (Some(url), _) => Ok(url),
        (None, Some(url)) if file.custom_provider_config.is_none() => Ok(url),
        _ => url_of_keys(file.custom_provider_config.is_some(), &keys, is_keyless),
    };
    let base_url = base_url.map_err(str::to_owned).and_then(|url| match url {
        "" => Ok(String::new()),
        url => checked_url(url, allow_private),
    });
    let base_url = base_url.map_err(|problem| Invalid::new(at(".network_config.base_url"), problem))?;
    let seconds = |field: &str, value: Option<u64>, default| {
        timeout::seconds(at(&format!(".network_config.{field}")), value.unwrap_or(default))
    };
    let pause = |field: &str, file: Option<BackoffFile>, default| {
        timeout::at_most_a_day(at(&format!(".network_config.{field}")), backoff(file, default))
    };
    Ok(Provider {
        name: name.into(),
        api: standard.api,
        paths: standard.paths,
        dialect: host(&base_url).and_then(|host| dialect_at(&host)).unwrap_or(standard.dialect),
        base_url: trimmed(&base_url, standard.api),
        keys,
        allow_private,
        is_keyless,
        allowed_requests: allowed_requests(name, file.custom_provider_config)?,
        extra_headers: extra_headers(name, network.extra_headers)?,
        request_timeout: seconds(
            "default_request_timeout_in_seconds",
            network.default_request_timeout_in_seconds,
            REQUEST_TIMEOUT_SECONDS,
        )?,
        stream_idle_timeout: seconds(
            "stream_idle_timeout_in_seconds",
            network.stream_idle_timeout_in_seconds,
            STREAM_IDLE_TIMEOUT_SECONDS,
        )?,
        max_retries: network.max_retries.unwrap_or(0),
        backoff_initial: pause("retry_backoff_initial", network.retry_backoff_initial, BACKOFF_INITIAL)?,
        backoff_max: pause("retry_backoff_max", network.retry_backoff_max, BACKOFF_MAX)?,
    })
}

/// The base URL of a provider for whom neither the file nor its name says one: empty where its keys do.
fn url_of_keys(is_custom: bool, keys: &[ProviderKey], is_keyless: bool) -> Result<&'static str, &'static str> {
    match keys {
        // Each key says where it is good.
        [_, ..] if keys.iter().all(|key| key.base_url.is_some()) => Ok(""),
        _ if is_custom => Err("a custom provider needs one"),
        // It cannot be called before it has a key, which will say where.
        [] if !is_keyless => Ok(""),
        _ => Err("is missing: there is no usual one"),
    }
}

/// What kind of provider it is: by its own name, or by that of a custom one's base.
fn base(name: &str, file: &ProviderFile) -> Result<Standard, Invalid> {
    let unspoken = |at: String, kind: &str| {
        let problem = match is_unspoken(kind) {
            true => format!("the reference gateway does not speak the protocol of `{kind}`"),
            false => format!("`{kind}` is no standard provider; give it a `custom_provider_config`"),
        };
        Invalid::new(at, problem)
    };
    match (&file.custom_provider_config, standard(name)) {
        (Some(_), Some(_)) => Err(Invalid::new(
            format!("providers.{name}.custom_provider_config"),
            "a custom provider cannot have the name of a standard one",
        )),
        (Some(_), None) if is_unspoken(name) => Err(unspoken(format!("providers.{name}"), name)),
        (None, Some(standard)) => Ok(standard),
        (None, None) => Err(unspoken(format!("providers.{name}"), name)),
        (Some(custom), None) => {
            let kind = custom.base_provider_type.as_str();
            let at = format!("providers.{name}.custom_provider_config.base_provider_type");
            standard::base(kind).ok_or_else(|| match is_unspoken(kind) {
                true => unspoken(at, kind),
                false => Invalid::new(at, format!("`{kind}` is no standard provider")),
            })
        }
    }
}

fn host(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.host_str()?.to_owned())
}

/// Without what the gateway adds itself: Bifrost's URL of Gemini ends with its version.
fn trimmed(url: &str, api: ApiBase) -> String {
    let url = url.trim_end_matches('/');
    let url = if api == ApiBase::Gemini { url.trim_end_matches("/v1beta") } else { url };
    url.to_owned()
}

fn allowed_requests(name: &str, custom: Option<CustomFile>) -> Result<Option<Vec<String>>, Invalid> {
    let Some(allowed) = custom.and_then(|custom| custom.allowed_requests) else {
        return Ok(None);
    };
    let at = format!("providers.{name}.custom_provider_config.allowed_requests");
    if let Some(unknown) = allowed.keys().find(|request| !REQUESTS.contains(&request.as_str())) {
        return Err(Invalid::new(at, format!("`{unknown}` is no kind of request")));
    }
    Ok(Some(allowed.into_iter().filter(|(_, is_allowed)| *is_allowed).map(|(request, _)| request).collect()))
}

/// Headers that the gateway sets itself, or that are the provider's credential.
const OWN_HEADERS: [&str; 9] = [
    "api-key",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "x-api-key",
    "x-goog-api-key",
];

fn extra_headers(provider: &str, extra: indexmap::IndexMap<String, String>) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    for (name, value) in extra {
        let at = format!("providers.{provider}.network_config.extra_headers.{name}");
        let name: HeaderName = name.parse().map_err(|_| Invalid::new(at.as_str(), "is no name of a header"))?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(Invalid::new(at, "is a header that the gateway sets itself"));
        }
        let mut value =
            HeaderValue::from_str(&value).map_err(|_| Invalid::new(at, "has a value that cannot stand in a header"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn keys(
    provider: &str,
    files: Vec<ProviderKeyFile>,
    standard: Standard,
    allow_private: bool,
    empty_means_all: bool,
) -> Result<Vec<ProviderKey>, Invalid> {
    let mut keys: Vec<ProviderKey> = Vec::new();
    // The name of each by its id, and the other way round: also of those that are disabled.
    let (mut names, mut ids): (HashMap<String, String>, HashMap<String, String>) = Default::default();
    for (index, file) in files.into_iter().enumerate() {
        let at = format!("providers.{provider}.keys[{index}]");
        if file.value.is_empty() && !standard.is_local {
            return Err(Invalid::new(format!("{at}.value"), "a provider's key cannot be empty"));
        }
        if HeaderValue::from_str(&file.value).is_err() {
            return Err(Invalid::new(format!("{at}.value"), "the key cannot stand in a header"));
        }
        if ids.contains_key(&file.name) {
            return Err(Invalid::new(format!("{at}.name"), format!("`{}` stands there twice", file.name)));
        }
        let is_enabled = file.enabled != Some(false);
        let key = key(&at, file, standard, allow_private, empty_means_all)?;
        // It is known by its id, which is its name where it has none of its own.
        if names.contains_key(&key.id) {
            return Err(Invalid::new(format!("{at}.id"), format!("`{}` stands there twice", key.id)));
        }
        let both = "a list of keys that says so would mean both";
        if let Some(id) = ids.get(&key.id) {
            let problem = format!(
                "`{}`, the id of the key `{}`, is the name of the key with the id `{id}`: {both}",
                key.id, key.name
            );
            return Err(Invalid::new(format!("{at}.id"), problem));
        }
        if let Some(name) = names.get(&key.name) {
            let problem = format!(
                "`{}`, the name of the key with the id `{}`, is the id of the key `{name}`: {both}",
                key.name, key.id
            );
            return Err(Invalid::new(format!("{at}.name"), problem));
        }
        names.insert(key.id.clone(), key.name.clone());
        ids.insert(key.name.clone(), key.id.clone());
        if is_enabled {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn key(
    at: &str,
    mut file: ProviderKeyFile,
    standard: Standard,
    allow_private: bool,
    empty_means_all: bool,
) -> Result<ProviderKey, Invalid> {
    let mut aliases = std::mem::take(&mut file.aliases);
    let mut place = None;
    let mut api_version = None;
    let mut only_model = None;
    if let Some(azure) = file.azure_key_config {
        if standard.paths != Paths::Azure {
            return Err(Invalid::new(format!("{at}.azure_key_config"), "the provider is not Azure"));
        }
        place = Some(("azure_key_config.endpoint", azure.endpoint));
        api_version = azure.api_version;
        aliases.extend(azure.deployments);
    } else if standard.paths == Paths::Azure {
        return Err(Invalid::new(format!("{at}.azure_key_config"), "is missing: it says where the deployments are"));
    }
    for (field, server) in [
        ("vllm_key_config.url", file.vllm_key_config),
        ("ollama_key_config.url", file.ollama_key_config),
        ("sgl_key_config.url", file.sgl_key_config),
    ] {
        let Some(server) = server else { continue };
        if !standard.is_local {
            return Err(Invalid::new(format!("{at}.{field}"), "the provider is no server of one's own"));
        }
        place = Some((field, server.url));
        only_model = server.model_name;
    }
    let checked = |(field, url): (&str, String)| {
        checked_url(&url, allow_private).map_err(|problem| Invalid::new(format!("{at}.{field}"), problem))
    };
    let place = place.map(checked).transpose()?;
    let models = file.models.unwrap_or(AllowList::All);
    let models = if empty_means_all { models.empty_means_all() } else { models };
    let name = |written: String| standard.api.model(&written).to_owned();
    Ok(ProviderKey {
        id: file.id.map_or_else(|| file.name.clone(), |id| id.0),
        name: file.name,
        value: file.value,
        weight: file.weight.unwrap_or(Weight::ONE),
        models: match only_model {
            Some(only) if models.allows(&only) => AllowList::Only(vec![only]),
            Some(_) => AllowList::NONE,
            None => models.renamed(name),
        },
        blacklisted_models: file.blacklisted_models.into_iter().map(name).collect(),
        base_url: place.map(|url| trimmed(&url, standard.api)),
        api_version,
        aliases: aliases.into_iter().map(|(asked, model)| (name(asked).to_ascii_lowercase(), model)).collect(),
    })
}

fn backoff(file: Option<BackoffFile>, default: Duration) -> Duration {
    match file {
        None => default,
        Some(BackoffFile::Millis(millis)) => Duration::from_millis(millis),
        Some(BackoffFile::Text(text)) => Duration::from_millis(text.millis().unsigned_abs()),
    }
}

/// A URL that may be called, as far as can be said before its name is resolved. It is spelt in
/// the usual way, in which `HTTP://0x7f.1` is `http://127.0.0.1/`. No message repeats it: it may
/// carry credentials.
fn checked_url(text: &str, allow_private: bool) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("is no http or https URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL cannot carry credentials".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let allowed = address.map_or(Ok(()), |address| network::check_address(address, allow_private));
    allowed.map(|()| url.to_string()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn a_custom_provider_is_spoken_to_as_its_host_or_else_its_base_wants() {
        let dialect = |base: &str, url: &str| {
            let network = serde_json::json!({"base_url": url});
            let custom = serde_json::json!({"base_provider_type": base});
            let provider = serde_json::json!({"network_config": network, "custom_provider_config": custom});
            check_written("mine", &provider.to_string(), |_| None).ok().map(|provider| provider.dialect)
        };
        assert_eq!(dialect("openai", "https://eu.api.openai.com"), Some(Dialect::OPENAI));
        assert_eq!(dialect("openai", "https://llm.example.com"), Some(Dialect::COMPATIBLE));
        for url in ["https://api.mistral.ai", "https://llm.example.com"] {
            assert!(dialect("mistral", url).is_some_and(|dialect| !dialect.takes_stream_options), "{url}");
        }
    }

    #[test]
    fn loopback_is_allowed_private_only_if_said_and_link_local_never() {
        assert!(checked_url("http://127.0.0.1:9000/primary", false).is_ok());
        assert!(checked_url("https://api.example.com", false).is_ok());
        assert!(checked_url("http://10.0.0.1", false).is_err());
        assert!(checked_url("http://10.0.0.1", true).is_ok());
        assert!(checked_url("http://169.254.169.254/latest", true).is_err());
        assert!(checked_url("http://[::ffff:169.254.169.254]/", true).is_err());
        assert!(checked_url("ftp://example.com", false).is_err());
        assert!(checked_url("http://user:secret@example.com", false).is_err());
        assert_eq!(checked_url("HTTP://0x7f.1:80", false).as_deref(), Ok("http://127.0.0.1/"));
    }
}
