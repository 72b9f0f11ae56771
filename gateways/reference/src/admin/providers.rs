//! `/api/providers`: create, read, edit, delete, while the gateway runs. A request that is on
//! its way keeps the providers that it began with.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use super::asked::{InBody, InPath};
use super::auth::Authorized;
use super::commit::commit;
use super::meter_edits::MeterEdits;
use super::provider_keys;
use super::reply::{Done, Reply, change, conflict, done, invalid, missing, not_written, respond};
use crate::config::{Fields, WrittenProvider, WrittenProviders, provider_schema};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::live::Documents;
use crate::policy::VirtualKey;
use crate::routes::{Routes, get};
use crate::store::{Change, OwnerKey};

/// What stands where a value is not shown. Written back, it keeps the value.
pub(super) const REDACTED: &str = "<redacted>";
/// How many virtual keys a refusal names.
const MOST_NAMED: usize = 10;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/providers",
            get(list).answering::<Listed>().post(create).taking_what(new).answering::<ProviderView>(),
        )
        .route(
            "/api/providers/{provider}",
            get(read)
                .answering::<ProviderView>()
                .put(update)
                .taking_what(settings)
                .answering::<ProviderView>()
                .delete(delete)
                .answering::<Done>(),
        )
        .merge(provider_keys::routes())
}

/// A provider as it was written, without its keys.
#[derive(Serialize)]
struct ProviderView(Fields);

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Listed {
    total: usize,
    providers: Vec<ProviderView>,
}

impl JsonSchema for ProviderView {
    fn schema_name() -> Cow<'static, str> {
        "Provider".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        named("name").try_into().unwrap_or_default()
    }
}

/// The schema of a provider without its keys, its name in this field.
fn named(field: &str) -> Value {
    let mut schema = provider_schema();
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.shift_remove("keys");
        fields.insert(field.to_owned(), json!({ "type": "string" }));
    }
    schema["required"] = json!([field]);
    schema
}

/// What makes a provider.
fn new() -> Value {
    named("provider")
}

/// What an update takes: each field may be left out, and what was read may be sent back.
fn settings() -> Value {
    let mut schema = new();
    schema.as_object_mut().and_then(|schema| schema.shift_remove("required"));
    schema["properties"]["name"] = json!({ "type": "string" });
    schema
}

async fn list(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Response {
    let written = gateway.written.load();
    let providers: Vec<ProviderView> = written.iter().map(|(name, provider)| view(name, provider)).collect();
    respond(&Listed { total: providers.len(), providers })
}

async fn read(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InPath(name): InPath<String>) -> Reply {
    let written = gateway.written.load();
    Ok(respond(&view(&name, find(&written, &name)?)))
}

async fn create(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InBody(mut body): InBody<Fields>) -> Reply {
    change(gateway, move |gateway| async move {
        let name = match body.shift_remove("provider") {
            Some(Value::String(name)) => name,
            _ => return Err(invalid("provider: the name of the provider is required")),
        };
        if gateway.written.load().contains_key(&name) {
            return Err(conflict(format!("the provider '{name}' already exists")));
        }
        save_settings(&gateway, &name, WrittenProvider::default(), body).await
    })
    .await
}

/// What the body leaves out stays, and so does what it writes back as it was shown.
async fn update(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(name): InPath<String>,
    InBody(mut body): InBody<Fields>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let provider = find(&gateway.written.load(), &name)?.clone();
        for field in ["provider", "name"] {
            if body.shift_remove(field).is_some_and(|given| given != name.as_str()) {
                return Err(invalid(format!("{field}: a provider keeps its name")));
            }
        }
        save_settings(&gateway, &name, provider, body).await
    })
    .await
}

/// Its own budgets and limits go with it.
async fn delete(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InPath(name): InPath<String>) -> Reply {
    change(gateway, move |gateway| async move {
        let mut written = WrittenProviders::clone(&gateway.written.load());
        let rows = documents(&gateway).delete_provider(&name, find(&written, &name)?);
        refuse_if_named(&gateway, &format!("the provider '{name}'"), |key| key.grant(&name).is_some())?;
        let mut edits = MeterEdits::default();
        edits.remove_all(&OwnerKey::Provider(name.as_str().into()), gateway.policy().levels.provider(&name));
        commit(&gateway, &edits, rows, |policy| {
            policy.levels.put_provider(name.as_str().into(), Vec::new());
            written.shift_remove(&name);
            let mut providers = (*gateway.providers()).clone();
            providers.shift_remove(name.as_str());
            gateway.providers.store(Arc::new(providers));
            gateway.written.store(Arc::new(written));
        })
        .await?;
        Ok(done("Provider deleted successfully"))
    })
    .await
}

/// Changes the settings that the body names; null removes one.
async fn save_settings(
    gateway: &Gateway,
    name: &str,
    mut provider: WrittenProvider,
    body: Fields,
) -> Result<Response, Problem> {
    if body.contains_key("keys") {
        return Err(invalid(format!("keys: belong to /api/providers/{name}/keys")));
    }
    for (field, value) in body {
        match value {
            Value::Null => drop(provider.settings.shift_remove(&field)),
            value => {
                let before = provider.settings.get(&field).cloned().unwrap_or_default();
                provider.settings.insert(field, unredacted(value, &before));
            }
        }
    }
    let row = documents(gateway).put_provider(name, &provider.settings).map_err(|error| invalid(error.to_string()))?;
    save(gateway, name, provider.clone(), row).await?;
    Ok(respond(&view(name, &provider)))
}

pub(super) fn documents(gateway: &Gateway) -> Documents<'_> {
    Documents { file: &gateway.file.providers, sealer: gateway.sealer.as_ref() }
}

pub(super) fn find<'a>(written: &'a WrittenProviders, name: &str) -> Result<&'a WrittenProvider, Problem> {
    written.get(name).ok_or_else(|| missing(format!("there is no provider '{name}'")))
}

/// Checks a provider as a whole, writes the change and only then applies it.
pub(super) async fn save(
    gateway: &Gateway,
    name: &str,
    provider: WrittenProvider,
    change: Change,
) -> Result<(), Problem> {
    let checked = provider.check(name, |name| std::env::var(name).ok()).map_err(|error| invalid(error.to_string()))?;
    gateway.books.write(|_| vec![change]).await.map_err(not_written)?;
    let mut written = WrittenProviders::clone(&gateway.written.load());
    written.insert(name.to_owned(), provider);
    let mut providers = (*gateway.providers()).clone();
    providers.insert(Arc::clone(&checked.name), Arc::new(checked));
    gateway.providers.store(Arc::new(providers));
    gateway.written.store(Arc::new(written));
    Ok(())
}

/// Refuses what would leave virtual keys with a name of nothing.
pub(super) fn refuse_if_named(
    gateway: &Gateway,
    what: &str,
    names_it: impl Fn(&VirtualKey) -> bool,
) -> Result<(), Problem> {
    let policy = gateway.policy();
    let names: Vec<String> =
        policy.keys.all().filter(|key| names_it(key)).map(|key| format!("'{}'", key.row.name)).collect();
    let Some(more) = names.len().checked_sub(1) else { return Ok(()) };
    let named = names.get(..MOST_NAMED.min(names.len())).unwrap_or_default().join(", ");
    let rest = (more + 1).saturating_sub(MOST_NAMED);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    Err(conflict(format!("{what} is named by the virtual keys {named}{rest}; edit or delete them first")))
}

/// A provider without its keys. The values of headers may be credentials.
fn view(name: &str, provider: &WrittenProvider) -> ProviderView {
    let mut view = Fields::new();
    view.insert("name".to_owned(), json!(name));
    view.extend(provider.settings.clone());
    let headers = view.get_mut("network_config").and_then(|network| network.get_mut("extra_headers"));
    for value in headers.and_then(Value::as_object_mut).into_iter().flat_map(serde_json::Map::values_mut) {
        if !value.as_str().is_some_and(|text| text.starts_with("env.")) {
            *value = json!(REDACTED);
        }
    }
    ProviderView(view)
}

/// `value` with what stood there before wherever it says `<redacted>`.
fn unredacted(value: Value, before: &Value) -> Value {
    match value {
        Value::String(text) if text == REDACTED => before.clone(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let before = before.get(&name).cloned().unwrap_or_default();
                (name, unredacted(value, &before))
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}
