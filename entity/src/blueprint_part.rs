//! Blueprints: the composition of the tests of a subject.

use sea_orm::entity::prelude::*;

use crate::question_version::Difficulty;
use crate::{SubjectId, TopicId};

/// A row of `blueprint_parts`: a part of the tests of a subject. If a subject has no parts, its tests have
/// `questions_per_test` questions of any topic and difficulty.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "blueprint_parts")]
pub struct Model {
    /// The subject to which the blueprint belongs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject_id: SubjectId,
    /// The position of the part in the test, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// The topic of the questions in this part. Null for any topic.
    pub topic_id: Option<TopicId>,
    /// The difficulty of the questions in this part. Null for any difficulty.
    pub difficulty: Option<Difficulty>,
    /// The number of questions in this part.
    pub questions: i32,
    /// The topic of `topic_id`, as a relation.
    #[sea_orm(belongs_to, from = "topic_id", to = "id")]
    pub topic: BelongsTo<Option<super::topic::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
