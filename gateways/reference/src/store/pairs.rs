//! Which meter of `config.json` is which of the database, also where its id or its window
//! changed, so that what was spent stays with it.

use std::collections::HashMap;

use super::declared::DeclaredMeter;
use super::merge::Noted;
use super::rows::{MeterRow, OwnerKey, Standing};
use crate::ledger::{Measure, MeterId};

/// Where a meter of the database stands among the others.
type At = usize;

/// What an owner can have several of.
type Place = (OwnerKey, Measure);

/// For each declared meter, where it is among the saved ones, if it is there.
///
/// They are the same by id; else by owner, measure and window; else where exactly one of an
/// owner's is gone from the file and exactly one is new.
pub(super) fn of(declared: &[DeclaredMeter], saved: &[Noted<MeterRow>]) -> Vec<Option<At>> {
    if saved.is_empty() {
        return vec![None; declared.len()];
    }
    let mut by_id: HashMap<&MeterId, At> = saved.iter().enumerate().map(|(at, meter)| (&meter.row.id, at)).collect();
    let mut pairs: Vec<_> = declared.iter().map(|meter| by_id.remove(&meter.id)).collect();
    let mut unpaired: Vec<At> = by_id.into_values().collect();
    unpaired.sort_unstable();
    let mut places = Places::of(saved, &unpaired);
    if !places.all.is_empty() {
        places.pair(declared, &mut pairs);
    }
    pairs
}

/// The meters of the file that none of the declared ones was by id, by their place.
struct Places<'a> {
    saved: &'a [Noted<MeterRow>],
    all: HashMap<Place, Vec<At>>,
}

impl<'a> Places<'a> {
    fn of(saved: &'a [Noted<MeterRow>], unpaired: &[At]) -> Places<'a> {
        let mut all: HashMap<Place, Vec<At>> = HashMap::new();
        for at in unpaired {
            if let Some(Noted { row, .. }) = saved.get(*at).filter(|meter| meter.row.file_hash.is_some()) {
                all.entry(place(&row.owner, &row.id)).or_default().push(*at);
            }
        }
        Places { saved, all }
    }

    fn pair(&mut self, declared: &[DeclaredMeter], pairs: &mut [Option<At>]) {
        for (meter, before) in unpaired(declared, pairs) {
            let has_window = |row: &MeterRow| row.reset_duration.millis() == meter.reset_duration.millis();
            *before = self.take(&place(&meter.owner, &meter.id), has_window);
        }
        let mut new: HashMap<Place, usize> = HashMap::new();
        for (meter, _) in unpaired(declared, pairs) {
            *new.entry(place(&meter.owner, &meter.id)).or_default() += 1;
        }
        for (meter, before) in unpaired(declared, pairs) {
            let here = place(&meter.owner, &meter.id);
            let is_live = |row: &MeterRow| row.standing == Standing::Live;
            if new.get(&here) == Some(&1) && self.count(&here, is_live) == 1 {
                *before = self.take(&here, is_live);
            }
        }
    }

    fn take(&mut self, here: &Place, is_it: impl Fn(&MeterRow) -> bool) -> Option<At> {
        let all = self.all.get_mut(here)?;
        let index = all.iter().position(|at| self.saved.get(*at).is_some_and(|meter| is_it(&meter.row)))?;
        Some(all.remove(index))
    }

    fn count(&self, here: &Place, is_it: impl Fn(&MeterRow) -> bool) -> usize {
        let all = self.all.get(here).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|at| self.saved.get(**at).is_some_and(|meter| is_it(&meter.row))).count()
    }
}

/// The declared meters that have no place among the saved ones yet.
fn unpaired<'a>(
    declared: &'a [DeclaredMeter],
    pairs: &'a mut [Option<At>],
) -> impl Iterator<Item = (&'a DeclaredMeter, &'a mut Option<At>)> {
    declared.iter().zip(pairs).filter(|(_, before)| before.is_none())
}

fn place(owner: &OwnerKey, id: &MeterId) -> Place {
    (owner.clone(), id.measure())
}
