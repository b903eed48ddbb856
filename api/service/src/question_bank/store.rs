//! Stores a batch of imported questions. One statement inserts many rows of a table.

use std::collections::HashMap;

use jishu_entity::{QuestionId, question};
use question_formats::DraftQuestion;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QuerySelect,
};
use serde_json::json;

use super::insert::{NewVersion, advance, insert_versions};
use super::plan::{ImportBatch, ImportOutcome, plan};
use super::record::{self, CorrectionAuthorship, KeyCorrection};
use super::report::ImportRefusal;
use crate::audit::{self, StateChange};
use crate::database::lock_subject;
use crate::error::{Error, Fault};

/// The action of the audit event for imported questions.
pub const QUESTIONS_IMPORTED: &str = "questions.imported";

/// Returns the outcome that storing a batch would have, without writing anything.
pub(super) async fn compare(
    connection: &impl ConnectionTrait,
    batch: &ImportBatch,
) -> Result<ImportOutcome, Fault> {
    let plan = plan(connection, batch).await?;
    let mut outcome = plan.outcome();
    outcome.claimed.extend(plan.matched.iter().map(|it| it.question));
    Ok(outcome)
}

/// Stores a batch: new questions, new versions, and corrections of keys if the batch asks for them. Appends an audit
/// event if a question was created or got a new version. Locks the row of the subject, so that changes of its bank run
/// one after another.
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
    // Store the external id of the draft, so that later imports find the question by this id, and no longer by the
    // earlier id, which was derived without embedded files.
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
        record::record(transaction, authorship, &corrections).await?;
    }
    if outcome.created + outcome.updated > 0 {
        append_audit_event(transaction, batch, &outcome).await?;
    }
    outcome.claimed.extend(plan.matched.iter().map(|it| it.question));
    Ok(outcome)
}

/// Inserts questions without versions, and returns their ids by external id.
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
