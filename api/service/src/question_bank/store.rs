//! Stores questions, with one statement for each table and not for each row.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use jishu_entity::{
    QuestionId, QuestionVersionId, SubjectId, TopicId, UserId, question, question_option, question_version,
    subject, topic,
};
use question_formats::{DraftAnswer, DraftQuestion};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QuerySelect,
};
use serde_json::json;

use super::columns;
use super::correct::{self, CorrectionAuthorship, KeyCorrection};
use super::import::ImportRefusal;
use super::plan::{ImportOutcome, plan};
use crate::audit::{self, StateChange};
use crate::database::lock_subject;
use crate::error::{Error, Fault};

/// The action of the audit event for imported questions.
pub const QUESTIONS_IMPORTED: &str = "questions.imported";

/// Questions that are stored in one transaction.
pub(super) struct ImportBatch {
    pub(super) subject_id: SubjectId,
    pub(super) actor: Option<UserId>,
    pub(super) now: DateTime<Utc>,
    pub(super) questions: Vec<DraftQuestion>,
    /// The reason for correcting keys in fixed tests; None keeps these keys.
    pub(super) correct_keys: Option<String>,
    /// The questions of the bank that earlier batches of the same file have matched.
    pub(super) claimed: HashSet<QuestionId>,
}

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

/// Returns the outcome that storing a batch would have.
pub(super) async fn compare(
    connection: &impl ConnectionTrait,
    batch: &ImportBatch,
) -> Result<ImportOutcome, Fault> {
    let plan = plan(connection, batch).await?;
    let mut outcome = plan.outcome();
    outcome.claimed.extend(plan.matched.iter().map(|it| it.question));
    Ok(outcome)
}

/// Stores a batch. The lock on the subject's row orders all changes of its bank.
pub(super) async fn store(
    transaction: &DatabaseTransaction,
    batch: &ImportBatch,
) -> Result<ImportOutcome, Error<ImportRefusal>> {
    if !lock_subject(transaction, batch.subject_id).await? {
        return Err(ImportRefusal::SubjectNotFound.into());
    }
    let plan = plan(transaction, batch).await?;
    let mut outcome = plan.outcome();
    let mut versions: Vec<NewVersion<'_>> = plan
        .matched
        .iter()
        .filter(|it| it.is_changed)
        .map(|it| NewVersion { draft: it.draft, question: it.question, number: it.version + 1 })
        .collect();
    // Later imports find the question by its new id, so they match no other question with it.
    for matched in plan.matched.iter().filter(|it| it.has_earlier_id) {
        question::Entity::update_many()
            .col_expr(question::Column::ExternalId, Expr::value(matched.draft.external_id.as_str()))
            .filter(question::Column::Id.eq(matched.question))
            .exec(transaction)
            .await?;
    }
    let updated: Vec<QuestionId> = versions.iter().map(|version| version.question).collect();
    if !plan.created.is_empty() {
        let ids = insert_questions(transaction, batch, &plan.created).await?;
        for draft in &plan.created {
            let id = ids.get(&draft.external_id).copied();
            let id = id.ok_or_else(|| Fault::missing("a question that was inserted"))?;
            versions.push(NewVersion { draft, question: id, number: 1 });
        }
    }
    let inserted = insert_versions(transaction, batch.subject_id, batch.now, &versions).await?;
    advance(transaction, updated).await?;
    if let Some(reason) = &batch.correct_keys {
        let authorship = CorrectionAuthorship { by: batch.actor, reason, now: batch.now };
        let corrections = plan.matched.iter().filter(|it| it.is_corrected());
        let corrections: Vec<KeyCorrection> = corrections.map(|it| it.correct(&inserted)).collect();
        correct::record(transaction, authorship, &corrections).await?;
    }
    if outcome.created + outcome.updated > 0 {
        append_audit_event(transaction, batch, &outcome).await?;
    }
    outcome.claimed.extend(plan.matched.iter().map(|it| it.question));
    Ok(outcome)
}

/// Makes the next version of these questions the current one.
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

/// Inserts questions, and returns their ids by external id.
async fn insert_questions(
    transaction: &DatabaseTransaction,
    batch: &ImportBatch,
    drafts: &[&DraftQuestion],
) -> Result<HashMap<String, QuestionId>, Fault> {
    let rows = drafts.iter().map(|draft| question::ActiveModel {
        id: NotSet,
        subject_id: Set(batch.subject_id),
        external_id: Set(draft.external_id.clone()),
        current_version: Set(1),
        archived_at: NotSet,
        created_at: Set(batch.now),
    });
    question::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    let ids: Vec<(String, QuestionId)> = question::Entity::find()
        .select_only()
        .column(question::Column::ExternalId)
        .column(question::Column::Id)
        .filter(question::Column::SubjectId.eq(batch.subject_id))
        .filter(question::Column::ExternalId.is_in(drafts.iter().map(|draft| &draft.external_id)))
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Returns the ids of topics by name. Inserts the topics that do not exist.
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

/// Inserts versions with their options. Returns the ids of the versions, by question.
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
            content_hash: Set(draft.content_hash()),
            created_at: Set(now),
        });
    }
    question_version::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    let ids = inserted_ids(transaction, versions).await?;
    insert_options(transaction, versions, &ids).await?;
    Ok(ids)
}

/// Reads the ids of versions that were inserted, by question.
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
    // The statement also finds other versions, with a number that another question has.
    let wanted: HashSet<(QuestionId, i32)> =
        versions.iter().map(|version| (version.question, version.number)).collect();
    Ok(ids
        .into_iter()
        .filter(|(question, number, _)| wanted.contains(&(*question, *number)))
        .map(|(question, _, id)| (question, id))
        .collect())
}

/// Inserts the options of versions.
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

async fn append_audit_event(
    transaction: &DatabaseTransaction,
    batch: &ImportBatch,
    outcome: &ImportOutcome,
) -> Result<(), DbErr> {
    let target = ("subjects", batch.subject_id.0);
    let change = json!({ "questionsCreated": outcome.created, "questionsUpdated": outcome.updated });
    let change = StateChange::created(change);
    audit::append_change(transaction, batch.now, batch.actor, QUESTIONS_IMPORTED, target, &change).await
}
