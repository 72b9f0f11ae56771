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
pub(crate) fn list_models(gateway: &Arc<Gateway>, headers: &HeaderMap, wording: Wording) -> Response {
    let key = match identify(gateway, headers) {
        Ok(key) => key,
        Err(problem) => {
            let about = About { request_type: "list_models", ..About::default() };
            return problem.render(wording, &about);
        }
    };
    let mut named = Vec::new();
    for provider in gateway.providers().values().filter(|provider| provider.may_be_asked("list_models", false)) {
        let names = models(gateway, provider, key.as_deref());
        named.extend(names.into_iter().map(|model| (format!("{}/{model}", provider.name), Arc::clone(&provider.name))));
    }
    Json(list(&named, wording)).into_response()
}

/// The list of names, each with its provider, as the callers of a protocol read it.
fn list(named: &[(String, Arc<str>)], wording: Wording) -> Value {
    let each = |one: &dyn Fn(&str, &str) -> Value| -> Value {
        named.iter().map(|(name, provider)| one(name, provider)).collect()
    };
    match wording {
        Wording::Native => {
            let model = |name: &str, provider: &str| json!({ "id": name, "object": "model", "owned_by": provider });
            json!({ "object": "list", "data": each(&model) })
        }
        Wording::Anthropic => {
            let model = |name: &str, _: &str| {
                // Anthropic's own word for a date that is not known.
                json!({ "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z" })
            };
            let end = |named: Option<&(String, Arc<str>)>| named.map(|(name, _)| name.clone());
            json!({
                "data": each(&model),
                "has_more": false,
                "first_id": end(named.first()),
                "last_id": end(named.last()),
            })
        }
        Wording::Gemini => {
            let actions =
                ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];
            let model = |name: &str, _: &str| {
                json!({
                    "name": format!("models/{name}"),
                    "displayName": name,
                    "supportedGenerationMethods": actions,
                })
            };
            json!({ "models": each(&model) })
        }
    }
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
    let mut names: Vec<String> = names.iter().map(|name| provider.api.model(name).to_owned()).collect();
    names.retain(|name| provider.serves(name) && grant.is_none_or(|grant| grant.allows(provider, name)));
    names.sort();
    names.dedup();
    names
}
