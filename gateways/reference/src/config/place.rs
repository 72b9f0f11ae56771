//! Where in the file something stands.

use std::fmt;

/// A path like `governance.virtual_keys[7].budgets[0].max_limit`. It becomes a text only in a
/// message: there may be very many keys, of which none is wrong.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Section(&'a str),
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, &'a str, usize),
}

impl<'a> Place<'a> {
    /// A field of what stands here.
    pub(super) fn field(&'a self, name: &'a str) -> Place<'a> {
        Place::Field(self, name)
    }

    /// One of a list, which is a field of what stands here.
    pub(super) fn item(&'a self, list: &'a str, index: usize) -> Place<'a> {
        Place::Item(self, list, index)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Section(name) => f.write_str(name),
            Place::Field(parent, name) => write!(f, "{parent}.{name}"),
            Place::Item(parent, list, index) => write!(f, "{parent}.{list}[{index}]"),
        }
    }
}

impl From<Place<'_>> for String {
    fn from(place: Place<'_>) -> String {
        place.to_string()
    }
}
