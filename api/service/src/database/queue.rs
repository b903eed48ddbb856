//! The queues in front of the connections for writing.
//!
//! A transaction waits twice before it takes a connection. First it waits for its turn among the transactions of the
//! same user, course, subject or e-mail address. Then it waits for one of the permits of all writers. It holds no
//! connection during these waits. So if the row of one user is locked, only one transaction of that user is retried
//! at a time. Only a few transactions that had a conflict are retried at once, so that they cannot take all permits.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jishu_entity::{CourseId, SubjectId, UserId};
use sea_orm::{ConnAcquireErr, DbErr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Maximum number of waiting transactions of one key. It is half of the number of requests that a server handles at
/// once by default.
const MAX_WAITING_PER_KEY: usize = 256;
/// Maximum number of transactions, of all users, that wait for a permit to write.
const MAX_WAITING_WRITERS: usize = 1_024;

/// Maximum number of transactions that are retried at the same time after a conflict.
const MAX_CONTENDED: usize = 2;

/// The row that a transaction locks first, or the e-mail address that it registers. Transactions with the same key
/// run one at a time on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueKey {
    /// The row of a user.
    User(UserId),
    /// The row of a course.
    Course(CourseId),
    /// The row of a subject, which guards its question bank and its papers.
    Subject(SubjectId),
    /// The hash of an e-mail address that is being registered.
    Registration(u64),
}

impl QueueKey {
    /// Returns the key for registering this e-mail address.
    #[must_use]
    pub fn registration(email: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        email.hash(&mut hasher);
        Self::Registration(hasher.finish())
    }
}

impl From<UserId> for QueueKey {
    fn from(id: UserId) -> Self {
        Self::User(id)
    }
}

impl From<CourseId> for QueueKey {
    fn from(id: CourseId) -> Self {
        Self::Course(id)
    }
}

impl From<SubjectId> for QueueKey {
    fn from(id: SubjectId) -> Self {
        Self::Subject(id)
    }
}

/// The queues of transactions on one server.
#[derive(Debug)]
pub(super) struct WriteQueue {
    /// One queue for each key with transactions that run or wait.
    queues: Mutex<HashMap<QueueKey, KeyQueue>>,
    /// One permit for each transaction that may run at once.
    writers: Arc<Semaphore>,
    /// The permits of the transactions that wait for a permit of `writers`. At most [`MAX_WAITING_WRITERS`] of them
    /// wait.
    waiting_writers: Semaphore,
    /// The permits of the transactions that are retried after a conflict. At most [`MAX_CONTENDED`] are retried at the
    /// same time.
    contended: Semaphore,
    /// Maximum time that a transaction waits in one queue.
    wait: Duration,
}

/// The queue of the transactions with one key.
#[derive(Debug)]
struct KeyQueue {
    /// Gives one turn at a time, in the order of the requests.
    turn: Arc<Semaphore>,
    /// Number of transactions of the key that wait or run.
    members: usize,
}

/// The turn of one transaction among the transactions of its key. Dropping the turn lets the next transaction run.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Arc<WriteQueue>,
    key: QueueKey,
    /// None while the transaction waits for its turn.
    permit: Option<OwnedSemaphorePermit>,
}

impl WriteQueue {
    /// Makes the queues for at most `writers` transactions at once. A transaction waits at most for `wait` in each
    /// queue.
    pub(super) fn new(writers: usize, wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            queues: Mutex::default(),
            writers: Arc::new(Semaphore::new(writers)),
            waiting_writers: Semaphore::new(MAX_WAITING_WRITERS),
            contended: Semaphore::new(MAX_CONTENDED),
            wait,
        })
    }

    /// Waits until no other transaction of this key runs on this server.
    ///
    /// # Errors
    /// Returns [`no_connection`] if too many transactions wait already. Also returns it if the wait takes longer than
    /// `max_wait`, or than the maximum wait of the queue.
    pub(super) async fn turn(self: &Arc<Self>, key: QueueKey, max_wait: Duration) -> Result<Turn, DbErr> {
        let (mut turn, semaphore) = self.join(key)?;
        let permit = timeout(self.wait.min(max_wait), semaphore.acquire_owned()).await;
        turn.permit = Some(permit.map_err(|_elapsed| no_connection())?.map_err(|_closed| no_connection())?);
        Ok(turn)
    }

    /// Adds a transaction to the queue of its key. Fails if too many transactions wait there already.
    fn join(self: &Arc<Self>, key: QueueKey) -> Result<(Turn, Arc<Semaphore>), DbErr> {
        let mut queues = self.queues();
        let queue =
            queues.entry(key).or_insert_with(|| KeyQueue { turn: Arc::new(Semaphore::new(1)), members: 0 });
        if queue.members > MAX_WAITING_PER_KEY {
            return Err(no_connection());
        }
        queue.members += 1;
        Ok((Turn { queue: Arc::clone(self), key, permit: None }, Arc::clone(&queue.turn)))
    }

    /// Waits until one more transaction may take a connection.
    ///
    /// # Errors
    /// Returns [`no_connection`] if too many transactions wait already, or if the wait takes too long.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, DbErr> {
        let _waiting = self.waiting_writers.try_acquire().map_err(|_full| no_connection())?;
        let permit = timeout(self.wait, Arc::clone(&self.writers).acquire_owned()).await;
        permit.map_err(|_elapsed| no_connection())?.map_err(|_closed| no_connection())
    }

    /// Waits until one more transaction may be retried after a conflict.
    ///
    /// # Errors
    /// Returns [`no_connection`] if the wait takes too long.
    pub(super) async fn contended(&self) -> Result<SemaphorePermit<'_>, DbErr> {
        let permit = timeout(self.wait, self.contended.acquire()).await;
        permit.map_err(|_elapsed| no_connection())?.map_err(|_closed| no_connection())
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<QueueKey, KeyQueue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = self.queue.queues();
        // Ends the turn before the queue is removed. So no transaction that joins a new queue runs during this turn.
        self.permit = None;
        if let Entry::Occupied(mut queue) = queues.entry(self.key) {
            queue.get_mut().members -= 1;
            if queue.get().members == 0 {
                queue.remove();
            }
        }
    }
}

/// Returns the error of a transaction that got no connection in time. A full pool returns the same error.
pub(super) fn no_connection() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const ONE: QueueKey = QueueKey::User(UserId(1));
    const OTHER: QueueKey = QueueKey::Subject(SubjectId(1));
    const LONG_WAIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn transactions_of_one_user_run_one_at_a_time_and_those_of_another_beside_them() {
        let queue = WriteQueue::new(8, LONG_WAIT);
        let first = queue.turn(ONE, LONG_WAIT).await.unwrap();
        let mut second = Box::pin(queue.turn(ONE, LONG_WAIT));
        assert!(futures_util::poll!(&mut second).is_pending());
        let other = queue.turn(OTHER, LONG_WAIT).await.unwrap();
        drop(first);
        let second = second.await.unwrap();
        drop((second, other));
        assert!(queue.queues().is_empty(), "a user without a transaction takes memory");
    }

    #[tokio::test]
    async fn a_queue_of_a_user_is_bounded_and_keeps_its_order() {
        let queue = WriteQueue::new(8, LONG_WAIT);
        let first = queue.turn(ONE, LONG_WAIT).await.unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let mut waiting = Vec::new();
        for number in 0..MAX_WAITING_PER_KEY {
            let (queue, served) = (Arc::clone(&queue), Arc::clone(&served));
            let mut turn = Box::pin(async move {
                let turn = queue.turn(ONE, LONG_WAIT).await;
                assert_eq!(served.fetch_add(1, Ordering::SeqCst), number);
                turn.map(drop)
            });
            assert!(futures_util::poll!(&mut turn).is_pending());
            waiting.push(turn);
        }
        let refused = queue.turn(ONE, LONG_WAIT).await;
        assert!(matches!(refused, Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))));
        drop(first);
        for turn in waiting {
            turn.await.unwrap();
        }
        assert!(queue.queues().is_empty());
    }

    #[tokio::test]
    async fn a_caller_that_stops_waiting_leaves_the_queue() {
        let queue = WriteQueue::new(8, LONG_WAIT);
        let first = queue.turn(ONE, LONG_WAIT).await.unwrap();
        let mut waiting = Box::pin(queue.turn(ONE, LONG_WAIT));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(waiting);
        assert_eq!(queue.queues()[&ONE].members, 1);
        drop(first);
        assert!(queue.queues().is_empty());
    }

    #[tokio::test]
    async fn a_wait_ends_after_its_maximum_time() {
        let (short, shorter) = (Duration::from_millis(40), Duration::from_millis(10));
        let queue = WriteQueue::new(1, short);
        let _first = queue.turn(ONE, LONG_WAIT).await.unwrap();
        let started = std::time::Instant::now();
        assert!(queue.turn(ONE, shorter).await.is_err());
        assert!(queue.turn(ONE, LONG_WAIT).await.is_err());
        let permit = queue.permit().await.unwrap();
        assert!(queue.permit().await.is_err());
        assert!(started.elapsed() >= shorter + short + short);
        drop(permit);
        assert!(queue.permit().await.is_ok());
    }
}
