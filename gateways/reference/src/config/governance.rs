//! Customers, teams, virtual keys, models and providers of the file, checked.

use std::collections::HashSet;
use std::sync::Arc;

use super::governance_file::{
    CustomerFile, GovernanceFile, MetersFile, ModelConfigFile, ProviderConfigFile, ProviderLimitsFile, TeamFile,
    VirtualKeyFile,
};
use super::load::Invalid;
use super::meters::Meters;
use super::once::Once;
use super::provider::Providers;
use super::types::{AllowList, ConfigId, Weight};
use crate::clock::Moment;
use crate::grant::Grant;
use crate::store::{Customer, Declared, DeclaredEntity, DeclaredKey, Membership, ModelConfig, OwnerKey, Team};

/// Collects what the file declares.
struct Collector<'a> {
    providers: &'a Providers,
    lists_v1: bool,
    meters: Meters,
    once: Once,
    customers: HashSet<Arc<str>>,
    teams: HashSet<Arc<str>>,
    keys: HashSet<Arc<str>>,
    declared: Declared,
}

/// Checks the section. In a file of version 1, empty lists allow all.
pub(super) fn check(file: GovernanceFile, providers: &Providers, lists_v1: bool) -> Result<Declared, Invalid> {
    let mut collector = Collector {
        providers,
        lists_v1,
        meters: Meters::of_lists(file.budgets, file.rate_limits)?,
        once: Once::default(),
        customers: HashSet::new(),
        teams: HashSet::new(),
        keys: HashSet::new(),
        declared: Declared::default(),
    };
    // In this order each finds those that it names.
    for (index, customer) in file.customers.into_iter().enumerate() {
        collector.customer(&format!("governance.customers[{index}]"), customer)?;
    }
    for (index, team) in file.teams.into_iter().enumerate() {
        collector.team(&format!("governance.teams[{index}]"), team)?;
    }
    for (index, key) in file.virtual_keys.into_iter().enumerate() {
        collector.virtual_key(&format!("governance.virtual_keys[{index}]"), key)?;
    }
    for (index, model) in file.model_configs.into_iter().enumerate() {
        collector.model(&format!("governance.model_configs[{index}]"), model)?;
    }
    for (index, provider) in file.providers.into_iter().enumerate() {
        collector.provider(&format!("governance.providers[{index}]"), provider)?;
    }
    let mut declared = collector.declared;
    declared.meters = collector.meters.finish()?;
    Ok(declared)
}

impl Collector<'_> {
    fn customer(&mut self, at: &str, mut file: CustomerFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        let id = self.named(at, "customer", "customer name", file.id, &file.name)?;
        self.customers.insert(Arc::clone(&id));
        self.meters.align(OwnerKey::Customer(Arc::clone(&id)), file.calendar_aligned);
        self.meters.add(at, &OwnerKey::Customer(Arc::clone(&id)), meters)?;
        self.declared.customers.push(DeclaredEntity {
            id,
            entity: Customer { name: file.name },
            calendar_aligned: file.calendar_aligned,
        });
        Ok(())
    }

    fn team(&mut self, at: &str, mut file: TeamFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        let id = self.named(at, "team", "team name", file.id, &file.name)?;
        self.teams.insert(Arc::clone(&id));
        self.meters.align(OwnerKey::Team(Arc::clone(&id)), file.calendar_aligned);
        self.meters.add(at, &OwnerKey::Team(Arc::clone(&id)), meters)?;
        let customer_id = known(at, "customer_id", &self.customers, file.customer_id)?;
        let entity = Team { name: file.name, customer_id };
        self.declared.teams.push(DeclaredEntity { id, entity, calendar_aligned: file.calendar_aligned });
        Ok(())
    }

    fn virtual_key(&mut self, at: &str, mut file: VirtualKeyFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        if file.value.as_ref().is_some_and(|value| value.trim().is_empty()) {
            return Err(Invalid::new(format!("{at}.value"), "a virtual key's value cannot be empty"));
        }
        let id = self.named(at, "virtual key", "virtual key name", file.id, &file.name)?;
        if let Some(value) = &file.value {
            self.once.note(at, "value", "virtual key value", value)?;
        }
        self.keys.insert(Arc::clone(&id));
        let owner = OwnerKey::VirtualKey(Arc::clone(&id));
        self.meters.align(owner.clone(), file.calendar_aligned);
        self.meters.add(at, &owner, meters)?;
        let team = known(at, "team_id", &self.teams, file.team_id)?;
        let customer = known(at, "customer_id", &self.customers, file.customer_id)?;
        let membership = match (team, customer) {
            (Some(_), Some(_)) => {
                return Err(Invalid::new(format!("{at}.customer_id"), "a virtual key has a team or a customer"));
            }
            (Some(team), None) => Membership::Team(team),
            (None, Some(customer)) => Membership::Customer(customer),
            (None, None) => Membership::None,
        };
        let grants = self.grants(at, &id, file.provider_configs)?;
        let expires_at = file.expires_at.map(|text| {
            let problem = format!("`{text}` is no time: write it as 2027-01-31T00:00:00Z");
            Moment::parse(&text).ok_or_else(|| Invalid::new(format!("{at}.expires_at"), problem))
        });
        self.declared.keys.push(DeclaredKey {
            id,
            name: file.name,
            description: file.description,
            is_active: file.is_active.unwrap_or(true),
            value: file.value,
            membership,
            grants,
            calendar_aligned: file.calendar_aligned,
            expires_at: expires_at.transpose()?,
        });
        Ok(())
    }

    fn grants(&mut self, at: &str, key: &Arc<str>, files: Box<[ProviderConfigFile]>) -> Result<Vec<Grant>, Invalid> {
        if files.is_empty() && self.lists_v1 {
            return Ok(self.providers.keys().map(|provider| full_grant(key, provider)).collect());
        }
        let mut grants: Vec<Grant> = Vec::with_capacity(files.len());
        for (index, mut config) in files.into_iter().enumerate() {
            let at = format!("{at}.provider_configs[{index}]");
            let meters = config.take_meters();
            let grant = self.grant(&at, key, config, meters)?;
            if grants.iter().any(|other| other.provider == grant.provider) {
                let problem = format!("`{}` stands there twice", grant.provider);
                return Err(Invalid::new(format!("{at}.provider"), problem));
            }
            grants.push(grant);
        }
        Ok(grants)
    }

    fn grant(
        &mut self,
        at: &str,
        key: &Arc<str>,
        file: ProviderConfigFile,
        meters: MetersFile,
    ) -> Result<Grant, Invalid> {
        let name = self.known_provider(&format!("{at}.provider"), &file.provider)?;
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
                format!("{at}.key_ids"),
                format!("the provider `{}` has no key `{unknown}`", file.provider),
            ));
        }
        let id: Arc<str> = file.id.map_or_else(|| format!("{key}/{}", file.provider), |id| id.0).into();
        self.once.note(at, "id", "provider configuration", &id)?;
        let owner = OwnerKey::Grant(Arc::clone(&id));
        let is_aligned = self.meters.is_aligned(&OwnerKey::VirtualKey(Arc::clone(key)));
        self.meters.align(owner.clone(), is_aligned);
        self.meters.add(at, &owner, meters)?;
        Ok(Grant {
            id,
            provider: name,
            weight: file.weight,
            allowed_models,
            blacklisted_models: file.blacklisted_models,
            key_ids,
        })
    }

    fn model(&mut self, at: &str, mut file: ModelConfigFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        if file.model_name.is_empty() {
            return Err(Invalid::new(format!("{at}.model_name"), "is empty; write `*` for every model"));
        }
        let provider = match &file.provider {
            Some(provider) => Some(self.known_provider(&format!("{at}.provider"), provider)?),
            None => None,
        };
        let virtual_key_id = match (file.scope.as_deref().unwrap_or("global"), file.scope_id) {
            ("global", None) => None,
            ("global", Some(_)) => {
                return Err(Invalid::new(format!("{at}.scope_id"), "stands beside the scope `global`"));
            }
            ("virtual_key", None) => return Err(Invalid::new(format!("{at}.scope_id"), "is missing")),
            ("virtual_key", id) => known(at, "scope_id", &self.keys, id)?,
            (other, _) => {
                let problem = format!("`{other}` is neither `global` nor `virtual_key`");
                return Err(Invalid::new(format!("{at}.scope"), problem));
            }
        };
        let entity = ModelConfig { model_name: file.model_name, provider, virtual_key_id };
        let label = crate::store::Entity::label(&entity);
        self.once.note(at, "model_name", "model configuration", &label.to_ascii_lowercase())?;
        let id: Arc<str> = file.id.map_or(label, |id| id.0).into();
        self.once.note(at, "id", "model configuration's id", &id)?;
        self.meters.align(OwnerKey::Model(Arc::clone(&id)), file.calendar_aligned);
        self.meters.add(at, &OwnerKey::Model(Arc::clone(&id)), meters)?;
        self.declared.models.push(DeclaredEntity { id, entity, calendar_aligned: file.calendar_aligned });
        Ok(())
    }

    fn provider(&mut self, at: &str, mut file: ProviderLimitsFile) -> Result<(), Invalid> {
        let meters = file.take_meters();
        let name = self.known_provider(&format!("{at}.name"), &file.name)?;
        self.once.note(at, "name", "provider", &name)?;
        self.meters.add(at, &OwnerKey::Provider(name), meters)
    }

    /// The id of an entity with a name: without one, the name. Neither stands there twice.
    fn named(
        &mut self,
        at: &str,
        noun: &'static str,
        name_noun: &'static str,
        id: Option<ConfigId>,
        name: &str,
    ) -> Result<Arc<str>, Invalid> {
        if name.is_empty() {
            return Err(Invalid::new(format!("{at}.name"), format!("a {noun} needs a name")));
        }
        let id = id.map_or_else(|| name.to_owned(), |id| id.0);
        self.once.note(at, "id", noun, &id)?;
        self.once.note(at, "name", name_noun, name)?;
        Ok(id.into())
    }

    fn known_provider(&self, at: &str, name: &str) -> Result<Arc<str>, Invalid> {
        let known = self.providers.get_key_value(name).map(|(name, _)| Arc::clone(name));
        known.ok_or_else(|| Invalid::new(at, format!("there is no provider `{name}`")))
    }
}

/// The id that a field names, which must be among those that the file declares.
fn known(at: &str, field: &str, ids: &HashSet<Arc<str>>, id: Option<ConfigId>) -> Result<Option<Arc<str>>, Invalid> {
    let Some(ConfigId(id)) = id else {
        return Ok(None);
    };
    let known = ids.get(id.as_str()).cloned();
    known.map(Some).ok_or_else(|| Invalid::new(format!("{at}.{field}"), format!("there is no `{id}`")))
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
