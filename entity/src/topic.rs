//! Topics: the parts of a subject to which its questions belong.

use sea_orm::entity::prelude::*;

use crate::{SubjectId, TopicId};

/// A row of `topics`. UNIQUE (subject_id, name).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "topics")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: TopicId,
    /// The subject of the topic.
    pub subject_id: SubjectId,
    /// The name of the topic.
    pub name: String,
}

impl ActiveModelBehavior for ActiveModel {}
