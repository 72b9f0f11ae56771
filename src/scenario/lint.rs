//! What a scenario file must hold to beyond its types: every name in it means something.

use std::{collections::BTreeSet, path::Path};

use indexmap::IndexMap;
use mock_upstream::Script;
use serde_json::Value;

use super::{
    case::Case,
    expect::Measure,
    requirement::Requirement,
    step::{Action, Admin, Call, Step},
};
use crate::{
    document::{Document, DocumentError, Key, closest},
    policy::VirtualKey,
};

/// Whose limit a refusal can name, in the neutral words.
const SCOPES: [&str; 2] = ["virtual_key", "provider"];

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
    for case in cases {
        let names = Names::of(case);
        check_policy(case, &names).map_err(wrong)?;
        for (index, step) in case.scenario.steps.iter().enumerate() {
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
    keys: BTreeSet<&'a str>,
    providers: BTreeSet<&'a str>,
    models: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn of(case: &'a Case) -> Self {
        let scenario = &case.scenario;
        let created = scenario.steps.iter().filter_map(|step| match &step.action {
            Action::Admin(Admin::CreateKey(key)) => Some(key.name.as_str()),
            _ => None,
        });
        let changed = scenario.steps.iter().filter_map(|step| match &step.action {
            Action::Upstream(script) => Some(script),
            _ => None,
        });
        let scripts = changed.chain([&scenario.upstream]).flat_map(|script| script.models.keys().cloned());
        Self {
            keys: scenario.policy.virtual_keys.iter().map(|key| key.name.as_str()).chain(created).collect(),
            providers: scenario.policy.providers.iter().map(|provider| provider.name.as_str()).collect(),
            // What the runner adds to every script.
            models: scripts.chain(Script::usual().models.into_keys()).collect(),
        }
    }

    fn key(&self, name: &str, path: Vec<Key>) -> Result<(), Wrong> {
        known("virtual key", name, self.keys.iter().copied(), path)
    }

    fn provider(&self, name: &str, path: Vec<Key>) -> Result<(), Wrong> {
        known("provider", name, self.providers.iter().copied(), path)
    }

    fn model(&self, name: &str, path: Vec<Key>) -> Result<(), Wrong> {
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
    for (index, key) in case.scenario.policy.virtual_keys.iter().enumerate() {
        check_routes(key, names)
            .map_err(|found| found.below(["policy".into(), "virtual_keys".into(), Key::Item(index)]))?;
    }
    check_script(&case.scenario.upstream, names)
}

/// The providers that a key may use.
fn check_routes(key: &VirtualKey, names: &Names<'_>) -> Result<(), Wrong> {
    for (index, route) in key.providers.iter().enumerate() {
        names.provider(&route.provider, vec!["providers".into(), index.into(), "provider".into()])?;
    }
    Ok(())
}

/// A provider of the script that the gateway does not know would never be called.
fn check_script(script: &Script, names: &Names<'_>) -> Result<(), Wrong> {
    let mut providers = script.providers.keys();
    providers
        .try_for_each(|name| names.provider(name, vec!["upstream".into(), "providers".into(), name.as_str().into()]))
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
        Action::Admin(operation) => check_admin(operation, names)?,
        Action::Upstream(script) => check_script(script, names)?,
        Action::Restart(restart) if restart.during.is_some() != restart.after_calls.is_some() => {
            let message = "`during` and `after_calls` belong together: traffic, and when to stop in the middle of it";
            return Err(Wrong::at(path(word), message));
        }
        _ => {}
    }
    check_expectations(step, names)
}

fn check_admin(operation: &Admin, names: &Names<'_>) -> Result<(), Wrong> {
    let at = |field: &str| vec!["admin".into(), operation.word().into(), field.into()];
    match operation {
        Admin::CreateKey(key) => {
            check_routes(key, names).map_err(|found| found.below(["admin".into(), "create_key".into()]))
        }
        Admin::EditBudgets(edit) => names.key(&edit.key, at("key")),
        Admin::DisableKey(key) | Admin::DeleteKey(key) => names.key(key, vec!["admin".into(), operation.word().into()]),
    }
}

fn check_expectations(step: &Step, names: &Names<'_>) -> Result<(), Wrong> {
    let expect = &step.expect;
    for key in expect.usage.keys() {
        names.key(key, vec!["expect".into(), "usage".into(), key.as_str().into()])?;
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
    if call.as_key.is_some() && call.key.is_some() {
        let message = "a call has one credential: `as` (a key of the policy) or `key` (a literal value)";
        return Err(Wrong::at(path("key"), message));
    }
    if call.hang_up.is_some() && !call.stream {
        return Err(Wrong::at(path("hang_up"), "only a stream can be left early"));
    }
    Ok(())
}
