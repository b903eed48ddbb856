//! Asks the database from time to time whether it is a replica, and remembers its response.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::DatabaseConnection;
use sea_orm::sqlx;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::Replica;
use super::replica::MissingRight;

/// Minimum time between two queries for the status of the replication.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Time for which a measured lag is reported. An older lag counts as unknown.
const LAG_MEMORY: Duration = Duration::from_secs(20);

/// Maximum time of a query for the status. A server can hang while it reads its status, for example while its
/// replication stops.
const STATUS_TIMEOUT: Duration = Duration::from_secs(600);

/// The last known status of the replication, and the query for a newer status, which may be running.
#[derive(Debug)]
pub(super) struct Replication {
    interval: Duration,
    response: Arc<Mutex<Option<Status>>>,
    /// Locked while a query waits for its response.
    query: Arc<tokio::sync::Mutex<()>>,
    right: MissingRight,
}

/// A remembered response of the database.
#[derive(Clone, Copy, Debug)]
struct Status {
    /// None if the database is not a replica, or if the query failed.
    replica: Option<Replica>,
    received_at: Instant,
}

impl Default for Replication {
    fn default() -> Self {
        Self::with_interval(STATUS_INTERVAL)
    }
}

impl Replication {
    fn with_interval(interval: Duration) -> Self {
        Self { interval, response: Arc::default(), query: Arc::default(), right: MissingRight::default() }
    }

    /// Asks the database for its status, unless the last response is recent or a query still waits for its response.
    ///
    /// # Errors
    /// Fails if the database does not respond before the deadline. The query continues, and no second query starts
    /// meanwhile.
    pub(super) async fn refresh(
        &self,
        connection: &DatabaseConnection,
        deadline: Instant,
    ) -> Result<(), Elapsed> {
        let (connection, right) = (connection.clone(), self.right.clone());
        self.refresh_with(deadline, async move { Replica::find(&connection, &right).await }).await
    }

    async fn refresh_with(
        &self,
        deadline: Instant,
        query: impl Future<Output = Result<Option<Replica>, sqlx::Error>> + Send + 'static,
    ) -> Result<(), Elapsed> {
        let Ok(outstanding) = Arc::clone(&self.query).try_lock_owned() else { return Ok(()) };
        if self.last().is_some_and(|status| status.received_at.elapsed() < self.interval) {
            return Ok(());
        }
        let response = Arc::clone(&self.response);
        let task = tokio::spawn(async move {
            let _outstanding = outstanding;
            let replica = match timeout(STATUS_TIMEOUT, query).await {
                Ok(Ok(replica)) => replica,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the query whether the database is a replica failed; a later check repeats it");
                    None
                }
                Err(_elapsed) => {
                    tracing::warn!(
                        "the query whether the database is a replica took 10 minutes; a later check repeats it"
                    );
                    return;
                }
            };
            let status = Status { replica, received_at: Instant::now() };
            *response.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        });
        timeout_at(deadline, task).await.map(drop)
    }

    /// Returns the replica that the last response describes. Returns None if the database is not a replica, or did
    /// not respond yet. The lag is unknown if the response is old.
    pub(super) fn replica(&self) -> Option<Replica> {
        let status = self.last()?;
        let is_old = status.received_at.elapsed() > LAG_MEMORY;
        status.replica.map(|replica| if is_old { Replica { lag: None } } else { replica })
    }

    fn last(&self) -> Option<Status> {
        *self.response.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    const LATE: Replica = Replica { lag: Some(Duration::from_secs(42)) };

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    /// Returns a query that adds 1 to `count` and responds with `replica` at once.
    fn telling(
        count: &Arc<AtomicUsize>,
        replica: Option<Replica>,
    ) -> impl Future<Output = Result<Option<Replica>, sqlx::Error>> + Send + 'static {
        let count = Arc::clone(count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(replica)
        }
    }

    #[tokio::test]
    async fn a_response_is_remembered_for_the_interval() {
        let count = Arc::default();
        let status = Replication::default();
        assert_eq!(status.replica(), None);
        let far = Instant::now() + Duration::from_secs(60);
        for _ in 0..3 {
            status.refresh_with(far, telling(&count, Some(LATE))).await.unwrap();
            assert_eq!(status.replica(), Some(LATE));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);

        let status = Replication::with_interval(Duration::ZERO);
        for replica in [Some(LATE), None] {
            status.refresh_with(far, telling(&count, replica)).await.unwrap();
            assert_eq!(status.replica(), replica);
        }
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn an_error_is_remembered_too() {
        let count = Arc::default();
        let status = Replication::default();
        let far = Instant::now() + Duration::from_secs(60);
        status.refresh_with(far, async { Err(sqlx::Error::PoolTimedOut) }).await.unwrap();
        status.refresh_with(far, telling(&count, Some(LATE))).await.unwrap();
        assert_eq!((status.replica(), count.load(Ordering::SeqCst)), (None, 0));
    }

    #[tokio::test]
    async fn no_second_query_starts_while_one_is_outstanding() {
        let count = Arc::default();
        let status = Replication::with_interval(Duration::ZERO);
        let (respond, response) = oneshot::channel();
        let hangs = async move { Ok(response.await.unwrap_or_default()) };
        status.refresh_with(soon(), hangs).await.unwrap_err();
        for _ in 0..3 {
            status.refresh_with(soon(), telling(&count, None)).await.unwrap();
        }
        assert_eq!((status.replica(), count.load(Ordering::SeqCst)), (None, 0));
        // The response that arrives after the deadline counts.
        respond.send(Some(LATE)).unwrap();
        drop(status.query.lock().await);
        assert_eq!(status.replica(), Some(LATE));
        status.refresh_with(soon(), telling(&count, None)).await.unwrap();
        assert_eq!((status.replica(), count.load(Ordering::SeqCst)), (None, 1));
    }

    #[tokio::test]
    async fn an_old_lag_is_unknown() {
        let status = Replication::default();
        let Some(received_at) = Instant::now().checked_sub(LAG_MEMORY + Duration::from_secs(1)) else {
            return;
        };
        *status.response.lock().unwrap() = Some(Status { replica: Some(LATE), received_at });
        assert_eq!(status.replica(), Some(Replica { lag: None }));
    }
}
