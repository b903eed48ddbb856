//! Blueprints: what the tests of a subject are made of.

use sea_orm::entity::prelude::*;

use crate::question_version::Difficulty;
use crate::{SubjectId, TopicId};

/// A row of `blueprint_parts`. A subject without any has tests of `questions_per_test` questions of all topics and
/// difficulties.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "blueprint_parts")]
pub struct Model {
    /// The subject.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// The part's place in the test, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// Only questions of this topic; null for any.
    pub topic_id: Option<TopicId>,
    /// Only questions of this difficulty; null for any.
    pub difficulty: Option<Difficulty>,
    /// How many questions.
    pub questions: i32,
    /// The topic.
    #[sea_orm(belongs_to, from = "topic_id", to = "id")]
    pub topic: BelongsTo<Option<super::topic::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
