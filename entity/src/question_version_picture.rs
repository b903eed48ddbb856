//! The pictures that the texts of a version of a question show.

use sea_orm::entity::prelude::*;

use crate::QuestionVersionId;

/// A row of `question_version_pictures`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "question_version_pictures")]
pub struct Model {
    /// The version of the question.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version_id: QuestionVersionId,
    /// The hash of the picture, which is its primary key in `pictures`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
}

impl ActiveModelBehavior for ActiveModel {}
