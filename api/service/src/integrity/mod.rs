//! Finds rows that cannot be read, or that have values that are not allowed, alone or beside other rows.
//!
//! Constraints of the database refuse such rows. But a console can switch constraints off, and rows may be older than
//! the constraints.

mod book_rule;
mod books;
mod keys;
mod orders;
mod pictures;
mod read_check;
mod rules;

use std::fmt;

use jishu_entity::{
    accepted_text, account_link, allowance, audit_event, blueprint_part, cart_item, course, entitlement,
    extra_time, guardian_consent, mock_test_attempt, oidc_identity, oidc_login, order, order_line,
    outbox_message, paper, paper_question, paper_revision, paper_score, payment_event, payment_refund,
    picture, purchase, purchase_grant, purchase_request, purchase_request_owned, question,
    question_correction, question_option, question_version, question_version_picture, recovery_code,
    refresh_token, refund, refund_line, refund_repeat, second_factor, server_secret, sign_in_challenge,
    sign_in_network, subject, test_answer, test_session, topic, topic_total, user,
};
use jishu_service_macros::service_call;
use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, Iterable,
    PrimaryKeyToColumn, Statement,
};
use serde::Serialize;

use crate::database::{Database, Unreadable, columns_of};

pub(super) use rules::{
    ColumnFault, MAX_PRICE_MINOR_UNITS, MAX_VALIDITY_DAYS, fault_of_course, fault_of_orphan, fault_of_subject,
};

/// Maximum number of rows of a table that are named.
const MAX_ROWS_PER_TABLE: usize = 100;
/// Maximum number of characters of a value that are shown.
const MAX_VALUE_CHARS: usize = 40;

/// A value that cannot be read or is not allowed, with its table, row and column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BadValue {
    /// The table.
    pub table: &'static str,
    /// The row: the columns of its primary key with their values, such as `id 7`.
    pub row: String,
    /// The column.
    pub column: String,
    /// The value, if the column has words or numbers of the catalogue. Otherwise `unreadable`, or a description of the fault.
    pub value: String,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row, column, value } = self;
        write!(f, "{table}, {row}: {column} is {value}")
    }
}

impl BadValue {
    /// Describes a fault in a row whose key is one number.
    pub(super) fn of(table: &'static str, id: i64, fault: ColumnFault) -> Self {
        Self { table, row: format!("id {id}"), column: fault.column.to_owned(), value: fault.value }
    }
}

/// Finds the columns that make these rows of a table unreadable. Queries the database only if there are such rows.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn named<E, C>(connection: &C, rows: &[Unreadable]) -> Result<Vec<BadValue>, DbErr>
where
    E: EntityTrait,
    C: ConnectionTrait,
{
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = of_table::<E, C>(connection).await?;
    let table = E::default().table_name();
    let keys: Vec<&str> = E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect();
    let mut named = Vec::with_capacity(rows.len());
    for Unreadable { key, error, .. } in rows {
        let row: Vec<_> = keys.iter().zip(key).map(|(name, value)| format!("{name} {value}")).collect();
        let row = row.join(", ");
        let before = named.len();
        named.extend(found.extract_if(.., |bad| bad.row == row));
        // The conditions in SQL found nothing: only the driver cannot read the row.
        if named.len() == before {
            named.push(BadValue { table, row, column: "a column".to_owned(), value: error.to_string() });
        }
    }
    Ok(named)
}

/// Examines every table that this version knows. Skips tables and columns that the database does not have yet.
/// Reads the whole database.
///
/// # Errors
/// Returns the database's error.
pub async fn examine(connection: &impl ConnectionTrait) -> Result<Vec<BadValue>, DbErr> {
    let mut found = Vec::new();
    macro_rules! examine_tables {
        ($($table:ident),+ $(,)?) => {
            $(found.extend(of_table::<$table::Entity, _>(connection).await?);)+
            $(found.extend(read_check::of_table::<$table::Entity, _>(connection, &found).await?);)+
        };
    }
    examine_tables!(
        accepted_text,
        account_link,
        allowance,
        audit_event,
        blueprint_part,
        cart_item,
        course,
        entitlement,
        extra_time,
        guardian_consent,
        mock_test_attempt,
        oidc_identity,
        oidc_login,
        order,
        order_line,
        outbox_message,
        paper,
        paper_question,
        paper_revision,
        paper_score,
        payment_event,
        payment_refund,
        purchase,
        purchase_grant,
        purchase_request,
        purchase_request_owned,
        question,
        question_correction,
        question_option,
        question_version,
        recovery_code,
        refresh_token,
        refund,
        refund_line,
        refund_repeat,
        second_factor,
        sign_in_challenge,
        question_version_picture,
        server_secret,
        sign_in_network,
        subject,
        test_answer,
        test_session,
        topic,
        topic_total,
        user,
    );
    // The other checks would read all pictures at once.
    found.extend(of_table::<picture::Entity, _>(connection).await?);
    found.extend(read_check::of_catalogue(connection, &found).await?);
    found.extend(books::find_broken(connection).await?);
    found.extend(keys::find_missing(connection).await?);
    found.extend(pictures::find_broken(connection).await?);
    Ok(found)
}

/// Examines a database as [`examine`] does, if it is a database of jishu. Returns nothing for others: the tables of the
/// old system follow other rules.
///
/// # Errors
/// Returns the database's error.
#[service_call]
pub async fn examine_ours(database: &Database) -> Result<Vec<BadValue>, DbErr> {
    let is_ours = database.migrations().await?.iter().any(|migration| migration.applied);
    if is_ours { examine(&database.reader().without_time_check()).await } else { Ok(Vec::new()) }
}

/// A column, and the condition under which its value is bad.
struct Suspect {
    column: &'static str,
    condition: String,
    shows_value: bool,
}

/// Finds the bad values of one table.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn of_table<E, C>(connection: &C) -> Result<Vec<BadValue>, DbErr>
where
    E: EntityTrait,
    C: ConnectionTrait,
{
    let backend = connection.get_database_backend();
    let table = E::default().table_name();
    let present = columns_of(connection, table).await?;
    let suspects: Vec<Suspect> = E::Column::iter()
        .filter(|column| present.iter().any(|name| name == column.as_str()))
        .flat_map(|column| suspects::<E>(backend, table, column))
        .collect();
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<&'static str> = E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect();
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
            // Text that is not UTF-8 cannot be shown.
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
fn suspects<E: EntityTrait>(
    backend: DbBackend,
    table: &'static str,
    column: E::Column,
) -> impl Iterator<Item = Suspect> {
    let name = column.as_str();
    let value = quoted(backend, name);
    let def = column.def();
    let mistyped = (backend == DbBackend::Sqlite).then(|| mistyped(&value, def.get_column_type())).flatten();
    let mistyped = mistyped.map(|condition| {
        let condition = format!("{value} IS NOT NULL AND ({condition})");
        Suspect { column: name, condition, shows_value: false }
    });
    let disallowed = rules::disallowed(backend, table, name, &value);
    let disallowed = disallowed.map(|condition| Suspect { column: name, condition, shows_value: true });
    let unreadable_time = unreadable_time(backend, &value, def.get_column_type());
    let unreadable_time =
        unreadable_time.map(|condition| Suspect { column: name, condition, shows_value: true });
    mistyped.into_iter().chain(disallowed).chain(unreadable_time)
}

/// Returns the condition under which SQLite stores a value that the driver cannot read as this type.
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

/// Returns the condition under which a server stores a time that the driver cannot read: `infinity`, or a date whose
/// year, month or day is zero.
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
