//! Finds pictures that questions show but the database does not have, and pictures whose bytes have changed.

use std::collections::HashSet;

use jishu_entity::{QuestionVersionId, picture, question_option, question_version};
use question_formats::{hash_of_picture, picture_address, picture_hashes};
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{BadValue, MAX_ROWS_PER_TABLE, columns_of};

/// Maximum number of versions or options that one statement reads.
const ROWS_PER_READ: u64 = 500;

/// Examines the bytes of all pictures, one picture at a time, and all texts of questions that show a picture. Returns
/// nothing if the database does not have the tables yet.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn find_broken(connection: &impl ConnectionTrait) -> Result<Vec<BadValue>, DbErr> {
    for table in ["pictures", "question_versions", "question_options"] {
        if columns_of(connection, table).await?.is_empty() {
            return Ok(Vec::new());
        }
    }
    let hashes: Vec<String> = picture::Entity::find()
        .select_only()
        .column(picture::Column::Hash)
        .order_by_asc(picture::Column::Hash)
        .into_tuple()
        .all(connection)
        .await?;
    let mut found = Vec::new();
    for hash in &hashes {
        let bytes: Option<Vec<u8>> = picture::Entity::find_by_id(hash.as_str())
            .select_only()
            .column(picture::Column::Bytes)
            .into_tuple()
            .one(connection)
            .await?;
        if found.len() < MAX_ROWS_PER_TABLE && bytes.is_some_and(|bytes| hash_of_picture(&bytes) != *hash) {
            found.push(BadValue {
                table: "pictures",
                row: format!("hash {hash}"),
                column: "bytes".to_owned(),
                value: "not the content to which this hash belongs".to_owned(),
            });
        }
    }
    found.extend(find_missing(connection, &hashes.into_iter().collect()).await?);
    Ok(found)
}

/// Finds the stems, explanations and options that show a picture whose hash is not in `hashes`.
async fn find_missing(
    connection: &impl ConnectionTrait,
    hashes: &HashSet<String>,
) -> Result<Vec<BadValue>, DbErr> {
    let like = || LikeExpr::new(format!("%{}%", picture_address("")));
    let missing = |text: &str| picture_hashes(text).find(|hash| !hashes.contains(*hash)).map(str::to_owned);
    let bad = |table, row: String, column: &str, hash: String| BadValue {
        table,
        row,
        column: column.to_owned(),
        value: format!("a text with the picture {hash}, although there is no such picture"),
    };
    let mut found = Vec::new();
    let mut after = QuestionVersionId(0);
    loop {
        let rows: Vec<(QuestionVersionId, String, Option<String>)> = question_version::Entity::find()
            .select_only()
            .column(question_version::Column::Id)
            .column(question_version::Column::Stem)
            .column(question_version::Column::Explanation)
            .filter(question_version::Column::Id.gt(after))
            .filter(
                Expr::col(question_version::Column::Stem)
                    .like(like())
                    .or(Expr::col(question_version::Column::Explanation).like(like())),
            )
            .order_by_asc(question_version::Column::Id)
            .limit(ROWS_PER_READ)
            .into_tuple()
            .all(connection)
            .await?;
        let Some((last, ..)) = rows.last() else { break };
        after = *last;
        for (id, stem, explanation) in &rows {
            let of_explanation = explanation.as_deref().and_then(missing).map(|hash| ("explanation", hash));
            for (column, hash) in missing(stem).map(|hash| ("stem", hash)).into_iter().chain(of_explanation) {
                found.push(bad("question_versions", format!("id {id}"), column, hash));
            }
        }
    }
    let mut after = QuestionVersionId(0);
    loop {
        // A version has at most 26 options, so each full read has all options of at least one version.
        let rows: Vec<(QuestionVersionId, i32, String)> = question_option::Entity::find()
            .select_only()
            .column(question_option::Column::VersionId)
            .column(question_option::Column::Position)
            .column(question_option::Column::Text)
            .filter(question_option::Column::VersionId.gt(after))
            .filter(Expr::col(question_option::Column::Text).like(like()))
            .order_by_asc(question_option::Column::VersionId)
            .limit(ROWS_PER_READ)
            .into_tuple()
            .all(connection)
            .await?;
        let Some((last, ..)) = rows.last() else { break };
        let is_full = u64::try_from(rows.len()).is_ok_and(|count| count == ROWS_PER_READ);
        // A full read may lack some options of its last version, so the next read begins with that version again.
        let next = if is_full { QuestionVersionId(last.0 - 1) } else { *last };
        after = if next.0 > after.0 { next } else { *last };
        for (version, position, text) in &rows {
            if let Some(hash) = missing(text) {
                found.push(bad(
                    "question_options",
                    format!("version_id {version}, position {position}"),
                    "text",
                    hash,
                ));
            }
        }
        if !is_full {
            break;
        }
    }
    found.dedup();
    found.truncate(MAX_ROWS_PER_TABLE);
    Ok(found)
}
