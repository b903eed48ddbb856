//! The queues in front of the writing connections.
//!
//! A transaction of a user waits twice before it takes a connection: first for its turn among the transactions of
//! that user, then for a permit to write. It holds no connection while it waits. So a user whose row is locked
//! keeps only one transaction busy. And writers can never take the connections that readers need.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jishu_entity::UserId;
use sea_orm::{ConnAcquireErr, DbErr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Maximum number of transactions of one user in the queue: half of the requests that a server answers at once by
/// default.
const MAX_WAITING_PER_USER: usize = 256;
/// Maximum number of transactions, of all users, that wait for a permit to write.
const MAX_WAITING_WRITERS: usize = 1_024;

/// The queues of one server.
#[derive(Debug)]
pub(super) struct WriteQueue {
    /// One queue for each user who has a running transaction.
    users: Mutex<HashMap<UserId, UserQueue>>,
    /// One permit for each transaction that may run at once.
    writers: Arc<Semaphore>,
    /// One permit for each transaction that may wait for one of `writers`.
    waiting_writers: Semaphore,
    /// How long a transaction waits in either queue.
    wait: Duration,
}

#[derive(Debug)]
struct UserQueue {
    /// Gives one turn at a time, in the order of the requests.
    turn: Arc<Semaphore>,
    /// Number of transactions that wait or have their turn.
    members: usize,
}

/// The turn of one transaction among those of its user. Dropping it starts the next one.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Arc<WriteQueue>,
    user: UserId,
    /// None until it is this transaction's turn.
    permit: Option<OwnedSemaphorePermit>,
}

impl WriteQueue {
    /// Makes a queue for at most `writers` transactions at once. A transaction waits at most for `wait`.
    pub(super) fn new(writers: usize, wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            users: Mutex::default(),
            writers: Arc::new(Semaphore::new(writers)),
            waiting_writers: Semaphore::new(MAX_WAITING_WRITERS),
            wait,
        })
    }

    /// Waits until no other transaction of this user runs on this server.
    ///
    /// # Errors
    /// Returns [`no_connection`] if too many transactions wait already, or if the wait takes longer than
    /// `patience`.
    pub(super) async fn turn(self: &Arc<Self>, user: UserId, patience: Duration) -> Result<Turn, DbErr> {
        let (mut turn, semaphore) = self.join(user)?;
        let permit = timeout(self.wait.min(patience), semaphore.acquire_owned()).await;
        turn.permit = Some(permit.map_err(|_elapsed| no_connection())?.map_err(|_closed| no_connection())?);
        Ok(turn)
    }

    fn join(self: &Arc<Self>, user: UserId) -> Result<(Turn, Arc<Semaphore>), DbErr> {
        let mut users = self.users();
        let queue =
            users.entry(user).or_insert_with(|| UserQueue { turn: Arc::new(Semaphore::new(1)), members: 0 });
        if queue.members > MAX_WAITING_PER_USER {
            return Err(no_connection());
        }
        queue.members += 1;
        Ok((Turn { queue: Arc::clone(self), user, permit: None }, Arc::clone(&queue.turn)))
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

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, UserQueue>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut users = self.queue.users();
        // Ends the turn first: a transaction that joins later must wait for it.
        self.permit = None;
        if let Entry::Occupied(mut queue) = users.entry(self.user) {
            queue.get_mut().members -= 1;
            if queue.get().members == 0 {
                queue.remove();
            }
        }
    }
}

/// Returns the error of a transaction that got no connection in time. It is the error of a full pool.
pub(super) fn no_connection() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const PATIENT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn transactions_of_one_user_run_one_at_a_time_and_those_of_another_beside_them() {
        let queue = WriteQueue::new(8, PATIENT);
        let first = queue.turn(UserId(1), PATIENT).await.unwrap();
        let mut second = Box::pin(queue.turn(UserId(1), PATIENT));
        assert!(futures_util::poll!(&mut second).is_pending());
        let other = queue.turn(UserId(2), PATIENT).await.unwrap();
        drop(first);
        let second = second.await.unwrap();
        drop((second, other));
        assert!(queue.users().is_empty(), "a user without a transaction takes no memory");
    }

    #[tokio::test]
    async fn a_queue_of_a_user_is_bounded_and_keeps_its_order() {
        let queue = WriteQueue::new(8, PATIENT);
        let first = queue.turn(UserId(1), PATIENT).await.unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let mut waiting = Vec::new();
        for number in 0..MAX_WAITING_PER_USER {
            let (queue, served) = (Arc::clone(&queue), Arc::clone(&served));
            let mut turn = Box::pin(async move {
                let turn = queue.turn(UserId(1), PATIENT).await;
                assert_eq!(served.fetch_add(1, Ordering::SeqCst), number);
                turn.map(drop)
            });
            assert!(futures_util::poll!(&mut turn).is_pending());
            waiting.push(turn);
        }
        let refused = queue.turn(UserId(1), PATIENT).await;
        assert!(matches!(refused, Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))));
        drop(first);
        for turn in waiting {
            turn.await.unwrap();
        }
        assert!(queue.users().is_empty());
    }

    #[tokio::test]
    async fn whoever_stops_waiting_leaves_the_queue() {
        let queue = WriteQueue::new(8, PATIENT);
        let first = queue.turn(UserId(1), PATIENT).await.unwrap();
        let mut gone = Box::pin(queue.turn(UserId(1), PATIENT));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop(gone);
        assert_eq!(queue.users()[&UserId(1)].members, 1);
        drop(first);
        assert!(queue.users().is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_agreed() {
        let (short, shorter) = (Duration::from_millis(40), Duration::from_millis(10));
        let queue = WriteQueue::new(1, short);
        let _first = queue.turn(UserId(1), PATIENT).await.unwrap();
        let started = std::time::Instant::now();
        assert!(queue.turn(UserId(1), shorter).await.is_err());
        assert!(queue.turn(UserId(1), PATIENT).await.is_err());
        let permit = queue.permit().await.unwrap();
        assert!(queue.permit().await.is_err());
        assert!(started.elapsed() >= shorter + short + short);
        drop(permit);
        assert!(queue.permit().await.is_ok());
    }
}
