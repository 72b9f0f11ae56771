//! How each value stands in a column. One that no gateway wrote so is an error, which names the
//! column.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use super::documents::DocumentKind;
use super::file_hash::FileHash;
use super::rows::{HoldId, Standing};
use crate::clock::Moment;
use crate::identity::KeyHash;
use crate::ledger::{Amount, MeterId};
use crate::money::Usd;

/// What a text in a column stands for, if anything.
macro_rules! text_column {
    ($type:ty: $read:expr, $write:expr) => {
        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$type> {
                let read: fn(&str) -> Option<$type> = $read;
                read(value.as_str()?).ok_or(FromSqlError::InvalidType)
            }
        }

        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from($write(self)))
            }
        }
    };
}

/// What a whole number in a column stands for, if anything.
macro_rules! number_column {
    ($type:ty: $read:expr, $write:expr) => {
        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$type> {
                let number = value.as_i64()?;
                let read: fn(i64) -> Option<$type> = $read;
                read(number).ok_or(FromSqlError::OutOfRange(number))
            }
        }

        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let write: fn(&$type) -> i64 = $write;
                Ok(ToSqlOutput::from(write(self)))
            }
        }
    };
}

text_column!(Standing: Standing::from_word, |standing: &Standing| standing.word());
text_column!(DocumentKind: DocumentKind::from_word, |kind: &DocumentKind| kind.word());
text_column!(FileHash: FileHash::from_hex, |hash: &FileHash| hash.to_hex());
text_column!(KeyHash: KeyHash::from_hex, |hash: &KeyHash| hash.to_hex());
text_column!(MeterId: MeterId::parse, MeterId::as_str);
number_column!(Moment: |millis| Some(Moment::from_millis(millis)), |moment| moment.millis());
number_column!(HoldId: |id| Some(HoldId(id)), |id| id.0);
// What is below nothing would raise a limit.
number_column!(Amount: |raw| (raw >= 0).then(|| Amount::from_raw(raw)), |amount| amount.raw());
number_column!(Usd: |pico| (pico >= 0).then(|| Usd::from_pico(pico)), |usd| usd.pico());
