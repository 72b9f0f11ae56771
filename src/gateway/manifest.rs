//! `gateway.yaml`: what a gateway's folder says about it.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    capability::Capability,
    owner::OwnerKind,
    period::Period,
    promise::{Admission, Unanswered},
    scenario::{
        call::{RouteName, Via},
        reason::Reason,
    },
};

/// A gateway's manifest. Texts in it are minijinja templates where that is said.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name: that of its folder.
    pub name: String,
    /// Another gateway's folder, whose manifest this one is laid over; its templates count too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// One line about it.
    pub title: String,
    /// The version that is meant if none is asked for.
    pub version: String,
    /// How to ask a gateway that runs which version it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_probe: Option<VersionProbe>,
    /// How it is started.
    #[serde(default)]
    pub launch: Launch,
    /// When it can be called.
    pub ready: Ready,
    /// Files that it starts with: name in its data folder, and the template beside the manifest.
    #[serde(default)]
    pub files: IndexMap<String, String>,
    /// Which path each route has: a template that sees the call's `model` and `stream`.
    pub routes: IndexMap<RouteName, String>,
    /// How virtual keys are sent and made.
    pub keys: Keys,
    /// What it says it has.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// How it says it behaves where gateways rightly differ.
    #[serde(default)]
    pub promises: Promises,
    /// How it words refusals.
    #[serde(default)]
    pub dialect: Dialect,
    /// Its management API.
    #[serde(default)]
    pub admin: AdminApi,
    /// Values for its templates that `--set name=value` or the named environment variable replaces.
    #[serde(default)]
    pub settings: IndexMap<String, Setting>,
}

/// How to ask a gateway that runs which version it is. Its first start is held to the version that was
/// asked for.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionProbe {
    /// The path that answers it.
    pub get: String,
    /// A place in the answer (JSON pointer); the whole text if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// A regular expression whose first group (or whole) is the version; all that is there if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}

/// How a gateway is started, in each runtime that it can be started in.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// As a process of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessLaunch>,
    /// In a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerLaunch>,
}

impl Launch {
    /// Whether the gateway can be started as a process with these settings.
    #[must_use]
    pub fn is_process(&self, settings: &IndexMap<String, String>) -> bool {
        let given = |name: &String| settings.get(name).is_some_and(|value| !value.is_empty());
        self.process.as_ref().is_some_and(|process| process.only_with.as_ref().is_none_or(given))
    }
}

/// A gateway as a process of this machine.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessLaunch {
    /// The setting without which there is nothing on this machine to start; a container is tried then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_with: Option<String>,
    /// What is installed before its first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<PythonInstall>,
    /// Command and arguments, each a template.
    pub command: Vec<String>,
    /// Environment beside `PATH` and `HOME` of the runner, each value a template.
    #[serde(default)]
    pub env: IndexMap<String, String>,
}

/// Python packages, in a virtual environment of their own below the output folder.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PythonInstall {
    /// The requirements file beside the manifest.
    pub requirements: String,
}

/// A gateway in a container.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerLaunch {
    /// The image, a template; `self` is built from scratch out of the running executable.
    pub image: String,
    /// Arguments, each a template; the image's own if empty.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment, each value a template.
    #[serde(default)]
    pub env: IndexMap<String, String>,
    /// The port that it listens on inside.
    pub port: u16,
    /// Its data folder inside.
    pub data: String,
}

/// When a gateway can be called.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// A path that answers 200 from then on.
    pub get: String,
    /// How long it may take.
    pub within: Period,
    /// How long it may take to stop when it is asked to.
    pub stops_within: Period,
}

/// How virtual keys are sent and made.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The headers that carry one, the usual first.
    pub via: Vec<Via>,
    /// What goes before the random part of a value that the scenario leaves open.
    #[serde(default)]
    pub prefix: String,
}

/// How a gateway says it behaves where gateways rightly differ.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Promises {
    /// When a call is held against its budgets.
    pub budget_admission: Admission,
    /// What a call costs that was sent to a provider and never answered.
    pub unanswered_calls: Unanswered,
    /// The status for each reason to refuse.
    pub status: IndexMap<Reason, u16>,
    /// How long after an answer the next call may still be admitted as if it had not been counted.
    /// Callers of a sequence wait so long between two calls; callers of a burst do not.
    pub counted_within: Option<Period>,
    /// How long after an answer its cost may be missing from the gateway's own figures.
    pub usage_within: Option<Period>,
    /// How long after an answer its cost may be missing from the gateway's disk.
    pub durable_within: Option<Period>,
    /// The shortest window that budgets and limits can have; 1h where the clock can be set.
    pub shortest_window: Option<Period>,
}

/// How a gateway words its refusals: the first rule that fits names the reason.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dialect {
    /// From native answers to neutral reasons.
    pub refusals: Vec<RefusalRule>,
    /// Where a refusal names whose limit it is, and which.
    pub names: NameRules,
    /// Where an answer names the providers that failed before it was made.
    pub tried: Option<TriedRule>,
}

/// Where an answer names the providers that failed before it was made.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriedRule {
    /// A header.
    pub header: String,
    /// A regular expression whose first groups, in all its matches, are the providers in order.
    pub regex: String,
}

/// A native refusal and its neutral reason.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalRule {
    /// The neutral reason.
    pub reason: Reason,
    /// The status; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A place in the body (JSON pointer), and a regular expression that its text matches.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub body: IndexMap<String, String>,
}

/// Where a refusal names whose limit it is, and which.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NameRules {
    /// Whose kind of limit: the first rule that matches.
    pub scope: Vec<NameRule>,
    /// Whose: the first rule that matches.
    pub entity: Vec<NameRule>,
    /// The cap: the first rule that matches.
    pub limit: Vec<NameRule>,
}

/// A place that names something.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameRule {
    /// A place in the body (JSON pointer).
    pub pointer: String,
    /// A regular expression whose first group (or whole) is the name; the whole text if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// To how many decimals a figure is rounded there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u32>,
    /// The neutral word for a match, if it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
}

/// Declares the operations of a management API.
macro_rules! operations {
    ($($(#[doc = $about:literal])+ $name:ident,)+) => {
        /// A gateway's management API, as HTTP requests.
        #[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct AdminApi {
            /// Headers of every request, each value a template.
            pub headers: IndexMap<String, String>,
            /// For each kind of owner (`virtual_key`, `team`, `customer`, `provider`, `model`) the word that
            /// templates see as `collection`. Those that are missing cannot be edited or asked about.
            pub collections: IndexMap<OwnerKind, String>,
            $($(#[doc = $about])+ pub $name: Option<Operation>,)+
        }

        impl AdminApi {
            /// The operations that there are, with their names in the manifest.
            pub fn operations(&self) -> impl Iterator<Item = (&'static str, &Operation)> {
                [$((stringify!($name), self.$name.as_ref()),)+]
                    .into_iter()
                    .filter_map(|(name, operation)| Some((name, operation?)))
            }
        }
    };
}

operations! {
    /// Creates a customer.
    create_customer,
    /// Creates a team.
    create_team,
    /// Creates a virtual key.
    create_key,
    /// Replaces somebody's caps.
    edit_budgets,
    /// Replaces somebody's limits.
    edit_limits,
    /// Puts a key into a team.
    move_key,
    /// Gives a key a new value.
    rotate_key,
    /// Switches a key off.
    disable_key,
    /// Removes a key.
    delete_key,
    /// Removes a team.
    delete_team,
    /// Removes a customer.
    delete_customer,
    /// Sets a price that overrides the price sheet.
    set_price,
    /// Changes settings in a way that the gateway rejects.
    faulty_change,
    /// Reads what somebody has spent.
    usage,
    /// Reads what all calls have cost by the log of requests.
    logged,
    /// Reads what all calls have cost by the metrics.
    metered,
    /// Moves the gateway's own clock.
    advance,
}

impl AdminApi {
    /// The operation of this name in the manifest.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations().find(|(known, _)| *known == name).map(|(_, operation)| operation)
    }
}

/// An HTTP request, and what to take from its answer.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its method.
    pub method: Method,
    /// Its path and query, a template.
    pub path: String,
    /// Its JSON body; each string in it is a template, one that is nothing but `{{ … }}` keeps its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Instead of `body`: the template beside the manifest that renders it, where lists must be built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_file: Option<String>,
    /// What to take from the answer: name, and JSON pointers of which the first that exists counts.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub take: IndexMap<String, Vec<String>>,
    /// Where the answer is text: a regular expression whose first groups, in all its matches, are added up to
    /// what was `spent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A value for templates that can be replaced from outside.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What it is, in a line.
    pub about: String,
    /// The environment variable that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Its value otherwise; it must be given if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}
