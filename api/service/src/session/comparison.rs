//! Compares a batch with the stored answers.

use jishu_entity::{TestSessionId, test_answer};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use super::answers::StoredAnswer;

/// The comparison of a batch with the stored answers.
pub(super) struct BatchComparison {
    /// The slots that do not have the answer of the batch.
    pub(super) superseded: Vec<i32>,
    /// Whether each superseded slot has the answer of a batch with the same or a greater number. This is so once the
    /// batch was applied.
    pub(super) was_applied: bool,
}

/// Compares a batch with the stored answers.
pub(super) async fn compare_with_stored(
    connection: &impl ConnectionTrait,
    id: TestSessionId,
    sequence: i32,
    answers: &[StoredAnswer],
) -> Result<BatchComparison, DbErr> {
    let rows = test_answer::Entity::find()
        .filter(test_answer::Column::SessionId.eq(id))
        .filter(test_answer::Column::Slot.is_in(answers.iter().map(|answer| answer.slot)))
        .all(connection)
        .await?;
    let is_superseded = |answer: &&StoredAnswer| !rows.iter().any(|row| answer.is_stored_in(row, sequence));
    let superseded: Vec<i32> = answers.iter().filter(is_superseded).map(|answer| answer.slot).collect();
    let was_applied =
        superseded.iter().all(|slot| rows.iter().any(|row| row.slot == *slot && row.sequence >= sequence));
    Ok(BatchComparison { superseded, was_applied })
}
