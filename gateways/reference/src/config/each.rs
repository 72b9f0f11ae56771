//! Lists of which the items are read one at a time: there may be very many, and read all at
//! once they would be several times as large as their text.

use std::marker::PhantomData;
use std::sync::mpsc;
use std::thread::Scope;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::describe::path_in;
use super::place::Place;

/// How many items are handed over at once, and how many times that may wait.
const CHUNK: usize = 256;
const CHUNKS: usize = 4;

/// The texts of a list's items.
pub(super) struct Each<'a, T> {
    texts: Vec<&'a RawValue>,
    item: PhantomData<fn() -> T>,
}

/// An item that has not the shape of its kind.
#[derive(Debug)]
pub(super) struct Misshapen {
    /// The path of the field that is wrong.
    pub(super) at: String,
    /// What is wrong with it.
    pub(super) error: serde_json::Error,
}

impl<T> Default for Each<'_, T> {
    fn default() -> Self {
        Each { texts: Vec::new(), item: PhantomData }
    }
}

impl<'de: 'a, 'a, T> Deserialize<'de> for Each<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Each { texts: Vec::deserialize(deserializer)?, item: PhantomData })
    }
}

impl<'a, T: DeserializeOwned> Each<'a, T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The items with their places. `list` is the list's name in the section `at`.
    pub(super) fn read(
        self,
        at: &'a Place<'a>,
        list: &'a str,
    ) -> impl Iterator<Item = Result<(Place<'a>, T), Misshapen>> {
        self.texts.into_iter().enumerate().map(move |(index, text)| {
            let place = at.item(list, index);
            match serde_json::from_str(text.get()) {
                Ok(item) => Ok((place, item)),
                Err(error) => Err(misshapen::<T>(text.get(), &place, error)),
            }
        })
    }
}

/// The items of a list, which another thread reads while what was read before is checked.
pub(super) fn ahead<'scope, I>(scope: &'scope Scope<'scope, '_>, mut items: I) -> impl Iterator<Item = I::Item>
where
    I: Iterator<Item: Send> + Send + 'scope,
{
    let (sender, chunks) = mpsc::sync_channel(CHUNKS);
    scope.spawn(move || {
        loop {
            let chunk: Vec<I::Item> = items.by_ref().take(CHUNK).collect();
            // Nobody wants the rest where something is wrong.
            if chunk.is_empty() || sender.send(chunk).is_err() {
                return;
            }
        }
    });
    chunks.into_iter().flatten()
}

/// Where each value stands is noted only for a message: it takes longer than the reading.
fn misshapen<T: DeserializeOwned>(text: &str, place: &Place<'_>, error: serde_json::Error) -> Misshapen {
    let mut json = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => {
            let at = path_in(&place.to_string(), error.path());
            Misshapen { at, error: error.into_inner() }
        }
        Ok(_) => Misshapen { at: place.to_string(), error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_comes_in_its_order() {
        let count = CHUNK * (CHUNKS + 2) + 1;
        let read: Vec<usize> = std::thread::scope(|scope| ahead(scope, 0..count).collect());
        assert!(read.into_iter().eq(0..count));
    }

    #[test]
    fn nothing_more_is_read_ahead_for_whoever_has_had_enough() {
        let first = std::thread::scope(|scope| ahead(scope, 0..usize::MAX).next());
        assert_eq!(first, Some(0));
    }
}
