//! Providers in their checked form.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;

use super::types::{AllowList, Weight};
use crate::dialect::Dialect;
use crate::maps::Ordered;

/// What stands where a provider's key stood.
const HIDDEN_KEY: &str = "[provider key]";
/// A header's value that is shorter is a word, not a credential.
const SHORTEST_CREDENTIAL: usize = 8;

/// The providers in the file's order.
pub(crate) type Providers = Ordered<Arc<str>, Arc<Provider>>;

/// Whose protocol a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiBase {
    OpenAi,
    Anthropic,
    Gemini,
}

impl ApiBase {
    /// The one name that limits, lists and prices know a model by: Gemini's own lists write the
    /// collection before it, which is no way around them.
    pub(crate) fn model(self, mut name: &str) -> &str {
        if self == ApiBase::Gemini {
            while let Some((_, rest)) = name.split_once('/').filter(|(first, _)| first.eq_ignore_ascii_case("models")) {
                name = rest;
            }
        }
        name
    }
}

/// What stands between a provider's base URL and a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// The protocol's version: `/v1`, or Gemini's `/v1beta`.
    Versioned,
    /// Azure: the deployment, and the version as a query.
    Azure,
}

/// A provider.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) name: Arc<str>,
    pub(crate) api: ApiBase,
    pub(crate) paths: Paths,
    /// Of OpenAI's protocol, where it speaks that.
    pub(crate) dialect: Dialect,
    /// Without a trailing slash. A key can have one of its own.
    pub(crate) base_url: String,
    pub(crate) keys: Vec<ProviderKey>,
    /// Whether it may be at a private address.
    pub(crate) allow_private: bool,
    pub(crate) is_keyless: bool,
    /// What it may be asked for, in Bifrost's words; `None`: everything.
    pub(crate) allowed_requests: Option<Vec<String>>,
    /// Sent with each request.
    pub(crate) extra_headers: HeaderMap,
    /// Until the whole answer, or a stream's first byte.
    pub(crate) request_timeout: Duration,
    /// Between two pieces of a stream.
    pub(crate) stream_idle_timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) backoff_initial: Duration,
    pub(crate) backoff_max: Duration,
}

impl Provider {
    /// `text` without the value of any key: a provider may repeat it in an error. The
    /// headers of the configuration may be credentials too.
    pub(crate) fn hide_keys(&self, text: &str) -> String {
        let headers = self.extra_headers.values().filter_map(|value| value.to_str().ok());
        let keys = self.keys.iter().map(|key| key.value.as_str()).filter(|value| !value.is_empty());
        let mut values: Vec<&str> = headers.filter(|value| value.len() >= SHORTEST_CREDENTIAL).chain(keys).collect();
        // One may begin with another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.into_iter().fold(text.to_owned(), |text, value| {
            let quoted = serde_json::Value::from(value).to_string();
            let escaped = quoted.get(1..quoted.len() - 1).unwrap_or(value);
            text.replace(value, HIDDEN_KEY).replace(escaped, HIDDEN_KEY)
        })
    }

    /// The keys that may be used for `model` by who may use these of them, or any.
    pub(crate) fn keys_for<'a>(
        &'a self,
        model: &'a str,
        ids: Option<&AllowList>,
    ) -> impl Iterator<Item = &'a ProviderKey> {
        let is_allowed = move |key: &&ProviderKey| ids.is_none_or(|ids| ids.allows(&key.id) || ids.allows(&key.name));
        self.keys.iter().filter(move |key| key.allows(model)).filter(is_allowed)
    }

    /// What it calls `model`, if that is the same for each of these keys.
    pub(crate) fn wire_model<'a>(&'a self, model: &'a str, ids: Option<&'a AllowList>) -> &'a str {
        let mut names = self.keys_for(model, ids).map(|key| key.wire_model(model));
        let first = names.next().unwrap_or(model);
        if names.all(|name| name == first) { first } else { model }
    }

    /// Whether some key of it may be used for `model`.
    pub(crate) fn serves(&self, model: &str) -> bool {
        self.is_keyless || self.keys.iter().any(|key| key.allows(model))
    }

    /// Whether it may be asked for such a thing, like `chat_completion`.
    pub(crate) fn may_be_asked(&self, request: &str, is_stream: bool) -> bool {
        let is_it = |name: &String| match is_stream {
            true => name.strip_suffix("_stream") == Some(request),
            false => name == request,
        };
        self.allowed_requests.as_ref().is_none_or(|allowed| allowed.iter().any(is_it))
    }
}

/// A credential for a provider.
#[derive(Clone)]
pub(crate) struct ProviderKey {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Empty for a server that asks for none.
    pub(crate) value: String,
    pub(crate) weight: Weight,
    pub(crate) models: AllowList,
    pub(crate) blacklisted_models: Vec<String>,
    /// Where this key is good, if not at the provider's own URL.
    pub(crate) base_url: Option<String>,
    /// Azure's `api-version`.
    pub(crate) api_version: Option<String>,
    /// The provider's name for a model, by the caller's name with its ASCII letters in lower case.
    pub(crate) aliases: HashMap<String, String>,
}

impl ProviderKey {
    /// Whether it may be used for `model`. A blocked name wins, in whatever case it is written.
    pub(crate) fn allows(&self, model: &str) -> bool {
        self.models.allows(model) && !self.blacklisted_models.iter().any(|name| name.eq_ignore_ascii_case(model))
    }

    /// What the provider calls `model` where this key is used.
    pub(crate) fn wire_model<'a>(&'a self, model: &'a str) -> &'a str {
        if self.aliases.is_empty() {
            return model;
        }
        self.aliases.get(&model.to_ascii_lowercase()).map_or(model, String::as_str)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key with this value, good for everything.
    pub(crate) fn key(value: &str) -> ProviderKey {
        ProviderKey {
            id: value.to_owned(),
            name: value.to_owned(),
            value: value.to_owned(),
            weight: Weight::ONE,
            models: AllowList::All,
            blacklisted_models: Vec::new(),
            base_url: None,
            api_version: None,
            aliases: HashMap::new(),
        }
    }

    /// A provider with these keys.
    pub(crate) fn provider(name: &str, keys: Vec<ProviderKey>) -> Provider {
        Provider {
            name: name.into(),
            api: ApiBase::OpenAi,
            paths: Paths::Versioned,
            dialect: Dialect::COMPATIBLE,
            base_url: "http://127.0.0.1:1/primary".to_owned(),
            keys,
            allow_private: false,
            is_keyless: false,
            allowed_requests: None,
            extra_headers: HeaderMap::new(),
            request_timeout: Duration::ZERO,
            stream_idle_timeout: Duration::ZERO,
            max_retries: 0,
            backoff_initial: Duration::ZERO,
            backoff_max: Duration::ZERO,
        }
    }

    #[test]
    fn no_key_of_a_provider_is_left_in_a_text() {
        let provider = provider("primary", vec![key("sk-a"), key("sk-a-longer"), key("with\"quote"), key("")]);
        let told = r#"sk-a, sk-a-longer, with"quote and "with\"quote""#;
        let hidden = r#"[provider key], [provider key], [provider key] and "[provider key]""#;
        assert_eq!(provider.hide_keys(told), hidden);
    }

    #[test]
    fn a_header_that_may_be_a_credential_is_not_left_in_a_text() {
        let mut provider = provider("primary", Vec::new());
        provider.extra_headers.insert("x-team", "evals".parse().unwrap_or_else(|_| unreachable!()));
        provider.extra_headers.insert("x-token", "0123456789".parse().unwrap_or_else(|_| unreachable!()));
        assert_eq!(provider.hide_keys("evals 0123456789"), "evals [provider key]");
    }

    #[test]
    fn gemini_alone_has_models_in_a_collection() {
        for name in ["gem-1", "models/gem-1", "Models/models/gem-1"] {
            assert_eq!(ApiBase::Gemini.model(name), "gem-1", "{name}");
            assert_eq!(ApiBase::OpenAi.model(name), name);
        }
        assert_eq!(ApiBase::Gemini.model("tuned/models/gem-1"), "tuned/models/gem-1");
    }

    #[test]
    fn an_alias_is_found_in_whatever_case_it_is_written() {
        let mut key = key("k");
        key.aliases.insert("fast".to_owned(), "gpt-4o-deployment".to_owned());
        assert_eq!(key.wire_model("Fast"), "gpt-4o-deployment");
        assert_eq!(key.wire_model("slow"), "slow");
        key.aliases.insert("kimi".to_owned(), "kimi-deployment".to_owned());
        // The Kelvin sign, whose lower case is a `k`.
        assert_eq!(key.wire_model("\u{212a}imi"), "\u{212a}imi");
        let both = provider("p", vec![key.clone(), self::key("plain")]);
        assert_eq!(both.wire_model("fast", None), "fast", "its keys differ");
        assert_eq!(provider("p", vec![key]).wire_model("fast", None), "gpt-4o-deployment");
    }
}
