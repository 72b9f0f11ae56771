//! Rows, and whether they have to be written.

use super::rows::MeterRow;

/// A row, and whether it has to be written. There may be hundreds of thousands, so that what
/// has to be written is no list of its own.
#[derive(Clone, Debug)]
pub(crate) struct Noted<T> {
    pub(crate) row: T,
    pub(super) has_changed: bool,
}

impl<T> Noted<T> {
    pub(super) fn same(row: T) -> Noted<T> {
        Noted { row, has_changed: false }
    }

    pub(super) fn new(row: T) -> Noted<T> {
        Noted { row, has_changed: true }
    }

    /// The row if it has to be written.
    pub(super) fn changed(&self) -> Option<&T> {
        self.has_changed.then_some(&self.row)
    }
}

/// A meter, in a place of its own: a list of so many does not move them while it grows.
pub(crate) type NotedMeter = Noted<Box<MeterRow>>;
