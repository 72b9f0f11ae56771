//! Budgets and rate limits of the file, brought together from the places in which
//! Bifrost's versions have written them. One that nobody owns is refused: its author
//! believes that it protects something.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::governance_file::{BudgetFile, MetersFile, RATE_LIMIT, RateLimitFile};
use super::load::Invalid;
use super::once::Once;
use super::types::ConfigId;
use crate::ledger::{Amount, Measure, MeterId};
use crate::money::Usd;
use crate::store::{DeclaredMeter, OwnerKey};
use crate::window::ResetDuration;

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

/// Collects what the file says of budgets and limits.
#[derive(Default)]
pub(super) struct Meters {
    /// Budgets of the list of all that an owner names by id.
    budgets: HashMap<String, Figures>,
    rate_limits: HashMap<String, RateLimitFile>,
    /// Budgets of the list of all that name their owner: place, field of the owner, id.
    owned: Vec<(String, &'static str, String, Figures, OwnerKey)>,
    owners: HashSet<OwnerKey>,
    /// Whose windows follow the calendar.
    aligned: HashSet<OwnerKey>,
    once: Once,
    declared: Vec<DeclaredMeter>,
}

impl Meters {
    /// Takes the lists of all budgets and limits.
    pub(super) fn of_lists(budgets: Vec<BudgetFile>, rate_limits: Vec<RateLimitFile>) -> Result<Meters, Invalid> {
        let mut meters = Meters::default();
        for (index, budget) in budgets.into_iter().enumerate() {
            let at = format!("governance.budgets[{index}]");
            let id = named(&at, budget.id.as_ref())?;
            let owner = owner(&at, &budget)?;
            let figures = budget.into();
            match owner {
                Some((field, owner)) => meters.owned.push((at, field, id, figures, owner)),
                None => {
                    if meters.budgets.insert(id.clone(), figures).is_some() {
                        return Err(twice(&at, &id));
                    }
                }
            }
        }
        for (index, limit) in rate_limits.into_iter().enumerate() {
            let at = format!("governance.rate_limits[{index}]");
            let id = named(&at, limit.id.as_ref())?;
            if meters.rate_limits.insert(id.clone(), limit).is_some() {
                return Err(twice(&at, &id));
            }
        }
        Ok(meters)
    }

    /// Whether the windows of this owner follow the calendar, where they do not say so
    /// themselves.
    pub(super) fn align(&mut self, owner: OwnerKey, is_aligned: bool) {
        if is_aligned {
            self.aligned.insert(owner);
        }
    }

    pub(super) fn is_aligned(&self, owner: &OwnerKey) -> bool {
        self.aligned.contains(owner)
    }

    /// Takes what an owner says of its own.
    pub(super) fn add(&mut self, at: &str, owner: &OwnerKey, file: MetersFile) -> Result<(), Invalid> {
        self.owners.insert(owner.clone());
        for (field, budget) in file.budgets {
            let at = format!("{at}.{field}");
            if self::owner(&at, &budget)?.is_some() {
                return Err(Invalid::new(at, "a budget inside its owner cannot name another"));
            }
            let named = budget.id.as_ref().map(|id| id.0.clone());
            let id = named.unwrap_or_else(|| own_id(owner, budget.reset_duration.text()));
            self.budget(&at, &id, budget.into(), owner)?;
        }
        for (field, ConfigId(id)) in file.budget_ids {
            let at = format!("{at}.{field}");
            let Some(figures) = self.budgets.remove(&id) else {
                return Err(Invalid::new(at, format!("there is no budget `{id}` without another owner")));
            };
            self.budget(&at, &id, figures, owner)?;
        }
        for (field, limit) in file.rate_limits {
            let id = limit.id.as_ref().map_or_else(|| own_limit_id(owner, &field, &limit), |id| id.0.clone());
            self.rate_limit(&format!("{at}.{field}"), &id, limit, owner)?;
        }
        for (field, ConfigId(id)) in file.rate_limit_ids {
            let at = format!("{at}.{field}");
            let Some(limit) = self.rate_limits.remove(&id) else {
                return Err(Invalid::new(at, format!("there is no rate limit `{id}` without another owner")));
            };
            self.rate_limit(&at, &id, limit, owner)?;
        }
        Ok(())
    }

    /// All budgets and limits, when every owner has been there.
    pub(super) fn finish(mut self) -> Result<Vec<DeclaredMeter>, Invalid> {
        for (at, field, id, figures, owner) in std::mem::take(&mut self.owned) {
            if !self.owners.contains(&owner) {
                let (_, owner) = owner.parts();
                return Err(Invalid::new(format!("{at}.{field}"), format!("there is no `{owner}`")));
            }
            self.budget(&at, &id, figures, &owner)?;
        }
        let unowned = "nothing it could protect names it";
        if let Some(id) = self.budgets.keys().min() {
            return Err(Invalid::new(format!("governance.budgets `{id}`"), unowned));
        }
        if let Some(id) = self.rate_limits.keys().min() {
            return Err(Invalid::new(format!("governance.rate_limits `{id}`"), unowned));
        }
        Ok(self.declared)
    }

    fn budget(&mut self, at: &str, id: &str, figures: Figures, owner: &OwnerKey) -> Result<(), Invalid> {
        let Figures { limit, length, calendar_aligned } = figures;
        let is_aligned = calendar_aligned.unwrap_or_else(|| self.is_aligned(owner));
        let length = length
            .aligned(is_aligned)
            .map_err(|error| Invalid::new(format!("{at}.reset_duration"), error.to_string()))?;
        if limit <= Usd::ZERO {
            return Err(Invalid::new(format!("{at}.max_limit"), "must be above 0"));
        }
        let (level, owner_id) = owner.parts();
        let window = format!("{level} {owner_id} {}", length.millis());
        self.once.note(at, "reset_duration", "budget window", &window)?;
        self.meter(at, MeterId::new(Measure::Usd, id), Amount::of_money(limit), length, owner)
    }

    fn rate_limit(&mut self, at: &str, id: &str, file: RateLimitFile, owner: &OwnerKey) -> Result<(), Invalid> {
        let (level, owner_id) = owner.parts();
        let is_aligned = self.is_aligned(owner);
        for (measure, limit, length) in limit_meters(at, file)? {
            // A minute has no place in the calendar, and a limit by the minute stands beside
            // budgets by the month.
            let length = length.aligned_where_possible(is_aligned);
            let window = format!("{level} {owner_id} {} {}", measure.word(), length.millis());
            let field = if measure == Measure::Requests { "request_reset_duration" } else { "token_reset_duration" };
            self.once.note(at, field, "rate limit window", &window)?;
            self.meter(at, MeterId::new(measure, id), Amount::of_count(limit), length, owner)?;
        }
        Ok(())
    }

    fn meter(
        &mut self,
        at: &str,
        id: MeterId,
        limit: Amount,
        reset_duration: ResetDuration,
        owner: &OwnerKey,
    ) -> Result<(), Invalid> {
        self.once.note(at, "id", id.measure().word(), id.id())?;
        self.declared.push(DeclaredMeter { id, owner: owner.clone(), limit, reset_duration });
        Ok(())
    }
}

/// A field in which a budget can name its owner, what it says, and whose id that is.
type OwnerField<'a> = (&'static str, &'a Option<ConfigId>, fn(Arc<str>) -> OwnerKey);

/// The owner that a budget names, and in which field.
fn owner(at: &str, budget: &BudgetFile) -> Result<Option<(&'static str, OwnerKey)>, Invalid> {
    let fields: [OwnerField<'_>; 6] = [
        ("customer_id", &budget.customer_id, OwnerKey::Customer),
        ("team_id", &budget.team_id, OwnerKey::Team),
        ("virtual_key_id", &budget.virtual_key_id, OwnerKey::VirtualKey),
        ("provider_config_id", &budget.provider_config_id, OwnerKey::Grant),
        ("model_config_id", &budget.model_config_id, OwnerKey::Model),
        ("provider", &budget.provider, OwnerKey::Provider),
    ];
    let mut owners =
        fields.into_iter().filter_map(|(field, id, owner)| Some((field, owner(id.as_ref()?.0.as_str().into()))));
    let first = owners.next();
    if owners.next().is_some() {
        return Err(Invalid::new(at, "a budget has one owner"));
    }
    Ok(first)
}

/// The meters of a rate limit. A limit needs its window, and a window its limit.
fn limit_meters(at: &str, file: RateLimitFile) -> Result<Vec<(Measure, u64, ResetDuration)>, Invalid> {
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

fn twice(at: &str, id: &str) -> Invalid {
    Invalid::new(format!("{at}.id"), format!("`{id}` stands there twice"))
}

fn own_id(owner: &OwnerKey, what: &str) -> String {
    let (level, id) = owner.parts();
    format!("{level}:{id}:{what}")
}

/// The id of a rate limit without one. In a list it has its windows in it, by which it is
/// known where the list's order changes.
fn own_limit_id(owner: &OwnerKey, field: &str, limit: &RateLimitFile) -> String {
    if field == RATE_LIMIT {
        return own_id(owner, "limit");
    }
    let window = |length: &Option<ResetDuration>| length.as_ref().map_or("", ResetDuration::text).to_owned();
    let windows = [window(&limit.request_reset_duration), window(&limit.token_reset_duration)];
    own_id(owner, &format!("limit:{}", windows.join(":")))
}
