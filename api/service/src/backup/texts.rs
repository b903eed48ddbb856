//! Reads the texts that a query returns.

use sea_orm::{ConnectionTrait, DbErr, Statement};

/// Runs a query, and returns the text in the first column of each row.
pub(super) async fn texts(connection: &impl ConnectionTrait, query: &str) -> Result<Vec<String>, DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), query);
    connection.query_all_raw(statement).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}
