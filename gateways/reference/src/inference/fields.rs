//! The fields of a body, each as it was written, and in their order.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::errors::Problem;

/// Up to so many fields are compared with each other. A request has some ten.
const FEW: usize = 32;

/// Fields with names and values. There are few, and some twenty names are looked for: a map takes longer
/// to make than it saves.
#[derive(Clone, Debug)]
pub(super) struct Named<N, V>(Vec<(N, V)>);

/// The fields of an object that was read. Of several with one name, the last one is there.
pub(super) type Fields = Named<String, Box<RawValue>>;

/// The fields of an object that is to be written, mostly those of one that was read.
pub(super) type Written<'a> = Named<&'a str, Cow<'a, RawValue>>;

impl<N: AsRef<str>, V> Named<N, V> {
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.0.iter().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value)
    }

    /// Replaces the field in its place, or adds it.
    pub(super) fn set(&mut self, name: N, value: V) {
        match self.0.iter_mut().find(|(known, _)| known.as_ref() == name.as_ref()) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known.as_ref() != name);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl Fields {
    /// What is written if nothing is changed.
    pub(super) fn written(&self) -> Written<'_> {
        Named(self.iter().map(|(name, value)| (name, Cow::Borrowed(&**value))).collect())
    }
}

impl<N, V> Default for Named<N, V> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<N: Serialize, V: Serialize> Serialize for Named<N, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = object.next_entry()? {
            fields.push(field);
        }
        Ok(Named(each_once(fields)))
    }
}

/// Leaves the last field of each name: the gateway and the provider go by the same one.
fn each_once<V>(mut fields: Vec<(String, V)>) -> Vec<(String, V)> {
    let is_before = |(place, (name, _)): (usize, &(String, V))| fields[..place].iter().any(|(known, _)| known == name);
    if fields.len() > FEW || fields.iter().enumerate().any(is_before) {
        let mut seen = HashSet::new();
        fields.reverse();
        fields.retain(|(name, _)| seen.insert(name.clone()));
        fields.reverse();
    }
    fields
}

/// The value of a field; one that is null is left out, as clients mean it.
pub(super) fn field<T: DeserializeOwned>(fields: &Fields, name: &str) -> Result<Option<T>, Problem> {
    fields.get(name).map_or(Ok(None), |raw| value(name, raw))
}

/// The same of a field that has been found: whoever goes through all of them must not look for each,
/// since a caller may send a million.
pub(super) fn value<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<Option<T>, Problem> {
    serde_json::from_str(raw.get()).map_err(|_| Problem::bad_request(format!("{name} has a value that cannot be read")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_fields_with_one_name_the_last_one_is_read_and_written() {
        let fields: Fields = serde_json::from_str(r#"{"a": 1, "b": 2.50, "a": [3], "\u0062": 4}"#).unwrap();
        assert_eq!(field::<Vec<u8>>(&fields, "a").unwrap(), Some(vec![3]));
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"a":[3],"b":4}"#);
    }

    #[test]
    fn what_is_changed_for_the_provider_is_changed_in_its_place() {
        let fields: Fields = serde_json::from_str(r#"{"model":"p/m","n":1.0,"fallbacks":[]}"#).unwrap();
        let mut written = fields.written();
        let raw = |text: &str| Cow::Owned(RawValue::from_string(text.to_owned()).unwrap());
        written.set("model", raw("\"m\""));
        written.set("stream", raw("true"));
        written.remove("fallbacks");
        assert_eq!(serde_json::to_string(&written).unwrap(), r#"{"model":"m","n":1.0,"stream":true}"#);
    }

    proptest! {
        /// Few are compared with each other, many are hashed.
        #[test]
        fn each_name_is_left_once_with_its_last_value(names in prop::collection::vec("[a-f]{1,2}", 0..80)) {
            let fields: Vec<_> = names.iter().cloned().zip(0..).collect();
            let mut expected: Vec<(String, usize)> = Vec::new();
            for (name, value) in &fields {
                expected.retain(|(known, _)| known != name);
                expected.push((name.clone(), *value));
            }
            prop_assert_eq!(each_once(fields), expected);
        }
    }
}
