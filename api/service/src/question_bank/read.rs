//! Reads questions of the bank with their options and topics.

use std::collections::HashMap;

use jishu_entity::question_version::QuestionKind;
use jishu_entity::{
    QuestionId, QuestionVersionId, SubjectId, TopicId, question, question_option, question_version, subject,
    topic,
};
use question_formats::{DraftAnswer, DraftOption, DraftQuestion, IdOrigin, number};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationDef,
};

use super::columns;
use crate::error::Fault;
use crate::paper::{accepted_texts, option_order};

/// Tells whether a subject exists.
pub(super) async fn subject_exists(connection: &impl ConnectionTrait, id: SubjectId) -> Result<bool, DbErr> {
    let found: Option<SubjectId> = subject::Entity::find_by_id(id)
        .select_only()
        .column(subject::Column::Id)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(found.is_some())
}

/// Returns a version as a draft with line 0 and without pictures.
pub(super) fn draft(
    external_id: String,
    topic: String,
    version: &question_version::Model,
    answer: DraftAnswer,
) -> DraftQuestion {
    DraftQuestion {
        line: 0,
        external_id,
        id_origin: IdOrigin::Given,
        topic,
        difficulty: columns::draft_difficulty(version.difficulty),
        text_format: columns::draft_text_format(version.text_format),
        stem: version.stem.clone(),
        answer,
        option_order: option_order(version),
        explanation: version.explanation.clone(),
        pictures: Vec::new(),
    }
}

/// Reads the current version of each of these questions, by question. Leaves out questions that do not exist.
pub(super) async fn current_versions(
    connection: &impl ConnectionTrait,
    questions: impl IntoIterator<Item = QuestionId>,
) -> Result<HashMap<QuestionId, question_version::Model>, DbErr> {
    let of_question: RelationDef = question_version::Entity::belongs_to(question::Entity)
        .from(question_version::Column::QuestionId)
        .to(question::Column::Id)
        .into();
    let current = Expr::col((question::Entity, question::Column::CurrentVersion));
    let versions = question_version::Entity::find()
        .join(JoinType::InnerJoin, of_question)
        .filter(Expr::col((question_version::Entity, question_version::Column::Version)).eq(current))
        .filter(question_version::Column::QuestionId.is_in(questions))
        .all(connection)
        .await?;
    Ok(versions.into_iter().map(|version| (version.question_id, version)).collect())
}

/// Reads the names of the topics of these versions, by topic. All versions must belong to questions of the subject
/// `subject_id`.
pub(super) async fn topics(
    connection: &impl ConnectionTrait,
    subject_id: SubjectId,
    versions: &HashMap<QuestionId, question_version::Model>,
) -> Result<HashMap<TopicId, String>, DbErr> {
    let topics = topic::Entity::find()
        .filter(topic::Column::SubjectId.eq(subject_id))
        .filter(topic::Column::Id.is_in(versions.values().map(|version| version.topic_id)))
        .all(connection)
        .await?;
    Ok(topics.into_iter().map(|topic| (topic.id, topic.name)).collect())
}

/// Reads the kinds, options and keys of these versions, by version. Fails if the number of a numeric key is missing or
/// cannot be read.
pub(super) async fn answers<'v>(
    connection: &impl ConnectionTrait,
    versions: impl IntoIterator<Item = &'v question_version::Model>,
) -> Result<HashMap<QuestionVersionId, DraftAnswer>, Fault> {
    let versions: Vec<&question_version::Model> = versions.into_iter().collect();
    let mut options = options(connection, versions.iter().map(|version| version.id)).await?;
    let short = versions.iter().filter(|version| version.kind == QuestionKind::ShortAnswer);
    let mut texts = accepted_texts(connection, short.map(|version| version.id).collect()).await?;
    let of_version = |version: &question_version::Model| {
        let options = options.remove(&version.id).unwrap_or_default();
        let texts = texts.remove(&version.id).unwrap_or_default();
        Ok((version.id, answer(version, options, texts)?))
    };
    versions.into_iter().map(of_version).collect()
}

/// Reads the options of these versions in the author's order, by version.
async fn options(
    connection: &impl ConnectionTrait,
    versions: impl IntoIterator<Item = QuestionVersionId>,
) -> Result<HashMap<QuestionVersionId, Vec<DraftOption>>, DbErr> {
    let rows = question_option::Entity::find()
        .filter(question_option::Column::VersionId.is_in(versions))
        .order_by_asc(question_option::Column::VersionId)
        .order_by_asc(question_option::Column::Position)
        .all(connection)
        .await?;
    let mut options: HashMap<QuestionVersionId, Vec<DraftOption>> = HashMap::new();
    for row in rows {
        let option = DraftOption { text: row.text, correct: row.correct };
        options.entry(row.version_id).or_default().push(option);
    }
    Ok(options)
}

/// Returns the kind, the options and the key of a version. Fails if the number of a numeric key is missing or cannot be
/// read.
fn answer(
    version: &question_version::Model,
    options: Vec<DraftOption>,
    texts: Vec<String>,
) -> Result<DraftAnswer, Fault> {
    let decimal = |text: &Option<String>| {
        let decimal = text.as_deref().and_then(number::exact);
        decimal
            .ok_or_else(|| Fault::Inconsistent(format!("question version {} has no numeric key", version.id)))
    };
    Ok(match version.kind {
        QuestionKind::SingleChoice => DraftAnswer::Single(options),
        QuestionKind::MultipleChoice => DraftAnswer::Multiple(options),
        QuestionKind::Numeric => DraftAnswer::Numeric {
            value: decimal(&version.numeric_value)?,
            tolerance: decimal(&version.numeric_tolerance)?,
        },
        QuestionKind::ShortAnswer => {
            DraftAnswer::ShortAnswer { texts, is_case_sensitive: version.is_case_sensitive }
        }
    })
}
