//! Which budgets and limits hold from a start on, and what is used of each.

use super::declared::{DeclaredMeters, Lengths};
use super::noted::{Noted, NotedMeter};
use super::pairs;
use super::rows::{Change, HoldRow, MeterRow, OwnerKey, Standing, StoredMeter};
use crate::clock::Moment;
use crate::ledger::{Amount, MeterId, Spent};
use crate::maps::{Map, Set};
use crate::window::Window;

/// Those whose entity of the file wins over what is stored: a budget or a limit that was
/// deleted with them, or from them, comes back.
pub(super) type Won = Set<OwnerKey>;

/// The meters of the file, which take over what was used of them.
pub(super) struct Used<'a> {
    now: Moment,
    lost: Map<&'a MeterId, Amount>,
    rows: Vec<NotedMeter>,
    /// Where each stands among the rows.
    places: Map<MeterId, usize>,
    lengths: Lengths,
    /// Whether each is as it is stored.
    is_same: Vec<bool>,
}

impl<'a> Used<'a> {
    /// The meters that the file declares, as they are if none is stored. Every hold of a process
    /// that is gone counts as spent now.
    pub(super) fn of(declared: DeclaredMeters, holds: &'a [HoldRow], now: Moment) -> Used<'a> {
        let DeclaredMeters { rows, places, lengths } = declared;
        let mut lost: Map<&MeterId, Amount> = Map::default();
        for hold in holds {
            let spent = Spent { cost: hold.cost, tokens: hold.tokens };
            for id in hold.meters.iter() {
                let sum = lost.entry(id).or_default();
                *sum = sum.plus(spent.amount(id.measure()));
            }
        }
        let is_same = vec![false; rows.len()];
        Used { now, lost, rows, places, lengths, is_same }
    }

    /// Whether the file's meter is the stored one, apart from its limit and its usage, which it
    /// takes over. So are nearly all of them at nearly every start: nothing else of them is copied.
    pub(super) fn take(&mut self, stored: &StoredMeter<'_>) -> bool {
        let place = self.places.get(stored.id).copied();
        let Some((at, meter)) = place.and_then(|at| Some((at, self.rows.get_mut(at)?))) else {
            return false;
        };
        let row = &mut meter.row;
        let length = &row.reset_duration;
        let has_length = length.text() == stored.reset_duration && length.is_on_calendar() == stored.is_aligned;
        let is_same = stored.file_hash == row.file_hash
            && stored.standing == Standing::Live
            && stored.owner == row.owner.parts()
            && has_length;
        if is_same {
            row.limit = stored.limit;
            row.used = stored.used;
            row.window_start = stored.window_start;
            meter.has_changed = recover(row, &self.lost, self.now);
            self.is_same.get_mut(at).into_iter().for_each(|same| *same = true);
        }
        is_same
    }

    /// All meters, the stored ones that were not taken among them.
    pub(super) fn finish(self, stored: Vec<MeterRow>, won: &Won, changes: &mut Vec<Change>) -> Vec<NotedMeter> {
        let Used { now, lost, mut rows, is_same, places, mut lengths } = self;
        drop(places);
        for (Noted { row, .. }, _) in rows.iter_mut().zip(&is_same).filter(|(_, is_same)| !**is_same) {
            row.window_start = Window::beginning(row.reset_duration.clone(), now).start;
        }
        if stored.is_empty() {
            return rows;
        }
        let mut stored: Vec<Option<NotedMeter>> = stored
            .into_iter()
            .map(|mut row| {
                row.reset_duration = lengths.shared(row.reset_duration);
                let has_changed = recover(&mut row, &lost, now);
                Some(Noted { row: Box::new(row), has_changed })
            })
            .collect();
        let new: Vec<_> = rows.iter_mut().zip(is_same).filter(|(_, is_same)| !is_same).map(|(row, _)| row).collect();
        let pairs = pairs::of(&new, &stored);
        for (new, before) in new.into_iter().zip(pairs) {
            let Some(before) = before.and_then(|at| stored.get_mut(at)?.take()) else { continue };
            let has_same_id = before.row.id == new.row.id;
            let stays = match before.row.standing {
                Standing::Live => true,
                Standing::Left => false,
                Standing::Deleted => !won.contains(&before.row.owner),
            };
            if has_same_id && before.row.file_hash == new.row.file_hash && stays {
                *new = before;
                continue;
            }
            if !has_same_id {
                changes.push(Change::DeleteMeter(before.row.id.clone()));
            }
            take_over(&mut new.row, &before.row, now);
        }
        rows.extend(stored.into_iter().flatten().map(|mut meter| {
            if meter.row.file_hash.is_some() && meter.row.standing == Standing::Live {
                meter.row.standing = Standing::Left;
                meter.has_changed = true;
            }
            meter
        }));
        rows
    }
}

/// As for an edit through the API: what was used in a window that goes on stays.
fn take_over(row: &mut MeterRow, before: &MeterRow, now: Moment) {
    let window = Window { start: before.window_start, length: before.reset_duration.clone() };
    if !window.has_ended(now) {
        row.used = before.used;
        row.window_start = window.edited(row.reset_duration.clone(), now).start;
    }
}

/// Counts leftover holds as spent, and tells whether the row has changed. A window that begins
/// in the future (the clock was set back) begins now.
fn recover(row: &mut MeterRow, lost: &Map<&MeterId, Amount>, now: Moment) -> bool {
    let ahead = row.window_start > now;
    if ahead {
        row.window_start = now;
    }
    let Some(lost) = lost.get(&row.id).filter(|lost| **lost > Amount::ZERO) else {
        return ahead;
    };
    let window = Window { start: row.window_start, length: row.reset_duration.clone() };
    if window.has_ended(now) {
        row.used = Amount::ZERO;
        row.window_start = Window::beginning(window.length, now).start;
    }
    row.used = row.used.plus(*lost);
    true
}
