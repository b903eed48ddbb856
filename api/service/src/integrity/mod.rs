//! Finds rows that cannot be read, values that are not allowed, and rows that contradict other rows.
//!
//! Constraints of the database refuse many of these rows. But a console can switch constraints off, and rows may be
//! older than the constraints.

mod book_rule;
mod books;
mod keys;
mod orders;
mod pictures;
mod read_check;
mod rules;
mod table;

use std::fmt;

use jishu_entity::picture;
use jishu_service_macros::service_call;
use sea_orm::{ColumnType, ConnectionTrait, DbBackend, DbErr, Statement};
use serde::Serialize;

use crate::database::{Database, Unreadable, columns_of};

pub(super) use rules::{
    ColumnFault, MAX_PRICE_MINOR_UNITS, MAX_VALIDITY_DAYS, fault_of_course, fault_of_orphan, fault_of_subject,
};
pub(super) use table::Table;
use table::TableColumn;

/// Maximum number of rows of a table that one check reports.
const MAX_ROWS_PER_TABLE: usize = 100;
/// Maximum number of characters that are shown of a value.
const MAX_VALUE_CHARS: usize = 40;

/// A value that cannot be read or is not allowed, with its table, row and column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BadValue {
    /// The name of the table.
    pub table: &'static str,
    /// The row: the columns of its primary key with their values, such as `id 7`.
    pub row: String,
    /// The name of the column, or `a column` if it is not known which column cannot be read.
    pub column: String,
    /// The value, if it can be shown. Otherwise `unreadable`, or a description of the fault that completes the sentence
    /// `COLUMN is …`.
    pub value: String,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row, column, value } = self;
        write!(f, "{table}, {row}: {column} is {value}")
    }
}

impl BadValue {
    /// Describes a fault in a row whose primary key is the number `id`.
    pub(super) fn of(table: &'static str, id: i64, fault: ColumnFault) -> Self {
        Self { table, row: format!("id {id}"), column: fault.column.to_owned(), value: fault.value }
    }
}

/// Finds the columns that make these rows of a table unreadable. Does not query the database if `rows` is empty.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn named(
    connection: &impl ConnectionTrait,
    table: &Table,
    rows: &[Unreadable],
) -> Result<Vec<BadValue>, DbErr> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = of_table(connection, table).await?;
    let mut named = Vec::with_capacity(rows.len());
    for Unreadable { key, error, .. } in rows {
        let row: Vec<_> = table.keys.iter().zip(key).map(|(name, value)| format!("{name} {value}")).collect();
        let row = row.join(", ");
        let before = named.len();
        named.extend(found.extract_if(.., |bad| bad.row == row));
        // No condition in SQL found a bad column of this row, so only the error of the driver is known.
        if named.len() == before {
            named.push(BadValue {
                table: table.name,
                row,
                column: "a column".to_owned(),
                value: error.to_string(),
            });
        }
    }
    Ok(named)
}

/// Examines every table of this version of jishu. Leaves out tables and columns that the database does not have yet.
/// Reads the whole database.
///
/// # Errors
/// Returns the database's error.
pub async fn examine(connection: &impl ConnectionTrait) -> Result<Vec<BadValue>, DbErr> {
    let mut found = Vec::new();
    let tables = table::all_without_pictures();
    for table in &tables {
        found.extend(of_table(connection, table).await?);
    }
    for table in &tables {
        found.extend(read_check::of_table(connection, table, &found).await?);
    }
    // `read_check` leaves the pictures out, because it would read many of them at once. So only conditions in SQL check
    // them.
    found.extend(of_table(connection, &Table::of::<picture::Entity>()).await?);
    found.extend(read_check::of_catalogue(connection, &found).await?);
    found.extend(books::find_broken(connection).await?);
    found.extend(keys::find_missing(connection).await?);
    found.extend(pictures::find_broken(connection).await?);
    Ok(found)
}

/// Examines a database as [`examine`] does, if a migration of jishu was applied to it. Returns nothing for any other
/// database, because the tables of the old system follow other rules.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn examine_ours(database: &Database) -> Result<Vec<BadValue>, DbErr> {
    let is_ours = database.migrations().await?.iter().any(|migration| migration.applied);
    if is_ours { examine(&database.reader().without_time_check()).await } else { Ok(Vec::new()) }
}

/// A column, the SQL condition under which its value is bad, and whether the value can be shown.
struct Suspect {
    column: &'static str,
    condition: String,
    shows_value: bool,
}

/// Finds the bad values of one table with conditions in SQL, in at most [`MAX_ROWS_PER_TABLE`] rows.
///
/// # Errors
/// Returns the database's error.
async fn of_table(connection: &impl ConnectionTrait, table: &Table) -> Result<Vec<BadValue>, DbErr> {
    let Table { name: table, keys, columns, .. } = table;
    let backend = connection.get_database_backend();
    let present = columns_of(connection, table).await?;
    let suspects: Vec<Suspect> = columns
        .iter()
        .filter(|column| present.iter().any(|name| name == column.name))
        .flat_map(|column| suspects(backend, table, column))
        .collect();
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let text_type = if backend == DbBackend::MySql { "CHAR" } else { "TEXT" };
    let as_text = |column: &str| format!("CAST({} AS {text_type})", quoted(backend, column));
    let mut selected: Vec<String> = keys.iter().map(|key| as_text(key)).collect();
    for Suspect { column, condition, shows_value } in &suspects {
        let value = if *shows_value { as_text(column) } else { "'unreadable'".to_owned() };
        selected.push(format!("CASE WHEN {condition} THEN COALESCE({value}, 'null') END"));
    }
    let conditions: Vec<_> = suspects.iter().map(|suspect| format!("({})", suspect.condition)).collect();
    let text = format!(
        "SELECT {} FROM {} WHERE {} LIMIT {MAX_ROWS_PER_TABLE}",
        selected.join(", "),
        quoted(backend, table),
        conditions.join(" OR ")
    );
    let mut found = Vec::new();
    for row in connection.query_all_raw(Statement::from_string(backend, text)).await? {
        let text = |position: usize| row.try_get_by_index::<Option<String>>(position);
        let mut named = Vec::with_capacity(keys.len());
        for (position, key) in keys.iter().enumerate() {
            named.push(format!("{key} {}", text(position)?.unwrap_or_else(|| "null".to_owned())));
        }
        for (suspect, position) in suspects.iter().zip(keys.len()..) {
            // This fails for text that is not UTF-8, which cannot be shown.
            let value = text(position).unwrap_or_else(|_| Some("unreadable".to_owned()));
            let Some(value) = value else { continue };
            let value = value.chars().take(MAX_VALUE_CHARS).collect();
            found.push(BadValue {
                table,
                row: named.join(", "),
                column: suspect.column.to_owned(),
                value: if suspect.shows_value { format!("'{value}'") } else { value },
            });
        }
    }
    Ok(found)
}

/// Lists the possible faults of a column: a value of another type, which only SQLite stores, a value that is not
/// allowed, or an unreadable time.
fn suspects(
    backend: DbBackend,
    table: &'static str,
    column: &TableColumn,
) -> impl Iterator<Item = Suspect> + use<> {
    let TableColumn { name, column_type } = column;
    let name = *name;
    let value = quoted(backend, name);
    let mistyped = (backend == DbBackend::Sqlite).then(|| mistyped(&value, column_type)).flatten();
    let mistyped = mistyped.map(|condition| {
        let condition = format!("{value} IS NOT NULL AND ({condition})");
        Suspect { column: name, condition, shows_value: false }
    });
    let disallowed = rules::disallowed(backend, table, name, &value);
    let disallowed = disallowed.map(|condition| Suspect { column: name, condition, shows_value: true });
    let unreadable_time = unreadable_time(backend, &value, column_type);
    let unreadable_time =
        unreadable_time.map(|condition| Suspect { column: name, condition, shows_value: true });
    mistyped.into_iter().chain(disallowed).chain(unreadable_time)
}

/// Returns the SQL condition for values in SQLite that the driver cannot read as this type. None if there is no
/// condition for the type.
fn mistyped(value: &str, column_type: &ColumnType) -> Option<String> {
    match column_type {
        ColumnType::Integer | ColumnType::BigInteger | ColumnType::Boolean => {
            Some(format!("typeof({value}) <> 'integer'"))
        }
        ColumnType::String(_) | ColumnType::Text => Some(format!("typeof({value}) <> 'text'")),
        ColumnType::TimestampWithTimeZone => {
            Some(format!("typeof({value}) <> 'text' OR datetime({value}) IS NULL"))
        }
        _ => None,
    }
}

/// Returns the SQL condition for stored times of a database server that the driver cannot read. On PostgreSQL these are
/// `infinity` and years outside 1 to 9999, and on MariaDB a year, month or day of zero. None for SQLite, and for a
/// column that is no time.
fn unreadable_time(backend: DbBackend, value: &str, column_type: &ColumnType) -> Option<String> {
    if !matches!(column_type, ColumnType::TimestampWithTimeZone) {
        return None;
    }
    match backend {
        DbBackend::Postgres => {
            Some(format!("NOT ({value} >= '0001-01-01 00:00:00+00' AND {value} < '10000-01-01 00:00:00+00')"))
        }
        DbBackend::MySql => Some(format!("YEAR({value}) = 0 OR MONTH({value}) = 0 OR DAY({value}) = 0")),
        _ => None,
    }
}

fn quoted(backend: DbBackend, name: &str) -> String {
    if backend == DbBackend::MySql { format!("`{name}`") } else { format!("\"{name}\"") }
}
