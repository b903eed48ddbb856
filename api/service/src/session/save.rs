//! Saves batches of answers during a sitting.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use jishu_entity::{TestSessionId, UserId, test_session};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect};

use super::answers::{AnswerBatch, AnswerRefusal, check_batch};
use super::comparison::{BatchComparison, compare_with_stored};
use super::read;
use super::upsert::{AnswerWrite, upsert};
use super::write_coalescer::{Confirmation, WriteCoalescer};
use crate::Services;
use crate::database::{Database, WritePolicy, backoff, run_detached};
use crate::error::{Error, Fault, Refusal};

/// The result of saving a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The slots in which the answer of the batch was not stored. These slots already have the answer of another batch
    /// with a greater number or the same number.
    pub superseded: Vec<i32>,
    /// The greatest number of a batch that has stored answers in the sitting. None if the caller did not ask for this
    /// number, or if reading the number failed.
    pub sequence: Option<i32>,
}

/// A reason not to save a batch.
#[derive(Debug, thiserror::Error)]
pub enum SaveRefusal {
    /// The user has no such sitting.
    #[error("There is no such sitting.")]
    NotFound,
    /// The batch was refused.
    #[error(transparent)]
    Answer(#[from] AnswerRefusal),
    /// The sitting was submitted, or the server closed it.
    #[error("This sitting is over.")]
    Closed,
    /// The deadline of the sitting and the grace time have passed.
    #[error("The time of this sitting is over. The answers that were saved before are scored.")]
    Overdue,
}

impl Refusal for SaveRefusal {}

/// Saves a batch of answers in an open sitting. One statement can save batches of several sittings.
///
/// A repeated batch changes nothing and gets the same result, even if the sitting has ended since the first time.
/// Batches of an open sitting can arrive late or in any order: the stored answers are the same in the end.
///
/// With `wants_sequence`, also returns the greatest number of a batch that has stored answers. On PostgreSQL, the
/// statement that saves the batch returns this number if it stored all answers. Otherwise, another statement reads it.
///
/// # Errors
/// See [`SaveRefusal`]. A refusal means that nothing was written.
#[service_call("session.save")]
pub async fn save(
    services: &Services,
    owner: UserId,
    id: TestSessionId,
    batch: AnswerBatch,
    wants_sequence: bool,
) -> Result<Saved, Error<SaveRefusal>> {
    let sitting = super::sitting(services, owner, id).await?.ok_or(SaveRefusal::NotFound)?;
    let answers = check_batch(&sitting, batch.sequence, batch.answers).map_err(SaveRefusal::from)?;
    let now = services.clock.now();
    let overdue_before = services.sittings.rules.overdue_before(now);
    let sequence = batch.sequence;
    let write = AnswerWrite { id, owner, sequence, answers, now, overdue_before, wants_sequence };
    let (database, sittings) = (services.database.clone(), Arc::clone(&services.sittings));
    let (events, metrics) = (Arc::clone(&services.events), services.metrics.clone());
    // The save continues if the client disconnects.
    let mut saved = run_detached(async move {
        let write = Arc::new(write);
        let saved = match database.is_cluster() {
            true => write_on_cluster(&database, &write).await?,
            false => write_coalesced(&database, &sittings.coalescer, &write).await?,
        };
        if saved.superseded.len() < write.answers.len() {
            events.answers_saved(owner, id);
        }
        if let Some(metrics) = metrics.business() {
            metrics.save(write.answers.len() - saved.superseded.len());
        }
        Ok::<_, Error<SaveRefusal>>(saved)
    })
    .await?;
    if wants_sequence && saved.sequence.is_none() {
        // The batch is saved, so a failure to read the number is no error. The caller can read the number again.
        saved.sequence = read::answer_sequence(services, id).await.ok();
    }
    Ok(saved)
}

/// Writes a batch with the coalescer. Retries while another transaction has locked the sitting, and fails with
/// [`Fault::Held`] after the retry time of the database. Holds no connection between the tries, so that it does not
/// block other requests.
async fn write_coalesced(
    database: &Database,
    coalescer: &Arc<WriteCoalescer>,
    write: &Arc<AnswerWrite>,
) -> Result<Saved, Error<SaveRefusal>> {
    let (started, mut attempt) = (Instant::now(), 0);
    loop {
        if let Confirmation::AllStored(sequence) = coalescer.write(database, Arc::clone(write)).await? {
            return Ok(Saved { superseded: Vec::new(), sequence });
        }
        if let Some(superseded) = read_superseded(database.reader(), write).await? {
            return Ok(Saved { superseded, sequence: None });
        }
        if started.elapsed() >= database.retry_for() {
            tracing::warn!(
                session = %write.id,
                "answers were not saved, because another transaction held the sitting for too long"
            );
            return Err(Fault::Held.into());
        }
        tokio::time::sleep(backoff(attempt)).await;
        attempt += 1;
    }
}

/// Writes a batch on a cluster. The nodes of a cluster do not see each other's shared locks, so the save also updates
/// the sitting's row. If another node ends the sitting at the same time, the cluster refuses the later of the two
/// transactions, and that transaction is retried.
async fn write_on_cluster(
    database: &Database,
    write: &Arc<AnswerWrite>,
) -> Result<Saved, Error<SaveRefusal>> {
    let policy = WritePolicy::idempotent("save answers");
    database
        .write(policy, Arc::clone(write), |transaction, write| {
            Box::pin(write_with_sitting(transaction, write))
        })
        .await?;
    // If the batch was not applied and the sitting is open, the sitting was overdue at the time of the write, and
    // support has granted more time since.
    let superseded = read_superseded(database.reader(), write).await?.ok_or(SaveRefusal::Overdue)?;
    Ok(Saved { superseded, sequence: None })
}

/// Updates the row of an open sitting, and writes a batch of its answers. Writes nothing if the sitting is not open or
/// belongs to another user.
async fn write_with_sitting(
    transaction: &DatabaseTransaction,
    write: &AnswerWrite,
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

/// Reads the stored answers to find out whether a batch was applied. Returns the superseded slots of an applied batch.
/// Returns None if the batch was not applied and the sitting still accepts it.
///
/// A batch was applied if each of its slots has the answer of this batch, or the answer of a batch with the same or a
/// greater number. Batches are applied only while the sitting is open.
///
/// - If an applied batch still has a stored answer, the result is a success even in a closed sitting. The client
///   repeats the batch because it did not get the first response, and gets the same response.
/// - If an applied batch has no stored answer left, the result is a success only in an open sitting. Otherwise, the
///   refusal says that the sitting is over.
async fn read_superseded(
    connection: &impl ConnectionTrait,
    write: &AnswerWrite,
) -> Result<Option<Vec<i32>>, Error<SaveRefusal>> {
    let BatchComparison { superseded, was_applied, .. } =
        compare_with_stored(connection, write.id, write.sequence, &write.answers).await?;
    if was_applied && superseded.len() < write.answers.len() {
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
        Some(_) => Ok(was_applied.then_some(superseded)),
    }
}
