//! Combines the batches of many sittings into one statement.
//!
//! If fewer than [`MAX_CONCURRENT_STATEMENTS`] statements are running, a batch is written at once. Otherwise, it waits
//! until a statement ends. Then one statement writes all batches that arrived in the meantime, up to its maximum size.
//! So the more learners save at once, the less each save costs. A statement skips sittings that another transaction is
//! changing, so these sittings do not delay other sittings.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use jishu_entity::TestSessionId;
use sea_orm::{DbBackend, DbErr};
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use super::answers::MAX_ANSWERS_PER_BATCH;
use super::upsert::{AnswerWrite, upsert};
use crate::database::{Database, shutting_down};
use crate::metrics::{Metrics, PanicPlace};

/// Maximum number of statements that run at the same time. With a smaller maximum, each statement writes more batches,
/// and a batch costs less.
///
/// On two cores with PostgreSQL, jishu was compared with pgbench, which ran the same statement for single batches. With
/// a maximum of 1, 2, 3 and 4 statements, jishu saved 0.86, 0.80, 0.73 and 0.55 times as many batches as pgbench. The
/// maximum is 2, although 1 saved more batches in this measurement. With 1, a single slow statement would delay the
/// batches of all sittings, and the server and the database would wait for each other.
const MAX_CONCURRENT_STATEMENTS: usize = 2;
/// Maximum number of answers in a statement, unless a single batch has more.
const MAX_ROWS_PER_STATEMENT: usize = 160;

/// The outcome of writing a batch, as far as the result of the statement shows the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// All answers of the batch are stored. The variant has the greatest number of a batch with stored answers in the
    /// sitting, if the caller asked for it and the statement returned it.
    AllStored(Option<i32>),
    /// Unknown: another batch may have set some slots, or nothing was written. The caller must read the stored answers.
    Unconfirmed,
}

/// A queue of batches, and the tasks that write them.
#[derive(Debug, Default)]
pub(super) struct WriteCoalescer {
    queue: Mutex<BatchQueue>,
}

/// The batches that wait to be written.
#[derive(Debug, Default)]
struct BatchQueue {
    batches: VecDeque<QueuedWrite>,
    /// The number of tasks that are writing batches now.
    writers: usize,
}

/// A batch in the queue, with the channel that sends the result to its caller.
#[derive(Debug)]
struct QueuedWrite {
    write: Arc<AnswerWrite>,
    /// The trace span of the caller. A statement with several batches belongs to the trace of the first batch.
    span: Span,
    done: oneshot::Sender<Result<Confirmation, DbErr>>,
}

impl WriteCoalescer {
    /// Writes a batch, together with other waiting batches. Does not write the batch if another transaction is changing
    /// its sitting. If the caller drops the future, the batch is written nevertheless.
    pub(super) async fn write(
        self: &Arc<Self>,
        database: &Database,
        write: Arc<AnswerWrite>,
    ) -> Result<Confirmation, DbErr> {
        let (done, written) = oneshot::channel();
        // SQLite runs one write at a time, so a second statement would only wait.
        let max_concurrent =
            if database.backend() == DbBackend::Sqlite { 1 } else { MAX_CONCURRENT_STATEMENTS };
        let starts_writer = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.batches.push_back(QueuedWrite { write, span: Span::current(), done });
            let starts_writer = queue.writers < max_concurrent;
            queue.writers += usize::from(starts_writer);
            starts_writer
        };
        if starts_writer {
            let (coalescer, database) = (Arc::clone(self), database.clone());
            tokio::spawn(async move {
                coalescer.write_until_empty(database.metrics(), |group| write_group(&database, group)).await;
            });
        }
        written.await.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// Writes groups of batches until the queue is empty. If writing a group panics, the batches of this group fail.
    /// The next groups are still written, because otherwise all later batches would wait for ever.
    async fn write_until_empty<F>(&self, metrics: &Metrics, write: impl Fn(Vec<QueuedWrite>) -> F)
    where
        F: Future<Output = ()>,
    {
        while let Some(group) = self.take() {
            let span = group.first().map_or_else(Span::none, |batch| batch.span.clone());
            let written = AssertUnwindSafe(write(group).instrument(span)).catch_unwind().await;
            if written.is_err() {
                metrics.panicked(PanicPlace::BackgroundTask);
                tracing::error!(
                    "saving a group of answers panicked; their clients get an error and must send them again"
                );
            }
        }
    }

    /// Takes the next batches for one statement from the queue, each of a different sitting. Returns None if the queue
    /// is empty. Then the number of writers is already reduced, so the calling task must end.
    fn take(&self) -> Option<Vec<QueuedWrite>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut group, mut postponed): (Vec<QueuedWrite>, _) = (Vec::new(), VecDeque::new());
        let (mut rows, mut sittings) = (0, BTreeSet::new());
        while let Some(batch) = queue.batches.pop_front() {
            let more = rows + batch.write.answers.len();
            if more > MAX_ROWS_PER_STATEMENT.max(MAX_ANSWERS_PER_BATCH * usize::from(group.is_empty())) {
                queue.batches.push_front(batch);
                break;
            }
            // Two batches of a sitting may set the same slot, but one statement must not set a row twice. So a later
            // statement writes the second batch.
            if !sittings.insert(batch.write.id) {
                postponed.push_back(batch);
                continue;
            }
            rows = more;
            group.push(batch);
        }
        while let Some(batch) = postponed.pop_back() {
            queue.batches.push_front(batch);
        }
        if group.is_empty() {
            queue.writers -= 1;
            return None;
        }
        Some(group)
    }
}

/// Writes a group of batches, and sends the result of each to its caller. If the statement fails, writes each batch
/// with its own statement, so that one bad batch does not fail the other batches.
async fn write_group(database: &Database, mut group: Vec<QueuedWrite>) {
    // Sort by sitting, so that two statements lock the rows of sittings in the same order. Otherwise, two statements
    // could deadlock on a server without SKIP LOCKED.
    group.sort_unstable_by_key(|batch| batch.write.id);
    match write_all(database, &group).await {
        Ok(confirmations) => {
            for (batch, confirmation) in group.into_iter().zip(confirmations) {
                // Sending fails if the caller no longer waits. The batch is written anyway.
                let _ = batch.done.send(Ok(confirmation));
            }
        }
        Err(error) if group.len() > 1 => {
            tracing::debug!(%error, batches = group.len(), "a statement with several batches failed; each batch is now saved with its own statement");
            for batch in group {
                let alone = [batch];
                let written = write_all(database, &alone).await;
                let [batch] = alone;
                let confirmation =
                    written.map(|written| written.first().copied().unwrap_or(Confirmation::Unconfirmed));
                let _ = batch.done.send(confirmation);
            }
        }
        Err(error) => {
            if let Some(batch) = group.pop() {
                let _ = batch.done.send(Err(error));
            }
        }
    }
}

/// Writes a group of batches in one statement. Returns the confirmation of each batch.
async fn write_all(database: &Database, group: &[QueuedWrite]) -> Result<Vec<Confirmation>, DbErr> {
    let writes: Vec<&AnswerWrite> = group.iter().map(|batch| &*batch.write).collect();
    let backend = database.backend();
    let statement = upsert(backend, &writes);
    if backend == DbBackend::Postgres {
        let rows = database.query_until_done("save answers", statement).await?;
        let mut stored: HashMap<TestSessionId, (i64, Option<i32>)> = HashMap::with_capacity(rows.len());
        for row in rows {
            stored.insert(row.try_get_by_index(0)?, (row.try_get_by_index(1)?, row.try_get_by_index(2)?));
        }
        return Ok(writes.into_iter().map(|write| confirmation(write, stored.get(&write.id))).collect());
    }
    let written = database.execute_until_done("save answers", statement).await?;
    let rows: usize = writes.iter().map(|write| write.answers.len()).sum();
    // MariaDB and MySQL count an updated row as 2, and an inserted or unchanged row as 1. So only a count of 2 for each
    // answer confirms that all answers are stored.
    let count_per_row = if backend == DbBackend::MySql { 2 } else { 1 };
    let is_all = u64::try_from(rows).is_ok_and(|rows| written == count_per_row * rows);
    Ok(vec![if is_all { Confirmation::AllStored(None) } else { Confirmation::Unconfirmed }; group.len()])
}

/// Returns the confirmation of a batch. `stored` has the number of answers of the batch that the statement stored. It
/// also has the greatest number of a batch that had stored answers in the sitting before.
fn confirmation(write: &AnswerWrite, stored: Option<&(i64, Option<i32>)>) -> Confirmation {
    match stored {
        Some((count, before)) if usize::try_from(*count) == Ok(write.answers.len()) => {
            let sequence = before.map_or(write.sequence, |before| before.max(write.sequence));
            Confirmation::AllStored(write.wants_sequence.then_some(sequence))
        }
        _ => Confirmation::Unconfirmed,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use chrono::{DateTime, Utc};
    use jishu_entity::UserId;

    use super::*;

    /// Puts a batch of this sitting into the queue, and counts one writer as running.
    fn enqueue(coalescer: &WriteCoalescer, sitting: i64) -> oneshot::Receiver<Result<Confirmation, DbErr>> {
        let write = Arc::new(AnswerWrite {
            id: TestSessionId(sitting),
            owner: UserId(1),
            sequence: 1,
            answers: Vec::new(),
            now: DateTime::<Utc>::UNIX_EPOCH,
            overdue_before: DateTime::<Utc>::UNIX_EPOCH,
            wants_sequence: false,
        });
        let (done, written) = oneshot::channel();
        let mut queue = coalescer.queue.lock().unwrap();
        queue.batches.push_back(QueuedWrite { write, span: Span::none(), done });
        queue.writers = 1;
        written
    }

    #[tokio::test]
    async fn a_panic_fails_its_batch_and_no_later_one() {
        let coalescer = WriteCoalescer::default();
        // Both batches belong to one sitting, so they are written one after the other.
        let (first, second) = (enqueue(&coalescer, 1), enqueue(&coalescer, 1));
        let is_first = &AtomicBool::new(true);
        let write = |mut group: Vec<QueuedWrite>| async move {
            assert!(!is_first.swap(false, Ordering::SeqCst), "a panic of the first write");
            let _ = group.remove(0).done.send(Ok(Confirmation::Unconfirmed));
        };
        coalescer.write_until_empty(&Metrics::off(), write).await;
        assert!(first.await.is_err(), "the batch of the panic got a confirmation");
        assert_eq!(second.await.unwrap().unwrap(), Confirmation::Unconfirmed);
        assert_eq!(coalescer.queue.lock().unwrap().writers, 0);
    }
}
