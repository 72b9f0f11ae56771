//! The entities and meters of `config.json`.

use std::sync::Arc;

use super::entities::{Customer, ModelConfig, Team};
use super::rows::{Membership, OwnerKey};
use crate::clock::Moment;
use crate::grant::Grant;
use crate::identity::KeyValue;
use crate::ledger::{Amount, MeterId};
use crate::window::ResetDuration;

/// What the file declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) customers: Vec<DeclaredEntity<Customer>>,
    pub(crate) teams: Vec<DeclaredEntity<Team>>,
    pub(crate) models: Vec<DeclaredEntity<ModelConfig>>,
    pub(crate) keys: Vec<DeclaredKey>,
    pub(crate) meters: Vec<DeclaredMeter>,
    /// Providers that had been deleted and are back, since the file changed them.
    pub(crate) back: Vec<String>,
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
