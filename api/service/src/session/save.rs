//! Autosave.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use jishu_entity::{TestSessionId, UserId, test_answer, test_session};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect,
};

use super::answers::{AnswerRefusal, GivenAnswer, StoredAnswer, checked};
use super::together::{Together, Written};
use super::upsert::{Write, upsert};
use crate::Services;
use crate::database::{Database, WritePolicy, backoff, run_detached};
use crate::error::{Error, Fault, Refusal};

/// Answers that are saved together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its number, from 1: greater than of any batch before it. In a slot the batch with the greatest number counts.
    pub sequence: i32,
    /// The answers.
    pub answers: Vec<GivenAnswer>,
}

/// What was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The slots that keep another answer than the batch gives: a batch with a greater number has set them, or another
    /// one with the same.
    pub superseded: Vec<i32>,
}

/// A reason not to save a batch.
#[derive(Debug, thiserror::Error)]
pub enum SaveRefusal {
    /// No such sitting, or another's.
    #[error("There is no such sitting.")]
    NotFound,
    /// The batch cannot be one.
    #[error(transparent)]
    Answer(#[from] AnswerRefusal),
    /// It was submitted, or closed after its deadline.
    #[error("This sitting is over.")]
    Closed,
    /// Its deadline has passed.
    #[error("The time of this sitting is over; what was saved before is scored.")]
    Overdue,
}

impl Refusal for SaveRefusal {}

/// Saves a batch in an open sitting, in one statement, which batches of other sittings may share. Sending it again changes
/// nothing and is answered as before, also where the sitting has ended since; batches that come late or in another order
/// leave the same.
///
/// # Errors
/// See [`SaveRefusal`]; nothing was written.
pub async fn save(
    services: &Services,
    owner: UserId,
    id: TestSessionId,
    batch: Batch,
) -> Result<Saved, Error<SaveRefusal>> {
    let sitting = super::sitting(services, owner, id).await?.ok_or(SaveRefusal::NotFound)?;
    let answers = checked(&sitting, batch.sequence, batch.answers).map_err(SaveRefusal::from)?;
    let now = services.clock.now();
    let overdue_before = services.sittings.rules.overdue_before(now);
    let write = Write { id, owner, sequence: batch.sequence, answers, now, overdue_before };
    let (database, sittings) = (services.database.clone(), Arc::clone(&services.sittings));
    let events = Arc::clone(&services.events);
    // Also when the client has left.
    run_detached(async move {
        let write = Arc::new(write);
        let superseded = match database.is_cluster() {
            true => write_on_cluster(&database, &write).await?,
            false => write_together(&database, &sittings.together, &write).await?,
        };
        if superseded.len() < write.answers.len() {
            events.answers_saved(owner, id);
        }
        Ok(Saved { superseded })
    })
    .await
}

/// Writes a batch, and tells the slots in which another one stays. While something else is changing its sitting it is tried
/// again and again: it holds no connection meanwhile, and nobody else up.
async fn write_together(
    database: &Database,
    together: &Arc<Together>,
    write: &Arc<Write>,
) -> Result<Vec<i32>, Error<SaveRefusal>> {
    let (started, mut attempt) = (Instant::now(), 0);
    loop {
        if together.write(database, Arc::clone(write)).await? == Written::All {
            return Ok(Vec::new());
        }
        if let Some(superseded) = became_of(database.reader(), write).await? {
            return Ok(superseded);
        }
        if started.elapsed() >= database.retry_for() {
            tracing::warn!(session = %write.id, "a sitting is being changed for so long that answers cannot be saved");
            return Err(Fault::Held.into());
        }
        tokio::time::sleep(backoff(attempt)).await;
        attempt += 1;
    }
}

/// The nodes of a cluster do not know of each other's shared locks. So the sitting's row is written as well: of this and
/// the end of the sitting on another node the later one is refused, and run again.
async fn write_on_cluster(database: &Database, write: &Arc<Write>) -> Result<Vec<i32>, Error<SaveRefusal>> {
    let policy = WritePolicy::idempotent("save answers");
    database
        .write(policy, Arc::clone(write), |transaction, write| {
            Box::pin(write_with_sitting(transaction, write))
        })
        .await?;
    // It was overdue when the batch came, where support has granted time meanwhile.
    became_of(database.reader(), write).await?.ok_or_else(|| SaveRefusal::Overdue.into())
}

async fn write_with_sitting(
    transaction: &DatabaseTransaction,
    write: &Write,
) -> Result<(), Error<SaveRefusal>> {
    let open = test_session::Entity::update_many()
        .col_expr(test_session::Column::Saves, Expr::col(test_session::Column::Saves).add(1))
        .filter(test_session::Column::Id.eq(write.id))
        .filter(test_session::Column::UserId.eq(write.owner))
        .filter(test_session::Column::OpenMarker.eq(1))
        .exec(transaction)
        .await?;
    if open.rows_affected > 0 {
        transaction.execute_raw(upsert(transaction.get_database_backend(), &[write])).await?;
    }
    Ok(())
}

/// What became of a batch that was to be written, by what is stored: the slots in which another one stays; none where
/// nothing was written of it though its sitting would take it now.
///
/// A batch was taken where each of its slots has its answer or that of a batch which goes before it; only one that comes to an
/// open sitting is. So a batch that was taken and of which something stands is accepted wherever it comes again: its first
/// answer was lost, and this is the same. Where nothing of it stands, that is told of an open sitting alone; of one that is
/// over it cannot matter any more, and the client learns of the end.
async fn became_of(
    connection: &impl ConnectionTrait,
    write: &Write,
) -> Result<Option<Vec<i32>>, Error<SaveRefusal>> {
    let Standing { superseded, taken } =
        standing(connection, write.id, write.sequence, &write.answers).await?;
    if taken && superseded.len() < write.answers.len() {
        return Ok(Some(superseded));
    }
    let state: Option<(Option<i32>, DateTime<Utc>)> = test_session::Entity::find_by_id(write.id)
        .select_only()
        .column(test_session::Column::OpenMarker)
        .column(test_session::Column::ExpiresAt)
        .into_tuple()
        .one(connection)
        .await?;
    match state {
        None => Err(SaveRefusal::NotFound.into()),
        Some((None, _)) => Err(SaveRefusal::Closed.into()),
        Some((Some(_), expires_at)) if expires_at < write.overdue_before => Err(SaveRefusal::Overdue.into()),
        Some(_) => Ok(taken.then_some(superseded)),
    }
}

/// What is stored in the slots of a batch.
pub(super) struct Standing {
    /// The slots that do not have its answer.
    pub(super) superseded: Vec<i32>,
    /// Whether all of these have that of another batch with the same or a greater number, as they do once it was taken.
    taken: bool,
}

/// Compares a batch with what is stored.
pub(super) async fn standing(
    connection: &impl ConnectionTrait,
    id: TestSessionId,
    sequence: i32,
    answers: &[StoredAnswer],
) -> Result<Standing, DbErr> {
    let rows = test_answer::Entity::find()
        .filter(test_answer::Column::SessionId.eq(id))
        .filter(test_answer::Column::Slot.is_in(answers.iter().map(|answer| answer.slot)))
        .all(connection)
        .await?;
    let is_superseded = |answer: &&StoredAnswer| !rows.iter().any(|row| answer.is(sequence, row));
    let superseded: Vec<i32> = answers.iter().filter(is_superseded).map(|answer| answer.slot).collect();
    let taken =
        superseded.iter().all(|slot| rows.iter().any(|row| row.slot == *slot && row.sequence >= sequence));
    Ok(Standing { superseded, taken })
}
