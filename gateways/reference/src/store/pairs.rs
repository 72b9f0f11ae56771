//! Which meter of `config.json` is which of the database, also where its id or its window
//! changed, so that what was spent stays with it.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::declared::DeclaredMeter;
use super::rows::{MeterRow, OwnerKey, Standing};
use crate::ledger::{Measure, MeterId};

/// A meter of the database, and whether it has to be written.
pub(super) type SavedMeter = (MeterRow, bool);

/// What an owner can have several of.
type Place = (OwnerKey, Measure);

/// Each declared meter with what it was before, and the saved ones that none was.
///
/// They are the same by id; else by owner, measure and window; else where exactly one of an
/// owner's is gone from the file and exactly one is new.
pub(super) fn of(
    declared: Vec<DeclaredMeter>,
    saved: Vec<SavedMeter>,
) -> (Vec<(DeclaredMeter, Option<SavedMeter>)>, Vec<SavedMeter>) {
    let mut rest: IndexMap<MeterId, SavedMeter> = saved.into_iter().map(|saved| (saved.0.id.clone(), saved)).collect();
    let mut pairs: Vec<_> = declared
        .into_iter()
        .map(|meter| {
            let same = rest.swap_remove(&meter.id);
            (meter, same)
        })
        .collect();
    for (meter, before) in pairs.iter_mut().filter(|(_, before)| before.is_none()) {
        let same = |row: &MeterRow| {
            is_of_file(row)
                && place(&row.owner, &row.id) == place(&meter.owner, &meter.id)
                && row.reset_duration.millis() == meter.reset_duration.millis()
        };
        *before = take(&mut rest, same);
    }
    let mut new: HashMap<Place, usize> = HashMap::new();
    for (meter, _) in pairs.iter().filter(|(_, before)| before.is_none()) {
        *new.entry(place(&meter.owner, &meter.id)).or_default() += 1;
    }
    for (meter, before) in pairs.iter_mut().filter(|(_, before)| before.is_none()) {
        let here = place(&meter.owner, &meter.id);
        let is_gone =
            |row: &MeterRow| is_of_file(row) && row.standing == Standing::Live && place(&row.owner, &row.id) == here;
        let gone = rest.values().filter(|(row, _)| is_gone(row)).count();
        if (new.get(&here), gone) == (Some(&1), 1) {
            *before = take(&mut rest, is_gone);
        }
    }
    (pairs, rest.into_values().collect())
}

fn is_of_file(row: &MeterRow) -> bool {
    row.file_hash.is_some()
}

fn place(owner: &OwnerKey, id: &MeterId) -> Place {
    (owner.clone(), id.measure())
}

fn take(rest: &mut IndexMap<MeterId, SavedMeter>, is_it: impl Fn(&MeterRow) -> bool) -> Option<SavedMeter> {
    let at = rest.values().position(|(row, _)| is_it(row))?;
    rest.swap_remove_index(at).map(|(_, saved)| saved)
}
