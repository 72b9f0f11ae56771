//! The shapes that a store keeps.

use std::sync::Arc;

use super::documents::{DocumentKind, DocumentRow};
use super::entities::{Customer, EntityRow, ModelConfig, Team};
use super::file_hash::FileHash;
use crate::clock::Moment;
use crate::grant::Grant;
use crate::identity::KeyHash;
use crate::ledger::{Amount, MeterId, MeterState};
use crate::maps::Map;
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

/// A virtual key as stored, apart from its grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) is_active: bool,
    /// The value itself is not kept.
    pub(crate) value_hash: KeyHash,
    /// The value's beginning, for people.
    pub(crate) value_hint: String,
    pub(crate) membership: Membership,
    /// Whether its windows follow the calendar, where they do not say so themselves.
    pub(crate) calendar_aligned: bool,
    /// From when on it is not valid.
    pub(crate) expires_at: Option<Moment>,
    /// Hash of the file's value that a rotation has replaced.
    pub(crate) retired_hash: Option<KeyHash>,
    pub(crate) file_hash: Option<FileHash>,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) standing: Standing,
}

/// To whom a virtual key belongs. One that is gone limits nothing; where it comes back,
/// so does the membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Membership {
    #[default]
    None,
    /// The id of a team.
    Team(Arc<str>),
    /// The id of a customer.
    Customer(Arc<str>),
}

impl Membership {
    pub(crate) fn team_id(&self) -> Option<&Arc<str>> {
        match self {
            Membership::Team(id) => Some(id),
            Membership::None | Membership::Customer(_) => None,
        }
    }

    pub(crate) fn customer_id(&self) -> Option<&Arc<str>> {
        match self {
            Membership::Customer(id) => Some(id),
            Membership::None | Membership::Team(_) => None,
        }
    }
}

/// A virtual key with what it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredKey {
    /// Shared with whoever decides by it: there may be very many.
    pub(crate) row: Arc<KeyRow>,
    pub(crate) grants: Vec<Grant>,
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
    pub(crate) file_hash: Option<FileHash>,
    pub(crate) standing: Standing,
}

/// A meter as it is read, before anything of it is copied.
#[derive(Debug)]
pub(crate) struct StoredMeter<'a> {
    pub(crate) id: &'a str,
    /// The word for the owner's level, and its id.
    pub(crate) owner: (&'a str, &'a str),
    pub(crate) limit: Amount,
    pub(crate) reset_duration: &'a str,
    pub(crate) is_aligned: bool,
    pub(crate) used: Amount,
    pub(crate) window_start: Moment,
    pub(crate) file_hash: Option<FileHash>,
    pub(crate) standing: Standing,
}

/// The entity that a meter belongs to, by the ids that never change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OwnerKey {
    /// The id of a customer.
    Customer(Arc<str>),
    /// The id of a team.
    Team(Arc<str>),
    /// The id of a virtual key.
    VirtualKey(Arc<str>),
    /// The id of a provider configuration of a virtual key.
    Grant(Arc<str>),
    /// The name of a provider.
    Provider(Arc<str>),
    /// The id of a model configuration.
    Model(Arc<str>),
}

impl OwnerKey {
    /// The word for the level, and the id.
    pub(crate) fn parts(&self) -> (&'static str, &str) {
        match self {
            OwnerKey::Customer(id) => ("customer", id),
            OwnerKey::Team(id) => ("team", id),
            OwnerKey::VirtualKey(id) => ("virtual_key", id),
            OwnerKey::Grant(id) => ("virtual_key_provider", id),
            OwnerKey::Provider(name) => ("provider", name),
            OwnerKey::Model(id) => ("model", id),
        }
    }

    /// How an owner is made of its id, by the word for the level.
    pub(super) fn of_level(word: &str) -> Option<fn(Arc<str>) -> OwnerKey> {
        Some(match word {
            "customer" => OwnerKey::Customer,
            "team" => OwnerKey::Team,
            "virtual_key" => OwnerKey::VirtualKey,
            "virtual_key_provider" => OwnerKey::Grant,
            "provider" => OwnerKey::Provider,
            "model" => OwnerKey::Model,
            _ => return None,
        })
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

/// Everything that a store holds, but for its meters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saved {
    pub(crate) customers: Vec<EntityRow<Customer>>,
    pub(crate) teams: Vec<EntityRow<Team>>,
    pub(crate) models: Vec<EntityRow<ModelConfig>>,
    pub(crate) keys: Vec<StoredKey>,
    pub(crate) holds: Vec<HoldRow>,
    pub(crate) documents: Vec<DocumentRow>,
}

/// A change to what is configured.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    PutCustomer(EntityRow<Customer>),
    DeleteCustomer(Arc<str>),
    PutTeam(EntityRow<Team>),
    DeleteTeam(Arc<str>),
    PutModel(EntityRow<ModelConfig>),
    DeleteModel(Arc<str>),
    PutKey(StoredKey),
    DeleteKey(Arc<str>),
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
    pub(crate) states: Map<MeterId, MeterState>,
    pub(crate) changes: Vec<Change>,
    /// Whether the batch is committed also when it is empty, to see that it can be.
    pub(crate) is_ping: bool,
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
        if let Change::PutMeter(MeterRow { id, .. }) | Change::DeleteMeter(id) = &change {
            self.superseded.extend(self.states.remove(id));
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

    /// Whether it is a hold and nothing else: what most batches before a call are.
    pub(crate) fn is_one_hold(&self) -> bool {
        let has_more = !(self.closed.is_empty() && self.states.is_empty() && self.changes.is_empty()) || self.is_ping;
        self.holds.len() == 1 && !has_more
    }

    pub(crate) fn is_empty(&self) -> bool {
        let has_usage = !(self.holds.is_empty() && self.closed.is_empty() && self.states.is_empty());
        !has_usage && self.changes.is_empty() && !self.is_ping
    }
}
