//! Reads rows one by one, so that an unreadable row does not affect the others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, TimeDelta};
use sea_orm::sqlx::postgres::{PgColumn, PgRow, PgValueFormat};
use sea_orm::sqlx::{Column, Row, TypeInfo, ValueRef};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, PrimaryKeyToColumn,
    QueryResult, QueryTrait, Select, TryGetable,
};

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A row that is there and cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// The numbers of its primary key, in order.
    pub(crate) key: Vec<i64>,
    /// The reason.
    pub(crate) error: DbErr,
    /// The row as the database gave it.
    row: QueryResult,
}

impl Unreadable {
    /// Reads one column of the row. Returns `None` where that column cannot be read either.
    pub(crate) fn column<T: TryGetable>(&self, column: impl IdenStatic) -> Option<T> {
        let name = column.as_str();
        let columns = time_columns(&self.row, Some(name));
        if time_out_of_range(&self.row, &columns).is_some() {
            return None;
        }
        guarded(|| self.row.try_get("", name)).ok()
    }
}

/// Reads what a query finds: the rows that can be read, and the others by their keys. A [`super::Reader`] must be one
/// [`super::Reader::as_stored`]; otherwise one bad time fails the whole query.
///
/// # Errors
/// Returns the database's error.
pub(crate) async fn readable<E>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<(Vec<E::Model>, Vec<Unreadable>), DbErr>
where
    E: EntityTrait,
{
    let found = connection.query_all_raw(select.build(connection.get_database_backend())).await?;
    Ok(sorted_out::<E>(found))
}

/// Separates the rows of a table that can be read from the others.
pub(crate) fn sorted_out<E: EntityTrait>(found: Vec<QueryResult>) -> (Vec<E::Model>, Vec<Unreadable>) {
    let (mut rows, mut unreadable) = (Vec::with_capacity(found.len()), Vec::new());
    let times = found.first().map(|row| time_columns(row, None)).unwrap_or_default();
    for row in found {
        let model = match time_out_of_range(&row, &times) {
            Some(error) => Err(error),
            None => guarded(|| E::Model::from_query_result(&row, "")),
        };
        match model {
            Ok(model) => rows.push(model),
            Err(error) => unreadable.push(Unreadable { key: key_of::<E>(&row), error, row }),
        }
    }
    (rows, unreadable)
}

/// Turns a panic of the driver into an error: it panics on some values that it cannot represent.
fn guarded<T>(read: impl FnOnce() -> Result<T, DbErr>) -> Result<T, DbErr> {
    // Reading changes neither the row nor anything else.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let told = panic.downcast_ref::<String>().cloned();
        let told = told.or_else(|| panic.downcast_ref::<&str>().map(|told| (*told).to_owned()));
        Err(DbErr::Type(format!("the driver panicked: {}", told.unwrap_or_default())))
    })
}

/// Returns the positions of the columns with times, or of the one with this name. All rows of a result have the same
/// columns. Empty on other databases than PostgreSQL.
pub(super) fn time_columns(row: &QueryResult, only: Option<&str>) -> Vec<usize> {
    let is_time = |column: &&PgColumn| {
        only.is_none_or(|name| name == column.name())
            && matches!(column.type_info().name(), "TIMESTAMPTZ" | "TIMESTAMP")
    };
    let columns = row.try_as_pg_row().map(Row::columns).unwrap_or_default();
    columns.iter().filter(is_time).map(Column::ordinal).collect()
}

/// Finds a time that the driver would panic on: `infinity`, or a year that `chrono` does not know. PostgreSQL alone stores
/// such times.
pub(super) fn time_out_of_range(row: &QueryResult, columns: &[usize]) -> Option<DbErr> {
    let row: &PgRow = row.try_as_pg_row()?;
    for column in columns {
        let Ok(value) = row.try_get_raw(*column) else { continue };
        if value.is_null() || value.format() != PgValueFormat::Binary {
            continue;
        }
        let bytes = value.as_bytes().ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        let Some(bytes) = bytes else { continue };
        let since_2000 = TimeDelta::microseconds(i64::from_be_bytes(bytes));
        let epoch = DateTime::from_timestamp_micros(POSTGRES_EPOCH)?;
        if epoch.checked_add_signed(since_2000).is_none() {
            let name = row.column(*column).name();
            return Some(DbErr::Type(format!("the time in column {name} is infinite or out of range")));
        }
    }
    None
}

/// Reads the key of a row. Parts of the key that cannot be read are left out.
fn key_of<E: EntityTrait>(row: &QueryResult) -> Vec<i64> {
    let number = |column: &str| {
        row.try_get::<i64>("", column).or_else(|_| row.try_get::<i32>("", column).map(i64::from)).ok()
    };
    E::PrimaryKey::iter().filter_map(|key| number(key.into_column().as_str())).collect()
}
