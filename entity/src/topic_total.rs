//! The totals of each learner's scored sittings, by topic.

use sea_orm::entity::prelude::*;

use crate::{TopicId, UserId};

/// A row of `topic_totals`. It is updated when a sitting ends.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "topic_totals")]
pub struct Model {
    /// The learner who took the tests.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The topic of the questions.
    #[sea_orm(primary_key, auto_increment = false)]
    pub topic_id: TopicId,
    /// The number of correct answers in all scored sittings.
    pub correct: i32,
    /// The number of wrong answers in all scored sittings.
    pub wrong: i32,
    /// The number of questions without an answer in all scored sittings.
    pub unanswered: i32,
    /// The marks in all scored sittings, in hundredths.
    pub score: i64,
}

impl ActiveModelBehavior for ActiveModel {}
