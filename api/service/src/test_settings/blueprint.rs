//! The blueprint of a subject: the number of questions of each topic and difficulty in its tests.

use std::collections::HashMap;

use jishu_entity::question_version::Difficulty;
use jishu_entity::{SubjectId, TopicId, blueprint_part, topic};
use jishu_service_macros::service_call;
use sea_orm::{
    ActiveEnum, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QueryOrder,
};
use serde_json::json;

use super::SettingsRefusal;
use crate::Services;
use crate::error::Error;

/// A part of a blueprint, as an author writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlueprintPart {
    /// The name of the topic of the questions of this part; None for any topic.
    pub topic: Option<String>,
    /// The difficulty of the questions of this part; None for any difficulty.
    pub difficulty: Option<Difficulty>,
    /// The number of questions of this part in each test.
    pub questions: i32,
}

/// Returns the number of questions of all parts of a blueprint together.
pub(super) fn questions_of(parts: &[BlueprintPart]) -> i64 {
    parts.iter().map(|part| i64::from(part.questions)).sum()
}

/// Replaces all parts of a subject's blueprint. Refuses a topic that the subject does not have. An empty list removes
/// the blueprint.
pub(super) async fn replace(
    transaction: &DatabaseTransaction,
    subject: SubjectId,
    parts: &[BlueprintPart],
) -> Result<(), Error<SettingsRefusal>> {
    let topics: HashMap<String, TopicId> = topic::Entity::find()
        .filter(topic::Column::SubjectId.eq(subject))
        .all(transaction)
        .await?
        .into_iter()
        .map(|topic| (topic.name, topic.id))
        .collect();
    let mut rows = Vec::with_capacity(parts.len());
    for (position, part) in (0..).zip(parts) {
        let topic_id = match &part.topic {
            None => None,
            Some(name) => match topics.get(name) {
                Some(id) => Some(*id),
                None => return Err(SettingsRefusal::NoSuchTopic(name.clone()).into()),
            },
        };
        rows.push(blueprint_part::ActiveModel {
            subject_id: Set(subject),
            position: Set(position),
            topic_id: Set(topic_id),
            difficulty: Set(part.difficulty),
            questions: Set(part.questions),
        });
    }
    blueprint_part::Entity::delete_many()
        .filter(blueprint_part::Column::SubjectId.eq(subject))
        .exec(transaction)
        .await?;
    if !rows.is_empty() {
        blueprint_part::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Returns the number of questions of a subject's blueprint; 0 if it has no blueprint.
pub(crate) async fn count_questions(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
) -> Result<i32, DbErr> {
    let parts = blueprint_part::Entity::find().filter(blueprint_part::Column::SubjectId.eq(subject));
    Ok(parts.all(connection).await?.iter().map(|part| part.questions).sum())
}

/// Reads the blueprint of a subject. The result is empty if the subject has no blueprint; its tests then take any
/// questions of the subject.
///
/// # Errors
/// Returns the database's error.
#[service_call("test_settings.blueprint")]
pub async fn blueprint(services: &Services, subject: SubjectId) -> Result<Vec<BlueprintPart>, DbErr> {
    read(services.database.reader(), subject).await
}

/// Reads the parts of the blueprint of a subject, in their order.
pub(super) async fn read(
    connection: &impl ConnectionTrait,
    subject: SubjectId,
) -> Result<Vec<BlueprintPart>, DbErr> {
    let parts = blueprint_part::Entity::find()
        .find_also_related(topic::Entity)
        .filter(blueprint_part::Column::SubjectId.eq(subject))
        .order_by_asc(blueprint_part::Column::Position)
        .all(connection)
        .await?;
    Ok(parts
        .into_iter()
        .map(|(part, topic)| BlueprintPart {
            topic: topic.map(|topic| topic.name),
            difficulty: part.difficulty,
            questions: part.questions,
        })
        .collect())
}

/// Returns a blueprint as a JSON list, for the audit trail.
pub(super) fn to_json(parts: &[BlueprintPart]) -> serde_json::Value {
    let part = |part: &BlueprintPart| {
        let difficulty = part.difficulty.map(|difficulty| difficulty.to_value());
        json!({ "topic": part.topic, "difficulty": difficulty, "questions": part.questions })
    };
    parts.iter().map(part).collect()
}
