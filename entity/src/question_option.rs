//! The options of questions, in the order their authors gave them.

use sea_orm::entity::prelude::*;

use crate::QuestionVersionId;

/// A row of `question_options`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "question_options")]
pub struct Model {
    /// The version of the question.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version_id: QuestionVersionId,
    /// The author's order, from 0 to 25. It can give the key away: learners never see it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// What it says.
    pub text: String,
    /// Whether it is of the key.
    pub correct: bool,
}

impl ActiveModelBehavior for ActiveModel {}
