//! JSON that is read once, for a few of its fields.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// JSON, whoever keeps it.
pub(crate) trait Tree: PartialEq + Sized {
    /// A field of an object. Of several with one name, the last one.
    fn get(&self, name: &str) -> Option<&Self>;
    /// A whole number that is not below zero.
    fn as_u64(&self) -> Option<u64>;
    fn as_str(&self) -> Option<&str>;
    /// The items of a list.
    fn as_list(&self) -> Option<&[Self]>;
    fn is_null(&self) -> bool;
}

impl Tree for Value {
    fn get(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }

    fn as_u64(&self) -> Option<u64> {
        self.as_u64()
    }

    fn as_str(&self) -> Option<&str> {
        self.as_str()
    }

    fn as_list(&self) -> Option<&[Value]> {
        self.as_array().map(Vec::as_slice)
    }

    fn is_null(&self) -> bool {
        self.is_null()
    }
}

/// JSON whose texts stay where they are. An answer has objects of few fields, each of which is looked
/// for once or twice: to make a map of each takes several times as long.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Count(u64),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Fields(Vec<(Cow<'a, str>, Json<'a>)>),
    /// What nobody asks for: other numbers, true and false.
    Other,
}

impl Tree for Json<'_> {
    fn get(&self, name: &str) -> Option<&Self> {
        let Json::Fields(fields) = self else { return None };
        fields.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn as_u64(&self) -> Option<u64> {
        if let Json::Count(count) = self { Some(*count) } else { None }
    }

    fn as_str(&self) -> Option<&str> {
        if let Json::Text(text) = self { Some(text) } else { None }
    }

    fn as_list(&self) -> Option<&[Self]> {
        if let Json::List(items) = self { Some(items) } else { None }
    }

    fn is_null(&self) -> bool {
        *self == Json::Null
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json<'a>, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Count(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(u64::try_from(number).map_or(Json::Other, Json::Count))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json<'de>, A::Error> {
        let mut known = Vec::new();
        while let Some((name, value)) = fields.next_entry::<Json<'de>, Json<'de>>()? {
            // A name is always a text.
            if let Json::Text(name) = name {
                known.push((name, value));
            }
        }
        Ok(Json::Fields(known))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    /// Whether both say the same to whoever asks.
    fn agree(json: &Json<'_>, value: &Value) -> bool {
        let fields = |(name, one): (&String, &Value)| Tree::get(json, name).is_some_and(|same| agree(same, one));
        let items = || json.as_list().into_iter().flatten().zip(value.as_array().into_iter().flatten());
        let is_named = value.as_object().is_none_or(|all| all.iter().all(fields));
        let is_listed = json.as_list().map(<[_]>::len) == value.as_array().map(Vec::len);
        let words = json.as_str() == value.as_str() && json.as_u64() == value.as_u64();
        words && is_named && is_listed && items().all(|(a, b)| agree(a, b)) && value.is_null() == (*json == Json::Null)
    }

    #[test]
    fn of_a_name_that_stands_there_twice_the_last_one_counts() {
        let json: Json<'_> = serde_json::from_str(r#"{"a":1,"\u0061":2}"#).unwrap();
        assert_eq!(json.get("a"), Some(&Json::Count(2)));
    }

    proptest! {
        #[test]
        fn it_says_what_a_tree_of_maps_says(text in r#"(\{("[ab]":(1|-1|0\.5|1e99|null|true|"x\\n"|\[("a"|2|\{"a":3\})?\])(,"[ab]":(7|"\\u00e9"|\{\}))?)?\}|\[1,"a"\]|12)"#) {
            let (json, value): (Json<'_>, Value) = (serde_json::from_str(&text).unwrap(), serde_json::from_str(&text).unwrap());
            prop_assert!(agree(&json, &value), "{json:?} {value}");
        }

        #[test]
        fn it_refuses_what_a_tree_of_maps_refuses(text in r#"[\[\]{}:,"0-9eE.\\ udabcnulltrefs+-]{0,24}"#) {
            prop_assert_eq!(serde_json::from_str::<Json<'_>>(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
