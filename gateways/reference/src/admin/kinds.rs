//! Customers, teams and model configurations: what each has of its own in the management
//! API.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bodies::{CustomerBody, MetersBody, ModelBody, TeamBody};
use super::reply::invalid;
use super::views::{LimitsView, NamedView};
use crate::clock::Moment;
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::ledger::Owner;
use crate::policy::{Levels, Limited};
use crate::store::{Customer, Entity, Membership, ModelConfig, OwnerKey, Team};

/// A kind of entity as the management API knows it.
pub(super) trait Kind: Entity + Send + Sync + 'static {
    /// The fields of answers.
    const SINGULAR: &'static str;
    const PLURAL: &'static str;
    /// In messages.
    const TITLE: &'static str;
    /// The message where there is one like it.
    const CONFLICT: &'static str;
    /// The body that makes one, or says what to change of it.
    type Body: DeserializeOwned + JsonSchema + Send + 'static;
    /// How one is answered.
    type View: Serialize + JsonSchema;

    fn find(levels: &Levels, id: &str) -> Option<Arc<Limited<Self>>>;
    fn all(levels: &Levels) -> Vec<Arc<Limited<Self>>>;
    fn insert(levels: &mut Levels, limited: Limited<Self>);
    fn remove(levels: &mut Levels, id: &str);

    /// What the body says of budgets and limits.
    fn meters(body: &mut Self::Body) -> Result<MetersBody, Problem>;

    /// Whether windows follow the calendar, if the body says so.
    fn aligned(body: &Self::Body) -> Option<bool>;

    /// A new one.
    fn make(body: Self::Body, gateway: &Gateway) -> Result<Self, Problem>;

    /// Changes what the body names.
    fn edit(&mut self, body: Self::Body, gateway: &Gateway) -> Result<(), Problem>;

    /// The customer that it is of, if it has one.
    fn customer_id(&self) -> Option<&str> {
        None
    }

    /// How refusals name it.
    fn shown(limited: &Limited<Self>, gateway: &Gateway) -> Owner;

    /// As they are answered, with their usage at this moment.
    fn views(gateway: &Gateway, page: &[Arc<Limited<Self>>]) -> Vec<Self::View>;
}

/// A name that is there and not empty.
fn named(name: Option<String>, title: &str) -> Result<String, Problem> {
    name.filter(|name| !name.trim().is_empty()).ok_or_else(|| invalid(format!("{title} name is required")))
}

/// The customer that a body names, if it names one.
fn customer(id: Option<String>, gateway: &Gateway) -> Result<Option<Arc<str>>, Problem> {
    let Some(id) = id else {
        return Ok(None);
    };
    let known = gateway.policy().levels.customer(&id).map(|customer| Arc::clone(&customer.row.id));
    known.map(Some).ok_or_else(|| invalid(format!("there is no customer '{id}'")))
}

/// The virtual keys of each of those on a page, as `of` says whose a key is.
fn members<T>(
    gateway: &Gateway,
    page: &[Arc<Limited<T>>],
    of: fn(&Membership) -> Option<&Arc<str>>,
) -> HashMap<Arc<str>, Vec<NamedView>> {
    let mut members: HashMap<Arc<str>, Vec<NamedView>> =
        page.iter().map(|one| (Arc::clone(&one.row.id), Vec::new())).collect();
    for key in gateway.policy().keys.all() {
        if let Some(list) = of(&key.row.membership).and_then(|id| members.get_mut(id)) {
            list.push(NamedView { id: key.row.id.clone(), name: key.row.name.clone() });
        }
    }
    members
}

/// A customer with its usage.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Customer", deny_unknown_fields)]
pub(super) struct CustomerView {
    id: Arc<str>,
    name: String,
    calendar_aligned: bool,
    #[serde(flatten)]
    limits: LimitsView,
    teams: Vec<NamedView>,
    /// Those that are the customer's own, not a team's.
    virtual_keys: Vec<NamedView>,
    created_at: Moment,
    updated_at: Moment,
}

impl Kind for Customer {
    const SINGULAR: &'static str = "customer";
    const PLURAL: &'static str = "customers";
    const TITLE: &'static str = "Customer";
    const CONFLICT: &'static str = "A customer with this name already exists";
    type Body = CustomerBody;
    type View = CustomerView;

    fn find(levels: &Levels, id: &str) -> Option<Arc<Limited<Customer>>> {
        levels.customer(id).cloned()
    }

    fn all(levels: &Levels) -> Vec<Arc<Limited<Customer>>> {
        levels.customers().cloned().collect()
    }

    fn insert(levels: &mut Levels, limited: Limited<Customer>) {
        levels.put_customer(limited);
    }

    fn remove(levels: &mut Levels, id: &str) {
        levels.remove_customer(id);
    }

    fn meters(body: &mut CustomerBody) -> Result<MetersBody, Problem> {
        body.take_meters()
    }

    fn aligned(body: &CustomerBody) -> Option<bool> {
        body.calendar_aligned
    }

    fn make(body: CustomerBody, _: &Gateway) -> Result<Customer, Problem> {
        Ok(Customer { name: named(body.name, Self::TITLE)? })
    }

    fn edit(&mut self, body: CustomerBody, _: &Gateway) -> Result<(), Problem> {
        if body.name.is_some() {
            self.name = named(body.name, Self::TITLE)?;
        }
        Ok(())
    }

    fn shown(limited: &Limited<Customer>, _: &Gateway) -> Owner {
        limited.owner()
    }

    fn views(gateway: &Gateway, page: &[Arc<Limited<Customer>>]) -> Vec<CustomerView> {
        let mut keys = members(gateway, page, Membership::customer_id);
        let teams = Team::all(&gateway.policy().levels);
        let teams_of = |id: &str| {
            let own = teams.iter().filter(|team| team.row.entity.customer_id.as_deref() == Some(id));
            own.map(|team| NamedView { id: team.row.id.clone(), name: team.row.entity.name.clone() }).collect()
        };
        let view = |Limited { row, meters }: &Limited<Customer>| CustomerView {
            id: row.id.clone(),
            name: row.entity.name.clone(),
            calendar_aligned: row.calendar_aligned,
            limits: LimitsView::of(gateway, &OwnerKey::Customer(row.id.clone()), meters),
            teams: teams_of(&row.id),
            virtual_keys: keys.remove(&row.id).unwrap_or_default(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        page.iter().map(Arc::as_ref).map(view).collect()
    }
}

/// A team with its usage.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Team", deny_unknown_fields)]
pub(super) struct TeamView {
    id: Arc<str>,
    name: String,
    customer_id: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<NamedView>,
    calendar_aligned: bool,
    #[serde(flatten)]
    limits: LimitsView,
    virtual_keys: Vec<NamedView>,
    virtual_key_count: usize,
    created_at: Moment,
    updated_at: Moment,
}

impl Kind for Team {
    const SINGULAR: &'static str = "team";
    const PLURAL: &'static str = "teams";
    const TITLE: &'static str = "Team";
    const CONFLICT: &'static str = "A team with this name already exists";
    type Body = TeamBody;
    type View = TeamView;

    fn find(levels: &Levels, id: &str) -> Option<Arc<Limited<Team>>> {
        levels.team(id).cloned()
    }

    fn all(levels: &Levels) -> Vec<Arc<Limited<Team>>> {
        levels.teams().cloned().collect()
    }

    fn insert(levels: &mut Levels, limited: Limited<Team>) {
        levels.put_team(limited);
    }

    fn remove(levels: &mut Levels, id: &str) {
        levels.remove_team(id);
    }

    fn meters(body: &mut TeamBody) -> Result<MetersBody, Problem> {
        body.take_meters()
    }

    fn aligned(body: &TeamBody) -> Option<bool> {
        body.calendar_aligned
    }

    fn make(body: TeamBody, gateway: &Gateway) -> Result<Team, Problem> {
        let customer_id = customer(body.customer_id.flatten(), gateway)?;
        Ok(Team { name: named(body.name, Self::TITLE)?, customer_id })
    }

    fn edit(&mut self, body: TeamBody, gateway: &Gateway) -> Result<(), Problem> {
        if body.name.is_some() {
            self.name = named(body.name, Self::TITLE)?;
        }
        if let Some(id) = body.customer_id {
            self.customer_id = customer(id, gateway)?;
        }
        Ok(())
    }

    fn customer_id(&self) -> Option<&str> {
        self.customer_id.as_deref()
    }

    fn shown(limited: &Limited<Team>, _: &Gateway) -> Owner {
        limited.owner()
    }

    fn views(gateway: &Gateway, page: &[Arc<Limited<Team>>]) -> Vec<TeamView> {
        let mut keys = members(gateway, page, Membership::team_id);
        let view = |Limited { row, meters }: &Limited<Team>| {
            let customer = row.entity.customer_id.as_ref().and_then(|id| {
                let policy = gateway.policy();
                policy.levels.customer(id).map(|one| NamedView { id: id.clone(), name: one.row.entity.name.clone() })
            });
            let virtual_keys = keys.remove(&row.id).unwrap_or_default();
            TeamView {
                id: row.id.clone(),
                name: row.entity.name.clone(),
                customer_id: customer.as_ref().map(|customer| customer.id.clone()),
                customer,
                calendar_aligned: row.calendar_aligned,
                limits: LimitsView::of(gateway, &OwnerKey::Team(row.id.clone()), meters),
                virtual_key_count: virtual_keys.len(),
                virtual_keys,
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        page.iter().map(Arc::as_ref).map(view).collect()
    }
}

/// Budgets and limits of a model.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelConfig", deny_unknown_fields)]
pub(super) struct ModelView {
    id: Arc<str>,
    model_name: String,
    provider: Option<Arc<str>>,
    scope: &'static str,
    scope_id: Option<Arc<str>>,
    /// The name of the virtual key.
    scope_name: Option<String>,
    calendar_aligned: bool,
    #[serde(flatten)]
    limits: LimitsView,
    created_at: Moment,
    updated_at: Moment,
}

impl Kind for ModelConfig {
    const SINGULAR: &'static str = "model_config";
    const PLURAL: &'static str = "model_configs";
    const TITLE: &'static str = "Model config";
    const CONFLICT: &'static str = "A model config for this model, provider and scope already exists";
    type Body = ModelBody;
    type View = ModelView;

    fn find(levels: &Levels, id: &str) -> Option<Arc<Limited<ModelConfig>>> {
        levels.model(id).cloned()
    }

    fn all(levels: &Levels) -> Vec<Arc<Limited<ModelConfig>>> {
        levels.models().cloned().collect()
    }

    fn insert(levels: &mut Levels, limited: Limited<ModelConfig>) {
        levels.put_model(limited);
    }

    fn remove(levels: &mut Levels, id: &str) {
        levels.remove_model(id);
    }

    fn meters(body: &mut ModelBody) -> Result<MetersBody, Problem> {
        body.take_meters()
    }

    fn aligned(body: &ModelBody) -> Option<bool> {
        body.calendar_aligned
    }

    fn make(body: ModelBody, gateway: &Gateway) -> Result<ModelConfig, Problem> {
        let mut model = ModelConfig { model_name: String::new(), provider: None, virtual_key_id: None };
        model.edit(body, gateway)?;
        if model.model_name.is_empty() {
            return Err(invalid("model_name is required; `*` stands for every model"));
        }
        Ok(model)
    }

    fn edit(&mut self, body: ModelBody, gateway: &Gateway) -> Result<(), Problem> {
        match body.model_name {
            Some(name) if name.is_empty() => return Err(invalid("model_name cannot be empty")),
            name => self.model_name = name.unwrap_or(std::mem::take(&mut self.model_name)),
        }
        if let Some(provider) = body.provider {
            let known = |name: String| {
                let providers = gateway.providers();
                let known = providers.get_key_value(name.as_str()).map(|(name, _)| Arc::clone(name));
                known.ok_or_else(|| invalid(format!("there is no provider '{name}'")))
            };
            self.provider = provider.map(known).transpose()?;
        }
        match (body.scope.as_deref(), body.scope_id) {
            (None, None) => {}
            (Some("global"), None | Some(None)) => self.virtual_key_id = None,
            (Some("virtual_key"), Some(Some(id))) => {
                let known = gateway.policy().keys.get(&id).map(|key| key.row.id.clone());
                self.virtual_key_id = Some(known.ok_or_else(|| invalid(format!("there is no virtual key '{id}'")))?);
            }
            (Some("virtual_key"), _) => return Err(invalid("scope_id is required for the scope virtual_key")),
            (None | Some("global"), Some(_)) => return Err(invalid("scope_id belongs to the scope virtual_key")),
            (Some(other), _) => return Err(invalid(format!("scope is `global` or `virtual_key`, not `{other}`"))),
        }
        Ok(())
    }

    fn shown(limited: &Limited<ModelConfig>, gateway: &Gateway) -> Owner {
        let key = limited.row.entity.virtual_key_id.as_ref().and_then(|id| gateway.policy().keys.get(id));
        limited.owner(key.as_ref().map(|key| key.row.name.as_str()))
    }

    fn views(gateway: &Gateway, page: &[Arc<Limited<ModelConfig>>]) -> Vec<ModelView> {
        let view = |Limited { row, meters }: &Limited<ModelConfig>| {
            let ModelConfig { model_name, provider, virtual_key_id } = &row.entity;
            let key = virtual_key_id.as_ref().and_then(|id| gateway.policy().keys.get(id));
            ModelView {
                id: row.id.clone(),
                model_name: model_name.clone(),
                provider: provider.clone(),
                scope: if virtual_key_id.is_some() { "virtual_key" } else { "global" },
                scope_id: virtual_key_id.clone(),
                scope_name: key.map(|key| key.row.name.clone()),
                calendar_aligned: row.calendar_aligned,
                limits: LimitsView::of(gateway, &OwnerKey::Model(row.id.clone()), meters),
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        page.iter().map(Arc::as_ref).map(view).collect()
    }
}
