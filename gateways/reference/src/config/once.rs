//! What must not stand in the file twice: ids, names, values.

use std::borrow::Borrow;
use std::fmt::Display;
use std::hash::Hash;

use super::load::Invalid;
use super::place::Place;
use crate::maps::Set;

/// What stood there so far.
pub(super) struct Once<T>(Set<T>);

impl<T> Default for Once<T> {
    fn default() -> Once<T> {
        Once(Set::default())
    }
}

impl<T: Eq + Hash> Once<T> {
    /// With room for so many.
    pub(super) fn with_room(count: usize) -> Once<T> {
        Once(Set::with_capacity_and_hasher(count, Default::default()))
    }

    /// Notes a value, which is called `what`. A credential is not repeated in the message.
    pub(super) fn note(&mut self, at: &Place<'_>, field: &str, what: impl Display, value: T) -> Result<(), Invalid> {
        if self.0.insert(value) {
            return Ok(());
        }
        Err(stands_twice(at, field, what))
    }

    /// The one that stood there.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> Option<&T>
    where
        T: Borrow<Q>,
    {
        self.0.get(value)
    }
}

/// A second value of a field, which is called `what`.
pub(super) fn stands_twice(at: &Place<'_>, field: &str, what: impl Display) -> Invalid {
    Invalid::new(at.field(field), format!("the same {what} stands there twice"))
}
