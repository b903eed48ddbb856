//! Corrections of keys: each row is a change of the key of a question, or of the explanation of the key, with its
//! author, time and reason.

use sea_orm::entity::prelude::*;

use crate::{QuestionCorrectionId, QuestionId, QuestionVersionId, UserId};

/// A row of `question_corrections`. Only the deletion of an account changes rows: it replaces reasons that contain the
/// e-mail address of the account.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "question_corrections")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: QuestionCorrectionId,
    /// The question whose key was corrected.
    pub question_id: QuestionId,
    /// The version that the correction replaced, with the wrong key or the wrong explanation.
    pub previous_version_id: QuestionVersionId,
    /// The version with the right key and explanation.
    pub version_id: QuestionVersionId,
    /// The author who corrected the key. Null if an operator corrected it on the command line.
    pub corrected_by: Option<UserId>,
    /// The reason for the correction.
    pub reason: String,
    /// The time of the correction.
    pub corrected_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
