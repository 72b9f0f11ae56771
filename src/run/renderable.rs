//! Whether a gateway's templates can express all that a case will ask of it: found before anything is started.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::plan::Target;
use crate::{
    drive::{complete_key, complete_routes, completed_script, edited, sheet},
    gateway::{
        RenderError, World,
        load::lay_over,
        render::{AdminCredentials, Renderer},
    },
    owner::Owner,
    period::Period,
    policy::Provider,
    runtime::Kind,
    scenario::{
        Action, Case, CheckKind,
        admin::{Admin, asked_about},
    },
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
    let upstream_keys = policy.providers.iter().flat_map(Provider::key_names).map(|name| (name, String::new()));
    let world = world(target, case, upstream_keys.collect());
    let renderer = Renderer::new(&target.gateway, &world);
    let api = &target.gateway.manifest.admin;
    let request = |operation: &str, asked: &Value| match api.operation(operation) {
        Some(operation) => api.request(operation, &renderer, asked).map(|_| ()),
        None => Ok(()),
    };
    let operate = |operation: &Admin| {
        let mut asked = asked_about(&operation.about(), "id", "name");
        let mut operation = operation.clone();
        if let Admin::CreateKey(key) = &mut operation {
            complete_routes(key, &providers);
            asked["value"] = "value".into();
        }
        lay_over(&mut asked, operation.asked());
        for owner in operation.belongs_to() {
            asked[format!("{}_id", owner.kind.word())] = "id".into();
        }
        request(operation.word(), &asked)
    };
    if target.runtime.kind() == Kind::External {
        for key in &policy.virtual_keys {
            operate(&Admin::CreateKey(key.clone()))?;
            operate(&Admin::DeleteKey(key.name.clone()))?;
        }
    } else {
        policy.virtual_keys.iter_mut().for_each(|key| complete_key(key, &providers, |_| "value".to_owned()));
        renderer.files(&policy)?;
    }
    for (index, step) in case.scenario.steps.iter().enumerate() {
        match &step.action {
            Action::Admin(operation) => operate(operation)?,
            Action::Advance(advance) => {
                let by = advance.by.unwrap_or(Period::seconds(1));
                request("advance", &json!({ "by": by.to_string(), "seconds": by.duration().as_secs() }))?;
            }
            Action::Restart(restart) => {
                if let Some(over) = &restart.policy {
                    policy = edited(&policy, over).map_err(|error| Unrenderable::Edit { step: index + 1, error })?;
                    renderer.files(&policy)?;
                }
            }
            _ => {}
        }
        for book in step.expect.books.keys() {
            request(book.operation(), &json!({}))?;
        }
        let asked = |owner: &&Owner| target.gateway.lacks_for_check(&CheckKind::Usage((*owner).clone())).is_none();
        for owner in step.expect.usage.keys().filter(asked) {
            request("usage", &asked_about(owner, "id", "name"))?;
        }
    }
    Ok(())
}

/// A world whose values are all there, and mean nothing.
fn world(target: &Target, case: &Case, upstream_keys: IndexMap<String, String>) -> World {
    let script = completed_script(&case.scenario.upstream, &case.scenario.policy);
    World {
        version: target.version.clone(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        data: "/".to_owned(),
        upstream: "http://127.0.0.1:1".to_owned(),
        admin: AdminCredentials { username: String::new(), password: String::new(), basic: String::new() },
        upstream_keys,
        prices: sheet(&script),
        models: script.models.keys().cloned().collect(),
        probity: String::new(),
        installed: String::new(),
        seed: 0,
        now: "2026-01-01T00:00:00Z".to_owned(),
        settings: target.gateway.settings.clone(),
    }
}
