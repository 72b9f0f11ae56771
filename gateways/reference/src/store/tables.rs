//! The tables of `config.db`, and how a row of each is read and written.

use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError};
use rusqlite::{Connection, Row, Statement, ToSql, params};

use super::documents::DocumentRow;
use super::entities::{Customer, EntityRow, ModelConfig, Team};
use super::rows::{Change, HoldRow, KeyRow, Membership, MeterRow, OwnerKey, StoredKey, StoredMeter};
use crate::grant::{Grant, grants_json};
use crate::ledger::{Amount, MeterId};
use crate::window::ResetDuration;

/// A table: its name, and the statements that read all of it and write one row.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) all: &'static str,
    put: &'static str,
}

/// The statements of a table, from its columns in their order.
macro_rules! table {
    (@value $column:literal) => { ", ?" };
    ($name:literal: $first:literal $(, $column:literal)* $(,)?) => {
        Table {
            name: $name,
            all: concat!("SELECT ", $first $(, ", ", $column)*, " FROM ", $name),
            put: concat!(
                "INSERT OR REPLACE INTO ", $name, " (", $first $(, ", ", $column)*,
                ") VALUES (?" $(, table!(@value $column))*, ")"
            ),
        }
    };
}

/// A row of a table.
pub(super) trait Kept: Sized {
    const TABLE: Table;

    /// Reads the columns, in the order of the table.
    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self>;

    /// Runs the statement that writes the row, with the columns in the order of the table.
    fn put(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize>;
}

/// The columns of a row, from the first to the last.
pub(super) struct Columns<'row> {
    row: &'row Row<'row>,
    next: usize,
}

impl<'row> Columns<'row> {
    pub(super) fn of(row: &'row Row<'row>) -> Columns<'row> {
        Columns { row, next: 0 }
    }

    /// A text as it stands there.
    fn borrowed(&mut self) -> rusqlite::Result<&'row str> {
        let column = self.step();
        let value = self.row.get_ref(column)?;
        value.as_str().map_err(|error| strange(column, value.data_type(), error))
    }

    fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let column = self.step();
        self.row.get(column)
    }

    /// The next column, which is read by `read`.
    fn text<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
        let column = self.step();
        let value = self.row.get_ref(column)?;
        let read = value.as_str().and_then(|text| read(text).ok_or(FromSqlError::InvalidType));
        read.map_err(|error| strange(column, value.data_type(), error))
    }

    fn id(&mut self) -> rusqlite::Result<Arc<str>> {
        self.text(|text| Some(text.into()))
    }

    fn optional_id(&mut self) -> rusqlite::Result<Option<Arc<str>>> {
        let column = self.step();
        let value = self.row.get_ref(column)?;
        let text = value.as_str_or_null().map_err(|error| strange(column, value.data_type(), error))?;
        Ok(text.map(Arc::from))
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self) -> rusqlite::Result<T> {
        self.text(|text| serde_json::from_str(text).ok())
    }

    /// The column that was read last says what it cannot say beside the others.
    fn refuse(&self) -> rusqlite::Error {
        strange(self.next.saturating_sub(1), rusqlite::types::Type::Text, FromSqlError::InvalidType)
    }

    fn step(&mut self) -> usize {
        let column = self.next;
        self.next += 1;
        column
    }
}

fn strange(column: usize, kind: rusqlite::types::Type, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

/// The grants of a key, without room for more: there may be very many keys.
#[derive(serde::Deserialize)]
struct Grants(#[serde(deserialize_with = "crate::few::few")] Vec<Grant>);

/// Writes rows of one table.
pub(super) fn put<'a, T: Kept + 'a>(
    connection: &Connection,
    rows: impl IntoIterator<Item = &'a T>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(T::TABLE.put)?;
    rows.into_iter().try_for_each(|row| row.put(&mut statement).map(drop))
}

/// Makes a change.
pub(super) fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let delete = |sql: &str, id: &str| connection.prepare_cached(sql)?.execute([id]).map(drop);
    match change {
        Change::PutCustomer(row) => put(connection, [row]),
        Change::PutTeam(row) => put(connection, [row]),
        Change::PutModel(row) => put(connection, [row]),
        Change::PutKey(key) => put(connection, [key]),
        Change::PutMeter(row) => put(connection, [row]),
        Change::PutDocument(row) => put(connection, [row]),
        Change::DeleteCustomer(id) => delete("DELETE FROM customers WHERE id = ?", id),
        Change::DeleteTeam(id) => delete("DELETE FROM teams WHERE id = ?", id),
        Change::DeleteModel(id) => delete("DELETE FROM model_configs WHERE id = ?", id),
        Change::DeleteKey(id) => delete("DELETE FROM virtual_keys WHERE id = ?", id),
        Change::DeleteMeter(id) => delete("DELETE FROM meters WHERE id = ?", id.as_str()),
        Change::DeleteDocument(kind, id) => {
            let sql = "DELETE FROM documents WHERE kind = ? AND id = ?";
            connection.prepare_cached(sql)?.execute(params![kind, id]).map(drop)
        }
    }
}

impl Kept for EntityRow<Customer> {
    const TABLE: Table = table!(
        "customers":
        "id", "name", "calendar_aligned", "file_hash", "created_at", "updated_at", "standing",
    );

    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let (id, entity) = (columns.id()?, Customer { name: columns.next()? });
        entity_row(columns, id, entity)
    }

    fn put(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
        put_entity(self, statement, [&self.entity.name])
    }
}

impl Kept for EntityRow<Team> {
    const TABLE: Table = table!(
        "teams":
        "id", "name", "customer_id", "calendar_aligned", "file_hash", "created_at", "updated_at", "standing",
    );

    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let (id, entity) = (columns.id()?, Team { name: columns.next()?, customer_id: columns.optional_id()? });
        entity_row(columns, id, entity)
    }

    fn put(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
        put_entity(self, statement, [&self.entity.name as &dyn ToSql, &self.entity.customer_id])
    }
}

impl Kept for EntityRow<ModelConfig> {
    const TABLE: Table = table!(
        "model_configs":
        "id", "model_name", "provider", "virtual_key_id", "calendar_aligned", "file_hash", "created_at", "updated_at",
        "standing",
    );

    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let id = columns.id()?;
        let model_name = columns.next()?;
        let (provider, virtual_key_id) = (columns.optional_id()?, columns.optional_id()?);
        entity_row(columns, id, ModelConfig { model_name, provider, virtual_key_id })
    }

    fn put(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
        let ModelConfig { model_name, provider, virtual_key_id } = &self.entity;
        put_entity(self, statement, [model_name as &dyn ToSql, provider, virtual_key_id])
    }
}

/// The columns with which the row of every entity ends.
fn entity_row<T>(columns: &mut Columns<'_>, id: Arc<str>, entity: T) -> rusqlite::Result<EntityRow<T>> {
    Ok(EntityRow {
        id,
        entity,
        calendar_aligned: columns.next()?,
        file_hash: columns.next()?,
        created_at: columns.next()?,
        updated_at: columns.next()?,
        standing: columns.next()?,
    })
}

/// The id, an entity's `own` columns, and those with which the row of every entity ends.
fn put_entity<'a, T, const OWN: usize>(
    row: &'a EntityRow<T>,
    statement: &mut Statement<'_>,
    own: [&'a dyn ToSql; OWN],
) -> rusqlite::Result<usize> {
    let end: [&dyn ToSql; 5] = [&row.calendar_aligned, &row.file_hash, &row.created_at, &row.updated_at, &row.standing];
    let id: [&dyn ToSql; 1] = [&row.id];
    let all: Vec<&dyn ToSql> = id.into_iter().chain(own).chain(end).collect();
    statement.execute(all.as_slice())
}

impl Kept for StoredKey {
    const TABLE: Table = table!(
        "virtual_keys":
        "id", "name", "description", "is_active", "value_hash", "value_hint", "grants", "team_id", "customer_id",
        "calendar_aligned", "expires_at", "retired_hash", "file_hash", "created_at", "updated_at", "standing",
    );

    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let id = columns.id()?;
        let (name, description, is_active) = (columns.next()?, columns.next()?, columns.next()?);
        let (value_hash, value_hint) = (columns.next()?, columns.next()?);
        let Grants(grants) = columns.json()?;
        let membership = match (columns.optional_id()?, columns.optional_id()?) {
            (None, None) => Membership::None,
            (Some(team), None) => Membership::Team(team),
            (None, Some(customer)) => Membership::Customer(customer),
            (Some(_), Some(_)) => return Err(columns.refuse()),
        };
        let row = KeyRow {
            id,
            name,
            description,
            is_active,
            value_hash,
            value_hint,
            membership,
            calendar_aligned: columns.next()?,
            expires_at: columns.next()?,
            retired_hash: columns.next()?,
            file_hash: columns.next()?,
            created_at: columns.next()?,
            updated_at: columns.next()?,
            standing: columns.next()?,
        };
        Ok(StoredKey { row: Arc::new(row), grants })
    }

    fn put(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
        let StoredKey { row, grants } = self;
        statement.execute(params![
            row.id,
            row.name,
            row.description,
            row.is_active,
            row.value_hash,
            row.value_hint,
            grants_json(grants),
            row.membership.team_id(),
            row.membership.customer_id(),
            row.calendar_aligned,
            row.expires_at,
            row.retired_hash,
            row.file_hash,
            row.created_at,
            row.updated_at,
            row.standing,
        ])
    }
}

impl Kept for MeterRow {
    const TABLE: Table = table!(
        "meters":
        "id", "owner_level", "owner_id", "max_amount", "reset_duration", "calendar_aligned", "used", "window_start",
        "file_hash", "standing",
    );

    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let id = columns.next()?;
        let owner = columns.text(OwnerKey::of_level)?;
        let owner = owner(columns.id()?);
        let limit = columns.next()?;
        let length: ResetDuration = columns.text(|text| text.parse().ok())?;
        let is_aligned = columns.next()?;
        Ok(MeterRow {
            id,
            owner,
            limit,
            reset_duration: length.aligned(is_aligned).map_err(|_| columns.refuse())?,
            used: columns.next()?,
            window_start: columns.next()?,
            file_hash: columns.next()?,
            standing: columns.next()?,
        })
    }

    fn put(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
        let (level, owner) = self.owner.parts();
        statement.execute(params![
            self.id,
            level,
            owner,
            self.limit,
            self.reset_duration.text(),
            self.reset_duration.is_on_calendar(),
            self.used,
            self.window_start,
            self.file_hash,
            self.standing,
        ])
    }
}

/// Reads the columns of a meter, without a copy of its texts.
pub(super) fn stored_meter<'row>(columns: &mut Columns<'row>) -> rusqlite::Result<StoredMeter<'row>> {
    Ok(StoredMeter {
        id: columns.borrowed()?,
        owner: (columns.borrowed()?, columns.borrowed()?),
        limit: columns.next()?,
        reset_duration: columns.borrowed()?,
        is_aligned: columns.next()?,
        used: columns.next()?,
        window_start: columns.next()?,
        file_hash: columns.next()?,
        standing: columns.next()?,
    })
}

impl Kept for HoldRow {
    const TABLE: Table = table!("holds": "id", "cost", "tokens", "meters");

    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let (id, cost) = (columns.next()?, columns.next()?);
        let tokens: Amount = columns.next()?;
        let meters: Vec<String> = columns.json()?;
        let meters: Option<_> = meters.iter().map(|id| MeterId::parse(id)).collect();
        let meters = meters.ok_or_else(|| columns.refuse())?;
        Ok(HoldRow { id, cost, tokens: tokens.raw().unsigned_abs(), meters })
    }

    fn put(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
        let meters: Vec<_> = self.meters.iter().map(MeterId::as_str).collect();
        // A list of texts always has a form in JSON.
        let meters = serde_json::to_string(&meters).unwrap_or_default();
        statement.execute(params![self.id, self.cost, Amount::of_count(self.tokens), meters])
    }
}

impl Kept for DocumentRow {
    const TABLE: Table = table!("documents": "kind", "id", "body", "file_hash", "standing");

    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        Ok(DocumentRow {
            kind: columns.next()?,
            id: columns.next()?,
            body: columns.next()?,
            file_hash: columns.next()?,
            standing: columns.next()?,
        })
    }

    fn put(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
        statement.execute(params![self.kind, self.id, self.body, self.file_hash, self.standing])
    }
}
