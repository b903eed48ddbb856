//! Records corrections of keys, and makes the revisions of papers that these corrections cause.

use chrono::{DateTime, Utc};
use jishu_entity::{QuestionId, QuestionVersionId, UserId, question_correction};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, DatabaseTransaction, DbErr};

use super::fixed_tests::{self, Slot, SlotRevision};
use crate::audit;

/// The action of the audit event for a corrected key.
pub const QUESTION_KEY_CORRECTED: &str = "question.key_corrected";

/// The author, the reason and the time of corrections. `by` is None for the operator.
#[derive(Clone, Copy)]
pub(super) struct CorrectionAuthorship<'a> {
    pub(super) by: Option<UserId>,
    pub(super) reason: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// A key that was corrected, and the slots of fixed papers that get the version with the right key.
pub(super) struct KeyCorrection {
    pub(super) question: QuestionId,
    /// The version with the wrong key.
    pub(super) previous: QuestionVersionId,
    /// The version of the question with the corrected key.
    pub(super) version: QuestionVersionId,
    pub(super) slots: Vec<Slot>,
}

/// Records corrections with an audit event for each, and makes the next revision of each paper in which the corrections
/// change a slot. The caller must have locked the row of the subject.
pub(super) async fn record(
    transaction: &DatabaseTransaction,
    authorship: CorrectionAuthorship<'_>,
    corrections: &[KeyCorrection],
) -> Result<(), DbErr> {
    let mut revisions = Vec::new();
    for correction in corrections {
        let row = question_correction::ActiveModel {
            id: NotSet,
            question_id: Set(correction.question),
            previous_version_id: Set(correction.previous),
            version_id: Set(correction.version),
            corrected_by: Set(authorship.by),
            reason: Set(authorship.reason.trim().to_owned()),
            corrected_at: Set(authorship.now),
        };
        let row = row.insert(transaction).await?;
        let revision =
            |slot: &Slot| SlotRevision { slot: *slot, version: correction.version, correction: row.id };
        revisions.extend(correction.slots.iter().map(revision));
        let target = ("questions", correction.question.0);
        audit::append(transaction, authorship.now, authorship.by, QUESTION_KEY_CORRECTED, target).await?;
    }
    fixed_tests::revise(transaction, &revisions).await
}
