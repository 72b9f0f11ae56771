//! Operations of a gateway's management API, as a scenario asks for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    owner::Owner,
    policy::{Budget, Customer, Limits, Policy, PriceOverride, Team, VirtualKey},
};

/// What follows the name of a rotated key where a step uses its old value: `agent~`.
pub const RETIRED: &str = "~";

/// An operation of the gateway's management API.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Admin {
    /// Creates a customer, with all that the policy's vocabulary can say of it.
    CreateCustomer(Customer),
    /// Creates a team, likewise.
    CreateTeam(Team),
    /// Creates a virtual key, likewise.
    CreateKey(VirtualKey),
    /// Replaces somebody's caps; what was spent stays.
    EditBudgets(EditBudgets),
    /// Replaces somebody's limits; what was counted stays.
    EditLimits(EditLimits),
    /// A key belongs to another team from now on.
    MoveKey(MoveKey),
    /// A key gets a new value; the old one is refused from now on.
    RotateKey(String),
    /// Calls with this key are refused from now on.
    DisableKey(String),
    /// The key is gone.
    DeleteKey(String),
    /// The team is gone; its keys are not.
    DeleteTeam(String),
    /// The customer is gone; its teams and keys are not.
    DeleteCustomer(String),
    /// A price that overrides the price sheet from now on.
    SetPrice(PriceOverride),
    /// A change of the settings that the gateway must reject, and so must not make in part.
    FaultyChange,
}

/// New caps for somebody.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditBudgets {
    /// Whose.
    pub of: Owner,
    /// All its caps from now on.
    pub budgets: Vec<Budget>,
}

/// New limits for somebody.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditLimits {
    /// Whose.
    pub of: Owner,
    /// All its limits from now on.
    pub limits: Limits,
}

/// A key's new team.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveKey {
    /// The key.
    pub key: String,
    /// The team that it belongs to from now on.
    pub team: String,
}

impl Admin {
    /// The word for it in scenario files and manifests.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::CreateCustomer(_) => "create_customer",
            Self::CreateTeam(_) => "create_team",
            Self::CreateKey(_) => "create_key",
            Self::EditBudgets(_) => "edit_budgets",
            Self::EditLimits(_) => "edit_limits",
            Self::MoveKey(_) => "move_key",
            Self::RotateKey(_) => "rotate_key",
            Self::DisableKey(_) => "disable_key",
            Self::DeleteKey(_) => "delete_key",
            Self::DeleteTeam(_) => "delete_team",
            Self::DeleteCustomer(_) => "delete_customer",
            Self::SetPrice(_) => "set_price",
            Self::FaultyChange => "faulty_change",
        }
    }

    /// Whom it creates, edits or removes; nobody has no name.
    #[must_use]
    pub fn about(&self) -> Owner {
        match self {
            Self::SetPrice(_) | Self::FaultyChange => Owner::key(""),
            Self::CreateCustomer(Customer { name, .. }) | Self::DeleteCustomer(name) => Owner::customer(name),
            Self::CreateTeam(Team { name, .. }) | Self::DeleteTeam(name) => Owner::team(name),
            Self::CreateKey(VirtualKey { name, .. }) => Owner::key(name),
            Self::EditBudgets(edit) => edit.of.clone(),
            Self::EditLimits(edit) => edit.of.clone(),
            Self::MoveKey(MoveKey { key, .. })
            | Self::RotateKey(key)
            | Self::DisableKey(key)
            | Self::DeleteKey(key) => Owner::key(key),
        }
    }

    /// Whom it names beside: the team and the customer that somebody belongs to from now on, the key that a
    /// price is for.
    #[must_use]
    pub fn belongs_to(&self) -> Vec<Owner> {
        if let Self::SetPrice(price) = self {
            return price.virtual_key.iter().map(|name| Owner::key(name)).collect();
        }
        let (team, customer) = match self {
            Self::CreateKey(key) => (key.team.as_ref(), key.customer.as_ref()),
            Self::CreateTeam(team) => (None, team.customer.as_ref()),
            Self::MoveKey(to) => (Some(&to.team), None),
            _ => (None, None),
        };
        let team = team.map(|name| Owner::team(name));
        team.into_iter().chain(customer.map(|name| Owner::customer(name))).collect()
    }

    /// Whether it brings somebody into the world.
    #[must_use]
    pub fn creates(&self) -> bool {
        matches!(self, Self::CreateCustomer(_) | Self::CreateTeam(_) | Self::CreateKey(_))
    }

    /// What it asks a gateway to enforce, as a policy of its own.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let mut policy = Policy { providers: Vec::new(), ..Policy::default() };
        match self {
            Self::CreateCustomer(customer) => policy.customers.push(customer.clone()),
            Self::CreateTeam(team) => policy.teams.push(team.clone()),
            Self::CreateKey(key) => policy.virtual_keys.push(key.clone()),
            Self::SetPrice(price) => policy.price_overrides.push(price.clone()),
            _ => {}
        }
        policy
    }

    /// What its templates see beside [`about`] and the ids of those that it names: all of it must be read.
    ///
    /// [`about`]: asked_about
    #[must_use]
    pub fn asked(&self) -> Value {
        match self {
            Self::CreateCustomer(customer) => json!({ "customer": customer }),
            Self::CreateTeam(team) => json!({ "team": team }),
            Self::CreateKey(key) => json!({ "key": key }),
            Self::SetPrice(price) => json!({ "price": price }),
            Self::EditBudgets(edit) => json!({ "budgets": edit.budgets }),
            Self::EditLimits(edit) => json!({ "limits": edit.limits }),
            _ => json!({}),
        }
    }
}

/// What the templates of every operation see of the one that it is about.
#[must_use]
pub fn asked_about(owner: &Owner, id: &str, name: &str) -> Value {
    json!({ "id": id, "kind": owner.kind.word(), "name": name })
}
