//! Virtual keys, budgets and rate limits of the file, checked and brought together
//! from the places in which Bifrost's versions have written them.

use std::collections::{HashMap, HashSet};

use super::file::{BudgetFile, GovernanceFile, ProviderConfigFile, RateLimitFile, VirtualKeyFile};
use super::load::Invalid;
use super::provider::Providers;
use super::types::{AllowList, ConfigId};
use crate::clock::Moment;
use crate::grant::Grant;
use crate::ledger::{Amount, Measure, MeterId};
use crate::money::Usd;
use crate::store::{Declared, DeclaredKey, DeclaredMeter, OwnerKey};
use crate::window::ResetDuration;

/// Collects what the file declares.
struct Collector<'a> {
    providers: &'a Providers,
    lists_v1: bool,
    /// Budgets of the list of all that an owner names by id.
    budgets: HashMap<String, Figures>,
    rate_limits: HashMap<String, RateLimitFile>,
    /// What must not stand there twice: ids, names, values, windows.
    seen: HashSet<(&'static str, String)>,
    grant_ids: HashSet<String>,
    /// Whose windows follow the calendar.
    aligned: HashSet<OwnerKey>,
    declared: Declared,
}

/// What a budget says, apart from its id and its owner.
struct Figures {
    limit: Usd,
    length: ResetDuration,
    /// Whether the window follows the calendar; without it, as the owner says.
    calendar_aligned: Option<bool>,
}

impl From<BudgetFile> for Figures {
    fn from(file: BudgetFile) -> Figures {
        Figures { limit: file.max_limit, length: file.reset_duration, calendar_aligned: file.calendar_aligned }
    }
}

/// Checks the section. In a file of version 1, empty lists allow all.
pub(super) fn check(file: GovernanceFile, providers: &Providers, lists_v1: bool) -> Result<Declared, Invalid> {
    let mut collector = Collector {
        providers,
        lists_v1,
        budgets: HashMap::new(),
        rate_limits: HashMap::new(),
        seen: HashSet::new(),
        grant_ids: HashSet::new(),
        aligned: HashSet::new(),
        declared: Declared::default(),
    };
    let owned = collector.take_lists(file.budgets, file.rate_limits)?;
    for (index, key) in file.virtual_keys.into_iter().enumerate() {
        collector.virtual_key(&format!("governance.virtual_keys[{index}]"), key)?;
    }
    for (at, id, budget, owner) in owned {
        collector.check_owner(&at, &owner)?;
        collector.budget(&at, &id, budget.into(), owner)?;
    }
    collector.finish()
}

type OwnedBudget = (String, String, BudgetFile, OwnerKey);

impl Collector<'_> {
    /// Takes the lists of all budgets and limits; returns the budgets that name
    /// their owner, and keeps the rest for owners that name them.
    fn take_lists(
        &mut self,
        budgets: Vec<BudgetFile>,
        rate_limits: Vec<RateLimitFile>,
    ) -> Result<Vec<OwnedBudget>, Invalid> {
        let mut owned = Vec::new();
        let mut seen = HashSet::new();
        for (index, budget) in budgets.into_iter().enumerate() {
            let at = format!("governance.budgets[{index}]");
            let id = named(&at, budget.id.as_ref())?;
            if !seen.insert(id.clone()) {
                return Err(Invalid::new(format!("{at}.id"), format!("`{id}` stands there twice")));
            }
            match (&budget.virtual_key_id, &budget.provider_config_id) {
                (Some(_), Some(_)) => return Err(Invalid::new(at, "a budget has one owner")),
                (Some(ConfigId(owner)), None) => {
                    let owner = OwnerKey::VirtualKey(owner.clone());
                    owned.push((at, id, budget, owner));
                }
                (None, Some(ConfigId(owner))) => {
                    let owner = OwnerKey::Grant(owner.clone());
                    owned.push((at, id, budget, owner));
                }
                (None, None) => {
                    self.budgets.insert(id, budget.into());
                }
            }
        }
        for (index, limit) in rate_limits.into_iter().enumerate() {
            let at = format!("governance.rate_limits[{index}]");
            let id = named(&at, limit.id.as_ref())?;
            if self.rate_limits.insert(id.clone(), limit).is_some() {
                return Err(Invalid::new(format!("{at}.id"), format!("`{id}` stands there twice")));
            }
        }
        Ok(owned)
    }

    fn virtual_key(&mut self, at: &str, file: VirtualKeyFile) -> Result<(), Invalid> {
        if file.name.is_empty() {
            return Err(Invalid::new(format!("{at}.name"), "a virtual key needs a name"));
        }
        if file.value.as_ref().is_some_and(|value| value.trim().is_empty()) {
            return Err(Invalid::new(format!("{at}.value"), "a virtual key's value cannot be empty"));
        }
        let id = file.id.map_or_else(|| file.name.clone(), |id| id.0);
        self.once(at, "id", "virtual key", &id)?;
        self.once(at, "name", "virtual key name", &file.name)?;
        if let Some(value) = &file.value {
            self.once(at, "value", "virtual key value", value)?;
        }
        let owner = OwnerKey::VirtualKey(id.clone());
        if file.calendar_aligned {
            self.aligned.insert(owner.clone());
        }
        self.meters(at, &owner, file.budgets, file.budget, file.budget_id, file.rate_limit, file.rate_limit_id)?;
        let mut grants = Vec::new();
        if file.provider_configs.is_empty() && self.lists_v1 {
            grants = self.providers.keys().map(|provider| full_grant(&id, provider)).collect();
        }
        for (index, config) in file.provider_configs.into_iter().enumerate() {
            let grant = self.grant(&format!("{at}.provider_configs[{index}]"), &id, config)?;
            if grants.iter().any(|other: &Grant| other.provider == grant.provider) {
                return Err(Invalid::new(
                    format!("{at}.provider_configs[{index}].provider"),
                    format!("`{}` stands there twice", grant.provider),
                ));
            }
            grants.push(grant);
        }
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
            grants,
            calendar_aligned: file.calendar_aligned,
            expires_at: expires_at.transpose()?,
        });
        Ok(())
    }

    fn grant(&mut self, at: &str, key: &str, file: ProviderConfigFile) -> Result<Grant, Invalid> {
        let Some(provider) = self.providers.get(file.provider.as_str()) else {
            return Err(Invalid::new(format!("{at}.provider"), format!("there is no provider `{}`", file.provider)));
        };
        let mut allowed_models = file.allowed_models.unwrap_or(AllowList::NONE);
        let mut key_ids = file.key_ids.unwrap_or(AllowList::All);
        if self.lists_v1 {
            allowed_models = allowed_models.empty_means_all();
            key_ids = key_ids.empty_means_all();
        }
        let known = |name: &String| provider.keys.iter().any(|key| key.id == *name || key.name == *name);
        if let Some(unknown) = key_ids.names().and_then(|names| names.iter().find(|name| !known(name))) {
            return Err(Invalid::new(
                format!("{at}.key_ids"),
                format!("the provider `{}` has no key `{unknown}`", file.provider),
            ));
        }
        let id = file.id.map_or_else(|| format!("{key}/{}", file.provider), |id| id.0);
        self.once(at, "id", "provider configuration", &id)?;
        self.grant_ids.insert(id.clone());
        let owner = OwnerKey::Grant(id.clone());
        if self.aligned.contains(&OwnerKey::VirtualKey(key.to_owned())) {
            self.aligned.insert(owner.clone());
        }
        self.meters(at, &owner, file.budgets, file.budget, file.budget_id, file.rate_limit, file.rate_limit_id)?;
        Ok(Grant {
            id,
            provider: file.provider,
            weight: file.weight,
            allowed_models,
            blacklisted_models: file.blacklisted_models,
            key_ids,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one for each historic spelling")]
    fn meters(
        &mut self,
        at: &str,
        owner: &OwnerKey,
        budgets: Vec<BudgetFile>,
        budget: Option<BudgetFile>,
        budget_id: Option<ConfigId>,
        rate_limit: Option<RateLimitFile>,
        rate_limit_id: Option<ConfigId>,
    ) -> Result<(), Invalid> {
        for (index, file) in budgets.into_iter().chain(budget).enumerate() {
            let at = format!("{at}.budgets[{index}]");
            if file.virtual_key_id.is_some() || file.provider_config_id.is_some() {
                return Err(Invalid::new(at, "a budget inside its owner cannot name another"));
            }
            let named = file.id.as_ref().map(|id| id.0.clone());
            let id = named.unwrap_or_else(|| own_id(owner, file.reset_duration.text()));
            self.budget(&at, &id, file.into(), owner.clone())?;
        }
        if let Some(ConfigId(id)) = budget_id {
            let at = format!("{at}.budget_id");
            let Some(figures) = self.budgets.remove(&id) else {
                return Err(Invalid::new(at, format!("there is no budget `{id}` without another owner")));
            };
            self.budget(&at, &id, figures, owner.clone())?;
        }
        match (rate_limit, rate_limit_id) {
            (Some(_), Some(_)) => Err(Invalid::new(format!("{at}.rate_limit_id"), "stands beside `rate_limit`")),
            (Some(limit), None) => {
                let id = limit.id.as_ref().map_or_else(|| own_id(owner, "limit"), |id| id.0.clone());
                self.rate_limit(&format!("{at}.rate_limit"), &id, limit, owner)
            }
            (None, Some(ConfigId(id))) => {
                let at = format!("{at}.rate_limit_id");
                let Some(limit) = self.rate_limits.remove(&id) else {
                    return Err(Invalid::new(at, format!("there is no rate limit `{id}` without another owner")));
                };
                self.rate_limit(&at, &id, limit, owner)
            }
            (None, None) => Ok(()),
        }
    }

    fn budget(&mut self, at: &str, id: &str, figures: Figures, owner: OwnerKey) -> Result<(), Invalid> {
        let Figures { limit, length, calendar_aligned } = figures;
        let is_aligned = calendar_aligned.unwrap_or_else(|| self.aligned.contains(&owner));
        let length = length
            .aligned(is_aligned)
            .map_err(|error| Invalid::new(format!("{at}.reset_duration"), error.to_string()))?;
        if limit <= Usd::ZERO {
            return Err(Invalid::new(format!("{at}.max_limit"), "must be above 0"));
        }
        let (level, owner_id) = owner.parts();
        let window = format!("{level} {owner_id} {}", length.millis());
        self.once(at, "reset_duration", "budget window", &window)?;
        self.meter(at, MeterId::new(Measure::Usd, id), Amount::of_money(limit), length, owner)
    }

    fn rate_limit(&mut self, at: &str, id: &str, file: RateLimitFile, owner: &OwnerKey) -> Result<(), Invalid> {
        let is_aligned = self.aligned.contains(owner);
        for (measure, limit, length) in limit_meters(at, file)? {
            // A minute has no place in the calendar, and a limit by the minute stands beside
            // budgets by the month.
            let length = length.aligned_where_possible(is_aligned);
            self.meter(at, MeterId::new(measure, id), Amount::of_count(limit), length, owner.clone())?;
        }
        Ok(())
    }

    fn meter(
        &mut self,
        at: &str,
        id: MeterId,
        limit: Amount,
        reset_duration: ResetDuration,
        owner: OwnerKey,
    ) -> Result<(), Invalid> {
        self.once(at, "id", id.measure().word(), id.id())?;
        self.declared.meters.push(DeclaredMeter { id, owner, limit, reset_duration });
        Ok(())
    }

    /// Notes a value that must be there once. A credential is not repeated in the message.
    fn once(&mut self, at: &str, field: &str, what: &'static str, value: &str) -> Result<(), Invalid> {
        if self.seen.insert((what, value.to_owned())) {
            return Ok(());
        }
        Err(Invalid::new(format!("{at}.{field}"), format!("the same {what} stands there twice")))
    }

    fn check_owner(&self, at: &str, owner: &OwnerKey) -> Result<(), Invalid> {
        let (field, id, known) = match owner {
            OwnerKey::VirtualKey(id) => ("virtual_key_id", id, self.seen.contains(&("virtual key", id.clone()))),
            OwnerKey::Grant(id) => ("provider_config_id", id, self.grant_ids.contains(id)),
        };
        if known { Ok(()) } else { Err(Invalid::new(format!("{at}.{field}"), format!("there is no `{id}`"))) }
    }

    fn finish(self) -> Result<Declared, Invalid> {
        let unowned = "nothing it could protect names it";
        if let Some(id) = self.budgets.keys().min() {
            return Err(Invalid::new(format!("governance.budgets `{id}`"), unowned));
        }
        if let Some(id) = self.rate_limits.keys().min() {
            return Err(Invalid::new(format!("governance.rate_limits `{id}`"), unowned));
        }
        Ok(self.declared)
    }
}

/// The meters of a rate limit. A limit needs its window, and a window its limit.
pub(crate) fn limit_meters(at: &str, file: RateLimitFile) -> Result<Vec<(Measure, u64, ResetDuration)>, Invalid> {
    let mut meters = Vec::new();
    for (measure, word, limit, length) in [
        (Measure::Requests, "request", file.request_max_limit, file.request_reset_duration),
        (Measure::Tokens, "token", file.token_max_limit, file.token_reset_duration),
    ] {
        match (limit, length) {
            (None, None) => {}
            (Some(0), _) => {
                return Err(Invalid::new(format!("{at}.{word}_max_limit"), "must be above 0"));
            }
            (Some(limit), Some(length)) => meters.push((measure, limit, length)),
            _ => {
                let problem = format!("`{word}_max_limit` and `{word}_reset_duration` belong together");
                return Err(Invalid::new(at, problem));
            }
        }
    }
    if meters.is_empty() {
        return Err(Invalid::new(at, "a rate limit without any limit"));
    }
    Ok(meters)
}

fn named(at: &str, id: Option<&ConfigId>) -> Result<String, Invalid> {
    id.map(|id| id.0.clone()).ok_or_else(|| Invalid::new(format!("{at}.id"), "is missing"))
}

fn own_id(owner: &OwnerKey, what: &str) -> String {
    let (level, id) = owner.parts();
    format!("{level}:{id}:{what}")
}

fn full_grant(key: &str, provider: &str) -> Grant {
    Grant {
        id: format!("{key}/{provider}"),
        provider: provider.to_owned(),
        weight: Some(super::types::Weight::ONE),
        allowed_models: AllowList::All,
        blacklisted_models: Vec::new(),
        key_ids: AllowList::All,
    }
}
