//! Customers, teams and model configurations: what they are, apart from their budgets
//! and limits, which are meters that they own.

use std::sync::Arc;

use super::file_hash::FileHash;
use super::rows::{Change, OwnerKey, Standing};
use crate::clock::Moment;

/// A customer, a team or a model configuration as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityRow<T> {
    pub(crate) id: Arc<str>,
    pub(crate) entity: T,
    /// Whether its windows follow the calendar, where they do not say so themselves.
    pub(crate) calendar_aligned: bool,
    /// The hash of the file's entity; none for one made through the API.
    pub(crate) file_hash: Option<FileHash>,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) standing: Standing,
}

/// What `EntityRow` needs to know of what it carries.
pub(crate) trait Entity: Clone {
    /// What it is called in a message.
    const NOUN: &'static str;

    /// What it says of itself: a change of the file is recognised by it.
    fn parts(&self) -> Vec<&str>;

    /// How a message names it.
    fn label(&self) -> String;

    /// What no two of them may share.
    fn unique(&self) -> String {
        self.label()
    }

    /// Whose meters are its own.
    fn owner(id: Arc<str>) -> OwnerKey;

    /// Writes the row.
    fn put(row: EntityRow<Self>) -> Change;

    /// Forgets it.
    fn delete(id: Arc<str>) -> Change;
}

/// A customer: one or more teams and virtual keys with common budgets and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Customer {
    pub(crate) name: String,
}

/// A team: virtual keys with common budgets and limits, perhaps of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Team {
    pub(crate) name: String,
    /// A customer who is gone limits nothing.
    pub(crate) customer_id: Option<Arc<str>>,
}

/// Which use of which models has budgets and limits of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelConfig {
    /// The name as a provider is asked for it, or [`ModelConfig::ALL`].
    pub(crate) model_name: String,
    /// One provider only.
    pub(crate) provider: Option<Arc<str>>,
    /// One virtual key only.
    pub(crate) virtual_key_id: Option<Arc<str>>,
}

impl ModelConfig {
    /// The name that stands for every model.
    pub(crate) const ALL: &'static str = "*";
}

impl Entity for Customer {
    const NOUN: &'static str = "customer";

    fn parts(&self) -> Vec<&str> {
        vec![&self.name]
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn owner(id: Arc<str>) -> OwnerKey {
        OwnerKey::Customer(id)
    }

    fn put(row: EntityRow<Customer>) -> Change {
        Change::PutCustomer(row)
    }

    fn delete(id: Arc<str>) -> Change {
        Change::DeleteCustomer(id)
    }
}

impl Entity for Team {
    const NOUN: &'static str = "team";

    fn parts(&self) -> Vec<&str> {
        vec![&self.name, self.customer_id.as_deref().unwrap_or_default()]
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn owner(id: Arc<str>) -> OwnerKey {
        OwnerKey::Team(id)
    }

    fn put(row: EntityRow<Team>) -> Change {
        Change::PutTeam(row)
    }

    fn delete(id: Arc<str>) -> Change {
        Change::DeleteTeam(id)
    }
}

impl Entity for ModelConfig {
    const NOUN: &'static str = "model configuration";

    fn parts(&self) -> Vec<&str> {
        let [provider, key] = [&self.provider, &self.virtual_key_id].map(|id| id.as_deref().unwrap_or_default());
        vec![&self.model_name, provider, key]
    }

    /// `mock-1`, `primary/mock-1`, and with the id of a virtual key `vk-1: primary/*`.
    fn label(&self) -> String {
        let key = self.virtual_key_id.as_ref().map_or_else(String::new, |id| format!("{id}: "));
        key + &self.target()
    }

    /// A model's name counts in whatever case it is written.
    fn unique(&self) -> String {
        self.label().to_ascii_lowercase()
    }

    fn owner(id: Arc<str>) -> OwnerKey {
        OwnerKey::Model(id)
    }

    fn put(row: EntityRow<ModelConfig>) -> Change {
        Change::PutModel(row)
    }

    fn delete(id: Arc<str>) -> Change {
        Change::DeleteModel(id)
    }
}

impl ModelConfig {
    /// The model as callers name it: `mock-1`, or `primary/mock-1`.
    pub(crate) fn target(&self) -> String {
        match &self.provider {
            Some(provider) => format!("{provider}/{}", self.model_name),
            None => self.model_name.clone(),
        }
    }
}
