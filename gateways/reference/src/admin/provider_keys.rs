//! `/api/providers/{provider}/keys` and `/api/keys`: a provider's credentials, of which no
//! value is ever shown.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::asked::{InBody, InPath};
use super::auth::Authorized;
use super::providers::{documents, find, refuse_if_named, save};
use super::reply::{Done, Reply, change, conflict, done, invalid, missing, respond};
use crate::config::{Fields, WrittenProvider, WrittenProviders, provider_key_schema};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::identity;
use crate::policy::VirtualKey;
use crate::routes::{Routes, get};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/providers/{provider}/keys",
            get(list).answering::<Listed<KeyView>>().post(create).taking_what(new).answering::<KeyView>(),
        )
        .route(
            "/api/providers/{provider}/keys/{key}",
            get(read)
                .answering::<KeyView>()
                .put(update)
                .taking_what(part)
                .answering::<KeyView>()
                .delete(delete)
                .answering::<Done>(),
        )
        .route("/api/keys", get(all).answering::<Listed<KeyOfProvider>>())
}

/// A key as it was written, with what holds where nothing is written; of its value no more than
/// the beginning.
#[derive(Serialize)]
struct KeyView(Fields);

/// A key of a provider, and the provider's name.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct KeyOfProvider {
    #[serde(flatten)]
    key: KeyView,
    provider: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Listed<K> {
    total: usize,
    keys: Vec<K>,
}

impl JsonSchema for KeyView {
    fn schema_name() -> Cow<'static, str> {
        "ProviderKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = provider_key_schema();
        schema["properties"]["id"] = json!({ "type": "string" });
        schema["required"] = defaults().into_iter().map(|(name, _)| name).collect();
        schema.try_into().unwrap_or_default()
    }
}

/// What makes a key; its id is made by the gateway.
fn new() -> Value {
    let mut schema = provider_key_schema();
    schema.get_mut("properties").and_then(Value::as_object_mut).and_then(|fields| fields.shift_remove("id"));
    schema
}

/// What an update takes: the fields of a key, each of which may be left out.
fn part() -> Value {
    let mut schema = provider_key_schema();
    schema.as_object_mut().and_then(|schema| schema.shift_remove("required"));
    schema
}

/// Every key of every provider.
async fn all(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    let written = gateway.written.load();
    let keys: Vec<KeyOfProvider> = written
        .iter()
        .flat_map(|(provider, written)| written.keys.iter().map(move |(id, fields)| (provider, id, fields)))
        .map(|(provider, id, fields)| KeyOfProvider { key: view(id, fields), provider: provider.clone() })
        .collect();
    respond(&Listed { total: keys.len(), keys })
}

async fn list(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InPath(provider): InPath<String>) -> Reply {
    let written = gateway.written.load();
    let keys: Vec<KeyView> = find(&written, &provider)?.keys.iter().map(|(id, fields)| view(id, fields)).collect();
    Ok(respond(&Listed { total: keys.len(), keys }))
}

async fn read(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath((provider, id)): InPath<(String, String)>,
) -> Reply {
    let written = gateway.written.load();
    Ok(respond(&view(&id, key(find(&written, &provider)?, &provider, &id)?)))
}

async fn create(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(name): InPath<String>,
    InBody(mut fields): InBody<Fields>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let provider = find(&gateway.written.load(), &name)?.clone();
        fields.retain(|_, value| !value.is_null());
        if fields.contains_key("id") {
            return Err(invalid("id: is made by the gateway"));
        }
        let id = Uuid::new_v4().to_string();
        fields.insert("id".to_owned(), json!(id));
        check_name(&gateway.written.load(), name_of(&fields))?;
        save_key(&gateway, &name, provider, id, fields).await
    })
    .await
}

/// What the body leaves out stays, and so does a value that it writes back as it was shown.
async fn update(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath((name, id)): InPath<(String, String)>,
    InBody(body): InBody<Fields>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let provider = find(&gateway.written.load(), &name)?.clone();
        let before = key(&provider, &name, &id)?;
        let mut fields = before.clone();
        for (field, value) in body {
            match value {
                Value::Null => drop(fields.shift_remove(&field)),
                value if field == "id" && value != id.as_str() => return Err(invalid("id: a key keeps its id")),
                value if field == "value" && value == shown(before).as_str() => {}
                value => drop(fields.insert(field, value)),
            }
        }
        if fields.get("name") != before.get("name") {
            check_name(&gateway.written.load(), name_of(&fields))?;
            let old = name_of(before).unwrap_or_default();
            let what = format!("the name '{old}' of the key");
            refuse_if_named(&gateway, &what, |key| names_key(key, &name, old))?;
        }
        save_key(&gateway, &name, provider, id, fields).await
    })
    .await
}

async fn delete(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath((name, id)): InPath<(String, String)>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let mut provider = find(&gateway.written.load(), &name)?.clone();
        let key_name = name_of(key(&provider, &name, &id)?).unwrap_or_default();
        let what = format!("the key '{key_name}' of the provider '{name}'");
        refuse_if_named(&gateway, &what, |key| names_key(key, &name, &id) || names_key(key, &name, key_name))?;
        provider.keys.shift_remove(&id);
        let row = documents(&gateway).delete_key(&name, &id);
        save(&gateway, &name, provider, row).await?;
        Ok(done("Key deleted successfully"))
    })
    .await
}

async fn save_key(
    gateway: &Gateway,
    name: &str,
    mut provider: WrittenProvider,
    id: String,
    fields: Fields,
) -> Result<Response, Problem> {
    let row = documents(gateway).put_key(name, &id, &fields).map_err(|error| invalid(error.to_string()))?;
    let view = view(&id, &fields);
    provider.keys.insert(id, fields);
    save(gateway, name, provider, row).await?;
    Ok(respond(&view))
}

fn key<'a>(written: &'a WrittenProvider, provider: &str, id: &str) -> Result<&'a Fields, Problem> {
    written.keys.get(id).ok_or_else(|| missing(format!("the provider '{provider}' has no key '{id}'")))
}

fn name_of(fields: &Fields) -> Option<&str> {
    fields.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty())
}

/// Whether a virtual key may use this key only by this name or id.
fn names_key(key: &VirtualKey, provider: &str, name: &str) -> bool {
    let names = key.grant(provider).and_then(|policy| policy.grant.key_ids.names());
    names.is_some_and(|names| names.iter().any(|known| known == name))
}

/// The name of a new key, or a key's new name, is there, and no key of any provider has it.
fn check_name(written: &WrittenProviders, name: Option<&str>) -> Result<(), Problem> {
    let name = name.ok_or_else(|| invalid("name: the name of the key is required"))?;
    let mut keys = written.values().flat_map(|provider| provider.keys.values());
    match keys.any(|fields| name_of(fields) == Some(name)) {
        true => Err(conflict(format!("a key with the name '{name}' already exists"))),
        false => Ok(()),
    }
}

/// The value as it is shown: a reference whole, a credential by its beginning.
fn shown(fields: &Fields) -> String {
    match fields.get("value").and_then(Value::as_str) {
        None | Some("") => String::new(),
        Some(reference) if reference.starts_with("env.") => reference.to_owned(),
        Some(value) => identity::hint(value),
    }
}

/// What is always shown, with what holds where nothing is written.
fn defaults() -> [(&'static str, Value); 6] {
    [
        ("id", Value::Null),
        ("name", Value::Null),
        ("value", Value::Null),
        ("models", json!(["*"])),
        ("weight", json!(1)),
        ("enabled", json!(true)),
    ]
}

fn view(id: &str, fields: &Fields) -> KeyView {
    let mut view: Fields = defaults().map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    view.extend(fields.clone());
    view.insert("id".to_owned(), json!(id));
    view.insert("value".to_owned(), json!(shown(fields)));
    KeyView(view)
}
