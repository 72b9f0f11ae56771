//! The types that a scenario file is read into.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    admin::Admin,
    advance::Advance,
    call::{Burst, Call},
    expect::Expect,
};
use crate::{capability::Capability, policy::Policy};

/// A scenario file, with its templates already filled in for one case.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// `<area>/<name>`, the same as the file's path in the scenarios folder.
    pub id: String,
    /// The requirement that it proves.
    pub requirement: String,
    /// One sentence that states what is shown.
    pub title: String,
    /// What a reader should know beyond the title: the real case behind it, why it matters.
    #[serde(default)]
    pub why: Option<String>,
    /// Capabilities beyond those that follow from policy and steps.
    #[serde(default)]
    pub needs: Vec<Capability>,
    /// Whether cases share a gateway.
    #[serde(default)]
    pub instance: Instance,
    /// What the gateway is asked to enforce.
    #[serde(default)]
    pub policy: Policy,
    /// What the providers behind the gateway do. Unless it says otherwise there is one model,
    /// `mock-1`, of 100 input and 100 output tokens at $2.50 and $10.00 per million.
    #[serde(default)]
    pub upstream: mock_upstream::Script,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// Values for which the whole is repeated, each combination as one case.
    #[serde(default)]
    pub matrix: IndexMap<String, Vec<Value>>,
    /// Combinations of the matrix that make no sense.
    #[serde(default)]
    pub except: Vec<IndexMap<String, Value>>,
}

/// Whether the cases of a scenario share a gateway.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Instance {
    /// Each case starts its own.
    #[default]
    PerCase,
    /// The cases run one after another on one gateway, since none leaves a mark on it: nothing that a later one
    /// would meet but money that was spent, and `usage` and `books` count from the begin of a case. Those whose
    /// policies or prices differ have gateways of their own all the same.
    Shared,
}

/// One thing that happens, and what is expected of it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "StepFields", into = "StepFields")]
#[schemars(with = "StepFields")]
pub struct Step {
    /// What happens.
    pub action: Action,
    /// What is expected of it.
    pub expect: Expect,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// One caller calls, once or several times in sequence.
    Call(Call),
    /// Many callers at once.
    Burst(Burst),
    /// An operation of the gateway's management API.
    Admin(Admin),
    /// The providers' behaviour changes from here on.
    Upstream(mock_upstream::Script),
    /// The gateway is stopped and started again.
    Restart(Restart),
    /// The clock moves on.
    Advance(Advance),
    /// All is quiet: no call is open, and the gateway has had the time it promises to write its books.
    Settle,
    /// Somebody who is no administrator tries the management API: to make a key, and to read one.
    Trespass(Trespass),
}

/// A step as it stands in the file: exactly one of the actions is set.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFields {
    /// One caller calls, once or several times in sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<Call>,
    /// Many callers at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<Burst>,
    /// An operation of the gateway's management API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    admin: Option<Admin>,
    /// The providers' behaviour changes from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upstream: Option<mock_upstream::Script>,
    /// The gateway is stopped and started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restart: Option<Restart>,
    /// The clock moves on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advance: Option<Advance>,
    /// All is quiet, and the gateway has written its books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settle: Option<Settle>,
    /// Somebody who is no administrator tries the management API: to make a key, and to read one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trespass: Option<Trespass>,
    /// What is expected.
    #[serde(default)]
    expect: Expect,
}

/// Takes no settings: `settle: {}`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settle {}

impl TryFrom<StepFields> for Step {
    type Error = String;

    fn try_from(fields: StepFields) -> Result<Self, String> {
        let actions = [
            fields.call.map(Action::Call),
            fields.burst.map(Action::Burst),
            fields.admin.map(Action::Admin),
            fields.upstream.map(Action::Upstream),
            fields.restart.map(Action::Restart),
            fields.advance.map(Action::Advance),
            fields.settle.map(|Settle {}| Action::Settle),
            fields.trespass.map(Action::Trespass),
        ];
        let mut actions = actions.into_iter().flatten();
        match (actions.next(), actions.next()) {
            (Some(action), None) => Ok(Self { action, expect: fields.expect }),
            _ => {
                Err("a step does exactly one of: call, burst, admin, upstream, restart, advance, settle, trespass"
                    .into())
            }
        }
    }
}

impl From<Step> for StepFields {
    fn from(step: Step) -> Self {
        let mut fields = Self { expect: step.expect, ..Self::default() };
        match step.action {
            Action::Call(call) => fields.call = Some(call),
            Action::Burst(burst) => fields.burst = Some(burst),
            Action::Admin(admin) => fields.admin = Some(admin),
            Action::Upstream(script) => fields.upstream = Some(script),
            Action::Restart(restart) => fields.restart = Some(restart),
            Action::Advance(advance) => fields.advance = Some(advance),
            Action::Settle => fields.settle = Some(Settle {}),
            Action::Trespass(trespass) => fields.trespass = Some(trespass),
        }
        fields
    }
}

impl Action {
    /// The word for it in a scenario file.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::Burst(_) => "burst",
            Self::Admin(_) => "admin",
            Self::Upstream(_) => "upstream",
            Self::Restart(_) => "restart",
            Self::Advance(_) => "advance",
            Self::Settle => "settle",
            Self::Trespass(_) => "trespass",
        }
    }

    /// The call that the action makes, if it makes any.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::Call(call) => Some(call),
            Self::Burst(burst) => Some(&burst.call),
            Self::Restart(restart) => restart.during.as_ref().map(|burst| &burst.call),
            _ => None,
        }
    }
}

/// The gateway is stopped and started again on the same data.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// How it is stopped.
    pub signal: Signal,
    /// When.
    #[serde(default)]
    pub when: When,
    /// Fields laid over the policy, so that the gateway starts again with an edited file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
    /// Traffic in the middle of which it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Burst>,
    /// With `during`: as soon as the upstream has answered so many of its calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_calls: Option<u32>,
}

/// How a gateway is stopped.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// SIGTERM: asked to stop.
    Term,
    /// SIGKILL: killed.
    Kill,
}

/// When a gateway is stopped.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At once after the last answer.
    #[default]
    AtOnce,
    /// When the gateway has had the time it promises to write its books.
    Settled,
}

/// Somebody who is no administrator tries the management API.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trespass {
    /// The virtual key that they have; nothing at all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
}
