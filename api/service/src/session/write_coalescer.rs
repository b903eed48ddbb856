//! Combines the batches of many sittings into one statement.
//!
//! If no statement is running, a batch is written at once. Otherwise it waits until a statement ends. Then one
//! statement writes all batches that arrived in the meantime. So the more learners save at once, the less each save
//! costs. A statement skips sittings that another transaction is changing, so these do not delay the others.

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

/// Maximum number of statements that run at the same time. With fewer, each statement is larger, and a batch costs less.
///
/// On two cores with PostgreSQL, 1, 2, 3 and 4 statements saved 0.86, 0.80, 0.73 and 0.55 times as many batches as
/// pgbench does with the same statement for single batches. With only 1, the server is idle while the database works.
const MAX_CONCURRENT_STATEMENTS: usize = 2;
/// Maximum number of answers in a statement, unless a single batch has more.
const MAX_ROWS_PER_STATEMENT: usize = 160;

/// The knowledge about a batch after its statement was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// All answers of the batch are stored. Has the greatest number of a batch with stored answers in the sitting, if the
    /// statement returned it.
    AllStored(Option<i32>),
    /// Unknown: another batch may have set some slots, or nothing was written. The stored answers must be read.
    Unconfirmed,
}

/// A queue of batches, and the tasks that write them.
#[derive(Debug, Default)]
pub(super) struct WriteCoalescer {
    queue: Mutex<BatchQueue>,
}

/// The batches that wait.
#[derive(Debug, Default)]
struct BatchQueue {
    batches: VecDeque<QueuedWrite>,
    /// The number of tasks that write batches.
    writers: usize,
}

/// A batch in the queue, with the channel to its caller.
#[derive(Debug)]
struct QueuedWrite {
    write: Arc<AnswerWrite>,
    /// The span of the caller. The statement belongs to the trace of the first batch in it.
    span: Span,
    done: oneshot::Sender<Result<Confirmation, DbErr>>,
}

impl WriteCoalescer {
    /// Writes a batch, together with others that wait. Does not write it if another transaction is changing its
    /// sitting. Writing continues if the caller drops the future.
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

    /// Writes groups of batches until none waits. A panic fails the batches of its group. The next groups are still
    /// written, because otherwise all later batches would wait for ever.
    async fn write_until_empty<F>(&self, metrics: &Metrics, write: impl Fn(Vec<QueuedWrite>) -> F)
    where
        F: Future<Output = ()>,
    {
        while let Some(group) = self.take() {
            let span = group.first().map_or_else(Span::none, |batch| batch.span.clone());
            let written = AssertUnwindSafe(write(group).instrument(span)).catch_unwind().await;
            if written.is_err() {
                metrics.panicked(PanicPlace::BackgroundTask);
                tracing::error!("saving answers panicked; their clients send them again");
            }
        }
    }

    /// Takes the next batches from the queue, each of a different sitting. Returns None if the queue is empty; the
    /// calling writer must then end.
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
            // Two batches of a sitting may have the same slot, which one statement must not set twice.
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

/// Writes a group of batches. If its statement fails, writes each batch on its own, so one bad batch does not fail the
/// others.
async fn write_group(database: &Database, mut group: Vec<QueuedWrite>) {
    // Two statements must lock the rows of sittings in the same order.
    group.sort_unstable_by_key(|batch| batch.write.id);
    match write_all(database, &group).await {
        Ok(confirmations) => {
            for (batch, confirmation) in group.into_iter().zip(confirmations) {
                // Sending fails if the caller no longer waits.
                let _ = batch.done.send(Ok(confirmation));
            }
        }
        Err(error) if group.len() > 1 => {
            tracing::debug!(%error, batches = group.len(), "a statement with several batches failed; they are saved one by one");
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

/// Writes a group of batches in one statement. Returns what is known about each of them.
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
    // MariaDB and MySQL count an updated row as 2, and an inserted or unchanged row as 1. Only 2 for each row confirms
    // that all answers are stored.
    let count_per_row = if backend == DbBackend::MySql { 2 } else { 1 };
    let is_all = u64::try_from(rows).is_ok_and(|rows| written == count_per_row * rows);
    Ok(vec![if is_all { Confirmation::AllStored(None) } else { Confirmation::Unconfirmed }; group.len()])
}

/// Returns what is known about a batch, by the number of its answers that were stored and the greatest number of a batch
/// before it.
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

    /// Puts a batch of this sitting into the queue, as if a writer were running.
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
        // Batches of one sitting are written one after the other.
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
