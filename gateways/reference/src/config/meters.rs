//! Budgets and rate limits of the file, brought together from the places in which
//! Bifrost's versions have written them. One that nobody owns is refused: its author
//! believes that it protects something.

use std::sync::Arc;

use super::each::Each;
use super::governance_file::{BudgetFile, MetersFile, Spelling};
use super::load::{Invalid, Wrong};
use super::once::stands_twice;
use super::place::Place;
use super::rate_limit::{Counter, RateLimitError, RateLimitSpec};
use super::types::ConfigId;
use crate::ledger::{Amount, Measure, MeterId};
use crate::maps::Map;
use crate::money::Usd;
use crate::store::{DeclaredMeter, DeclaredMeters, OwnerKey};
use crate::window::ResetDuration;

const SECTION: Place<'static> = Place::Section("governance");

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

/// A budget of the list of all that names its owner.
struct Owned {
    index: usize,
    /// In which it names the owner.
    field: &'static str,
    id: String,
    figures: Figures,
}

/// Collects what the file says of budgets and limits.
#[derive(Default)]
pub(super) struct Meters {
    /// Budgets of the list of all that an owner names by id.
    budgets: Map<String, Figures>,
    rate_limits: Map<String, RateLimitSpec>,
    owned: Map<OwnerKey, Vec<Owned>>,
    declared: DeclaredMeters,
}

impl Meters {
    /// Takes the lists of all budgets and limits.
    pub(super) fn of_lists(
        budgets: Each<'_, BudgetFile>,
        rate_limits: Each<'_, RateLimitSpec>,
    ) -> Result<Meters, Wrong> {
        let mut meters = Meters::default();
        for (index, budget) in budgets.read(&SECTION, "budgets").enumerate() {
            let (at, budget) = budget?;
            let id = named(&at, budget.id.as_ref())?;
            match owner(&at, &budget)? {
                Some((field, owner)) => {
                    let owned = Owned { index, field, id, figures: budget.into() };
                    meters.owned.entry(owner).or_default().push(owned);
                }
                None if meters.budgets.contains_key(&id) => return Err(twice(&at, &id).into()),
                None => drop(meters.budgets.insert(id, budget.into())),
            }
        }
        for limit in rate_limits.read(&SECTION, "rate_limits") {
            let (at, limit) = limit?;
            let id = named(&at, limit.id.as_ref())?;
            if meters.rate_limits.contains_key(&id) {
                return Err(twice(&at, &id).into());
            }
            meters.rate_limits.insert(id, limit);
        }
        Ok(meters)
    }

    /// Takes everything of one owner: what it says of its own, and what names it in the list of
    /// all. `is_aligned` is whether its windows follow the calendar, where they do not say so
    /// themselves.
    pub(super) fn add(
        &mut self,
        at: &Place<'_>,
        owner: &OwnerKey,
        is_aligned: bool,
        file: MetersFile,
    ) -> Result<(), Invalid> {
        let mut adding = Adding { meters: self, owner, is_aligned, windows: Vec::new() };
        for (spelling, budget) in file.budgets.into_iter() {
            let at = spelling.place(at, "budget", "budgets");
            if self::owner(&at, &budget)?.is_some() {
                return Err(Invalid::new(at, "a budget inside its owner cannot name another"));
            }
            let named = budget.id.as_ref().map(|id| id.0.clone());
            let id = named.unwrap_or_else(|| own_id(owner, budget.reset_duration.text()));
            adding.budget(&at, &id, budget.into())?;
        }
        for (spelling, ConfigId(id)) in file.budget_ids.into_iter() {
            let at = spelling.place(at, "budget_id", "budget_ids");
            let Some(figures) = adding.meters.budgets.remove(&id) else {
                return Err(Invalid::new(at, format!("there is no budget `{id}` without another owner")));
            };
            adding.budget(&at, &id, figures)?;
        }
        for (spelling, limit) in file.rate_limits.into_iter() {
            let at = spelling.place(at, "rate_limit", "rate_limits");
            let id = limit.id.as_ref().map_or_else(|| own_limit_id(owner, spelling, &limit), |id| id.0.clone());
            adding.rate_limit(&at, &id, limit)?;
        }
        for (spelling, ConfigId(id)) in file.rate_limit_ids.into_iter() {
            let at = spelling.place(at, "rate_limit_id", "rate_limit_ids");
            let Some(limit) = adding.meters.rate_limits.remove(&id) else {
                return Err(Invalid::new(at, format!("there is no rate limit `{id}` without another owner")));
            };
            adding.rate_limit(&at, &id, limit)?;
        }
        for Owned { index, id, figures, .. } in adding.meters.owned.remove(owner).unwrap_or_default() {
            adding.budget(&SECTION.item("budgets", index), &id, figures)?;
        }
        Ok(())
    }

    /// All budgets and limits, when every owner has been there.
    pub(super) fn finish(self) -> Result<DeclaredMeters, Invalid> {
        let left = self.owned.iter().flat_map(|(owner, list)| list.iter().map(move |owned| (owner, owned)));
        if let Some((owner, owned)) = left.min_by_key(|(_, owned)| owned.index) {
            let (_, owner) = owner.parts();
            let at = SECTION.item("budgets", owned.index);
            return Err(Invalid::new(at.field(owned.field), format!("there is no `{owner}`")));
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
}

/// The budgets and limits of one owner.
struct Adding<'a> {
    meters: &'a mut Meters,
    owner: &'a OwnerKey,
    is_aligned: bool,
    /// What is measured over which length, of which there may be one.
    windows: Vec<(Measure, i64)>,
}

impl Adding<'_> {
    fn budget(&mut self, at: &Place<'_>, id: &str, figures: Figures) -> Result<(), Invalid> {
        let Figures { limit, length, calendar_aligned } = figures;
        let length = length
            .aligned(calendar_aligned.unwrap_or(self.is_aligned))
            .map_err(|error| Invalid::new(at.field("reset_duration"), error.to_string()))?;
        if limit <= Usd::ZERO {
            return Err(Invalid::new(at.field("max_limit"), "must be above 0"));
        }
        if !self.is_new_window(Measure::Usd, &length) {
            return Err(Invalid::new(at.field("reset_duration"), "the same budget window stands there twice"));
        }
        self.meter(at, MeterId::new(Measure::Usd, id), Amount::of_money(limit), length)
    }

    fn rate_limit(&mut self, at: &Place<'_>, id: &str, spec: RateLimitSpec) -> Result<(), Invalid> {
        for Counter { measure, limit, length } in counters(at, spec, self.is_aligned)? {
            if !self.is_new_window(measure, &length) {
                let field =
                    if measure == Measure::Requests { "request_reset_duration" } else { "token_reset_duration" };
                return Err(Invalid::new(at.field(field), "the same rate limit window stands there twice"));
            }
            self.meter(at, MeterId::new(measure, id), limit, length)?;
        }
        Ok(())
    }

    fn is_new_window(&mut self, measure: Measure, length: &ResetDuration) -> bool {
        let window = (measure, length.millis());
        let is_new = !self.windows.contains(&window);
        self.windows.push(window);
        is_new
    }

    fn meter(
        &mut self,
        at: &Place<'_>,
        id: MeterId,
        limit: Amount,
        reset_duration: ResetDuration,
    ) -> Result<(), Invalid> {
        let measure = id.measure();
        let meter = DeclaredMeter { id, owner: self.owner.clone(), limit, reset_duration };
        if self.meters.declared.add(meter) { Ok(()) } else { Err(stands_twice(at, "id", measure.word())) }
    }
}

/// A field in which a budget can name its owner, what it says, and whose id that is.
type OwnerField<'a> = (&'static str, &'a Option<ConfigId>, fn(Arc<str>) -> OwnerKey);

/// The owner that a budget names, and in which field.
fn owner(at: &Place<'_>, budget: &BudgetFile) -> Result<Option<(&'static str, OwnerKey)>, Invalid> {
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
        return Err(Invalid::new(*at, "a budget has one owner"));
    }
    Ok(first)
}

/// The counters of a rate limit.
fn counters(at: &Place<'_>, spec: RateLimitSpec, is_aligned: bool) -> Result<Vec<Counter>, Invalid> {
    spec.counters(is_aligned).map_err(|error| match error {
        RateLimitError::Zero(word) | RateLimitError::TooLarge(word) => {
            Invalid::new(format!("{at}.{word}_max_limit"), error.to_string())
        }
        RateLimitError::NotOnCalendar(word, error) => {
            Invalid::new(format!("{at}.{word}_reset_duration"), error.to_string())
        }
        RateLimitError::Empty | RateLimitError::Unpaired(_) => Invalid::new(*at, error.to_string()),
    })
}

fn named(at: &Place<'_>, id: Option<&ConfigId>) -> Result<String, Invalid> {
    id.map(|id| id.0.clone()).ok_or_else(|| Invalid::new(at.field("id"), "is missing"))
}

fn twice(at: &Place<'_>, id: &str) -> Invalid {
    Invalid::new(at.field("id"), format!("`{id}` stands there twice"))
}

fn own_id(owner: &OwnerKey, what: &str) -> String {
    let (level, id) = owner.parts();
    format!("{level}:{id}:{what}")
}

/// The id of a rate limit without one. In a list it has its windows in it, by which it is
/// known where the list's order changes.
fn own_limit_id(owner: &OwnerKey, spelling: Spelling, limit: &RateLimitSpec) -> String {
    if matches!(spelling, Spelling::One) {
        return own_id(owner, "limit");
    }
    let window = |length: &Option<ResetDuration>| length.as_ref().map_or("", ResetDuration::text).to_owned();
    let windows = [window(&limit.request_reset_duration), window(&limit.token_reset_duration)];
    own_id(owner, &format!("limit:{}", windows.join(":")))
}
