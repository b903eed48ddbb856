//! The questions of papers, each in its version at revision 1 of the paper.

use sea_orm::entity::prelude::*;

use crate::{PaperId, QuestionId, QuestionVersionId};

/// A row of `paper_questions`. UNIQUE (paper_id, question_id).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "paper_questions")]
pub struct Model {
    /// The paper that contains the question.
    #[sea_orm(primary_key, auto_increment = false)]
    pub paper_id: PaperId,
    /// The position of the question in the paper, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: i32,
    /// The question in this slot.
    pub question_id: QuestionId,
    /// The version of the question in revision 1 of the paper. Later versions are in `paper_revisions`.
    pub version_id: QuestionVersionId,
}

impl ActiveModelBehavior for ActiveModel {}
