//! How each row is written to `config.db` and read from it.

use std::sync::Arc;

use rusqlite::{Row, Transaction};
use serde_json::{Value, json};

use super::entities::{Customer, EntityRow, ModelConfig, Team};
use super::file_hash::FileHash;
use super::rows::{Change, HoldId, HoldRow, KeyRow, Membership, MeterRow, OwnerKey, Standing, StoredKey};
use crate::clock::Moment;
use crate::grant::{Grant, grants_json};
use crate::identity::KeyHash;
use crate::ledger::{Amount, MeterId};
use crate::money::Usd;
use crate::window::ResetDuration;

/// How many rows one statement writes at most.
const MOST_ROWS: usize = 1_000;

/// Writes the changes in their order. Neighbours of one kind share a statement, which takes
/// its rows from one JSON list: the first start of a large file writes many.
pub(super) fn apply(transaction: &Transaction<'_>, changes: &[Change]) -> Result<(), rusqlite::Error> {
    let is_same = |a: &Change, b: &Change| std::mem::discriminant(a) == std::mem::discriminant(b);
    for part in changes.chunk_by(is_same).flat_map(|run| run.chunks(MOST_ROWS)) {
        if let Some(first) = part.first() {
            let rows: Vec<Value> = part.iter().map(values).collect();
            transaction.prepare_cached(sql(first))?.execute([Value::Array(rows).to_string()])?;
        }
    }
    Ok(())
}

fn sql(change: &Change) -> &'static str {
    match change {
        Change::PutCustomer(_) => {
            "INSERT OR REPLACE INTO customers
             (id, name, calendar_aligned, file_hash, created_at, updated_at, standing)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6 FROM json_each(?)"
        }
        Change::PutTeam(_) => {
            "INSERT OR REPLACE INTO teams
             (id, name, customer_id, calendar_aligned, file_hash, created_at, updated_at, standing)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7
             FROM json_each(?)"
        }
        Change::PutModel(_) => {
            "INSERT OR REPLACE INTO model_configs
             (id, model_name, provider, virtual_key_id, calendar_aligned, file_hash, created_at, updated_at, standing)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8
             FROM json_each(?)"
        }
        Change::PutKey(_) => {
            "INSERT OR REPLACE INTO virtual_keys
             (id, name, description, is_active, value_hash, value_hint, grants, team_id, customer_id, calendar_aligned,
              expires_at, retired_hash, file_hash, created_at, updated_at, standing)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8,
                    value->>9, value->>10, value->>11, value->>12, value->>13, value->>14, value->>15
             FROM json_each(?)"
        }
        Change::PutMeter(_) => {
            "INSERT OR REPLACE INTO meters
             (id, owner_level, owner_id, max_amount, reset_duration, calendar_aligned, used, window_start, file_hash,
              standing)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8,
                    value->>9
             FROM json_each(?)"
        }
        Change::DeleteCustomer(_) => "DELETE FROM customers WHERE id IN (SELECT value FROM json_each(?))",
        Change::DeleteTeam(_) => "DELETE FROM teams WHERE id IN (SELECT value FROM json_each(?))",
        Change::DeleteModel(_) => "DELETE FROM model_configs WHERE id IN (SELECT value FROM json_each(?))",
        Change::DeleteKey(_) => "DELETE FROM virtual_keys WHERE id IN (SELECT value FROM json_each(?))",
        Change::DeleteMeter(_) => "DELETE FROM meters WHERE id IN (SELECT value FROM json_each(?))",
        Change::PutDocument(_) => {
            "INSERT OR REPLACE INTO documents (kind, id, body, file_hash, standing)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?)"
        }
        Change::DeleteDocument(..) => {
            "DELETE FROM documents WHERE (kind, id) IN (SELECT value->>0, value->>1 FROM json_each(?))"
        }
    }
}

/// What the statement of the change takes.
fn values(change: &Change) -> Value {
    match change {
        Change::PutCustomer(row) => {
            let [aligned, hash, created, updated, standing] = common(row);
            json!([row.id, row.entity.name, aligned, hash, created, updated, standing])
        }
        Change::PutTeam(row) => {
            let [aligned, hash, created, updated, standing] = common(row);
            json!([row.id, row.entity.name, row.entity.customer_id, aligned, hash, created, updated, standing])
        }
        Change::PutModel(row) => {
            let [aligned, hash, created, updated, standing] = common(row);
            let ModelConfig { model_name, provider, virtual_key_id } = &row.entity;
            json!([row.id, model_name, provider, virtual_key_id, aligned, hash, created, updated, standing])
        }
        Change::PutKey(StoredKey { row, grants }) => json!([
            row.id,
            row.name,
            row.description,
            row.is_active,
            row.value_hash.to_hex(),
            row.value_hint,
            grants_json(grants),
            row.membership.team_id(),
            row.membership.customer_id(),
            row.calendar_aligned,
            row.expires_at.map(Moment::millis),
            row.retired_hash.map(KeyHash::to_hex),
            row.file_hash.map(FileHash::to_hex),
            row.created_at.millis(),
            row.updated_at.millis(),
            row.standing.word(),
        ]),
        Change::PutMeter(meter) => {
            let (level, owner) = meter.owner.parts();
            json!([
                meter.id.as_str(),
                level,
                owner,
                meter.limit.raw(),
                meter.reset_duration.text(),
                meter.reset_duration.is_on_calendar(),
                meter.used.raw(),
                meter.window_start.millis(),
                meter.file_hash.map(FileHash::to_hex),
                meter.standing.word(),
            ])
        }
        Change::DeleteCustomer(id) | Change::DeleteTeam(id) | Change::DeleteModel(id) | Change::DeleteKey(id) => {
            json!(id)
        }
        Change::DeleteMeter(id) => json!(id.as_str()),
        Change::PutDocument(row) => json!([row.kind.word(), row.id, row.body, row.file_hash, row.standing.word()]),
        Change::DeleteDocument(kind, id) => json!([kind.word(), id]),
    }
}

/// Alignment, hash, times and standing of an entity.
fn common<T>(row: &EntityRow<T>) -> [Value; 5] {
    [
        json!(row.calendar_aligned),
        json!(row.file_hash.map(FileHash::to_hex)),
        json!(row.created_at.millis()),
        json!(row.updated_at.millis()),
        json!(row.standing.word()),
    ]
}

/// What a row says, or `None` where no gateway wrote it so.
pub(super) type Read<T> = Result<Option<T>, rusqlite::Error>;

fn entity<T>(row: &Row<'_>, entity: T) -> Read<EntityRow<T>> {
    let (file_hash, standing) = (file_hash(row)?, Standing::from_word(text(row, "standing")?));
    let (Some(file_hash), Some(standing)) = (file_hash, standing) else {
        return Ok(None);
    };
    Ok(Some(EntityRow {
        id: id(row, "id")?,
        entity,
        calendar_aligned: row.get("calendar_aligned")?,
        file_hash,
        created_at: moment(row, "created_at")?,
        updated_at: moment(row, "updated_at")?,
        standing,
    }))
}

pub(super) fn customer(row: &Row<'_>) -> Read<EntityRow<Customer>> {
    entity(row, Customer { name: row.get("name")? })
}

pub(super) fn team(row: &Row<'_>) -> Read<EntityRow<Team>> {
    entity(row, Team { name: row.get("name")?, customer_id: optional_id(row, "customer_id")? })
}

pub(super) fn model(row: &Row<'_>) -> Read<EntityRow<ModelConfig>> {
    let config = ModelConfig {
        model_name: row.get("model_name")?,
        provider: optional_id(row, "provider")?,
        virtual_key_id: optional_id(row, "virtual_key_id")?,
    };
    entity(row, config)
}

pub(super) fn key(row: &Row<'_>) -> Read<StoredKey> {
    let standing = Standing::from_word(text(row, "standing")?);
    let value_hash = KeyHash::from_hex(text(row, "value_hash")?);
    let mut grants: Option<Vec<Grant>> = serde_json::from_str(text(row, "grants")?).ok();
    // There may be very many keys, and the reader leaves room for more.
    grants.iter_mut().for_each(Vec::shrink_to_fit);
    let retired_hash = optional_hash(row, "retired_hash", KeyHash::from_hex)?;
    let (Some(standing), Some(value_hash), Some(grants), Some(file_hash), Some(retired_hash)) =
        (standing, value_hash, grants, file_hash(row)?, retired_hash)
    else {
        return Ok(None);
    };
    let membership = match (optional_id(row, "team_id")?, optional_id(row, "customer_id")?) {
        (None, None) => Membership::None,
        (Some(team), None) => Membership::Team(team),
        (None, Some(customer)) => Membership::Customer(customer),
        (Some(_), Some(_)) => return Ok(None),
    };
    let row = KeyRow {
        id: id(row, "id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        is_active: row.get("is_active")?,
        value_hash,
        value_hint: row.get("value_hint")?,
        membership,
        calendar_aligned: row.get("calendar_aligned")?,
        expires_at: row.get::<_, Option<i64>>("expires_at")?.map(Moment::from_millis),
        retired_hash,
        file_hash,
        created_at: moment(row, "created_at")?,
        updated_at: moment(row, "updated_at")?,
        standing,
    };
    Ok(Some(StoredKey { row, grants }))
}

pub(super) fn meter(row: &Row<'_>) -> Read<MeterRow> {
    let id = MeterId::parse(text(row, "id")?);
    let owner = OwnerKey::from_parts(text(row, "owner_level")?, text(row, "owner_id")?);
    let reset_duration = text(row, "reset_duration")?.parse::<ResetDuration>().ok();
    let is_aligned = row.get("calendar_aligned")?;
    let reset_duration = reset_duration.and_then(|length| length.aligned(is_aligned).ok());
    let standing = Standing::from_word(text(row, "standing")?);
    let (Some(id), Some(owner), Some(reset_duration), Some(standing), Some(file_hash)) =
        (id, owner, reset_duration, standing, file_hash(row)?)
    else {
        return Ok(None);
    };
    Ok(Some(MeterRow {
        id,
        owner,
        limit: Amount::from_raw(row.get("max_amount")?),
        reset_duration,
        used: Amount::from_raw(row.get("used")?),
        window_start: moment(row, "window_start")?,
        file_hash,
        standing,
    }))
}

pub(super) fn hold(row: &Row<'_>) -> Read<HoldRow> {
    let meters: Option<Vec<String>> = serde_json::from_str(text(row, "meters")?).ok();
    let meters = meters.and_then(|ids| ids.iter().map(|id| MeterId::parse(id)).collect());
    let (cost, tokens): (i64, i64) = (row.get("cost")?, row.get("tokens")?);
    let id = HoldId(row.get("id")?);
    Ok(meters.map(|meters| HoldRow { id, cost: Usd::from_pico(cost), tokens: tokens.unsigned_abs(), meters }))
}

/// A text, as it stands in the row.
fn text<'row>(row: &'row Row<'_>, column: &str) -> Result<&'row str, rusqlite::Error> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn id(row: &Row<'_>, column: &str) -> Result<Arc<str>, rusqlite::Error> {
    text(row, column).map(Arc::from)
}

fn optional_id(row: &Row<'_>, column: &str) -> Result<Option<Arc<str>>, rusqlite::Error> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Arc::from))
}

fn moment(row: &Row<'_>, column: &str) -> Result<Moment, rusqlite::Error> {
    row.get(column).map(Moment::from_millis)
}

/// The hash of the file's entity, if it is of the file.
fn file_hash(row: &Row<'_>) -> Read<Option<FileHash>> {
    optional_hash(row, "file_hash", FileHash::from_hex)
}

fn optional_hash<T>(row: &Row<'_>, column: &str, from_hex: fn(&str) -> Option<T>) -> Read<Option<T>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(Some(None));
    };
    Ok(from_hex(text).map(Some))
}
