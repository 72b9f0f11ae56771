//! The shapes that a store keeps.

use std::collections::HashMap;
use std::sync::Arc;

use super::documents::{DocumentKind, DocumentRow};
use crate::clock::Moment;
use crate::ledger::{Amount, MeterId, MeterState};
use crate::money::Usd;
use crate::window::ResetDuration;

/// Identifies a hold. Counts up from one while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldId(pub(crate) i64);

/// Whether an entity counts. One of the file that does not is not forgotten: what
/// was spent is kept for the day it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Live,
    /// `config.json` no longer has it.
    Left,
    /// An administrator deleted it; it comes back if the file's entity changes.
    Deleted,
}

impl Standing {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Standing::Live => "live",
            Standing::Left => "left",
            Standing::Deleted => "deleted",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Standing> {
        [Standing::Live, Standing::Left, Standing::Deleted].into_iter().find(|standing| standing.word() == word)
    }
}

/// A virtual key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) is_active: bool,
    /// SHA-256 of the value, in hexadecimal digits.
    pub(crate) value_hash: String,
    /// The value's beginning, for people.
    pub(crate) value_hint: String,
    /// JSON list of grants.
    pub(crate) grants: String,
    /// Whether its windows follow the calendar, where they do not say so themselves.
    pub(crate) calendar_aligned: bool,
    /// From when on it is not valid.
    pub(crate) expires_at: Option<Moment>,
    /// Hash of the file's value that a rotation has replaced.
    pub(crate) retired_hash: Option<String>,
    pub(crate) file_hash: Option<String>,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) standing: Standing,
}

/// A meter as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MeterRow {
    pub(crate) id: MeterId,
    pub(crate) owner: OwnerKey,
    pub(crate) limit: Amount,
    pub(crate) reset_duration: ResetDuration,
    pub(crate) used: Amount,
    pub(crate) window_start: Moment,
    pub(crate) file_hash: Option<String>,
    pub(crate) standing: Standing,
}

/// The entity that a meter belongs to, by the ids that never change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OwnerKey {
    /// The id of a virtual key.
    VirtualKey(String),
    /// The id of a provider configuration of a virtual key.
    Grant(String),
}

impl OwnerKey {
    /// The word for the level, and the id.
    pub(crate) fn parts(&self) -> (&'static str, &str) {
        match self {
            OwnerKey::VirtualKey(id) => ("virtual_key", id),
            OwnerKey::Grant(id) => ("virtual_key_provider", id),
        }
    }

    pub(crate) fn from_parts(level: &str, id: String) -> Option<OwnerKey> {
        match level {
            "virtual_key" => Some(OwnerKey::VirtualKey(id)),
            "virtual_key_provider" => Some(OwnerKey::Grant(id)),
            _ => None,
        }
    }
}

/// A request on its way to a provider.
#[derive(Clone, Debug)]
pub(crate) struct HoldRow {
    pub(crate) id: HoldId,
    pub(crate) cost: Usd,
    pub(crate) tokens: u64,
    pub(crate) meters: Arc<[MeterId]>,
}

/// Everything that a store holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saved {
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) meters: Vec<MeterRow>,
    pub(crate) holds: Vec<HoldRow>,
    pub(crate) documents: Vec<DocumentRow>,
}

/// A change to what is configured.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    PutKey(KeyRow),
    DeleteKey(String),
    PutMeter(MeterRow),
    DeleteMeter(MeterId),
    PutDocument(DocumentRow),
    DeleteDocument(DocumentKind, String),
}

/// What one transaction writes. Later states of a meter replace earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// States that a change of their meter carries along; they count if it is not written.
    pub(crate) superseded: Vec<MeterState>,
    pub(crate) holds: Vec<HoldRow>,
    pub(crate) closed: Vec<HoldId>,
    pub(crate) states: HashMap<MeterId, MeterState>,
    pub(crate) changes: Vec<Change>,
}

impl Batch {
    pub(crate) fn set_states(&mut self, states: Vec<MeterState>) {
        for state in states {
            self.states.insert(state.id.clone(), state);
        }
    }

    /// Adds a change. One that writes a meter carries its latest state, which
    /// replaces what was noted before.
    pub(crate) fn change(&mut self, change: Change) {
        match &change {
            Change::PutMeter(MeterRow { id, .. }) | Change::DeleteMeter(id) => {
                self.superseded.extend(self.states.remove(id));
            }
            Change::PutKey(_) | Change::DeleteKey(_) | Change::PutDocument(_) | Change::DeleteDocument(..) => {}
        }
        self.changes.push(change);
    }

    /// What must be written later if this batch was not: what was spent. Holds and changes
    /// are not among it, since whoever waited for them was told that they failed.
    pub(crate) fn owed(self) -> Batch {
        let mut owed = Batch { closed: self.closed, ..Batch::default() };
        owed.set_states(self.superseded);
        owed.set_states(self.states.into_values().collect());
        owed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.holds.is_empty() && self.closed.is_empty() && self.states.is_empty() && self.changes.is_empty()
    }
}
