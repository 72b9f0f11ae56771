//! `/api/governance/pricing-overrides` and `/api/pricing/force-sync`: the administrator's own
//! prices, and the sheet under them. A change counts from the next request on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::asked::{InBody, InPath, InQuery, parse};
use super::auth::Authorized;
use super::reply::{
    Done, Reply, Succeeded, change, conflict, done, invalid, missing, not_written, respond, succeeded, to_the_end,
};
use crate::clock::Moment;
use crate::config::{ConfigId, Override, OverrideSpec, PatchText, inline_schema};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::pricing::{KeptOverride, KeptOverrides, Overrides};
use crate::routes::{Routes, get, post, put};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PricingOverride", deny_unknown_fields)]
struct View<'a> {
    id: &'a str,
    name: &'a str,
    scope_kind: &'a str,
    virtual_key_id: Option<&'a str>,
    provider_id: Option<&'a str>,
    provider_key_id: Option<&'a str>,
    match_type: &'a str,
    pattern: &'a str,
    request_types: &'a [String],
    /// The patch as a text, as the file has it, and as an object.
    pricing_patch: String,
    patch: &'a PatchText,
    config_hash: Option<&'a str>,
    created_at: Option<Moment>,
    updated_at: Option<Moment>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Listed<'a> {
    pricing_overrides: Vec<View<'a>>,
    count: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Changed<'a> {
    message: &'static str,
    pricing_override: View<'a>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    scope_kind: Option<String>,
    virtual_key_id: Option<String>,
    provider_id: Option<String>,
    provider_key_id: Option<String>,
}

impl<'a> View<'a> {
    fn of(id: &'a str, known: &'a KeptOverride) -> View<'a> {
        let spec = &known.spec;
        let text = |id: &'a Option<ConfigId>| id.as_ref().map(|id| id.0.as_str());
        View {
            id,
            name: &spec.name,
            scope_kind: &spec.scope_kind,
            virtual_key_id: text(&spec.virtual_key_id),
            provider_id: text(&spec.provider_id),
            provider_key_id: text(&spec.provider_key_id),
            match_type: &spec.match_type,
            pattern: &spec.pattern,
            request_types: &spec.request_types,
            pricing_patch: spec.patch.to_string(),
            patch: &spec.patch,
            config_hash: known.file_hash.as_deref(),
            created_at: known.times.map(|times| Moment::from_millis(times.created)),
            updated_at: known.times.map(|times| Moment::from_millis(times.updated)),
        }
    }
}

impl Filter {
    fn allows(&self, spec: &OverrideSpec) -> bool {
        let same = |wanted: &Option<String>, id: &Option<ConfigId>| {
            wanted.is_none() || *wanted == id.as_ref().map(|id| id.0.clone())
        };
        self.scope_kind.as_ref().is_none_or(|kind| *kind == spec.scope_kind)
            && same(&self.virtual_key_id, &spec.virtual_key_id)
            && same(&self.provider_id, &spec.provider_id)
            && same(&self.provider_key_id, &spec.provider_key_id)
    }
}

/// The routes of prices.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/governance/pricing-overrides",
            get(list)
                .asking::<Filter>()
                .answering::<Listed<'_>>()
                .post(create)
                .taking::<OverrideSpec>()
                .answering::<Changed<'_>>()
                .with(&[StatusCode::CREATED]),
        )
        .route(
            "/api/governance/pricing-overrides/{id}",
            put(update).taking_what(part).answering::<Changed<'_>>().delete(delete).answering::<Done>(),
        )
        .route("/api/pricing/force-sync", post(force_sync).answering::<Succeeded>())
}

/// What an update takes: the fields of an override, each of which may be left out.
fn part() -> Value {
    let mut schema = inline_schema::<OverrideSpec>();
    schema.as_object_mut().and_then(|schema| schema.shift_remove("required"));
    schema
}

async fn list(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InQuery(filter): InQuery<Filter>) -> Response {
    let catalog = gateway.prices();
    let known = catalog.overrides.written.iter().filter(|(_, known)| filter.allows(&known.spec));
    let pricing_overrides: Vec<View<'_>> = known.map(|(id, known)| View::of(id, known)).collect();
    let count = pricing_overrides.len();
    respond(&Listed { pricing_overrides, count })
}

async fn create(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InBody(spec): InBody<OverrideSpec>) -> Reply {
    change(gateway, move |gateway| async move {
        let id = Uuid::new_v4().to_string();
        let answer = save(&gateway, id, spec, "Pricing override created successfully").await?;
        Ok((StatusCode::CREATED, answer).into_response())
    })
    .await
}

async fn update(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(id): InPath<String>,
    InBody(edits): InBody<IndexMap<String, Box<RawValue>>>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let catalog = gateway.prices();
        let known = catalog.overrides.written.get(&id).ok_or_else(not_found)?;
        // What the body leaves out stays, and null removes; every figure keeps its digits.
        let now = serde_json::to_string(&known.spec).map_err(|error| invalid(error.to_string()))?;
        let mut fields: IndexMap<String, Box<RawValue>> = parse(now.as_bytes())?;
        fields.extend(edits);
        fields.retain(|_, value| value.get() != "null");
        let whole = serde_json::to_vec(&fields).map_err(|error| invalid(error.to_string()))?;
        save(&gateway, id, parse(&whole)?, "Pricing override updated successfully").await
    })
    .await
}

async fn delete(_admin: Authorized, State(gateway): State<Arc<Gateway>>, InPath(id): InPath<String>) -> Reply {
    change(gateway, move |gateway| async move {
        let mut written = gateway.prices().overrides.written.clone();
        let known = written.shift_remove(&id).ok_or_else(not_found)?;
        let change = known.delete(&id);
        gateway.books.write(|_| vec![change]).await.map_err(not_written)?;
        gateway.set_overrides(Overrides::of(written));
        Ok(done("Pricing override deleted successfully"))
    })
    .await
}

async fn force_sync(_admin: Authorized, State(gateway): State<Arc<Gateway>>) -> Reply {
    to_the_end(async move {
        gateway.read_sheet().await.map_err(|error| {
            let message = format!("{error}; prices stay as they are");
            Problem::failure(StatusCode::INTERNAL_SERVER_ERROR, "pricing_sync_failed", message)
        })?;
        Ok(succeeded("Pricing synced successfully"))
    })
    .await
}

/// Checks and writes an override, and only then lets requests see it.
async fn save(gateway: &Gateway, id: String, spec: OverrideSpec, message: &'static str) -> Result<Response, Problem> {
    if spec.name.trim().is_empty() {
        return Err(invalid("name is required"));
    }
    let checked = spec.check("", &gateway.providers()).map_err(|error| invalid(error.to_string()))?;
    let mut written: KeptOverrides = gateway.prices().overrides.written.clone();
    let before = written.get(&id);
    let others = written.iter().filter(|(other, _)| **other != id);
    check(gateway, &checked, before, others)?;
    let known = KeptOverride::edited(spec, checked, before, gateway.books.now());
    let change = known.put(&id);
    gateway.books.write(|_| vec![change]).await.map_err(not_written)?;
    let answer = respond(&Changed { message, pricing_override: View::of(&id, &known) });
    written.insert(id, known);
    gateway.set_overrides(Overrides::of(written));
    Ok(answer)
}

/// Refuses one for a virtual key that is not there, and one for the same as another.
fn check<'a>(
    gateway: &Gateway,
    checked: &Override,
    before: Option<&KeptOverride>,
    mut others: impl Iterator<Item = (&'a String, &'a KeptOverride)>,
) -> Result<(), Problem> {
    let key = checked.scope.virtual_key.as_ref();
    let is_new = before.is_none_or(|before| before.checked.scope.virtual_key.as_ref() != key);
    if let Some(key) = key.filter(|key| is_new && gateway.policy().keys.get(key).is_none()) {
        return Err(invalid(format!("virtual_key_id: there is no virtual key `{key}`")));
    }
    match others.find(|(_, other)| other.checked.clashes_with(checked)) {
        Some((id, _)) => {
            Err(conflict(format!("the pricing override '{id}' is for the same scope, pattern and request")))
        }
        None => Ok(()),
    }
}

fn not_found() -> Problem {
    missing("Pricing override not found")
}
