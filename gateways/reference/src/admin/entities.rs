//! `/api/governance/{teams, customers, model-configs}`: create, read with usage, edit,
//! delete. What one kind has of its own is in [`super::kinds`].

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use schemars::{JsonSchema, SchemaGenerator};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::asked::{InBody, InPath, InQuery};
use super::auth::Authorized;
use super::bodies::MetersBody;
use super::commit::commit;
use super::kinds::Kind;
use super::meter_edits::{MeterEdits, Place};
use super::reply::{Counts, Done, Page, Reply, change, conflict, done, missing, respond};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::ledger::{Meter, MeterId};
use crate::policy::Limited;
use crate::routes::json_content;
use crate::store::{Change, EntityRow, Standing};

/// An object of a few fields, one of which is named after its kind.
struct Keyed<'a, V> {
    message: Option<String>,
    key: &'a str,
    value: V,
}

impl<V: Serialize> Serialize for Keyed<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(message) = &self.message {
            map.serialize_entry("message", message)?;
        }
        map.serialize_entry(self.key, &self.value)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Listed<'a, V> {
    #[serde(flatten)]
    list: Keyed<'a, V>,
    #[serde(flatten)]
    counts: Counts,
}

// What stands beside an entity that is only read.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Nothing {}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    limit: Option<usize>,
    offset: Option<usize>,
    search: Option<String>,
    customer_id: Option<String>,
}

pub(super) async fn list<T: Kind>(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InQuery(filter): InQuery<Filter>,
) -> Response {
    let search = filter.search.unwrap_or_default().to_lowercase();
    let mut found: Vec<Arc<Limited<T>>> = T::all(&gateway.policy().levels);
    found.retain(|one| one.row.entity.label().to_lowercase().contains(&search));
    if let Some(customer) = &filter.customer_id {
        found.retain(|one| one.row.entity.customer_id() == Some(customer.as_str()));
    }
    let Page { items, counts } = Page::of(found, filter.limit, filter.offset);
    let list = Keyed { message: None, key: T::PLURAL, value: T::views(&gateway, &items) };
    respond(&Listed { list, counts })
}

pub(super) async fn read<T: Kind>(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(id): InPath<String>,
) -> Reply {
    Ok(answer(&gateway, None, find::<T>(&gateway, &id)?))
}

pub(super) async fn create<T: Kind>(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InBody(mut body): InBody<T::Body>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let meters = T::meters(&mut body)?;
        let calendar_aligned = T::aligned(&body).unwrap_or(false);
        let entity = T::make(body, &gateway)?;
        let now = gateway.books.now();
        let row = EntityRow {
            id: Uuid::new_v4().to_string().into(),
            entity,
            calendar_aligned,
            file_hash: None,
            created_at: now,
            updated_at: now,
            standing: Standing::Live,
        };
        check_label(&gateway, &row)?;
        let made = save(&gateway, Limited { row, meters: Vec::new() }, meters, Unnamed::Stays).await?;
        Ok(answer(&gateway, Some("created"), made))
    })
    .await
}

pub(super) async fn update<T: Kind>(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(id): InPath<String>,
    InBody(mut body): InBody<T::Body>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let mut limited = Limited::clone(&*find::<T>(&gateway, &id)?);
        let meters = T::meters(&mut body)?;
        let aligned = T::aligned(&body).filter(|aligned| *aligned != limited.row.calendar_aligned);
        limited.row.calendar_aligned = aligned.unwrap_or(limited.row.calendar_aligned);
        let before = limited.row.entity.label();
        limited.row.entity.edit(body, &gateway)?;
        check_label(&gateway, &limited.row)?;
        limited.row.updated_at = gateway.books.now();
        let is_renamed = before != limited.row.entity.label();
        let unnamed = if is_renamed || aligned.is_some() { Unnamed::Follows(aligned) } else { Unnamed::Stays };
        let changed = save(&gateway, limited, meters, unnamed).await?;
        Ok(answer(&gateway, Some("updated"), changed))
    })
    .await
}

pub(super) async fn delete<T: Kind>(
    _admin: Authorized,
    State(gateway): State<Arc<Gateway>>,
    InPath(id): InPath<String>,
) -> Reply {
    change(gateway, move |gateway| async move {
        let limited = find::<T>(&gateway, &id)?;
        let mut edits = MeterEdits::default();
        edits.remove_all(&T::owner(Arc::clone(&limited.row.id)), &limited.meters);
        let rows = vec![removal(&limited.row)];
        commit(&gateway, &edits, rows, |policy| T::remove(&mut policy.levels, &limited.row.id)).await?;
        Ok(done(format!("{} deleted successfully", T::TITLE)))
    })
    .await
}

/// What a list of them is, for the description of the API.
pub(super) fn several<T: Kind>(generator: &mut SchemaGenerator) -> Value {
    let view = generator.subschema_for::<T::View>();
    json_content(beside::<Counts>(T::PLURAL, json!({ "type": "array", "items": view }), generator))
}

/// What one of them is.
pub(super) fn one<T: Kind>(generator: &mut SchemaGenerator) -> Value {
    let view = generator.subschema_for::<T::View>();
    json_content(beside::<Nothing>(T::SINGULAR, view.to_value(), generator))
}

/// What one is that was made or changed.
pub(super) fn changed<T: Kind>(generator: &mut SchemaGenerator) -> Value {
    let view = generator.subschema_for::<T::View>();
    json_content(beside::<Done>(T::SINGULAR, view.to_value(), generator))
}

/// The schema of `F` with one more field, as [`Keyed`] has it.
fn beside<F: JsonSchema>(key: &str, value: Value, generator: &mut SchemaGenerator) -> Value {
    let mut schema = F::json_schema(generator).to_value();
    let known = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    schema["required"] = known.into_iter().chain([json!(key)]).collect();
    schema["properties"][key] = value;
    schema
}

/// What is written of an entity that is deleted.
pub(super) fn removal<T: Kind>(row: &EntityRow<T>) -> Change {
    match row.file_hash {
        // Of the file: its next start must not bring it back.
        Some(_) => T::put(EntityRow { standing: Standing::Deleted, ..row.clone() }),
        None => T::delete(Arc::clone(&row.id)),
    }
}

/// What becomes of the budgets and limits that a body does not name.
enum Unnamed {
    Stays,
    /// They follow their owner: its name, and whether windows follow the calendar, if that
    /// has changed.
    Follows(Option<bool>),
}

async fn save<T: Kind>(
    gateway: &Gateway,
    mut limited: Limited<T>,
    body: MetersBody,
    unnamed: Unnamed,
) -> Result<Arc<Limited<T>>, Problem> {
    let ledger = |id: &MeterId| -> Option<Meter> { gateway.books.meter(id) };
    let mut edits = MeterEdits::default();
    let mut place = Place {
        key: T::owner(Arc::clone(&limited.row.id)),
        owner: T::shown(&limited, gateway),
        calendar_aligned: limited.row.calendar_aligned,
        meters: &mut limited.meters,
    };
    edits.set(&mut place, body, &ledger)?;
    if let Unnamed::Follows(aligned) = unnamed {
        edits.rest(&place, aligned, &ledger)?;
    }
    let id = Arc::clone(&limited.row.id);
    let rows = vec![T::put(limited.row.clone())];
    commit(gateway, &edits, rows, |policy| T::insert(&mut policy.levels, limited)).await?;
    find(gateway, &id)
}

fn check_label<T: Kind>(gateway: &Gateway, row: &EntityRow<T>) -> Result<(), Problem> {
    let label = row.entity.unique();
    let others = T::all(&gateway.policy().levels);
    if others.iter().any(|other| other.row.id != row.id && other.row.entity.unique() == label) {
        return Err(conflict(T::CONFLICT));
    }
    Ok(())
}

fn find<T: Kind>(gateway: &Gateway, id: &str) -> Result<Arc<Limited<T>>, Problem> {
    T::find(&gateway.policy().levels, id).ok_or_else(|| missing(format!("{} not found", T::TITLE)))
}

fn answer<T: Kind>(gateway: &Gateway, done: Option<&str>, one: Arc<Limited<T>>) -> Response {
    let message = done.map(|done| format!("{} {done} successfully", T::TITLE));
    let view = T::views(gateway, &[one]).into_iter().next();
    respond(&Keyed { message, key: T::SINGULAR, value: view })
}
