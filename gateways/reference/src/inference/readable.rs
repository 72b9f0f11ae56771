//! JSON that is looked at to its end, of which nothing is kept.
//!
//! It stands beside `json::Json`, which refuses the same but keeps what it reads: of a long body that would be
//! a copy of each text with an escape in it, and a place in a list for each number of an embedding's input.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON whose texts and numbers can all be read. A value that is only skipped may hold half of
/// a surrogate pair, or a number without end, which nobody could count or pass on.
pub(super) struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Readable, D::Error> {
        deserializer.deserialize_any(Readable)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Readable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_str<E>(self, _: &str) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Readable, A::Error> {
        while items.next_element::<Readable>()?.is_some() {}
        Ok(Readable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Readable, A::Error> {
        while fields.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(Readable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_found_wherever_it_stands() {
        for bad in [r#"{"a":[{"b":"\ud800"}]}"#, r#"[1,[1e999]]"#, r#"{"\udc00":1}"#, "[1", "{\"a\"}"] {
            assert!(serde_json::from_str::<Readable>(bad).is_err(), "{bad}");
            assert!(serde_json::from_str::<Value>(bad).is_err(), "{bad}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(serde_json::from_str::<Readable>(&deep).is_err());
    }

    proptest! {
        #[test]
        fn it_reads_what_a_tree_would_and_refuses_what_a_tree_would(text in r#"[\[\]{}:,"0-9eE.\\ udabcnulltrefs+-]{0,24}"#) {
            prop_assert_eq!(serde_json::from_str::<Readable>(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
