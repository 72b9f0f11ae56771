//! What a scenario file must hold to beyond its types: every name in it means something.

use std::{collections::BTreeSet, path::Path};

use indexmap::IndexMap;
use mock_upstream::Script;
use serde_json::Value;

use super::{
    admin::{Admin, RETIRED},
    call::{Burst, Call},
    case::Case,
    expect::{Measure, Status},
    requirement::Requirement,
    script,
    step::{Action, Instance, Restart, Step, Trespass},
};
use crate::{
    document::{Document, DocumentError, Key, closest},
    owner::Owner,
    policy::{Policy, PriceOverride, VirtualKey},
};

/// Whatever is expected of calls that are not made holds.
const NO_CALL: &str = "no call would be made";

/// Whose limit a refusal can name, in the neutral words.
const SCOPES: [&str; 7] =
    ["customer", "team", "virtual_key", "virtual_key_provider", "virtual_key_model", "provider", "model"];

/// Checks a scenario file, and finds its requirement.
pub(super) fn entry<'a>(
    folder: &Path,
    document: &Document,
    cases: &[Case],
    requirements: &'a [Requirement],
) -> Result<&'a Requirement, Box<DocumentError>> {
    let wrong = |wrong: Wrong| document.error(&wrong.path, &wrong.message, wrong.help);
    check_except(document.value()).map_err(wrong)?;
    let Some(case) = cases.first() else {
        return Err(document.error(&["matrix".into()], "no combination is left: the scenario has no case", None));
    };
    let place = document.path().strip_prefix(folder).unwrap_or(document.path()).with_extension("");
    if Path::new(&case.scenario.id) != place {
        let message = format!("the id must say where the file stands: `{}`", place.display());
        return Err(document.error(&["id".into()], &message, None));
    }
    for (index, case) in cases.iter().enumerate() {
        if cases.iter().take(index).any(|other| other.name == case.name) {
            let message = format!("two cases are called `{}`, and could not be told apart", case.name);
            return Err(document.error(&["matrix".into()], &message, None));
        }
        if case.checks().is_empty() {
            return Err(document.error(&["steps".into()], "nothing is expected, so nothing would be proved", None));
        }
        let names = Names::of(case);
        check_policy(case, &names).map_err(wrong)?;
        for (index, step) in case.scenario.steps.iter().enumerate() {
            if case.scenario.instance == Instance::Shared && leaves_a_mark(&step.action) {
                let message = format!(
                    "the next case would meet what this {} does: cases that share a gateway leave no mark on it",
                    step.action.word()
                );
                return Err(document.error(&["steps".into(), Key::Item(index)], &message, None));
            }
            let step = check_step(step, &names).map_err(|found| found.below([Key::from("steps"), Key::Item(index)]));
            step.map_err(wrong)?;
        }
    }
    let wanted = &case.scenario.requirement;
    requirements.iter().find(|requirement| requirement.id == *wanted).ok_or_else(|| {
        let help = closest(wanted, requirements.iter().map(|requirement| requirement.id.as_str()));
        let message = format!("there is no requirement {wanted} in {}", folder.join("requirements.yaml").display());
        document.error(&["requirement".into()], &message, help.map(|id| format!("did you mean `{id}`?")))
    })
}

/// Whether a later case on the same gateway would meet what a step does.
fn leaves_a_mark(action: &Action) -> bool {
    matches!(action, Action::Admin(_) | Action::Restart(_) | Action::Advance(_))
}

/// What is wrong, where, and what was probably meant.
struct Wrong {
    path: Vec<Key>,
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn at(path: Vec<Key>, message: impl Into<String>) -> Self {
        Self { path, message: message.into(), help: None }
    }

    /// The same, seen from further up.
    fn below(mut self, above: impl IntoIterator<Item = Key>) -> Self {
        self.path.splice(0..0, above);
        self
    }
}

/// A path of fields: `call.as`.
fn path(fields: &str) -> Vec<Key> {
    fields.split('.').map(Key::from).collect()
}

/// The names that a case's steps may use.
struct Names<'a> {
    owners: BTreeSet<Owner>,
    providers: BTreeSet<&'a str>,
    models: BTreeSet<String>,
    /// The keys that providers have, each with its provider.
    upstream_keys: Vec<(&'a str, &'a str)>,
}

impl<'a> Names<'a> {
    fn of(case: &'a Case) -> Self {
        let scenario = &case.scenario;
        let mut owners: BTreeSet<_> = Owner::all_of(&scenario.policy).into_iter().collect();
        for step in &scenario.steps {
            if let Action::Admin(operation) = &step.action {
                owners.extend(operation.creates().then(|| operation.about()));
                // The value that it had before.
                if let Admin::RotateKey(key) = operation {
                    owners.insert(Owner::key(&format!("{key}{RETIRED}")));
                }
            }
        }
        let changed = scenario.steps.iter().filter_map(|step| match &step.action {
            Action::Upstream(script) => Some(script),
            _ => None,
        });
        let scripts = changed.chain([&scenario.upstream]).flat_map(|script| script.models.keys().cloned());
        Self {
            owners,
            providers: scenario.policy.providers.iter().map(|provider| provider.name.as_str()).collect(),
            upstream_keys: (scenario.policy.providers.iter())
                .flat_map(|provider| provider.keys.iter().map(|key| (provider.name.as_str(), key.as_str())))
                .collect(),
            // What the runner adds to every script.
            models: scripts.chain(Script::usual().models.into_keys()).collect(),
        }
    }

    fn key(&self, name: &str, path: Vec<Key>) -> Result<(), Wrong> {
        self.owner(&Owner::key(name), path)
    }

    fn owner(&self, owner: &Owner, path: Vec<Key>) -> Result<(), Wrong> {
        let names = self.owners.iter().filter(|known| known.kind == owner.kind).map(|known| known.name.as_str());
        known(owner.kind.words(), &owner.name, names, path)
    }

    fn keys_of(&self, provider: &str) -> impl Iterator<Item = &str> + Clone {
        self.upstream_keys.iter().filter(move |(owner, _)| *owner == provider).map(|(_, key)| *key)
    }

    fn provider(&self, name: &str, path: Vec<Key>) -> Result<(), Wrong> {
        known("provider", name, self.providers.iter().copied(), path)
    }

    fn model(&self, name: &str, path: Vec<Key>) -> Result<(), Wrong> {
        let after = |provider: &&str| name.strip_prefix(provider)?.strip_prefix('/');
        let name = self.providers.iter().find_map(after).unwrap_or(name);
        known("model", name, self.models.iter().map(String::as_str), path)
    }
}

fn known<'a>(
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    path: Vec<Key>,
) -> Result<(), Wrong> {
    if names.clone().any(|known| known == name) {
        return Ok(());
    }
    let help = closest(name, names).map(|name| format!("did you mean `{name}`?"));
    Err(Wrong { path, message: format!("there is no {what} `{name}` in this scenario"), help })
}

/// The axes and values of each exception are those of the matrix: another would except nothing.
fn check_except(scenario: &Value) -> Result<(), Wrong> {
    let decoded = |field: &str| scenario.get(field).cloned().unwrap_or_default();
    let matrix: IndexMap<String, Vec<Value>> = serde_json::from_value(decoded("matrix")).unwrap_or_default();
    let except: Vec<IndexMap<String, Value>> = serde_json::from_value(decoded("except")).unwrap_or_default();
    for (index, (axis, value)) in
        except.iter().enumerate().flat_map(|(index, axes)| axes.iter().map(move |a| (index, a)))
    {
        let path = vec!["except".into(), index.into(), axis.as_str().into()];
        known("axis", axis, matrix.keys().map(String::as_str), path.clone())?;
        if !matrix[axis].contains(value) {
            return Err(Wrong::at(path, format!("the axis `{axis}` has no value {value}")));
        }
    }
    Ok(())
}

fn check_policy(case: &Case, names: &Names<'_>) -> Result<(), Wrong> {
    let policy = &case.scenario.policy;
    check_unique(policy)?;
    let at = |list: &str, index: usize| ["policy".into(), list.into(), Key::Item(index)];
    for (index, team) in policy.teams.iter().enumerate() {
        check_belonging(names, None, team.customer.as_ref()).map_err(|found| found.below(at("teams", index)))?;
    }
    for (index, model) in policy.models.iter().enumerate() {
        let provider = model.provider.as_ref().map_or(Ok(()), |name| names.provider(name, path("provider")));
        provider.map_err(|found| found.below(at("models", index)))?;
        let key = model.virtual_key.as_ref().map_or(Ok(()), |name| names.key(name, path("virtual_key")));
        key.map_err(|found| found.below(at("models", index)))?;
    }
    for (index, price) in policy.price_overrides.iter().enumerate() {
        check_price(price, names).map_err(|found| found.below(at("price_overrides", index)))?;
    }
    for (index, key) in policy.virtual_keys.iter().enumerate() {
        check_key(key, names).map_err(|found| found.below(at("virtual_keys", index)))?;
    }
    check_script(&case.scenario.upstream, names)
}

/// Steps and reports speak of everybody by a name.
fn check_unique(policy: &Policy) -> Result<(), Wrong> {
    let lists: [(&str, Vec<&str>); 5] = [
        ("providers", policy.providers.iter().map(|one| one.name.as_str()).collect()),
        ("customers", policy.customers.iter().map(|one| one.name.as_str()).collect()),
        ("teams", policy.teams.iter().map(|one| one.name.as_str()).collect()),
        ("models", policy.models.iter().map(|one| one.name.as_str()).collect()),
        ("virtual_keys", policy.virtual_keys.iter().map(|one| one.name.as_str()).collect()),
    ];
    for (list, names) in lists {
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|other| other == name) {
                let path = vec!["policy".into(), list.into(), index.into(), "name".into()];
                return Err(Wrong::at(path, format!("there is another `{name}` before it")));
            }
        }
    }
    Ok(())
}

/// The team and the customer that somebody belongs to.
fn check_belonging(names: &Names<'_>, team: Option<&String>, customer: Option<&String>) -> Result<(), Wrong> {
    team.map_or(Ok(()), |name| names.owner(&Owner::team(name), path("team")))?;
    customer.map_or(Ok(()), |name| names.owner(&Owner::customer(name), path("customer")))
}

/// The providers that a key may use, and whose it is.
fn check_key(key: &VirtualKey, names: &Names<'_>) -> Result<(), Wrong> {
    check_belonging(names, key.team.as_ref(), key.customer.as_ref())?;
    for (index, route) in key.providers.iter().enumerate() {
        names.provider(&route.provider, vec!["providers".into(), index.into(), "provider".into()])?;
    }
    Ok(())
}

/// Whom a price is for.
fn check_price(price: &PriceOverride, names: &Names<'_>) -> Result<(), Wrong> {
    price.provider.as_ref().map_or(Ok(()), |name| names.provider(name, path("provider")))?;
    price.virtual_key.as_ref().map_or(Ok(()), |name| names.key(name, path("virtual_key")))?;
    match (&price.key, &price.provider) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Wrong::at(path("key"), "a provider's key stands beside its `provider`")),
        (Some(key), Some(provider)) => known("key of this provider", key, names.keys_of(provider), path("key")),
    }
}

/// A provider of the script that the gateway does not know would never be called, nor with another's key.
fn check_script(script: &Script, names: &Names<'_>) -> Result<(), Wrong> {
    script::check(script).map_err(|(path, message)| Wrong::at(path, message).below(["upstream".into()]))?;
    for (name, provider) in &script.providers {
        let at = || vec!["upstream".into(), "providers".into(), name.as_str().into()];
        names.provider(name, at())?;
        for key in provider.faults.iter().filter_map(|rule| rule.key.as_deref()) {
            known("key of this provider", key, names.keys_of(name), at())?;
        }
    }
    Ok(())
}

fn check_step(step: &Step, names: &Names<'_>) -> Result<(), Wrong> {
    let word = step.action.word();
    if let Some(call) = step.action.call() {
        let above = match &step.action {
            Action::Burst(_) => "burst.call",
            Action::Restart(_) => "restart.during.call",
            _ => word,
        };
        check_call(call, names).map_err(|found| found.below(path(above)))?;
    }
    match &step.action {
        Action::Burst(burst) => check_burst(burst, names).map_err(|found| found.below(path("burst")))?,
        Action::Restart(Restart { during: Some(burst), .. }) => {
            check_burst(burst, names).map_err(|found| found.below(path("restart.during")))?;
        }
        _ => {}
    }
    match &step.action {
        Action::Admin(operation) => check_admin(operation, names)?,
        Action::Upstream(script) => check_script(script, names)?,
        Action::Trespass(Trespass { with: Some(key) }) => names.key(key, path("trespass.with"))?,
        Action::Advance(advance) if advance.by.is_some() == advance.to_end_of.is_some() => {
            return Err(Wrong::at(path(word), "an advance says either `by` or `to_end_of`"));
        }
        Action::Restart(restart) if restart.during.is_some() != restart.after_calls.is_some() => {
            let message = "`during` and `after_calls` belong together: traffic, and when to stop in the middle of it";
            return Err(Wrong::at(path(word), message));
        }
        _ => {}
    }
    check_expectations(step, names)
}

fn check_burst(burst: &Burst, names: &Names<'_>) -> Result<(), Wrong> {
    if burst.clients == 0 || burst.requests == Some(0) {
        return Err(Wrong::at(path("clients"), NO_CALL));
    }
    burst.keys.iter().try_for_each(|key| names.key(key, path("keys")))
}

fn check_admin(operation: &Admin, names: &Names<'_>) -> Result<(), Wrong> {
    let word = operation.word();
    let found = match operation {
        Admin::CreateCustomer(_) | Admin::FaultyChange => Ok(()),
        Admin::CreateTeam(team) => check_belonging(names, None, team.customer.as_ref()),
        Admin::CreateKey(key) => check_key(key, names),
        Admin::SetPrice(price) => check_price(price, names),
        Admin::EditBudgets(_) | Admin::EditLimits(_) => names.owner(&operation.about(), path("of")),
        Admin::MoveKey(to) => {
            names.key(&to.key, path("key"))?;
            check_belonging(names, Some(&to.team), None)
        }
        _ => names.owner(&operation.about(), Vec::new()),
    };
    found.map_err(|found| found.below(["admin".into(), word.into()]))
}

fn check_expectations(step: &Step, names: &Names<'_>) -> Result<(), Wrong> {
    let expect = &step.expect;
    for owner in expect.usage.keys() {
        names.owner(owner, vec!["expect".into(), "usage".into(), owner.to_string().as_str().into()])?;
    }
    if let Some(named) = &expect.names
        && !SCOPES.contains(&named.scope.as_str())
    {
        let help = closest(&named.scope, SCOPES).map(|scope| format!("did you mean `{scope}`?"));
        let message = format!("nobody's limit is called `{}`: it is one of {}", named.scope, SCOPES.join(", "));
        return Err(Wrong { path: path("expect.names.scope"), message, help });
    }
    let order = expect.upstream.iter().flat_map(|upstream| upstream.order.iter().flatten());
    for (index, name) in order.enumerate() {
        let mut at = path("expect.upstream.order");
        at.push(index.into());
        names.provider(name, at)?;
    }
    let hidden = [
        expect.answers.as_ref().map(|answers| answers.keys_hidden),
        expect.upstream.as_ref().map(|upstream| upstream.keys_hidden),
    ];
    if hidden.contains(&Some(Some(false))) {
        let message = "write `keys_hidden: true`, or leave it out: that keys are shown is not expected of anybody";
        return Err(Wrong::at(path("expect"), message));
    }
    if expect.status == Some(Status::Promised) && expect.refused.is_none() {
        let message = "which status is promised depends on the reason: say in `refused` which one is expected";
        return Err(Wrong::at(path("expect.status"), message));
    }
    let measures_cap = expect.fact.values().any(|measure| *measure != Measure::ElapsedMs);
    if measures_cap && expect.overspend.is_none() {
        return Err(Wrong::at(path("expect.fact"), "overshoot and spend_lost need `overspend` beside them"));
    }
    Ok(())
}

fn check_call(call: &Call, names: &Names<'_>) -> Result<(), Wrong> {
    if let Some(name) = &call.as_key {
        names.key(name, path("as"))?;
    }
    if let Some(also) = &call.also {
        names.key(&also.as_key, path("also"))?;
    }
    names.model(&call.model, path("model"))?;
    if call.times == 0 {
        return Err(Wrong::at(path("times"), NO_CALL));
    }
    if call.as_key.is_some() && call.key.is_some() {
        let message = "a call has one credential: `as` (a key of the policy) or `key` (a literal value)";
        return Err(Wrong::at(path("key"), message));
    }
    if call.hang_up.is_some() && !call.stream {
        return Err(Wrong::at(path("hang_up"), "only a stream can be left early"));
    }
    Ok(())
}
