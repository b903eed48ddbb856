//! The SQL dialects of the three databases, and helpers that run statements.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

/// The name of a table, with its schema or database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// The schema on PostgreSQL, the database on MariaDB and MySQL, and `None` on SQLite.
    pub schema: Option<String>,
    /// The name of the table itself.
    pub name: String,
}

/// The SQL dialect of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect(pub(crate) DbBackend);

impl Dialect {
    pub(crate) fn is_mysql(self) -> bool {
        self.0 == DbBackend::MySql
    }

    pub(crate) fn is_postgres(self) -> bool {
        self.0 == DbBackend::Postgres
    }

    pub(crate) fn is_sqlite(self) -> bool {
        self.0 == DbBackend::Sqlite
    }

    /// Returns the name that reports use for this kind of database: `mysql`, `postgres` or `sqlite`.
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            DbBackend::MySql => "mysql",
            DbBackend::Postgres => "postgres",
            _ => "sqlite",
        }
    }

    /// Quotes an identifier, whatever it contains.
    pub(crate) fn quote(self, name: &str) -> String {
        let mark = if self.is_mysql() { '`' } else { '"' };
        let mut quoted = String::with_capacity(name.len() + 2);
        quoted.push(mark);
        for letter in name.chars() {
            if letter == mark {
                quoted.push(mark);
            }
            quoted.push(letter);
        }
        quoted.push(mark);
        quoted
    }

    /// Quotes identifiers and joins them with commas.
    pub(crate) fn quote_all<'a>(self, names: impl IntoIterator<Item = &'a str>) -> String {
        names.into_iter().map(|name| self.quote(name)).collect::<Vec<_>>().join(", ")
    }

    /// Quotes the name of a table, with its schema if it has one.
    pub(crate) fn table(self, table: &TableName) -> String {
        match &table.schema {
            Some(schema) => format!("{}.{}", self.quote(schema), self.quote(&table.name)),
            None => self.quote(&table.name),
        }
    }

    /// Returns the placeholder of a parameter. Numbers count from 1.
    pub(crate) fn parameter(self, number: usize) -> String {
        if self.is_postgres() { format!("${number}") } else { "?".to_owned() }
    }

    /// Returns a text as an SQL literal.
    pub(crate) fn literal(self, text: &str) -> String {
        let text = if self.is_mysql() { text.replace('\\', "\\\\") } else { text.to_owned() };
        format!("'{}'", text.replace('\'', "''"))
    }

    /// Returns an SQL expression that sorts in order of time, for the SQL expression of a time. Only on SQLite
    /// the two differ: SQLite stores times as texts, with a `T` or a space before the hour, and with or without a
    /// fraction.
    pub(crate) fn moment(self, time: &str) -> String {
        if !self.is_sqlite() {
            return time.to_owned();
        }
        let text = format!("REPLACE({time}, 'T', ' ')");
        format!("CASE WHEN {time} LIKE '%.%' THEN RTRIM(RTRIM({text}, '0'), '.') ELSE {text} END")
    }

    /// Returns an SQL expression for the day of a time. Two days can be compared, and a number of days can be added to
    /// a day.
    pub(crate) fn day(self, time: &str) -> String {
        match self.0 {
            DbBackend::MySql => format!("TO_DAYS({time})"),
            DbBackend::Postgres => format!("CAST({time} AS date)"),
            _ => format!("CAST(julianday(substr({time}, 1, 10)) AS INTEGER)"),
        }
    }

    /// Returns the SQL expression for the current time: to the microsecond, or to the second on SQLite.
    pub(crate) fn now(self) -> &'static str {
        if self.is_mysql() { "CURRENT_TIMESTAMP(6)" } else { "CURRENT_TIMESTAMP" }
    }

    /// Returns the SQL condition that two values differ. Two nulls do not differ.
    pub(crate) fn different(self, one: &str, other: &str) -> String {
        match self.0 {
            DbBackend::MySql => format!("NOT ({one} <=> {other})"),
            DbBackend::Postgres => format!("{one} IS DISTINCT FROM {other}"),
            _ => format!("{one} IS NOT {other}"),
        }
    }

    /// Returns the SQL condition that a text equals a logged text byte by byte. Two nulls are equal.
    pub(crate) fn exactly(self, text: &str, logged: &str) -> String {
        match self.0 {
            DbBackend::MySql => format!("CAST({text} AS BINARY) <=> CAST({logged} AS BINARY)"),
            DbBackend::Postgres => format!("{text} IS NOT DISTINCT FROM {logged}"),
            _ => format!("{text} IS {logged}"),
        }
    }

    /// Converts a text to the collation of the repair's own tables, so that it can be compared with their texts. Only
    /// MariaDB and MySQL need this.
    pub(crate) fn same_kind(self, text: &str) -> String {
        if self.is_mysql() {
            format!("CONVERT({text} USING utf8mb4) COLLATE utf8mb4_bin")
        } else {
            text.to_owned()
        }
    }

    /// Casts an expression to a 64-bit integer.
    pub(crate) fn integer(self, expression: &str) -> String {
        let target = match self.0 {
            DbBackend::MySql => "SIGNED",
            DbBackend::Postgres => "bigint",
            _ => "INTEGER",
        };
        format!("CAST({expression} AS {target})")
    }

    /// Casts an expression to text.
    pub(crate) fn text(self, expression: &str) -> String {
        let target = if self.is_mysql() { "CHAR" } else { "text" };
        format!("CAST({expression} AS {target})")
    }
}

/// Returns the dialect of a connection.
pub(crate) fn dialect(connection: &impl ConnectionTrait) -> Dialect {
    Dialect(connection.get_database_backend())
}

/// Returns all rows of a query.
pub(crate) async fn rows(
    connection: &impl ConnectionTrait,
    text: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), text, values);
    connection.query_all_raw(statement).await
}

/// Runs a statement and returns the number of affected rows.
///
/// A statement without values is not prepared. A repair runs many of these statements with different texts. Each would
/// evict another statement from the cache of prepared statements. An eviction costs 40 ms on MariaDB: the server does
/// not respond to the closing of a statement, so the next request waits for an acknowledgement of TCP.
pub(crate) async fn execute(
    connection: &impl ConnectionTrait,
    text: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, DbErr> {
    let values: Vec<Value> = values.into_iter().collect();
    if values.is_empty() {
        return Ok(connection.execute_unprepared(&text.into()).await?.rows_affected());
    }
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), text, values);
    Ok(connection.execute_raw(statement).await?.rows_affected())
}

/// Returns the single number that a query selects, or 0 for a null or no row.
pub(crate) async fn count(connection: &impl ConnectionTrait, text: impl Into<String>) -> Result<i64, DbErr> {
    let found = rows(connection, text, []).await?;
    match found.first() {
        Some(row) => Ok(row.try_get_by_index::<Option<i64>>(0)?.unwrap_or(0)),
        None => Ok(0),
    }
}

/// Returns whether two identifiers are equal, apart from the case of ASCII letters.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Returns whether two lists have the same columns, in any order.
pub(crate) fn same_set(columns: &[String], wanted: &[&str]) -> bool {
    columns.len() == wanted.len() && wanted.iter().all(|name| columns.iter().any(|column| same(column, name)))
}
