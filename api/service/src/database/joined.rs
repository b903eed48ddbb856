//! Reads rows of several tables from one statement.

use std::fmt::Write;

use sea_orm::{DbErr, FromQueryResult, IdenStatic, Iterable, QueryResult, TryGetable};

/// Appends all columns of a table to a list of a `SELECT`, each with a comma behind it. `alias` is the name of the table in
/// the statement. The names in the result begin with it and an underscore.
pub(crate) fn add_columns<C: Iterable + IdenStatic>(list: &mut String, alias: &str) {
    for column in C::iter() {
        // Writing to a text cannot fail.
        let _infallible = write!(list, "{alias}.{column} AS {alias}_{column}, ", column = column.as_str());
    }
}

/// Reads the row of a table that was joined. Returns None if there is no such row. `prefix` is the alias of
/// [`add_columns`] with an underscore, and `key` a column that is never null.
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
