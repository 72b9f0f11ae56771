//! `/api/providers/{provider}/keys` and `/api/keys`: a provider's credentials, of which no
//! value is ever shown.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::Authorized;
use super::providers::{documents, find, refuse_if_named, save};
use super::reply::{conflict, invalid, missing, parse, refuse, respond, to_the_end};
use crate::config::{Fields, WrittenProviders};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::identity;
use crate::policy::VirtualKey;
use crate::routes::{Routes, get};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/providers/{provider}/keys", get(list).post(create))
        .route("/api/providers/{provider}/keys/{key}", get(read).put(update).delete(delete))
        .route("/api/keys", get(all))
}

/// Every key of every provider.
async fn all(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    let written = gateway.written.load();
    let keys: Vec<Value> = written
        .iter()
        .flat_map(|(provider, written)| written.keys.iter().map(move |(id, fields)| (provider, id, fields)))
        .map(|(provider, id, fields)| {
            let mut view = view(id, fields);
            view["provider"] = json!(provider);
            view
        })
        .collect();
    respond(&json!({ "total": keys.len(), "keys": keys }))
}

async fn list(_admin: Authorized, State(gateway): State<Arc<Gateway>>, Path(provider): Path<String>) -> Response {
    match find(&gateway.written.load(), &provider) {
        Ok(provider) => {
            let keys: Vec<Value> = provider.keys.iter().map(|(id, fields)| view(id, fields)).collect();
            respond(&json!({ "total": keys.len(), "keys": keys }))
        }
        Err(problem) => refuse(&problem),
    }
}

async fn read(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    Path((provider, id)): Path<(String, String)>,
) -> Response {
    match key(&gateway.written.load(), &provider, &id) {
        Ok(fields) => respond(&view(&id, fields)),
        Err(problem) => refuse(&problem),
    }
}

async fn create(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    to_the_end(async move {
        let _one_at_a_time = gateway.editing.lock().await;
        let mut provider = find(&gateway.written.load(), &name)?.clone();
        let mut fields: Fields = parse(&body)?;
        fields.retain(|_, value| !value.is_null());
        if fields.contains_key("id") {
            return Err(invalid("id: is made by the gateway"));
        }
        let id = Uuid::new_v4().to_string();
        fields.insert("id".to_owned(), json!(id));
        check_name(&gateway, &fields, None)?;
        let change = documents(&gateway).put_key(&name, &id, &fields).map_err(|error| invalid(error.to_string()))?;
        provider.keys.insert(id.clone(), fields.clone());
        save(&gateway, &name, provider, vec![change]).await?;
        Ok(respond(&view(&id, &fields)))
    })
    .await
}

/// What the body leaves out stays, and so does a value that it writes back as it was shown.
async fn update(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    Path((name, id)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    to_the_end(async move {
        let _one_at_a_time = gateway.editing.lock().await;
        let mut provider = find(&gateway.written.load(), &name)?.clone();
        let before = key(&gateway.written.load(), &name, &id)?.clone();
        let mut fields = before.clone();
        for (field, value) in parse::<Fields>(&body)? {
            match value {
                Value::Null => drop(fields.shift_remove(&field)),
                value if field == "id" && value != id.as_str() => return Err(invalid("id: a key keeps its id")),
                value if field == "value" && value == shown(&before).as_str() => {}
                value => drop(fields.insert(field, value)),
            }
        }
        check_name(&gateway, &fields, Some((&name, &id)))?;
        let old_name = before.get("name").and_then(Value::as_str).unwrap_or_default();
        if fields.get("name") != before.get("name") {
            let what = format!("the name '{old_name}' of the key");
            refuse_if_named(&gateway, &what, |key| names_key(key, &name, old_name))?;
        }
        let change = documents(&gateway).put_key(&name, &id, &fields).map_err(|error| invalid(error.to_string()))?;
        provider.keys.insert(id.clone(), fields.clone());
        save(&gateway, &name, provider, vec![change]).await?;
        Ok(respond(&view(&id, &fields)))
    })
    .await
}

async fn delete(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    Path((name, id)): Path<(String, String)>,
) -> Response {
    to_the_end(async move {
        let _one_at_a_time = gateway.editing.lock().await;
        let mut provider = find(&gateway.written.load(), &name)?.clone();
        let key_name = key(&gateway.written.load(), &name, &id)?
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let what = format!("the key '{key_name}' of the provider '{name}'");
        refuse_if_named(&gateway, &what, |key| names_key(key, &name, &id) || names_key(key, &name, &key_name))?;
        let change = documents(&gateway).delete_key(&name, &id);
        provider.keys.shift_remove(&id);
        save(&gateway, &name, provider, vec![change]).await?;
        Ok(respond(&json!({ "message": "Key deleted successfully" })))
    })
    .await
}

fn key<'a>(written: &'a WrittenProviders, provider: &str, id: &str) -> Result<&'a Fields, Problem> {
    let missing = || missing(format!("the provider '{provider}' has no key '{id}'"));
    find(written, provider)?.keys.get(id).ok_or_else(missing)
}

/// Whether a virtual key may use this key only by this name or id.
fn names_key(key: &VirtualKey, provider: &str, name: &str) -> bool {
    let names = key.grant(provider).and_then(|policy| policy.grant.key_ids.names());
    names.is_some_and(|names| names.iter().any(|known| known == name))
}

/// A key's name is there, and no other key of any provider has it.
fn check_name(gateway: &Gateway, fields: &Fields, own: Option<(&str, &str)>) -> Result<(), Problem> {
    let name = match fields.get("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => name,
        _ => return Err(invalid("name: the name of the key is required")),
    };
    let written = gateway.written.load();
    let mut all = written.iter().flat_map(|(provider, written)| {
        written.keys.iter().map(move |(id, fields)| (provider.as_str(), id.as_str(), fields))
    });
    let is_taken = all.any(|(provider, id, fields)| {
        own != Some((provider, id)) && fields.get("name").and_then(Value::as_str) == Some(name)
    });
    if is_taken { Err(conflict(format!("a key with the name '{name}' already exists"))) } else { Ok(()) }
}

/// The value as it is shown: a reference whole, a credential by its beginning.
fn shown(fields: &Fields) -> String {
    match fields.get("value").and_then(Value::as_str) {
        None | Some("") => String::new(),
        Some(reference) if reference.starts_with("env.") => reference.to_owned(),
        Some(value) => identity::hint(value),
    }
}

fn view(id: &str, fields: &Fields) -> Value {
    let mut view = json!({ "id": id, "name": null, "value": null, "models": ["*"], "weight": 1, "enabled": true });
    for (name, value) in fields {
        view[name] = value.clone();
    }
    view["id"] = json!(id);
    view["value"] = json!(shown(fields));
    view
}
