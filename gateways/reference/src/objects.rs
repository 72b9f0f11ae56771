//! Types that are read from objects alone. What serde derives also reads them from a list of their
//! values in their order, of which nobody could say which value is a credential.

use serde::Deserializer;
use serde::de::Visitor;

/// Gives what stands there if it is an object.
pub(crate) struct Object<D>(pub(crate) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Reads these types from objects. Each says `#[serde(remote = "Self")]`, by which what is derived
/// becomes functions of its own, and no traits.
macro_rules! read_from_objects {
    ($($type:ident $(<$life:lifetime>)?),* $(,)?) => {
        $(
            impl<'de $(: $life, $life)?> serde::Deserialize<'de> for $type $(<$life>)? {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Self::deserialize($crate::objects::Object(deserializer))
                }
            }
        )*
    };
}

/// Writes those of them that are written too.
macro_rules! written_as_objects {
    ($($type:ident),*) => {
        $(
            impl serde::Serialize for $type {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    Self::serialize(self, serializer)
                }
            }
        )*
    };
}

pub(crate) use {read_from_objects, written_as_objects};
