//! Which meter of `config.json` is which of the database, also where its id or its window
//! changed, so that what was spent stays with it.

use std::collections::HashMap;

use super::declared::DeclaredMeter;
use super::rows::{MeterRow, OwnerKey, Standing};
use crate::ledger::{Measure, MeterId};

/// A meter of the database, and whether it has to be written.
pub(super) type SavedMeter = (MeterRow, bool);

/// What an owner can have several of.
type Place = (OwnerKey, Measure);

/// Where a meter of the database stands among the others: there may be hundreds of thousands,
/// which stay where they are until they are taken.
#[derive(Clone, Copy)]
pub(super) struct At(u32);

/// The meters of the database that were not taken yet.
pub(super) struct Rest(Vec<Option<SavedMeter>>);

impl Rest {
    pub(super) fn take(&mut self, at: At) -> Option<SavedMeter> {
        self.0.get_mut(at.0 as usize).and_then(Option::take)
    }

    /// Those that none of the declared ones was.
    pub(super) fn into_iter(self) -> impl Iterator<Item = SavedMeter> {
        self.0.into_iter().flatten()
    }

    fn row(&self, at: At) -> Option<&MeterRow> {
        self.0.get(at.0 as usize).and_then(Option::as_ref).map(|(row, _)| row)
    }

    fn all(&self) -> impl Iterator<Item = (At, &MeterRow)> {
        let rows = (0..).map(At).zip(&self.0);
        rows.filter_map(|(at, saved)| saved.as_ref().map(|(row, _)| (at, row)))
    }
}

/// Each declared meter with where it was before, and all the saved ones.
///
/// They are the same by id; else by owner, measure and window; else where exactly one of an
/// owner's is gone from the file and exactly one is new.
pub(super) fn of(declared: Vec<DeclaredMeter>, saved: Vec<SavedMeter>) -> (Vec<(DeclaredMeter, Option<At>)>, Rest) {
    let rest = Rest(saved.into_iter().map(Some).collect());
    if declared.is_empty() {
        return (Vec::new(), rest);
    }
    let mut by_id: HashMap<&MeterId, At> = rest.all().map(|(at, row)| (&row.id, at)).collect();
    let mut pairs: Vec<_> = declared
        .into_iter()
        .map(|meter| {
            let same = by_id.remove(&meter.id);
            (meter, same)
        })
        .collect();
    if pairs.iter().any(|(_, before)| before.is_none()) {
        let mut places = Places::of(&rest, by_id.into_values());
        places.pair(&rest, &mut pairs);
    }
    (pairs, rest)
}

/// The meters of the file that none of the declared ones was by id, by their place.
struct Places(HashMap<Place, Vec<At>>);

impl Places {
    fn of(rest: &Rest, unpaired: impl Iterator<Item = At>) -> Places {
        let mut unpaired: Vec<At> = unpaired.collect();
        unpaired.sort_unstable_by_key(|at| at.0);
        let mut places: HashMap<Place, Vec<At>> = HashMap::new();
        for at in unpaired {
            if let Some(row) = rest.row(at).filter(|row| row.file_hash.is_some()) {
                places.entry(place(&row.owner, &row.id)).or_default().push(at);
            }
        }
        Places(places)
    }

    fn pair(&mut self, rest: &Rest, pairs: &mut [(DeclaredMeter, Option<At>)]) {
        for (meter, before) in pairs.iter_mut().filter(|(_, before)| before.is_none()) {
            let has_window = |row: &MeterRow| row.reset_duration.millis() == meter.reset_duration.millis();
            *before = self.take(rest, &place(&meter.owner, &meter.id), has_window);
        }
        let mut new: HashMap<Place, usize> = HashMap::new();
        for (meter, _) in pairs.iter().filter(|(_, before)| before.is_none()) {
            *new.entry(place(&meter.owner, &meter.id)).or_default() += 1;
        }
        for (meter, before) in pairs.iter_mut().filter(|(_, before)| before.is_none()) {
            let here = place(&meter.owner, &meter.id);
            let is_live = |row: &MeterRow| row.standing == Standing::Live;
            if new.get(&here) == Some(&1) && self.count(rest, &here, is_live) == 1 {
                *before = self.take(rest, &here, is_live);
            }
        }
    }

    fn take(&mut self, rest: &Rest, here: &Place, is_it: impl Fn(&MeterRow) -> bool) -> Option<At> {
        let all = self.0.get_mut(here)?;
        let index = all.iter().position(|at| rest.row(*at).is_some_and(&is_it))?;
        Some(all.remove(index))
    }

    fn count(&self, rest: &Rest, here: &Place, is_it: impl Fn(&MeterRow) -> bool) -> usize {
        let all = self.0.get(here).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|at| rest.row(**at).is_some_and(&is_it)).count()
    }
}

fn place(owner: &OwnerKey, id: &MeterId) -> Place {
    (owner.clone(), id.measure())
}
