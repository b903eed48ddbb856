//! Questions: what stays the same through all versions of one.

use sea_orm::entity::prelude::*;

use crate::{QuestionId, SubjectId};

/// A row of `questions`. UNIQUE (subject_id, external_id). Archived, never deleted.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "questions")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: QuestionId,
    /// The subject it belongs to.
    pub subject_id: SubjectId,
    /// What its authors call it: importing it again makes a new version.
    pub external_id: String,
    /// The version that new papers take, from 1.
    pub current_version: i32,
    /// When it left the bank: new papers leave it out.
    pub archived_at: Option<DateTimeUtc>,
    /// When it was created.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
