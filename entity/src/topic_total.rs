//! What a learner's sittings add up to, by topic.

use sea_orm::entity::prelude::*;

use crate::{TopicId, UserId};

/// A row of `topic_totals`, kept up when a sitting is closed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "topic_totals")]
pub struct Model {
    /// The learner.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The topic.
    #[sea_orm(primary_key, auto_increment = false)]
    pub topic_id: TopicId,
    /// How many questions were answered correctly, in all scored sittings.
    pub correct: i32,
    /// How many were answered wrongly.
    pub wrong: i32,
    /// How many were not answered.
    pub unanswered: i32,
    /// Hundredths of a mark.
    pub score: i64,
}

impl ActiveModelBehavior for ActiveModel {}
