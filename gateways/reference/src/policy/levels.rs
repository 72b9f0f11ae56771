//! Customers, teams, providers and models with their budgets and limits.

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::ApiBase;
use crate::ledger::{Level, MeterId, Owner};
use crate::lower_case::lower_case;
use crate::maps::{Map, Ordered};
use crate::store::{Customer, EntityRow, FileHash, ModelConfig, Team};

/// A meter of an owner, with the hash of its entity in the file, if it is from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedMeter {
    pub(crate) id: MeterId,
    pub(crate) file_hash: Option<FileHash>,
}

/// An entity with its own budgets and limits.
#[derive(Clone, Debug)]
pub(crate) struct Limited<T> {
    pub(crate) row: EntityRow<T>,
    pub(crate) meters: Vec<OwnedMeter>,
}

pub(crate) type CustomerPolicy = Limited<Customer>;
pub(crate) type TeamPolicy = Limited<Team>;
pub(crate) type ModelPolicy = Limited<ModelConfig>;

/// All of one kind, in the order in which they were added.
type All<T> = Ordered<Arc<str>, Arc<Limited<T>>>;

/// Everything but virtual keys that has budgets and limits.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    customers: All<Customer>,
    teams: All<Team>,
    models: All<ModelConfig>,
    providers: Map<Arc<str>, Arc<[OwnedMeter]>>,
    targets: Targets,
}

/// Ids of model configurations by what they are asked for.
#[derive(Debug, Default)]
struct Targets {
    /// For whoever asks.
    global: ModelIds,
    by_key: Map<Arc<str>, ModelIds>,
}

/// By the [`folded`] name of the model, then by the provider, if it is for one only.
type ModelIds = Map<String, Map<Option<Arc<str>>, Vec<Arc<str>>>>;

impl Levels {
    pub(crate) fn customer(&self, id: &str) -> Option<&Arc<CustomerPolicy>> {
        self.customers.get(id)
    }

    pub(crate) fn team(&self, id: &str) -> Option<&Arc<TeamPolicy>> {
        self.teams.get(id)
    }

    pub(crate) fn model(&self, id: &str) -> Option<&Arc<ModelPolicy>> {
        self.models.get(id)
    }

    pub(crate) fn customers(&self) -> impl Iterator<Item = &Arc<CustomerPolicy>> {
        self.customers.values()
    }

    pub(crate) fn teams(&self) -> impl Iterator<Item = &Arc<TeamPolicy>> {
        self.teams.values()
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = &Arc<ModelPolicy>> {
        self.models.values()
    }

    /// The budgets and limits of a provider, for whoever asks.
    pub(crate) fn provider(&self, name: &str) -> &[OwnedMeter] {
        self.providers.get(name).map(AsRef::as_ref).unwrap_or_default()
    }

    /// The providers that have some, in no order.
    pub(crate) fn providers(&self) -> impl Iterator<Item = (&Arc<str>, &[OwnedMeter])> {
        self.providers.iter().map(|(name, meters)| (name, meters.as_ref()))
    }

    /// Adds one or replaces the one with its id.
    pub(crate) fn put_customer(&mut self, customer: CustomerPolicy) {
        self.customers.insert(Arc::clone(&customer.row.id), Arc::new(customer));
    }

    pub(crate) fn remove_customer(&mut self, id: &str) {
        self.customers.shift_remove(id);
    }

    /// Adds one or replaces the one with its id.
    pub(crate) fn put_team(&mut self, team: TeamPolicy) {
        self.teams.insert(Arc::clone(&team.row.id), Arc::new(team));
    }

    pub(crate) fn remove_team(&mut self, id: &str) {
        self.teams.shift_remove(id);
    }

    /// Adds one or replaces the one with its id.
    pub(crate) fn put_model(&mut self, model: ModelPolicy) {
        let id = Arc::clone(&model.row.id);
        if let Some(before) = self.models.get(&id) {
            self.targets.remove(&Arc::clone(before).row);
        }
        self.targets.add(&model.row);
        self.models.insert(id, Arc::new(model));
    }

    pub(crate) fn remove_model(&mut self, id: &str) {
        if let Some(model) = self.models.shift_remove(id) {
            self.targets.remove(&model.row);
        }
    }

    /// Replaces the budgets and limits of a provider.
    pub(crate) fn put_provider(&mut self, name: Arc<str>, meters: Vec<OwnedMeter>) {
        if meters.is_empty() {
            self.providers.remove(&name);
        } else {
            self.providers.insert(name, meters.into());
        }
    }

    /// The configurations for a model ([`folded`], or every one's) at a provider or at
    /// every provider, for whoever asks.
    pub(super) fn for_all(&self, model: &str, provider: Option<&Arc<str>>) -> impl Iterator<Item = &ModelPolicy> {
        self.found(Some(&self.targets.global), model, provider)
    }

    /// The same for one virtual key.
    pub(super) fn for_key(
        &self,
        key: &str,
        model: &str,
        provider: Option<&Arc<str>>,
    ) -> impl Iterator<Item = &ModelPolicy> {
        self.found(self.targets.by_key.get(key), model, provider)
    }

    /// Whether no model has budgets or limits of its own.
    pub(super) fn has_no_models(&self) -> bool {
        self.models.is_empty()
    }

    /// Those that are for this virtual key only.
    pub(crate) fn models_of_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Arc<ModelPolicy>> {
        let ids = self.targets.by_key.get(key).into_iter().flat_map(Map::values).flat_map(Map::values).flatten();
        ids.filter_map(|id| self.models.get(id))
    }

    fn found<'a>(
        &'a self,
        ids: Option<&'a ModelIds>,
        model: &str,
        provider: Option<&Arc<str>>,
    ) -> impl Iterator<Item = &'a ModelPolicy> {
        let ids = ids.and_then(|ids| ids.get(model)?.get(&provider.cloned()));
        ids.into_iter().flatten().filter_map(|id| self.models.get(id).map(AsRef::as_ref))
    }
}

impl Targets {
    fn add(&mut self, row: &EntityRow<ModelConfig>) {
        let ModelConfig { model_name, provider, virtual_key_id } = &row.entity;
        let ids = match virtual_key_id {
            None => &mut self.global,
            Some(key) => self.by_key.entry(Arc::clone(key)).or_default(),
        };
        let ids = ids.entry(folded(model_name).into_owned()).or_default().entry(provider.clone()).or_default();
        ids.push(Arc::clone(&row.id));
    }

    fn remove(&mut self, row: &EntityRow<ModelConfig>) {
        let ModelConfig { model_name, provider, virtual_key_id } = &row.entity;
        let ids = match virtual_key_id {
            None => Some(&mut self.global),
            Some(key) => self.by_key.get_mut(key),
        };
        let model = folded(model_name);
        if let Some(ids) = ids.and_then(|ids| ids.get_mut(model.as_ref())?.get_mut(provider)) {
            ids.retain(|id| *id != row.id);
        }
    }
}

/// A model's name as limits know it: neither another case of its letters nor Gemini's collection
/// before it is a way around them.
pub(super) fn folded(model: &str) -> Cow<'_, str> {
    lower_case(ApiBase::Gemini.model(model))
}

impl CustomerPolicy {
    /// Whose meters its own are, as a refusal shows it.
    pub(crate) fn owner(&self) -> Owner {
        Owner { level: Level::Customer, entity: self.row.entity.name.as_str().into() }
    }
}

impl TeamPolicy {
    /// Whose meters its own are, as a refusal shows it.
    pub(crate) fn owner(&self) -> Owner {
        Owner { level: Level::Team, entity: self.row.entity.name.as_str().into() }
    }
}

impl ModelPolicy {
    /// Whose meters its own are, as a refusal shows it; `key` is the name of its virtual key.
    pub(crate) fn owner(&self, key: Option<&str>) -> Owner {
        let target = self.row.entity.target();
        match (&self.row.entity.virtual_key_id, key) {
            (None, _) => Owner { level: Level::Model, entity: target.into() },
            (Some(id), key) => {
                let entity = format!("{}/{target}", key.unwrap_or(id)).into();
                Owner { level: Level::VirtualKeyModel, entity }
            }
        }
    }
}
