//! Which meter of `config.json` is which of the database, also where its id or its window
//! changed, so that what was spent stays with it.

use std::collections::HashMap;

use super::noted::NotedMeter;
use super::rows::{MeterRow, OwnerKey, Standing};
use crate::ledger::{Measure, MeterId};

/// Where a meter of the database stands among the others.
type At = usize;

/// What an owner can have several of.
type Place = (OwnerKey, Measure);

/// For each new meter of the file, where it is among the stored ones, if it is there.
///
/// They are the same by id; else by owner, measure and window; else where exactly one of an
/// owner's is gone from the file and exactly one is new.
pub(super) fn of(new: &[&mut NotedMeter], stored: &[Option<NotedMeter>]) -> Vec<Option<At>> {
    let stored: Vec<&MeterRow> = stored.iter().flatten().map(|meter| meter.row.as_ref()).collect();
    let new: Vec<&MeterRow> = new.iter().map(|meter| meter.row.as_ref()).collect();
    let mut by_id: HashMap<&MeterId, At> = stored.iter().enumerate().map(|(at, row)| (&row.id, at)).collect();
    let mut pairs: Vec<_> = new.iter().map(|row| by_id.remove(&row.id)).collect();
    let mut unpaired: Vec<At> = by_id.into_values().collect();
    unpaired.sort_unstable();
    let mut places = Places::of(&stored, &unpaired);
    if !places.all.is_empty() {
        places.pair(&new, &mut pairs);
    }
    pairs
}

/// The stored meters of the file that none of the new ones was by id, by their place.
struct Places<'a> {
    stored: &'a [&'a MeterRow],
    all: HashMap<Place, Vec<At>>,
}

impl<'a> Places<'a> {
    fn of(stored: &'a [&'a MeterRow], unpaired: &[At]) -> Places<'a> {
        let mut all: HashMap<Place, Vec<At>> = HashMap::new();
        for at in unpaired {
            if let Some(row) = stored.get(*at).filter(|row| row.file_hash.is_some()) {
                all.entry(place(&row.owner, &row.id)).or_default().push(*at);
            }
        }
        Places { stored, all }
    }

    fn pair(&mut self, new: &[&MeterRow], pairs: &mut [Option<At>]) {
        for (meter, before) in unpaired(new, pairs) {
            let has_window = |row: &MeterRow| row.reset_duration.millis() == meter.reset_duration.millis();
            *before = self.take(&place(&meter.owner, &meter.id), has_window);
        }
        let mut counts: HashMap<Place, usize> = HashMap::new();
        for (meter, _) in unpaired(new, pairs) {
            *counts.entry(place(&meter.owner, &meter.id)).or_default() += 1;
        }
        for (meter, before) in unpaired(new, pairs) {
            let here = place(&meter.owner, &meter.id);
            let is_live = |row: &MeterRow| row.standing == Standing::Live;
            if counts.get(&here) == Some(&1) && self.count(&here, is_live) == 1 {
                *before = self.take(&here, is_live);
            }
        }
    }

    fn take(&mut self, here: &Place, is_it: impl Fn(&MeterRow) -> bool) -> Option<At> {
        let all = self.all.get_mut(here)?;
        let index = all.iter().position(|at| self.stored.get(*at).is_some_and(|row| is_it(row)))?;
        Some(all.remove(index))
    }

    fn count(&self, here: &Place, is_it: impl Fn(&MeterRow) -> bool) -> usize {
        let all = self.all.get(here).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|at| self.stored.get(**at).is_some_and(|row| is_it(row))).count()
    }
}

/// The new meters that have no place among the stored ones yet.
fn unpaired<'a>(
    new: &'a [&'a MeterRow],
    pairs: &'a mut [Option<At>],
) -> impl Iterator<Item = (&'a MeterRow, &'a mut Option<At>)> {
    new.iter().copied().zip(pairs).filter(|(_, before)| before.is_none())
}

fn place(owner: &OwnerKey, id: &MeterId) -> Place {
    (owner.clone(), id.measure())
}
