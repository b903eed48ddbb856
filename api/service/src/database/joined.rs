//! Reads the rows of several tables from the result of one statement.

use std::fmt::Write;

use sea_orm::{DbErr, FromQueryResult, IdenStatic, Iterable, QueryResult, TryGetable};

/// Appends all columns of a table to the list of a `SELECT`, each with a comma after it. `alias` is the name of the
/// table in the statement. The name of a column in the result is the alias, an underscore and the name in the table.
pub(crate) fn add_columns<C: Iterable + IdenStatic>(list: &mut String, alias: &str) {
    for column in C::iter() {
        // Writing to a `String` cannot fail.
        let _infallible = write!(list, "{alias}.{column} AS {alias}_{column}, ", column = column.as_str());
    }
}

/// Reads the row of a joined table from a row of the result. Returns None if the join found no row of the joined table.
/// `prefix` is the alias of [`add_columns`] with an underscore, and `key` is a column that is never null.
pub(crate) fn joined<M: FromQueryResult, K: TryGetable>(
    row: &QueryResult,
    prefix: &str,
    key: &str,
) -> Result<Option<M>, DbErr> {
    match row.try_get::<Option<K>>(prefix, key)? {
        Some(_) => M::from_query_result(row, prefix).map(Some),
        None => Ok(None),
    }
}
