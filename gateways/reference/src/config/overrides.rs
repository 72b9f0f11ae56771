//! An administrator's own prices: their shape in the file and in the API, and their check.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::load::Invalid;
use super::provider::Providers;
use super::settings::{Override, OverrideMatch, OverrideScope, RequestType};
use super::types::{ConfigId, distinct};
use crate::objects::{read_from_objects, written_as_objects};
use crate::rates::{RateError, Rates};

/// An override as it was written, and what it means.
#[derive(Clone, Debug)]
pub(crate) struct NamedOverride {
    pub(crate) id: String,
    pub(crate) spec: OverrideSpec,
    pub(crate) checked: Override,
}

/// What an override says, in Bifrost's words.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct OverrideSpec {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) scope_kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) virtual_key_id: Option<ConfigId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider_id: Option<ConfigId>,
    /// The id or the name of a provider's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider_key_id: Option<ConfigId>,
    pub(crate) match_type: String,
    pub(crate) pattern: String,
    pub(crate) request_types: Vec<String>,
    pub(crate) patch: PatchText,
}

read_from_objects!(OverrideSpec);
written_as_objects!(OverrideSpec);

/// A patch as the text of its object. It is read from an object, as Bifrost's API has it, or
/// from a JSON text in a text, as its file has it.
#[derive(Clone, Debug)]
pub(crate) struct PatchText(String);

impl fmt::Display for PatchText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PatchText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PatchText, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text: String = match raw.get() {
            quoted if quoted.starts_with('"') => serde_json::from_str(quoted).map_err(D::Error::custom)?,
            text => text.to_owned(),
        };
        distinct::<_, IgnoredAny>(&mut serde_json::Deserializer::from_str(&text)).map_err(D::Error::custom)?;
        Ok(PatchText(text))
    }
}

impl Serialize for PatchText {
    /// As an object. Works with `serde_json`'s text output only.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        RawValue::from_string(self.0.clone()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl OverrideSpec {
    /// The id of one that the file gives none: whom and what it is for.
    pub(crate) fn own_id(&self) -> String {
        let ids = [&self.virtual_key_id, &self.provider_id, &self.provider_key_id];
        let ids = ids.into_iter().flatten().map(|id| id.0.as_str());
        let parts = std::iter::once(self.scope_kind.as_str()).chain(ids);
        let types = self.request_types.join("+");
        parts.chain([self.pattern.as_str(), types.as_str()]).collect::<Vec<_>>().join(":")
    }

    /// Checks it; `at` is its place in the file, or nothing.
    pub(crate) fn check(&self, at: &str, providers: &Providers) -> Result<Override, Invalid> {
        let at = |field: &str| if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") };
        let patch = Rates::from_json(&self.patch.0).map_err(|error| match error {
            RateError::Price { name, problem } => Invalid::new(at(&format!("patch.{name}")), problem),
            RateError::Shape(_) => Invalid::new(at("patch"), error.to_string()),
        })?;
        if patch.is_empty() {
            return Err(Invalid::new(at("patch"), "has no price"));
        }
        let request_types = self.request_types.iter().map(|word| {
            RequestType::from_word(word).ok_or_else(|| Invalid::unsupported(at(&format!("request_types: `{word}`"))))
        });
        let request_types = request_types.collect::<Result<Vec<_>, _>>()?;
        if request_types.is_empty() {
            return Err(Invalid::new(at("request_types"), "is missing"));
        }
        Ok(Override { scope: self.scope(at, providers)?, pattern: self.pattern(at)?, request_types, patch })
    }

    fn pattern(&self, at: impl Fn(&str) -> String) -> Result<OverrideMatch, Invalid> {
        let pattern = self.pattern.to_ascii_lowercase();
        match (self.match_type.as_str(), pattern.strip_suffix('*')) {
            _ if pattern.is_empty() => Err(Invalid::new(at("pattern"), "is empty")),
            ("exact", _) => Ok(OverrideMatch::Exact(pattern)),
            ("wildcard", Some(prefix)) if !prefix.contains('*') => Ok(OverrideMatch::Prefix(prefix.to_owned())),
            ("wildcard", _) => Err(Invalid::new(at("pattern"), "a wildcard has one `*`, at its end")),
            (other, _) => Err(Invalid::new(at("match_type"), format!("`{other}` is neither exact nor wildcard"))),
        }
    }

    fn scope(&self, at: impl Fn(&str) -> String, providers: &Providers) -> Result<OverrideScope, Invalid> {
        // Which of virtual key, provider and the provider's key the scope needs.
        let (of_key, of_provider, of_provider_key) = match self.scope_kind.as_str() {
            "global" => (false, false, false),
            "provider" => (false, true, false),
            "provider_key" => (false, false, true),
            "virtual_key" => (true, false, false),
            "virtual_key_provider" => (true, true, false),
            "virtual_key_provider_key" => (true, false, true),
            other => return Err(Invalid::new(at("scope_kind"), format!("`{other}` is no scope of an override"))),
        };
        let wanted = |field: &str, is_wanted: bool, is_optional: bool, id: &Option<ConfigId>| match (is_wanted, id) {
            (true, Some(id)) => Ok(Some(id.0.clone())),
            (true, None) => Err(Invalid::new(at(field), format!("is missing for the scope `{}`", self.scope_kind))),
            (false, Some(id)) if is_optional => Ok(Some(id.0.clone())),
            (false, None) => Ok(None),
            (false, Some(_)) => {
                Err(Invalid::new(at(field), format!("means nothing for the scope `{}`", self.scope_kind)))
            }
        };
        let virtual_key = wanted("virtual_key_id", of_key, false, &self.virtual_key_id)?;
        let provider = wanted("provider_id", of_provider, of_provider_key, &self.provider_id)?;
        if let Some(name) = provider.as_ref().filter(|name| !providers.contains_key(name.as_str())) {
            return Err(Invalid::new(at("provider_id"), format!("there is no provider `{name}`")));
        }
        let Some(named) = wanted("provider_key_id", of_provider_key, false, &self.provider_key_id)? else {
            return Ok(OverrideScope { virtual_key, provider, provider_key: None });
        };
        let keys = providers.values().filter(|known| provider.as_deref().is_none_or(|name| *known.name == *name));
        let keys = keys.flat_map(|known| known.keys.iter().map(move |key| (known, key)));
        let mut named_so = keys.filter(|(_, key)| key.id == named || key.name == named);
        match (named_so.next(), named_so.next()) {
            (Some((provider, key)), None) => Ok(OverrideScope {
                virtual_key,
                provider: Some(provider.name.to_string()),
                provider_key: Some(key.id.clone()),
            }),
            (None, _) => Err(Invalid::new(at("provider_key_id"), format!("there is no provider's key `{named}`"))),
            (Some(_), Some(_)) => {
                let problem = format!("`{named}` is the key of several providers; say which in `provider_id`");
                Err(Invalid::new(at("provider_key_id"), problem))
            }
        }
    }
}
