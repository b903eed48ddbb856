//! The accepted texts of short-answer questions, in the order in which the authors wrote them. Learners see them only
//! in a review.

use sea_orm::entity::prelude::*;

use crate::QuestionVersionId;

/// A row of `accepted_texts`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accepted_texts")]
pub struct Model {
    /// The version of the question.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version_id: QuestionVersionId,
    /// The position of the text in the author's order, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// The accepted text. `*` stands for any characters, and `\*` for an asterisk.
    pub text: String,
}

impl ActiveModelBehavior for ActiveModel {}
