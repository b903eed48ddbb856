//! Archives and restores questions.

use chrono::{DateTime, Utc};
use jishu_entity::{QuestionId, question};
use jishu_service_macros::service_call;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, EntityTrait, IntoActiveModel};
use serde_json::json;

use crate::account::Author;
use crate::audit::{self, StateChange};
use crate::clock::Clock;
use crate::database::{Database, WritePolicy, lock_subject};
use crate::error::{Error, Refusal};

/// The action of the audit event for an archived question.
pub const QUESTION_ARCHIVED: &str = "question.archived";
/// The action of the audit event for a restored question.
pub const QUESTION_RESTORED: &str = "question.restored";

/// A reason not to archive or restore a question. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveRefusal {
    /// There is no such question.
    #[error("There is no such question.")]
    NotFound,
}

impl Refusal for ArchiveRefusal {}

/// A request to archive or restore a question.
struct ArchiveCommand {
    by: Option<Author>,
    question: QuestionId,
    archived: bool,
    now: DateTime<Utc>,
}

/// Archives the question if `archived` is true, and restores it otherwise. New tests do not ask an archived question,
/// but fixed tests still ask it. Returns whether the question changed: false if it already was in the requested state.
/// `by` is the author who asks for the change, and None for the operator.
///
/// # Errors
/// See [`ArchiveRefusal`].
#[service_call]
pub async fn set_archived(
    database: &Database,
    clock: &dyn Clock,
    by: Option<Author>,
    question: QuestionId,
    archived: bool,
) -> Result<bool, Error<ArchiveRefusal>> {
    let command = ArchiveCommand { by, question, archived, now: clock.now() };
    let policy = WritePolicy::idempotent("question.archive").retry_taken_keys();
    database.write(policy, command, |transaction, command| Box::pin(run(transaction, command))).await
}

/// Archives or restores the question in a transaction, and appends an audit event. Returns false and writes nothing if
/// the question already is in the requested state.
async fn run(
    transaction: &DatabaseTransaction,
    command: &ArchiveCommand,
) -> Result<bool, Error<ArchiveRefusal>> {
    let find = || question::Entity::find_by_id(command.question).one(transaction);
    let subject = find().await?.ok_or(ArchiveRefusal::NotFound)?.subject_id;
    lock_subject(transaction, subject).await?;
    let row = find().await?.ok_or(ArchiveRefusal::NotFound)?;
    if row.archived_at.is_some() == command.archived {
        return Ok(false);
    }
    let mut row = row.into_active_model();
    row.archived_at = Set(command.archived.then_some(command.now));
    row.update(transaction).await?;
    let action = if command.archived { QUESTION_ARCHIVED } else { QUESTION_RESTORED };
    let target = ("questions", command.question.0);
    let state = |archived: bool| json!({ "archived": archived });
    let change = StateChange::between(state(!command.archived), state(command.archived));
    let by = command.by.map(Author::id);
    audit::append_change(transaction, command.now, by, action, target, &change).await?;
    Ok(true)
}
