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
    let mut places = Places::default();
    if pairs.iter().any(|(_, before)| before.is_none()) {
        places.add(&rest);
    }
    for (meter, before) in pairs.iter_mut().filter(|(_, before)| before.is_none()) {
        let has_window = |row: &MeterRow| row.reset_duration.millis() == meter.reset_duration.millis();
        *before = places.take(&mut rest, &place(&meter.owner, &meter.id), has_window);
    }
    let mut new: HashMap<Place, usize> = HashMap::new();
    for (meter, _) in pairs.iter().filter(|(_, before)| before.is_none()) {
        *new.entry(place(&meter.owner, &meter.id)).or_default() += 1;
    }
    for (meter, before) in pairs.iter_mut().filter(|(_, before)| before.is_none()) {
        let here = place(&meter.owner, &meter.id);
        let is_live = |row: &MeterRow| row.standing == Standing::Live;
        if new.get(&here) == Some(&1) && places.count(&rest, &here, is_live) == 1 {
            *before = places.take(&mut rest, &here, is_live);
        }
    }
    (pairs, rest.into_values().collect())
}

/// The meters of the file that none of the declared ones was by id, by their place.
#[derive(Default)]
struct Places(HashMap<Place, Vec<MeterId>>);

impl Places {
    fn add(&mut self, rest: &IndexMap<MeterId, SavedMeter>) {
        for (row, _) in rest.values().filter(|(row, _)| row.file_hash.is_some()) {
            self.0.entry(place(&row.owner, &row.id)).or_default().push(row.id.clone());
        }
    }

    fn take(
        &mut self,
        rest: &mut IndexMap<MeterId, SavedMeter>,
        here: &Place,
        is_it: impl Fn(&MeterRow) -> bool,
    ) -> Option<SavedMeter> {
        let ids = self.0.get_mut(here)?;
        let at = ids.iter().position(|id| rest.get(id).is_some_and(|(row, _)| is_it(row)))?;
        rest.swap_remove(&ids.remove(at))
    }

    fn count(&self, rest: &IndexMap<MeterId, SavedMeter>, here: &Place, is_it: impl Fn(&MeterRow) -> bool) -> usize {
        let ids = self.0.get(here).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter(|id| rest.get(*id).is_some_and(|(row, _)| is_it(row))).count()
    }
}

fn place(owner: &OwnerKey, id: &MeterId) -> Place {
    (owner.clone(), id.measure())
}
