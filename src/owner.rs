//! Whose caps and figures a step speaks of: `agent` is a virtual key, `team:research` a team.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// What kind of owner it is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum OwnerKind {
    /// A customer.
    Customer,
    /// A team.
    Team,
    /// A virtual key.
    VirtualKey,
    /// A provider, for everybody.
    Provider,
    /// A model, for everybody.
    Model,
}

impl OwnerKind {
    /// The kinds whose owners are written with their kind before them.
    const NAMED: [Self; 4] = [Self::Customer, Self::Team, Self::Provider, Self::Model];

    /// The word for it in scenarios, templates and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Team => "team",
            Self::VirtualKey => "virtual_key",
            Self::Provider => "provider",
            Self::Model => "model",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::VirtualKey => "virtual key",
            Self::Model => "cap on a model",
            kind => kind.word(),
        }
    }
}

/// Somebody who has caps: a kind, and a name of the policy's. Written as `team:research`, `customer:acme`,
/// `provider:primary`, `model:all` (the name of the model's caps); a virtual key is written as its name.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Owner {
    /// What it is.
    pub kind: OwnerKind,
    /// Its name in the policy.
    pub name: String,
}

impl Owner {
    /// A virtual key.
    #[must_use]
    pub fn key(name: &str) -> Self {
        Self { kind: OwnerKind::VirtualKey, name: name.to_owned() }
    }

    /// A team.
    #[must_use]
    pub fn team(name: &str) -> Self {
        Self { kind: OwnerKind::Team, name: name.to_owned() }
    }

    /// A customer.
    #[must_use]
    pub fn customer(name: &str) -> Self {
        Self { kind: OwnerKind::Customer, name: name.to_owned() }
    }

    /// The id that templates give to an owner of the configuration: a provider's is its name.
    #[must_use]
    pub fn configured_id(&self) -> String {
        match self.kind {
            OwnerKind::VirtualKey => format!("vk-{}", self.name),
            OwnerKind::Provider => self.name.clone(),
            kind => format!("{}-{}", kind.word(), self.name),
        }
    }

    /// Everybody in a policy.
    #[must_use]
    pub fn all_of(policy: &Policy) -> Vec<Self> {
        let of = |kind| move |name: &String| Self { kind, name: name.clone() };
        let customers = policy.customers.iter().map(|one| &one.name).map(of(OwnerKind::Customer));
        let teams = policy.teams.iter().map(|one| &one.name).map(of(OwnerKind::Team));
        let keys = policy.virtual_keys.iter().map(|one| &one.name).map(of(OwnerKind::VirtualKey));
        let providers = policy.providers.iter().map(|one| &one.name).map(of(OwnerKind::Provider));
        let models = policy.models.iter().map(|one| &one.name).map(of(OwnerKind::Model));
        customers.chain(teams).chain(keys).chain(providers).chain(models).collect()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            OwnerKind::VirtualKey => f.write_str(&self.name),
            kind => write!(f, "{}:{}", kind.word(), self.name),
        }
    }
}

impl FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((word, name)) = text.split_once(':') else { return Ok(Self::key(text)) };
        let kind = OwnerKind::NAMED.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
            let words = OwnerKind::NAMED.map(OwnerKind::word).join(", ");
            format!("`{word}` is nobody who has caps; write the name of a virtual key, or one of {words} before a name")
        })?;
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl TryFrom<String> for Owner {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_owner_is_written_as_it_is_read() {
        for text in ["agent", "team:research", "customer:acme", "provider:primary", "model:all"] {
            assert_eq!(text.parse::<Owner>().map(|owner| owner.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_kind_that_has_no_caps_is_an_error_that_names_those_that_have() {
        let Err(error) = "tema:research".parse::<Owner>() else { panic!("nobody is called so") };
        assert!(error.contains("customer, team, provider, model"), "{error}");
    }
}
