//! Reads rows one at a time, so that one unreadable row does not affect the other rows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, TimeDelta};
use sea_orm::sqlx::postgres::{PgColumn, PgRow, PgValueFormat};
use sea_orm::sqlx::{Column, Row, TypeInfo, ValueRef};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, PrimaryKeyToColumn,
    QueryResult, QueryTrait, Select, TryGetable,
};

/// The start of the time scale of PostgreSQL: the year 2000, in microseconds since 1970.
const POSTGRES_EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// A row that exists but cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// The numbers in the columns of the row's primary key, in the order of the key. A column that cannot be read is
    /// left out.
    pub(crate) key: Vec<i64>,
    /// The reason why the row cannot be read.
    pub(crate) error: DbErr,
    /// The row as the database gave it.
    row: QueryResult,
}

impl Unreadable {
    /// Reads one column of the row. Returns None if the driver cannot read that column.
    pub(crate) fn column<T: TryGetable>(&self, column: impl IdenStatic) -> Option<T> {
        let name = column.as_str();
        let columns = time_columns(&self.row, Some(name));
        if time_out_of_range(&self.row, &columns).is_some() {
            return None;
        }
        catch_panic(|| self.row.try_get("", name)).ok()
    }
}

/// Runs a query, and returns the readable and the unreadable rows separately.
///
/// If `connection` is a [`super::Reader`], it must come from [`super::Reader::without_time_check`]. Otherwise one
/// time that the driver cannot read fails the whole query.
///
/// # Errors
/// Returns the database's error.
pub(crate) async fn read_rows<E>(
    connection: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<(Vec<E::Model>, Vec<Unreadable>), DbErr>
where
    E: EntityTrait,
{
    let found = connection.query_all_raw(select.build(connection.get_database_backend())).await?;
    Ok(split_readable::<E>(found))
}

/// Separates the readable rows of a table from the unreadable rows.
pub(crate) fn split_readable<E: EntityTrait>(found: Vec<QueryResult>) -> (Vec<E::Model>, Vec<Unreadable>) {
    let (mut rows, mut unreadable) = (Vec::with_capacity(found.len()), Vec::new());
    let times = found.first().map(|row| time_columns(row, None)).unwrap_or_default();
    for row in found {
        let model = match time_out_of_range(&row, &times) {
            Some(error) => Err(error),
            None => catch_panic(|| E::Model::from_query_result(&row, "")),
        };
        match model {
            Ok(model) => rows.push(model),
            Err(error) => unreadable.push(Unreadable { key: key_of::<E>(&row), error, row }),
        }
    }
    (rows, unreadable)
}

/// Turns a panic of the driver into an error. The driver panics on some values that it cannot represent.
fn catch_panic<T>(read: impl FnOnce() -> Result<T, DbErr>) -> Result<T, DbErr> {
    // This is unwind-safe, because reading changes nothing.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(DbErr::Type(format!("the driver panicked: {}", message.unwrap_or_default())))
    })
}

/// Returns the positions of the columns with times on PostgreSQL, or only of the column with the name `only`. The
/// positions are the same for all rows of a result. Returns no positions on other databases.
pub(super) fn time_columns(row: &QueryResult, only: Option<&str>) -> Vec<usize> {
    let is_time = |column: &&PgColumn| {
        only.is_none_or(|name| name == column.name())
            && matches!(column.type_info().name(), "TIMESTAMPTZ" | "TIMESTAMP")
    };
    let columns = row.try_as_pg_row().map(Row::columns).unwrap_or_default();
    columns.iter().filter(is_time).map(Column::ordinal).collect()
}

/// Returns an error for the first of these columns whose time would make the driver panic: `infinity`, or a year that
/// `chrono` cannot represent. Only PostgreSQL stores these times. Returns None if the driver can read all of the times.
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
        let epoch = DateTime::from_timestamp_micros(POSTGRES_EPOCH_MICROSECONDS)?;
        if epoch.checked_add_signed(since_2000).is_none() {
            let name = row.column(*column).name();
            return Some(DbErr::Type(format!("the time in column {name} is infinite or out of range")));
        }
    }
    None
}

/// Reads the primary key of a row. Leaves out parts that cannot be read.
fn key_of<E: EntityTrait>(row: &QueryResult) -> Vec<i64> {
    let number = |column: &str| {
        row.try_get::<i64>("", column).or_else(|_| row.try_get::<i32>("", column).map(i64::from)).ok()
    };
    E::PrimaryKey::iter().filter_map(|key| number(key.into_column().as_str())).collect()
}
