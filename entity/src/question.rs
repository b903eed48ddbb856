//! Questions: the data that all versions of a question have in common.

use sea_orm::entity::prelude::*;

use crate::{QuestionId, SubjectId};

/// A row of `questions`. UNIQUE (subject_id, external_id). Rows are archived and never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "questions")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: QuestionId,
    /// The subject of the question.
    pub subject_id: SubjectId,
    /// The id of the question in files: an id that the authors chose, or an id that jishu derived from the content. An
    /// import of changed content with the same id creates a new version.
    pub external_id: String,
    /// The number of the version that new papers use, from 1.
    pub current_version: i32,
    /// The time when the question was archived. Null if it is not archived. New papers leave archived questions out.
    pub archived_at: Option<DateTimeUtc>,
    /// The time when the question was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
