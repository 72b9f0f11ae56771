//! Whether a gateway's templates can express all that a case will ask of it: found before anything is started.

use serde_json::{Value, json};

use super::plan::Target;
use crate::{
    drive::{complete_key, complete_routes, completed_script, edited, sheet},
    gateway::{
        RenderError, World,
        manifest::Operation,
        render::{AdminCredentials, Renderer},
    },
    policy::VirtualKey,
    runtime::Kind,
    scenario::{Action, Case, step::Admin},
};

/// Why a case cannot be expressed.
#[derive(Debug, thiserror::Error)]
pub enum Unrenderable {
    /// A template fails, or leaves a part unread.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// An edited policy is none.
    #[error("the edited policy of step {step}: {error}")]
    Edit {
        /// The step, from 1.
        step: usize,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// Renders everything that a case will need.
pub(super) fn check(target: &Target, case: &Case) -> Result<(), Unrenderable> {
    let mut policy = case.scenario.policy.clone();
    let providers: Vec<_> = policy.providers.iter().map(|provider| provider.name.clone()).collect();
    let world = world(target, case, &providers);
    let renderer = Renderer::new(&target.gateway, &world);
    let api = &target.gateway.manifest.admin;
    let request = |operation: &Option<Operation>, asked: &Value| match operation {
        Some(operation) => api.request(operation, &renderer, asked).map(|_| ()),
        None => Ok(()),
    };
    let create = |key: &VirtualKey| {
        let mut key = key.clone();
        complete_routes(&mut key, &providers);
        request(&api.create_key, &json!({ "key": key, "value": "value" }))
    };
    let about = json!({ "id": "id", "key": "key" });
    if target.runtime.kind() == Kind::External {
        policy.virtual_keys.iter().try_for_each(create)?;
        request(&api.delete_key, &about)?;
    } else {
        policy.virtual_keys.iter_mut().for_each(|key| complete_key(key, &providers, |_| "value".to_owned()));
        renderer.files(&policy)?;
    }
    for (index, step) in case.scenario.steps.iter().enumerate() {
        match &step.action {
            Action::Admin(Admin::CreateKey(key)) => create(key)?,
            Action::Admin(Admin::EditBudgets(edit)) => {
                request(&api.edit_budgets, &json!({ "id": "id", "key": "key", "budgets": edit.budgets }))?;
            }
            Action::Admin(Admin::DisableKey(_)) => request(&api.disable_key, &about)?,
            Action::Admin(Admin::DeleteKey(_)) => request(&api.delete_key, &about)?,
            Action::Advance(advance) => {
                let seconds = advance.by.duration().as_secs();
                request(&api.advance, &json!({ "by": advance.by.to_string(), "seconds": seconds }))?;
            }
            Action::Restart(restart) => {
                if let Some(over) = &restart.policy {
                    policy = edited(&policy, over).map_err(|error| Unrenderable::Edit { step: index + 1, error })?;
                    renderer.files(&policy)?;
                }
            }
            _ => {}
        }
        if !step.expect.usage.is_empty() {
            request(&api.usage, &about)?;
        }
    }
    Ok(())
}

/// A world whose values are all there, and mean nothing.
fn world(target: &Target, case: &Case, providers: &[String]) -> World {
    let script = completed_script(&case.scenario.upstream, &case.scenario.policy);
    World {
        version: target.version.clone(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        data: "/".to_owned(),
        upstream: "http://127.0.0.1:1".to_owned(),
        admin: AdminCredentials { username: String::new(), password: String::new(), basic: String::new() },
        upstream_keys: providers.iter().map(|name| (name.clone(), String::new())).collect(),
        prices: sheet(&script),
        models: script.models.keys().cloned().collect(),
        probity: String::new(),
        installed: String::new(),
        seed: 0,
        settings: target.gateway.settings.clone(),
    }
}
