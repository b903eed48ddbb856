//! Questions into tables, a statement for each table and not for each row.

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

use super::correct::{self, Correct, Signed};
use super::import::ImportRefusal;
use super::plan::{Outcome, plan};
use super::stored;
use crate::audit;
use crate::database::lock_subject;
use crate::error::{Error, Fault};

/// The action of an audit event: questions of a subject were imported.
pub const QUESTIONS_IMPORTED: &str = "questions.imported";

/// Questions that are stored in one transaction.
pub(super) struct Batch {
    pub(super) subject_id: SubjectId,
    pub(super) actor: Option<UserId>,
    pub(super) now: DateTime<Utc>,
    pub(super) questions: Vec<DraftQuestion>,
    /// The reason for correcting keys in fixed tests; None leaves those keys as they are.
    pub(super) correct_keys: Option<String>,
    /// The questions of the bank that other batches of the same file have matched.
    pub(super) claimed: HashSet<QuestionId>,
}

/// Whether there is such a subject.
pub(super) async fn subject_exists(connection: &impl ConnectionTrait, id: SubjectId) -> Result<bool, DbErr> {
    let found: Option<SubjectId> = subject::Entity::find_by_id(id)
        .select_only()
        .column(subject::Column::Id)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(found.is_some())
}

/// What storing a batch would do.
pub(super) async fn compare(connection: &impl ConnectionTrait, batch: &Batch) -> Result<Outcome, Fault> {
    let plan = plan(connection, batch).await?;
    let mut outcome = plan.outcome();
    outcome.claimed.extend(plan.matched.iter().map(|it| it.question));
    Ok(outcome)
}

/// Stores a batch. The lock on the subject's row puts all who change its bank in one line.
pub(super) async fn store(
    transaction: &DatabaseTransaction,
    batch: &Batch,
) -> Result<Outcome, Error<ImportRefusal>> {
    if !lock_subject(transaction, batch.subject_id).await? {
        return Err(ImportRefusal::SubjectNotFound.into());
    }
    let plan = plan(transaction, batch).await?;
    let mut outcome = plan.outcome();
    let mut versions: Vec<NewVersion<'_>> = plan
        .matched
        .iter()
        .filter(|it| it.is_changed)
        .map(|it| (it.draft, it.question, it.version + 1))
        .collect();
    // It is found by its new id from now on, so no other question is taken for it.
    for matched in plan.matched.iter().filter(|it| it.has_earlier_id) {
        question::Entity::update_many()
            .col_expr(question::Column::ExternalId, Expr::value(matched.draft.external_id.as_str()))
            .filter(question::Column::Id.eq(matched.question))
            .exec(transaction)
            .await?;
    }
    let touched: Vec<QuestionId> = versions.iter().map(|(_, id, _)| *id).collect();
    if !plan.created.is_empty() {
        let ids = insert_questions(transaction, batch, &plan.created).await?;
        for draft in &plan.created {
            let id = ids.get(&draft.external_id).copied();
            let id = id.ok_or_else(|| Fault::missing("a question that was inserted"))?;
            versions.push((draft, id, 1));
        }
    }
    let inserted = insert_versions(transaction, batch.subject_id, batch.now, &versions).await?;
    advance(transaction, touched).await?;
    if let Some(reason) = &batch.correct_keys {
        let signed = Signed { by: batch.actor, reason, now: batch.now };
        let corrections = plan.matched.iter().filter(|it| it.is_corrected());
        let corrections: Vec<Correct> = corrections.map(|it| it.correct(&inserted)).collect();
        correct::record(transaction, signed, &corrections).await?;
    }
    if outcome.created + outcome.updated > 0 {
        append_audit_event(transaction, batch).await?;
    }
    outcome.claimed.extend(plan.matched.iter().map(|it| it.question));
    Ok(outcome)
}

/// Makes the new version of these questions the current one.
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

/// The ids of the new questions, by their external ids.
async fn insert_questions(
    transaction: &DatabaseTransaction,
    batch: &Batch,
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

/// The ids of the topics of a batch, by their names; those that are new are made.
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

/// The new content of a question, its id, and the number of its new version.
pub(super) type NewVersion<'d> = (&'d DraftQuestion, QuestionId, i32);

/// Inserts versions, and returns the row of each.
pub(super) async fn insert_versions(
    transaction: &DatabaseTransaction,
    subject_id: SubjectId,
    now: DateTime<Utc>,
    versions: &[NewVersion<'_>],
) -> Result<HashMap<QuestionId, QuestionVersionId>, Fault> {
    if versions.is_empty() {
        return Ok(HashMap::new());
    }
    let names = versions.iter().map(|(draft, ..)| draft.topic.as_str()).collect();
    let topics = topics(transaction, subject_id, &names).await?;
    let mut rows = Vec::with_capacity(versions.len());
    for (draft, question_id, version) in versions {
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
            question_id: Set(*question_id),
            version: Set(*version),
            topic_id: Set(topic),
            difficulty: Set(stored::difficulty(draft.difficulty)),
            kind: Set(stored::kind(&draft.answer)),
            text_format: Set(stored::text_format(draft.text_format)),
            stem: Set(draft.stem.clone()),
            explanation: Set(draft.explanation.clone()),
            numeric_value: Set(value),
            numeric_tolerance: Set(tolerance),
            content_hash: Set(draft.content_hash()),
            created_at: Set(now),
        });
    }
    question_version::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    let ids: Vec<(QuestionId, i32, QuestionVersionId)> = question_version::Entity::find()
        .select_only()
        .column(question_version::Column::QuestionId)
        .column(question_version::Column::Version)
        .column(question_version::Column::Id)
        .filter(question_version::Column::QuestionId.is_in(versions.iter().map(|(_, id, _)| *id)))
        .filter(question_version::Column::Version.is_in(versions.iter().map(|(.., version)| *version)))
        .into_tuple()
        .all(transaction)
        .await?;
    let ids: HashMap<(QuestionId, i32), QuestionVersionId> =
        ids.into_iter().map(|(question, version, id)| ((question, version), id)).collect();
    let wanted: HashSet<(QuestionId, i32)> =
        versions.iter().map(|(_, question, version)| (*question, *version)).collect();
    let mut options = Vec::new();
    for (draft, question, version) in versions {
        let id = ids.get(&(*question, *version)).copied();
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
    Ok(ids
        .into_iter()
        .filter(|(it, _)| wanted.contains(it))
        .map(|((question, _), id)| (question, id))
        .collect())
}

async fn append_audit_event(transaction: &DatabaseTransaction, batch: &Batch) -> Result<(), DbErr> {
    let SubjectId(target_id) = batch.subject_id;
    audit::append(transaction, batch.now, batch.actor, QUESTIONS_IMPORTED, ("subjects", target_id)).await
}
