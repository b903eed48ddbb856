//! Archives and restores questions.

use chrono::{DateTime, Utc};
use jishu_entity::{QuestionId, question};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel};

use crate::account::Author;
use crate::audit;
use crate::clock::Clock;
use crate::database::{Database, IsFailure, WriteOptions, lock_subject};

/// Action of the audit event for an archived question.
pub const QUESTION_ARCHIVED: &str = "question.archived";
/// Action of the audit event for a restored question.
pub const QUESTION_RESTORED: &str = "question.restored";

/// An error after which nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no such question.
    #[error("There is no such question.")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl IsFailure for ArchiveError {
    fn database_error(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            Self::NotFound => None,
        }
    }
}

struct Command {
    by: Option<Author>,
    question: QuestionId,
    archived: bool,
    now: DateTime<Utc>,
}

/// Archives a question, so that no new test asks it, or restores it. Fixed tests keep it. Returns whether that
/// changed anything. `by` is None for the operator.
///
/// # Errors
/// See [`ArchiveError`].
pub async fn set_archived(
    database: &Database,
    clock: &dyn Clock,
    by: Option<Author>,
    question: QuestionId,
    archived: bool,
) -> Result<bool, ArchiveError> {
    let command = Command { by, question, archived, now: clock.now() };
    let options =
        WriteOptions { name: "question.archive", looks_before_it_writes: true, another_may_be_first: true };
    database.write(options, command, |transaction, command| Box::pin(run(transaction, command))).await
}

async fn run(transaction: &DatabaseTransaction, command: &Command) -> Result<bool, ArchiveError> {
    let find = || question::Entity::find_by_id(command.question).one(transaction);
    let subject = find().await?.ok_or(ArchiveError::NotFound)?.subject_id;
    lock_subject(transaction, subject).await?;
    let row = find().await?.ok_or(ArchiveError::NotFound)?;
    if row.archived_at.is_some() == command.archived {
        return Ok(false);
    }
    let mut row = row.into_active_model();
    row.archived_at = Set(command.archived.then_some(command.now));
    row.update(transaction).await?;
    let action = if command.archived { QUESTION_ARCHIVED } else { QUESTION_RESTORED };
    let target = ("questions", command.question.0);
    audit::append(transaction, command.now, command.by.map(Author::id), action, target).await?;
    Ok(true)
}
