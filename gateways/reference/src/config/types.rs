//! Values that the file and the management API share.

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The fields of a JSON object, as somebody wrote them.
pub(crate) type Fields = serde_json::Map<String, serde_json::Value>;

/// Which names are allowed: none, some, or `["*"]` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllowList {
    All,
    Only(Vec<String>),
}

impl AllowList {
    /// Nothing is allowed.
    pub(crate) const NONE: AllowList = AllowList::Only(Vec::new());

    pub(crate) fn allows(&self, name: &str) -> bool {
        match self {
            AllowList::All => true,
            AllowList::Only(names) => names.iter().any(|allowed| allowed == name),
        }
    }

    /// The same with other names.
    pub(super) fn renamed(self, name: impl Fn(String) -> String) -> AllowList {
        match self {
            AllowList::All => AllowList::All,
            AllowList::Only(names) => AllowList::Only(names.into_iter().map(name).collect()),
        }
    }

    /// The names, unless all are allowed.
    pub(crate) fn names(&self) -> Option<&[String]> {
        match self {
            AllowList::All => None,
            AllowList::Only(names) => Some(names),
        }
    }

    /// An empty list in a file of `version: 1` allows all.
    pub(crate) fn empty_means_all(self) -> AllowList {
        if self == AllowList::NONE { AllowList::All } else { self }
    }
}

impl<'de> Deserialize<'de> for AllowList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        if names == ["*"] {
            return Ok(AllowList::All);
        }
        if names.iter().any(|name| name == "*") {
            return Err(D::Error::custom("\"*\" cannot stand beside other names"));
        }
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(D::Error::custom("an empty name"));
            }
            if names.iter().take(at).any(|earlier| earlier == name) {
                return Err(D::Error::custom(format_args!("\"{name}\" stands there twice")));
            }
        }
        Ok(AllowList::Only(names))
    }
}

impl Serialize for AllowList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AllowList::All => ["*"].serialize(serializer),
            AllowList::Only(names) => names.serialize(serializer),
        }
    }
}

/// An entity's id. Bifrost numbers provider configurations and names the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConfigId(pub(crate) String);

impl fmt::Display for ConfigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ConfigId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ConfigId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ConfigId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a text or a whole number")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ConfigId, E> {
                Ok(ConfigId(number.to_string()))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ConfigId, E> {
                if text.is_empty() {
                    return Err(E::custom("an id cannot be empty"));
                }
                Ok(ConfigId(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A setting that can say only what this gateway does anyway; the other value is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Only<const VALUE: bool>;

impl<'de, const VALUE: bool> Deserialize<'de> for Only<VALUE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? == VALUE {
            return Ok(Only);
        }
        Err(D::Error::custom(format_args!("is not supported by the reference gateway; only `{VALUE}` is")))
    }
}

impl<const VALUE: bool> Serialize for Only<VALUE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        VALUE.serialize(serializer)
    }
}

/// How often one of several is chosen, in millionths, relative to the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Weight(u64);

impl Weight {
    pub(crate) const ONE: Weight = Weight(1_000_000);

    pub(crate) const fn millionths(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        // A weight has the form of an amount of money: an exact, positive decimal.
        let weight: crate::money::Usd =
            raw.get().parse().map_err(|_| D::Error::custom(format_args!("{raw} is not a weight")))?;
        let millionths = u64::try_from(weight.pico() / 1_000_000).ok();
        millionths.filter(|_| weight.pico() % 1_000_000 == 0).map(Weight).ok_or_else(|| {
            D::Error::custom(format_args!("{raw} is not a weight: at least 0, at most 6 decimal places"))
        })
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pico = i64::try_from(self.0).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        RawValue::from_string(crate::money::Usd::from_pico(pico).to_string())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

/// Reads an object in which no name stands twice: nobody could say which of the two is meant.
pub(super) fn distinct<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    deserializer: D,
) -> Result<IndexMap<String, V>, D::Error> {
    struct Distinct<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Distinct<V> {
        type Value = IndexMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<IndexMap<String, V>, A::Error> {
            let mut map = IndexMap::new();
            while let Some(name) = fields.next_key::<String>()? {
                if map.contains_key(&name) {
                    return Err(A::Error::custom(format_args!("`{name}` stands there twice")));
                }
                map.insert(name, fields.next_value()?);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Distinct(PhantomData))
}

/// The same where there may be null instead.
pub(super) fn distinct_if_any<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<IndexMap<String, V>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(bound = "V: Deserialize<'de>")]
    struct Distinct<V>(#[serde(deserialize_with = "distinct")] IndexMap<String, V>);

    Ok(Option::<Distinct<V>>::deserialize(deserializer)?.map(|map| map.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_empty_list_allows_nothing_and_a_star_allows_all() {
        let none: AllowList = serde_json::from_str("[]").unwrap();
        let all: AllowList = serde_json::from_str(r#"["*"]"#).unwrap();
        assert!(!none.allows("mock-1"));
        assert!(all.allows("mock-1"));
    }

    #[test]
    fn a_star_beside_names_and_a_name_twice_are_refused() {
        for text in [r#"["*","a"]"#, r#"["a","a"]"#, r#"[""]"#, r#""*""#] {
            assert!(serde_json::from_str::<AllowList>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_weight_is_exact() {
        let weight: Weight = serde_json::from_str("0.7").unwrap();
        assert_eq!(weight.millionths(), 700_000);
        assert_eq!(serde_json::to_string(&weight).unwrap(), "0.7");
        assert!(serde_json::from_str::<Weight>("-1").is_err());
        assert!(serde_json::from_str::<Weight>("0.0000001").is_err());
    }
}
