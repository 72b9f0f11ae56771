//! What a scenario file must hold to beyond its types.

use std::{collections::HashSet, path::Path};

use super::{
    case::Case,
    requirement::Requirement,
    step::{Action, Call, Step},
};
use crate::document::{Document, DocumentError, Key, closest};

/// Checks a scenario file, and finds its requirement.
pub(super) fn entry<'a>(
    folder: &Path,
    document: &Document,
    cases: &[Case],
    requirements: &'a [Requirement],
) -> Result<&'a Requirement, Box<DocumentError>> {
    let Some(case) = cases.first() else {
        return Err(document.error(&["matrix".into()], "no combination is left: the scenario has no case", None));
    };
    let place = document.path().strip_prefix(folder).unwrap_or(document.path()).with_extension("");
    if Path::new(&case.scenario.id) != place {
        let message = format!("the id must say where the file stands: `{}`", place.display());
        return Err(document.error(&["id".into()], &message, None));
    }
    for case in cases {
        for (index, step) in case.scenario.steps.iter().enumerate() {
            check_step(case, step).map_err(|(field, message, help)| {
                let mut path = vec![Key::from("steps"), Key::Item(index)];
                path.extend(field.split('.').map(Key::from));
                document.error(&path, &message, help)
            })?;
        }
    }
    let wanted = &case.scenario.requirement;
    requirements.iter().find(|requirement| requirement.id == *wanted).ok_or_else(|| {
        let help = closest(wanted, requirements.iter().map(|requirement| requirement.id.as_str()));
        let message = format!("there is no requirement {wanted} in {}", folder.join("requirements.yaml").display());
        document.error(&["requirement".into()], &message, help.map(|id| format!("did you mean `{id}`?")))
    })
}

type Wrong = (String, String, Option<String>);

fn check_step(case: &Case, step: &Step) -> Result<(), Wrong> {
    let names = known_keys(case);
    let known = |field: &str, name: &str| {
        if names.contains(name) {
            return Ok(());
        }
        let help = closest(name, names.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        Err((field.to_owned(), format!("there is no virtual key `{name}` in this scenario"), help))
    };
    let word = step.action.word();
    if let Some(call) = step.action.call() {
        check_call(word, call, &known)?;
    }
    if let Action::Restart(restart) = &step.action
        && restart.during.is_some() != restart.after_calls.is_some()
    {
        let message = "`during` and `after_calls` belong together: traffic, and when to stop in the middle of it";
        return Err((word.to_owned(), message.to_owned(), None));
    }
    for key in step.expect.usage.keys() {
        known("expect.usage", key)?;
    }
    let measures_cap = step.expect.fact.values().any(|measure| *measure != super::expect::Measure::ElapsedMs);
    if measures_cap && step.expect.overspend.is_none() {
        return Err((
            "expect.fact".to_owned(),
            "overshoot and spend_lost need `overspend` beside them".to_owned(),
            None,
        ));
    }
    Ok(())
}

fn check_call(word: &str, call: &Call, known: &dyn Fn(&str, &str) -> Result<(), Wrong>) -> Result<(), Wrong> {
    if let Some(name) = &call.as_key {
        known(&format!("{word}.as"), name)?;
    }
    if let Some(also) = &call.also {
        known(&format!("{word}.also"), &also.as_key)?;
    }
    if call.as_key.is_some() && call.key.is_some() {
        let message = "a call has one credential: `as` (a key of the policy) or `key` (a literal value)";
        return Err((format!("{word}.key"), message.to_owned(), None));
    }
    if call.hang_up.is_some() && !call.stream {
        return Err((format!("{word}.hang_up"), "only a stream can be left early".to_owned(), None));
    }
    Ok(())
}

/// Keys of the policy, and those that a step creates.
fn known_keys(case: &Case) -> HashSet<&str> {
    let created = case.scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Admin(super::step::Admin::CreateKey(key)) => Some(key.name.as_str()),
        _ => None,
    });
    case.scenario.policy.virtual_keys.iter().map(|key| key.name.as_str()).chain(created).collect()
}
