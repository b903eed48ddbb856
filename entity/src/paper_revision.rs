//! Revisions of papers: the slots that a corrected key has changed.

use sea_orm::entity::prelude::*;

use crate::{PaperId, QuestionCorrectionId, QuestionVersionId};

/// A row of `paper_revisions`. From this revision on the slot has this version, until a later row. The slots of
/// revision 1 are in `paper_questions`. Rows never change.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "paper_revisions")]
pub struct Model {
    /// The paper.
    #[sea_orm(primary_key, auto_increment = false)]
    pub paper_id: PaperId,
    /// The first revision with this version, from 2.
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i32,
    /// The slot.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// The version of the question in this slot from this revision on.
    pub version_id: QuestionVersionId,
    /// The correction that caused the revision.
    pub correction_id: QuestionCorrectionId,
}

impl ActiveModelBehavior for ActiveModel {}
