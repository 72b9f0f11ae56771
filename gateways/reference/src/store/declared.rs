//! The entities and meters of `config.json`.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::thread;

use super::entities::{Customer, ModelConfig, Team};
use super::file_hash::FileHash;
use super::noted::{Noted, NotedMeter};
use super::rows::{Membership, MeterRow, OwnerKey, Standing};
use crate::clock::Moment;
use crate::grant::{Grant, grants_json};
use crate::identity::KeyValue;
use crate::ledger::{Amount, MeterId};
use crate::maps::{Map, Set};
use crate::window::ResetDuration;

/// What the file declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) customers: Vec<DeclaredEntity<Customer>>,
    pub(crate) teams: Vec<DeclaredEntity<Team>>,
    pub(crate) models: Vec<DeclaredEntity<ModelConfig>>,
    pub(crate) keys: Vec<DeclaredKey>,
    pub(crate) meters: DeclaredMeters,
    /// Providers that had been deleted and are back, since the file changed them.
    pub(crate) back: Vec<String>,
}

/// What the file declares, with its keys and meters hashed: of these there may be so many that it is done while
/// something else is waited for.
#[derive(Debug)]
pub(crate) struct Hashed {
    pub(crate) declared: Declared,
    pub(super) key_hashes: Vec<FileHash>,
}

impl From<Declared> for Hashed {
    fn from(mut declared: Declared) -> Hashed {
        let Declared { keys, meters, .. } = &mut declared;
        let key_hashes = thread::scope(|scope| {
            let keys = scope.spawn(|| keys.iter().map(key_hash).collect());
            meters.rows.iter_mut().for_each(|Noted { row, .. }| row.file_hash = Some(meter_hash(row)));
            keys.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        Hashed { declared, key_hashes }
    }
}

/// A customer, a team or a model configuration of the file.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredEntity<T> {
    pub(crate) id: Arc<str>,
    pub(crate) entity: T,
    /// Whether its windows follow the calendar, where they do not say so themselves.
    pub(crate) calendar_aligned: bool,
}

/// A virtual key of the file.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredKey {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) is_active: bool,
    /// Without one, a value is generated at the first start.
    pub(crate) value: Option<KeyValue>,
    pub(crate) membership: Membership,
    pub(crate) grants: Vec<Grant>,
    /// Whether its windows follow the calendar, where they do not say so themselves.
    pub(crate) calendar_aligned: bool,
    /// From when on it is not valid.
    pub(crate) expires_at: Option<Moment>,
}

/// A budget of the file, or one counter of a rate limit.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredMeter {
    pub(crate) id: MeterId,
    pub(crate) owner: OwnerKey,
    pub(crate) limit: Amount,
    pub(crate) reset_duration: ResetDuration,
}

/// The budgets and limits of the file. There may be hundreds of thousands, so that each is made once what it
/// will be.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeclaredMeters {
    pub(super) rows: Vec<NotedMeter>,
    /// Where each stands among the rows.
    pub(super) places: Map<MeterId, usize>,
    pub(super) lengths: Lengths,
}

/// The lengths of windows, of which there are few.
#[derive(Clone, Debug, Default)]
pub(super) struct Lengths(Set<ResetDuration>);

impl Lengths {
    /// The same length, which is kept once.
    pub(super) fn shared(&mut self, length: ResetDuration) -> ResetDuration {
        if let Some(known) = self.0.get(&length) {
            return known.clone();
        }
        self.0.insert(length.clone());
        length
    }
}

impl DeclaredMeters {
    /// Adds one, unless there is one with its id: then it says no.
    #[must_use]
    pub(crate) fn add(&mut self, mut meter: DeclaredMeter) -> bool {
        let Entry::Vacant(place) = self.places.entry(meter.id.clone()) else { return false };
        place.insert(self.rows.len());
        meter.reset_duration = self.lengths.shared(meter.reset_duration);
        self.rows.push(Noted::new(Box::new(new_row(meter))));
        true
    }
}

/// The file's meter. It is hashed later, and its window begins when what was used of it is known.
fn new_row(meter: DeclaredMeter) -> MeterRow {
    MeterRow {
        id: meter.id,
        owner: meter.owner,
        limit: meter.limit,
        reset_duration: meter.reset_duration,
        used: Amount::ZERO,
        window_start: Moment::from_millis(0),
        file_hash: None,
        standing: Standing::Live,
    }
}

fn meter_hash(meter: &MeterRow) -> FileHash {
    let (level, owner) = meter.owner.parts();
    let limit = meter.limit.raw().to_string();
    let length = &meter.reset_duration;
    let parts = [level, owner, &limit, length.text(), "calendar"];
    let said = if length.is_on_calendar() { parts.len() } else { parts.len() - 1 };
    FileHash::of(parts.get(..said).unwrap_or_default())
}

fn key_hash(key: &DeclaredKey) -> FileHash {
    let value = key.value.as_ref().map_or_else(String::new, |value| value.hash.to_hex());
    let active = if key.is_active { "active" } else { "inactive" };
    let grants = grants_json(&key.grants);
    let mut parts = vec![key.name.as_str(), &key.description, active, &value, &grants];
    match &key.membership {
        Membership::None => {}
        Membership::Team(id) => parts.extend(["team", id]),
        Membership::Customer(id) => parts.extend(["customer", id]),
    }
    parts.extend(key.calendar_aligned.then_some("calendar"));
    let expiry = key.expires_at.map(|moment| moment.to_string());
    parts.extend(expiry.as_deref());
    FileHash::of(&parts)
}
