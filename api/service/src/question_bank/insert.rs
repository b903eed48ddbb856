//! Inserts versions of questions. One statement inserts many rows of a table.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use jishu_entity::{
    QuestionId, QuestionVersionId, SubjectId, TopicId, accepted_text, question, question_option,
    question_version, topic,
};
use question_formats::{DraftAnswer, DraftQuestion};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QuerySelect,
};

use super::columns;
use crate::error::Fault;
use crate::picture;

/// Adds 1 to the number of the current version of each of these questions. The caller has already
/// inserted the version with the new number.
pub(super) async fn advance(
    transaction: &DatabaseTransaction,
    questions: Vec<QuestionId>,
) -> Result<(), DbErr> {
    if !questions.is_empty() {
        question::Entity::update_many()
            .col_expr(question::Column::CurrentVersion, Expr::col(question::Column::CurrentVersion).add(1))
            .filter(question::Column::Id.is_in(questions))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

/// Returns the ids of the topics of a subject that have these names, by name. Inserts the topics that do not exist.
async fn topics(
    transaction: &DatabaseTransaction,
    subject_id: SubjectId,
    names: &BTreeSet<&str>,
) -> Result<HashMap<String, TopicId>, Fault> {
    let find = || {
        topic::Entity::find()
            .filter(topic::Column::SubjectId.eq(subject_id))
            .filter(topic::Column::Name.is_in(names.iter().copied()))
            .all(transaction)
    };
    let by_name = |topics: Vec<topic::Model>| -> HashMap<String, TopicId> {
        topics.into_iter().map(|topic| (topic.name, topic.id)).collect()
    };
    let known = by_name(find().await?);
    let new: Vec<topic::ActiveModel> = names
        .iter()
        .filter(|name| !known.contains_key(**name))
        .map(|name| topic::ActiveModel {
            id: NotSet,
            subject_id: Set(subject_id),
            name: Set((*name).to_owned()),
        })
        .collect();
    if new.is_empty() {
        return Ok(known);
    }
    topic::Entity::insert_many(new).exec_without_returning(transaction).await?;
    Ok(by_name(find().await?))
}

/// A version that is about to be inserted.
#[derive(Clone, Copy)]
pub(super) struct NewVersion<'d> {
    pub(super) draft: &'d DraftQuestion,
    pub(super) question: QuestionId,
    /// The number of the version, from 1.
    pub(super) number: i32,
}

/// Inserts versions with their options, accepted texts and pictures. Also inserts topics that the subject does not
/// have. Returns the ids of the versions, by question.
pub(super) async fn insert_versions(
    transaction: &DatabaseTransaction,
    subject_id: SubjectId,
    now: DateTime<Utc>,
    versions: &[NewVersion<'_>],
) -> Result<HashMap<QuestionId, QuestionVersionId>, Fault> {
    if versions.is_empty() {
        return Ok(HashMap::new());
    }
    let names = versions.iter().map(|version| version.draft.topic.as_str()).collect();
    let topics = topics(transaction, subject_id, &names).await?;
    let mut rows = Vec::with_capacity(versions.len());
    for NewVersion { draft, question, number } in versions {
        let topic = topics.get(&draft.topic).copied();
        let topic = topic.ok_or_else(|| Fault::missing("a topic that was inserted"))?;
        let (value, tolerance) = match &draft.answer {
            DraftAnswer::Numeric { value, tolerance } => {
                (Some(value.to_string()), Some(tolerance.to_string()))
            }
            _ => (None, None),
        };
        rows.push(question_version::ActiveModel {
            id: NotSet,
            question_id: Set(*question),
            version: Set(*number),
            topic_id: Set(topic),
            difficulty: Set(columns::difficulty(draft.difficulty)),
            kind: Set(columns::kind(&draft.answer)),
            text_format: Set(columns::text_format(draft.text_format)),
            stem: Set(draft.stem.clone()),
            explanation: Set(draft.explanation.clone()),
            numeric_value: Set(value),
            numeric_tolerance: Set(tolerance),
            keeps_options: Set(!draft.option_order.shuffled),
            fixed_options: Set(columns::fixed_options(&draft.option_order)),
            is_case_sensitive: Set(matches!(
                draft.answer,
                DraftAnswer::ShortAnswer { is_case_sensitive: true, .. }
            )),
            content_hash: Set(draft.content_hash()),
            created_at: Set(now),
        });
    }
    question_version::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    let ids = inserted_ids(transaction, versions).await?;
    insert_options(transaction, versions, &ids).await?;
    insert_texts(transaction, versions, &ids).await?;
    let with_ids: Vec<(QuestionVersionId, &DraftQuestion)> = versions
        .iter()
        .filter_map(|version| Some((ids.get(&version.question).copied()?, version.draft)))
        .collect();
    picture::store(transaction, now, &with_ids).await?;
    Ok(ids)
}

/// Reads the ids of the versions that were just inserted, by question.
async fn inserted_ids(
    transaction: &DatabaseTransaction,
    versions: &[NewVersion<'_>],
) -> Result<HashMap<QuestionId, QuestionVersionId>, DbErr> {
    let ids: Vec<(QuestionId, i32, QuestionVersionId)> = question_version::Entity::find()
        .select_only()
        .column(question_version::Column::QuestionId)
        .column(question_version::Column::Version)
        .column(question_version::Column::Id)
        .filter(question_version::Column::QuestionId.is_in(versions.iter().map(|version| version.question)))
        .filter(question_version::Column::Version.is_in(versions.iter().map(|version| version.number)))
        .into_tuple()
        .all(transaction)
        .await?;
    // The two conditions on question and number are independent. So the statement also finds an older version if its
    // number is the number of a new version of another question. Leave these older versions out.
    let wanted: HashSet<(QuestionId, i32)> =
        versions.iter().map(|version| (version.question, version.number)).collect();
    Ok(ids
        .into_iter()
        .filter(|(question, number, _)| wanted.contains(&(*question, *number)))
        .map(|(question, _, id)| (question, id))
        .collect())
}

/// Inserts the options of new versions, whose ids are in `ids`.
async fn insert_options(
    transaction: &DatabaseTransaction,
    versions: &[NewVersion<'_>],
    ids: &HashMap<QuestionId, QuestionVersionId>,
) -> Result<(), Fault> {
    let mut options = Vec::new();
    for NewVersion { draft, question, .. } in versions {
        let id = ids.get(question).copied();
        let id = id.ok_or_else(|| Fault::missing("a version that was inserted"))?;
        options.extend(draft.answer.options().iter().zip(0..).map(|(option, position)| {
            question_option::ActiveModel {
                version_id: Set(id),
                position: Set(position),
                text: Set(option.text.clone()),
                correct: Set(option.correct),
            }
        }));
    }
    if !options.is_empty() {
        question_option::Entity::insert_many(options).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Inserts the accepted texts of new versions, whose ids are in `ids`. Only versions of short answers have accepted
/// texts.
async fn insert_texts(
    transaction: &DatabaseTransaction,
    versions: &[NewVersion<'_>],
    ids: &HashMap<QuestionId, QuestionVersionId>,
) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for NewVersion { draft, question, .. } in versions {
        let DraftAnswer::ShortAnswer { texts, .. } = &draft.answer else { continue };
        let id = ids.get(question).copied();
        let id = id.ok_or_else(|| Fault::missing("a version that was inserted"))?;
        rows.extend(texts.iter().zip(0..).map(|(text, position)| accepted_text::ActiveModel {
            version_id: Set(id),
            position: Set(position),
            text: Set(text.clone()),
        }));
    }
    while !rows.is_empty() {
        let chunk: Vec<_> = rows.drain(..rows.len().min(MAX_TEXTS_PER_STATEMENT)).collect();
        accepted_text::Entity::insert_many(chunk).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Maximum number of accepted texts that one statement inserts. Each text needs three parameters, and databases allow
/// about 32,000 parameters for a statement.
const MAX_TEXTS_PER_STATEMENT: usize = 5_000;
