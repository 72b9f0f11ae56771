//! What a case may ask of a gateway that somebody else has configured: all but its keys is there already.

use mock_upstream::Script;

use crate::{
    capability::Capability,
    drive::tells_its_key,
    gateway::Gateway,
    owner::OwnerKind,
    policy::{Policy, VirtualKey},
    scenario::{Action, Case, admin::Admin},
};

/// Why a case does not apply if its policy asks for what only the gateway's own configuration can say.
const CONFIGURATION: &str = "configuration";

/// Why a case does not apply, if so: what the gateway lacks, or that it would have to be started for it.
pub(super) fn lacks_for_case(gateway: &Gateway, case: &Case) -> Option<String> {
    let restart = Capability::Restart.to_string();
    let makes_keys = [("create_key"), ("delete_key")].map(|operation| format!("admin.{operation}"));
    let has_keys = !case.scenario.policy.virtual_keys.is_empty() || creates_keys(case);
    gateway
        .lacks_for_case(case)
        .or_else(|| case.needs().contains(&restart).then_some(restart))
        .or_else(|| makes_keys.into_iter().find(|operation| has_keys && !gateway.has(operation)))
        .or_else(|| is_configuration(gateway, case).then(|| CONFIGURATION.to_owned()))
}

fn creates_keys(case: &Case) -> bool {
    case.scenario.steps.iter().any(|step| matches!(step.action, Action::Admin(Admin::CreateKey(_))))
}

/// Whether a case needs more than keys: a policy, prices or a provider's key that its owner would have to
/// configure, or a clock that is not ours to move.
fn is_configuration(gateway: &Gateway, case: &Case) -> bool {
    let scenario = &case.scenario;
    let changed = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Upstream(script) => Some(script),
        _ => None,
    });
    let advances = scenario.steps.iter().any(|step| matches!(step.action, Action::Advance(_)));
    let created = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Admin(Admin::CreateKey(key)) => Some(key),
        _ => None,
    });
    let administers_others = scenario.steps.iter().any(|step| match &step.action {
        // A price or a setting is everybody's, and nobody would take it back.
        Action::Admin(Admin::SetPrice(_) | Admin::FaultyChange) => true,
        Action::Admin(operation) => operation.about().kind != OwnerKind::VirtualKey,
        _ => false,
    });
    has_other_policy(&scenario.policy)
        || administers_others
        || created.chain(&scenario.policy.virtual_keys).any(is_configured)
        || changed.chain([&scenario.upstream]).any(|script| has_other_models(script) || tells_its_key(script))
        || (advances && gateway.manifest.admin.advance.is_some())
}

/// Whether a key is more than a management API can be trusted to make.
fn is_configured(key: &VirtualKey) -> bool {
    key.value.is_some() || !key.active || key.expires.is_some() || key.team.is_some() || key.customer.is_some()
}

fn has_other_policy(policy: &Policy) -> bool {
    let usual = Policy { virtual_keys: policy.virtual_keys.clone(), ..Policy::default() };
    *policy != usual
}

/// Whether a script has models whose size and price are others than those that were configured.
fn has_other_models(script: &Script) -> bool {
    let usual = Script::usual().models;
    script.models.iter().any(|(name, model)| usual.get(name) != Some(model))
}
