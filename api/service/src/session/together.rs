//! Batches of many sittings, written together.
//!
//! A save that comes while others are being written waits until one of those is done, and then goes with all that came
//! meanwhile, in one statement: the more learners save at once the less each save costs. One that comes alone is written at
//! once. A statement passes over sittings that something else is changing, so that these hold up nobody.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{DbBackend, DbErr};
use tokio::sync::oneshot;

use super::answers::MOST_ANSWERS;
use super::upsert::{Write, upsert};
use crate::database::{Database, shutting_down};

/// How many statements are under way at once. The fewer, the larger they are and the less each batch costs: on two cores over
/// PostgreSQL, 1, 2, 3 and 4 came to 0.86, 0.80, 0.73 and 0.55 of what the same statement does for single batches. With one,
/// the server would be idle while the database works.
const AT_ONCE: usize = 2;
/// How many answers go together.
const MOST_ROWS: usize = 160;

/// What is known of a batch once it was tried to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All its answers stand.
    All,
    /// It has to be looked: it may be that another batch has set some slots, or that nothing was written.
    Unknown,
}

/// The batches that wait.
#[derive(Debug, Default)]
pub(super) struct Together {
    next: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    writers: usize,
}

#[derive(Debug)]
struct Batch {
    write: Arc<Write>,
    done: oneshot::Sender<Result<Written, DbErr>>,
}

impl Together {
    /// Writes a batch, with others that wait; not where something else is changing its sitting. It goes on when the caller
    /// stops waiting.
    pub(super) async fn write(
        self: &Arc<Self>,
        database: &Database,
        write: Arc<Write>,
    ) -> Result<Written, DbErr> {
        let (done, written) = oneshot::channel();
        // SQLite has one writer: more would only wait for it.
        let at_once = if database.backend() == DbBackend::Sqlite { 1 } else { AT_ONCE };
        let has_writer = {
            let mut waiting = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.batches.push_back(Batch { write, done });
            let has_writer = waiting.writers >= at_once;
            waiting.writers += usize::from(!has_writer);
            has_writer
        };
        if !has_writer {
            let (together, database) = (Arc::clone(self), database.clone());
            tokio::spawn(async move {
                while let Some(group) = together.take() {
                    write_group(&database, group).await;
                }
            });
        }
        written.await.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// The next batches, each of another sitting; none where none waits, and the writer ends.
    fn take(&self) -> Option<Vec<Batch>> {
        let mut waiting = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut group, mut left): (Vec<Batch>, _) = (Vec::new(), VecDeque::new());
        let (mut rows, mut sittings) = (0, BTreeSet::new());
        while let Some(batch) = waiting.batches.pop_front() {
            let more = rows + batch.write.answers.len();
            if more > MOST_ROWS.max(MOST_ANSWERS * usize::from(group.is_empty())) {
                waiting.batches.push_front(batch);
                break;
            }
            // Two of one sitting may set the same slot, which a statement must not do twice.
            if !sittings.insert(batch.write.id) {
                left.push_back(batch);
                continue;
            }
            rows = more;
            group.push(batch);
        }
        while let Some(batch) = left.pop_back() {
            waiting.batches.push_front(batch);
        }
        if group.is_empty() {
            waiting.writers -= 1;
            return None;
        }
        Some(group)
    }
}

/// Where the statement for all of them fails each is written alone, so that one cannot spoil the others.
async fn write_group(database: &Database, mut group: Vec<Batch>) {
    // So that two statements take the rows of sittings in the same order.
    group.sort_unstable_by_key(|batch| batch.write.id);
    match write_all(database, &group).await {
        Ok(written) => {
            for batch in group {
                // Nobody waits where the client has left.
                let _ = batch.done.send(Ok(written));
            }
        }
        Err(error) if group.len() > 1 => {
            tracing::debug!(%error, batches = group.len(), "batches that were saved together are saved one by one");
            for batch in group {
                let alone = [batch];
                let written = write_all(database, &alone).await;
                let [batch] = alone;
                let _ = batch.done.send(written);
            }
        }
        Err(error) => {
            if let Some(batch) = group.pop() {
                let _ = batch.done.send(Err(error));
            }
        }
    }
}

async fn write_all(database: &Database, group: &[Batch]) -> Result<Written, DbErr> {
    let writes: Vec<&Write> = group.iter().map(|batch| &*batch.write).collect();
    let rows: usize = writes.iter().map(|write| write.answers.len()).sum();
    let backend = database.backend();
    let statement = upsert(backend, &writes);
    let written = database.execute_until_done("save answers", statement).await?;
    // MariaDB and MySQL count a row that is updated twice; one that is inserted and one that stays as it is, once, so that
    // after these it has to be looked.
    let each = if backend == DbBackend::MySql { 2 } else { 1 };
    let is_all = u64::try_from(rows).is_ok_and(|rows| written == each * rows);
    Ok(if is_all { Written::All } else { Written::Unknown })
}
