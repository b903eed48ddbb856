//! Compares a batch of answers with the stored answers of its sitting.

use jishu_entity::{TestSessionId, test_answer};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use super::answers::StoredAnswer;

/// The comparison of a batch with the stored answers.
pub(super) struct BatchComparison {
    /// The slots of the batch whose stored answer is missing, differs from the answer of the batch, or comes from a
    /// batch with another number.
    pub(super) superseded: Vec<i32>,
    /// The slots of the batch whose stored answer is missing or differs from the answer of the batch. The numbers of
    /// the batches do not matter.
    pub(super) not_stored: Vec<i32>,
    /// Whether the batch was applied: each of its slots has the answer of this batch, or the answer of a batch with the
    /// same or a greater number.
    pub(super) was_applied: bool,
}

/// Finds out which answers of a batch are stored in its sitting, and whether the batch was applied.
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
    let slots_without = |is_wanted: &dyn Fn(&StoredAnswer, &test_answer::Model) -> bool| -> Vec<i32> {
        let lacks = |answer: &&StoredAnswer| !rows.iter().any(|row| is_wanted(answer, row));
        answers.iter().filter(lacks).map(|answer| answer.slot).collect()
    };
    let superseded = slots_without(&|answer, row| row.sequence == sequence && answer.is_stored_in(row));
    let not_stored = slots_without(&|answer, row| answer.is_stored_in(row));
    let was_applied =
        superseded.iter().all(|slot| rows.iter().any(|row| row.slot == *slot && row.sequence >= sequence));
    Ok(BatchComparison { superseded, not_stored, was_applied })
}
