//! Finds short-answer questions without an accepted text, to which no answer can be right.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::{BadValue, MAX_ROWS_PER_TABLE, columns_of};

/// Finds the versions of short-answer questions that have no accepted text. Returns nothing if the database does not
/// have the table of accepted texts yet.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn find_missing(connection: &impl ConnectionTrait) -> Result<Vec<BadValue>, DbErr> {
    if columns_of(connection, "accepted_texts").await?.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT v.id FROM question_versions v WHERE v.kind = 'short_answer' AND NOT EXISTS (SELECT 1 FROM \
         accepted_texts t WHERE t.version_id = v.id) ORDER BY v.id LIMIT {MAX_ROWS_PER_TABLE}"
    );
    let statement = Statement::from_string(connection.get_database_backend(), text);
    let bad = |id: i64| BadValue {
        table: "question_versions",
        row: format!("id {id}"),
        column: "kind".to_owned(),
        value: "'short_answer', although the question has no accepted text".to_owned(),
    };
    let rows = connection.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get_by_index(0).map(bad)).collect()
}
