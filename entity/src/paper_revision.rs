//! Revisions of papers: the slots that have another version of their question after a correction of a key.

use sea_orm::entity::prelude::*;

use crate::{PaperId, QuestionCorrectionId, QuestionVersionId};

/// A row of `paper_revisions`. From `revision` on, the slot has `version_id`, until a row with a later revision of the
/// slot. The versions of revision 1 are in `paper_questions`. Rows never change.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "paper_revisions")]
pub struct Model {
    /// The paper that is revised.
    #[sea_orm(primary_key, auto_increment = false)]
    pub paper_id: PaperId,
    /// The first revision in which the slot has this version, from 2.
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i32,
    /// The slot whose version changes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// The version of the question in this slot from this revision on.
    pub version_id: QuestionVersionId,
    /// The correction that caused the revision.
    pub correction_id: QuestionCorrectionId,
}

impl ActiveModelBehavior for ActiveModel {}
