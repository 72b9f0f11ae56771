//! The list of models that a caller may ask for, from the configuration.

use std::sync::Arc;

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::identify;
use crate::config::Provider;
use crate::errors::{About, Wording};
use crate::gateway::Gateway;
use crate::policy::VirtualKey;

/// Answers with the models by name. A provider whose keys serve every model has no
/// names to list, except those that the virtual key or the price sheet knows.
pub(crate) fn list_models(gateway: &Arc<Gateway>, headers: &HeaderMap) -> Response {
    let key = match identify(gateway, headers) {
        Ok(key) => key,
        Err(problem) => {
            let about = About { request_type: "list_models", ..About::default() };
            return problem.render(Wording::Native, &about);
        }
    };
    let mut data = Vec::new();
    for provider in gateway.providers().values().filter(|provider| provider.may_be_asked("list_models", false)) {
        for model in models(gateway, provider, key.as_deref()) {
            data.push(json!({
                "id": format!("{}/{model}", provider.name),
                "object": "model",
                "owned_by": provider.name.as_ref(),
            }));
        }
    }
    Json(json!({ "object": "list", "data": Value::Array(data) })).into_response()
}

fn models(gateway: &Gateway, provider: &Provider, key: Option<&VirtualKey>) -> Vec<String> {
    let grant = key.map(|key| key.grant(&provider.name));
    if grant.is_some_and(|grant| grant.is_none()) {
        return Vec::new();
    }
    let grant = grant.flatten().map(|policy| &policy.grant);
    let mut names: Vec<String> = provider.keys.iter().filter_map(|key| key.models.names()).flatten().cloned().collect();
    names.extend(grant.and_then(|grant| grant.allowed_models.names()).into_iter().flatten().cloned());
    names.extend(gateway.prices().models_of(&provider.name));
    names.retain(|name| provider.serves(name) && grant.is_none_or(|grant| grant.allows(name)));
    names.sort();
    names.dedup();
    names
}
