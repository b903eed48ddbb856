//! The options of questions, in the order in which the authors wrote them.

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
    /// The position of the option in the author's order, from 0 to 25. Most sittings show the options in another order,
    /// because this order can reveal the key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// The text of the option.
    pub text: String,
    /// Whether the option is correct.
    pub correct: bool,
}

impl ActiveModelBehavior for ActiveModel {}
