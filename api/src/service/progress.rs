//! How a learner is doing.

use jishu_entity::topic_total::{ActiveModel, Column, Entity};
use jishu_entity::{TopicId, UserId};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait};

use super::scoring::Tally;
use crate::database::inserted;

/// Adds the topics of a sitting, each of them once, to what the learner's sittings add up to, in one statement.
///
/// Runs in the transaction that closes the sitting, which holds the lock on the learner's row.
///
/// # Errors
/// The database's.
pub async fn add(
    transaction: &impl ConnectionTrait,
    learner: UserId,
    topics: &[(TopicId, Tally)],
) -> Result<(), DbErr> {
    if topics.is_empty() {
        return Ok(());
    }
    let rows = topics.iter().map(|(topic, tally)| ActiveModel {
        user_id: Set(learner),
        topic_id: Set(*topic),
        correct: Set(tally.correct),
        wrong: Set(tally.wrong),
        unanswered: Set(tally.unanswered),
        score: Set(tally.score),
    });
    let backend = transaction.get_database_backend();
    let sum = |column: Column| (column, Expr::col((Entity, column)).add(inserted(backend, column)));
    let sums = [Column::Correct, Column::Wrong, Column::Unanswered, Column::Score].map(sum);
    Entity::insert_many(rows)
        .on_conflict(OnConflict::columns([Column::UserId, Column::TopicId]).values(sums).to_owned())
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}
