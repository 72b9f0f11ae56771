//! Customers, teams, virtual keys, models and providers of the file, checked.

use std::sync::Arc;
use std::thread;

use super::each::ahead;
use super::governance_file::{
    CustomerFile, GovernanceFile, ModelConfigFile, ProviderConfigFile, ProviderLimitsFile, TeamFile, VirtualKeyFile,
};
use super::load::{Invalid, Wrong};
use super::meters::Meters;
use super::once::Once;
use super::place::Place;
use super::provider::Providers;
use super::types::{AllowList, ConfigId, Weight};
use crate::clock::Moment;
use crate::grant::Grant;
use crate::identity::{KeyHash, KeyValue};
use crate::store::{
    Customer, Declared, DeclaredEntity, DeclaredKey, Entity as _, Membership, ModelConfig, OwnerKey, Team,
};

const SECTION: Place<'static> = Place::Section("governance");

/// Collects what the file declares.
struct Collector<'a> {
    providers: &'a Providers,
    lists_v1: bool,
    meters: Meters,
    customers: Named,
    teams: Named,
    keys: Named,
    values: Once<KeyHash>,
    grants: Once<Arc<str>>,
    targets: Once<String>,
    models: Once<Arc<str>>,
    limited_providers: Once<Arc<str>>,
    declared: Declared,
}

/// Entities of one kind, which have names.
#[derive(Default)]
struct Named {
    ids: Once<Arc<str>>,
    names: Once<String>,
}

/// Checks the section. In a file of version 1, empty lists allow all.
pub(super) fn check(file: GovernanceFile<'_>, providers: &Providers, lists_v1: bool) -> Result<Declared, Wrong> {
    let mut collector = Collector {
        providers,
        lists_v1,
        meters: Meters::of_lists(file.budgets, file.rate_limits)?,
        customers: Named::default(),
        teams: Named::default(),
        keys: Named::with_room(file.virtual_keys.len()),
        values: Once::with_room(file.virtual_keys.len()),
        grants: Once::with_room(file.virtual_keys.len()),
        targets: Once::default(),
        models: Once::default(),
        limited_providers: Once::default(),
        declared: Declared { keys: Vec::with_capacity(file.virtual_keys.len()), ..Declared::default() },
    };
    // In this order each finds those that it names.
    for customer in file.customers.read(&SECTION, "customers") {
        let (at, customer) = customer?;
        collector.customer(&at, customer)?;
    }
    for team in file.teams.read(&SECTION, "teams") {
        let (at, team) = team?;
        collector.team(&at, team)?;
    }
    // There may be very many of these.
    thread::scope(|scope| {
        ahead(scope, file.virtual_keys.read(&SECTION, "virtual_keys")).try_for_each(|key| {
            let (at, key) = key?;
            collector.virtual_key(&at, key).map_err(Wrong::from)
        })
    })?;
    for model in file.model_configs.read(&SECTION, "model_configs") {
        let (at, model) = model?;
        collector.model(&at, model)?;
    }
    for provider in file.providers.read(&SECTION, "providers") {
        let (at, provider) = provider?;
        collector.provider(&at, provider)?;
    }
    let mut declared = collector.declared;
    declared.meters = collector.meters.finish()?;
    Ok(declared)
}

impl Collector<'_> {
    fn customer(&mut self, at: &Place<'_>, mut file: CustomerFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        let id = self.customers.note(at, "customer", file.id, &file.name)?;
        self.meters.add(at, &OwnerKey::Customer(Arc::clone(&id)), file.calendar_aligned, meters)?;
        let entity = Customer { name: file.name };
        self.declared.customers.push(DeclaredEntity { id, entity, calendar_aligned: file.calendar_aligned });
        Ok(())
    }

    fn team(&mut self, at: &Place<'_>, mut file: TeamFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        let id = self.teams.note(at, "team", file.id, &file.name)?;
        self.meters.add(at, &OwnerKey::Team(Arc::clone(&id)), file.calendar_aligned, meters)?;
        let customer_id = known(at, "customer_id", &self.customers, file.customer_id)?;
        let entity = Team { name: file.name, customer_id };
        self.declared.teams.push(DeclaredEntity { id, entity, calendar_aligned: file.calendar_aligned });
        Ok(())
    }

    fn virtual_key(&mut self, at: &Place<'_>, mut file: VirtualKeyFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        if file.value.as_ref().is_some_and(|value| value.trim().is_empty()) {
            return Err(Invalid::new(at.field("value"), "a virtual key's value cannot be empty"));
        }
        let id = self.keys.note(at, "virtual key", file.id, &file.name)?;
        let value = file.value.as_deref().map(KeyValue::of);
        if let Some(value) = &value {
            self.values.note(at, "value", "virtual key value", value.hash)?;
        }
        self.meters.add(at, &OwnerKey::VirtualKey(Arc::clone(&id)), file.calendar_aligned, meters)?;
        let team = known(at, "team_id", &self.teams, file.team_id)?;
        let customer = known(at, "customer_id", &self.customers, file.customer_id)?;
        let membership = match (team, customer) {
            (Some(_), Some(_)) => {
                return Err(Invalid::new(at.field("customer_id"), "a virtual key has a team or a customer"));
            }
            (Some(team), None) => Membership::Team(team),
            (None, Some(customer)) => Membership::Customer(customer),
            (None, None) => Membership::None,
        };
        let grants = self.grants(at, &id, file.calendar_aligned, file.provider_configs)?;
        let expires_at = file.expires_at.map(|text| {
            let problem = format!("`{text}` is no time: write it as 2027-01-31T00:00:00Z");
            Moment::parse(&text).ok_or_else(|| Invalid::new(at.field("expires_at"), problem))
        });
        self.declared.keys.push(DeclaredKey {
            id,
            name: file.name,
            description: file.description,
            is_active: file.is_active.unwrap_or(true),
            value,
            membership,
            grants,
            calendar_aligned: file.calendar_aligned,
            expires_at: expires_at.transpose()?,
        });
        Ok(())
    }

    /// What a key may use. `is_aligned` is whether its windows follow the calendar.
    fn grants(
        &mut self,
        at: &Place<'_>,
        key: &Arc<str>,
        is_aligned: bool,
        files: Box<[ProviderConfigFile]>,
    ) -> Result<Vec<Grant>, Invalid> {
        if files.is_empty() && self.lists_v1 {
            return Ok(self.providers.keys().map(|provider| full_grant(key, provider)).collect());
        }
        let mut grants: Vec<Grant> = Vec::with_capacity(files.len());
        for (index, mut config) in files.into_iter().enumerate() {
            let at = at.item("provider_configs", index);
            let meters = config.take_meters();
            let grant = self.grant(&at, key, config)?;
            self.meters.add(&at, &OwnerKey::Grant(Arc::clone(&grant.id)), is_aligned, meters)?;
            if grants.iter().any(|other| other.provider == grant.provider) {
                let problem = format!("`{}` stands there twice", grant.provider);
                return Err(Invalid::new(at.field("provider"), problem));
            }
            grants.push(grant);
        }
        Ok(grants)
    }

    fn grant(&mut self, at: &Place<'_>, key: &Arc<str>, file: ProviderConfigFile) -> Result<Grant, Invalid> {
        let name = self.known_provider(at, "provider", &file.provider)?;
        let mut allowed_models = file.allowed_models.unwrap_or(AllowList::NONE);
        let mut key_ids = file.key_ids.unwrap_or(AllowList::All);
        if self.lists_v1 {
            allowed_models = allowed_models.empty_means_all();
            key_ids = key_ids.empty_means_all();
        }
        let keys = self.providers.get(&name).map(|provider| provider.keys.as_slice()).unwrap_or_default();
        let known = |name: &String| keys.iter().any(|key| key.id == *name || key.name == *name);
        if let Some(unknown) = key_ids.names().and_then(|names| names.iter().find(|name| !known(name))) {
            return Err(Invalid::new(
                at.field("key_ids"),
                format!("the provider `{}` has no key `{unknown}`", file.provider),
            ));
        }
        let id: Arc<str> = file.id.map_or_else(|| format!("{key}/{}", file.provider), |id| id.0).into();
        self.grants.note(at, "id", "provider configuration", Arc::clone(&id))?;
        Ok(Grant {
            id,
            provider: name,
            weight: file.weight,
            allowed_models,
            blacklisted_models: file.blacklisted_models,
            key_ids,
        })
    }

    fn model(&mut self, at: &Place<'_>, mut file: ModelConfigFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        if file.model_name.is_empty() {
            return Err(Invalid::new(at.field("model_name"), "is empty; write `*` for every model"));
        }
        let provider = match &file.provider {
            Some(provider) => Some(self.known_provider(at, "provider", provider)?),
            None => None,
        };
        let virtual_key_id = match (file.scope.as_deref().unwrap_or("global"), file.scope_id) {
            ("global", None) => None,
            ("global", Some(_)) => {
                return Err(Invalid::new(at.field("scope_id"), "stands beside the scope `global`"));
            }
            ("virtual_key", None) => return Err(Invalid::new(at.field("scope_id"), "is missing")),
            ("virtual_key", id) => known(at, "scope_id", &self.keys, id)?,
            (other, _) => {
                let problem = format!("`{other}` is neither `global` nor `virtual_key`");
                return Err(Invalid::new(at.field("scope"), problem));
            }
        };
        let entity = ModelConfig { model_name: file.model_name, provider, virtual_key_id };
        self.targets.note(at, "model_name", "model configuration", entity.unique())?;
        let id: Arc<str> = file.id.map_or_else(|| entity.label(), |id| id.0).into();
        self.models.note(at, "id", "model configuration's id", Arc::clone(&id))?;
        self.meters.add(at, &OwnerKey::Model(Arc::clone(&id)), file.calendar_aligned, meters)?;
        self.declared.models.push(DeclaredEntity { id, entity, calendar_aligned: file.calendar_aligned });
        Ok(())
    }

    fn provider(&mut self, at: &Place<'_>, mut file: ProviderLimitsFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        let name = self.known_provider(at, "name", &file.name)?;
        self.limited_providers.note(at, "name", "provider", Arc::clone(&name))?;
        self.meters.add(at, &OwnerKey::Provider(name), false, meters)
    }

    fn known_provider(&self, at: &Place<'_>, field: &str, name: &str) -> Result<Arc<str>, Invalid> {
        let known = self.providers.get_key_value(name).map(|(name, _)| Arc::clone(name));
        known.ok_or_else(|| Invalid::new(at.field(field), format!("there is no provider `{name}`")))
    }
}

impl Named {
    fn with_room(count: usize) -> Named {
        Named { ids: Once::with_room(count), names: Once::with_room(count) }
    }

    /// The id of one of them: without one, the name. Neither stands there twice.
    fn note(&mut self, at: &Place<'_>, noun: &str, id: Option<ConfigId>, name: &str) -> Result<Arc<str>, Invalid> {
        if name.is_empty() {
            return Err(Invalid::new(at.field("name"), format!("a {noun} needs a name")));
        }
        let id: Arc<str> = id.map_or_else(|| name.into(), |id| id.0.into());
        self.ids.note(at, "id", noun, Arc::clone(&id))?;
        self.names.note(at, "name", format_args!("{noun} name"), name.to_owned())?;
        Ok(id)
    }
}

/// The id that a field names, which must be among those that the file declares.
fn known(at: &Place<'_>, field: &str, among: &Named, id: Option<ConfigId>) -> Result<Option<Arc<str>>, Invalid> {
    let Some(ConfigId(id)) = id else {
        return Ok(None);
    };
    let known = among.ids.get(id.as_str()).cloned();
    known.map(Some).ok_or_else(|| Invalid::new(at.field(field), format!("there is no `{id}`")))
}

fn full_grant(key: &str, provider: &Arc<str>) -> Grant {
    Grant {
        id: format!("{key}/{provider}").into(),
        provider: Arc::clone(provider),
        weight: Some(Weight::ONE),
        allowed_models: AllowList::All,
        blacklisted_models: Vec::new(),
        key_ids: AllowList::All,
    }
}
