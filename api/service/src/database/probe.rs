//! Checks whether the database answers and takes writes, and whether it is a replica that is behind.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use tokio::time::{timeout, timeout_at};

use super::replication::Replication;
use super::{Replica, Unavailable};

/// Maximum time that the database may take to answer a check. Orchestrators commonly wait two seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Time for which the database counts as refusing writes after it refused one, unless a later write succeeds.
const REFUSAL_MEMORY: Duration = Duration::from_secs(30);

/// A write that changes nothing, on a table that always exists. A read-only server still refuses it.
const WRITE_NOTHING: &str = "DELETE FROM seaql_migrations WHERE version = ''";
/// The same for MariaDB and MySQL. It is rolled back, so that the binary log does not record each check.
const WRITE_NOTHING_AND_ROLL_BACK: &str =
    "START TRANSACTION; DELETE FROM seaql_migrations WHERE version = ''; ROLLBACK";

/// The result of a check whether the server can work with this database.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// The database answers and takes writes.
    Ready,
    /// The database answers, but refuses writes.
    TakesNoWrites(WriteRefusal),
    /// The database copies another one, and is read-only.
    ReadOnlyReplica(Replica),
    /// The database takes writes, but copies another one and is far behind it. It may be the active one of two servers that
    /// copy each other, so it stays in use.
    LateReplica(Replica),
    /// The database did not answer in time.
    NoResponse,
    /// The database could not be reached.
    Unreachable(DbErr),
}

/// Why the database refuses writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRefusal {
    /// The database is read-only.
    ReadOnly,
    /// The disk of the database is full.
    DiskFull,
}

impl WriteRefusal {
    fn of(error: &DbErr) -> Option<Self> {
        match Unavailable::of(error) {
            Some(Unavailable::ReadOnly) => Some(Self::ReadOnly),
            Some(Unavailable::DiskFull) => Some(Self::DiskFull),
            _ => None,
        }
    }
}

/// Checks the database through its own connection, because a busy pool does not mean a dead database.
#[derive(Debug)]
pub(super) struct Probe {
    connection: Mutex<DatabaseConnection>,
    /// The options to connect again after a check without an answer. None for a database in memory.
    options: Option<ConnectOptions>,
    is_sqlite: bool,
    /// When and why the database last refused a write, if a check does not find the reason. None if a later write succeeded.
    refusal: Mutex<Option<(Instant, WriteRefusal)>>,
    replication: Replication,
}

impl Probe {
    /// Prepares a connection, which is opened at its first use.
    pub(super) async fn new(mut options: ConnectOptions) -> Result<Self, DbErr> {
        options.connect_lazy(true).acquire_timeout(RESPONSE_TIMEOUT).connect_timeout(RESPONSE_TIMEOUT);
        let connection = sea_orm::Database::connect(options.clone()).await?;
        Ok(Self { options: Some(options), ..Self::for_memory(connection) })
    }

    /// Uses the one connection that a database in memory has.
    pub(super) fn for_memory(connection: DatabaseConnection) -> Self {
        let is_sqlite = connection.get_database_backend() == DbBackend::Sqlite;
        Self {
            connection: Mutex::new(connection),
            options: None,
            is_sqlite,
            refusal: Mutex::default(),
            replication: Replication::default(),
        }
    }

    /// Records that a write succeeded.
    pub(super) fn record_write(&self) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that the database refused a write because it is read-only or its disk is full. A check cannot find out
    /// whether the disk is full.
    pub(super) fn record_failed_write(&self, error: &DbErr) {
        let Some(refusal) = WriteRefusal::of(error) else { return };
        // On a server the check itself is a write, and finds out whether it is read-only.
        if refusal == WriteRefusal::DiskFull || self.is_sqlite {
            let refusal = Some((Instant::now(), refusal));
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
        }
    }

    /// Checks whether the database answers and takes writes, and whether it is a replica.
    pub(super) async fn check(&self) -> Readiness {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let deadline = tokio::time::Instant::now() + RESPONSE_TIMEOUT;
        let Ok(response) = timeout_at(deadline, send_check(&connection)).await else {
            self.reconnect().await;
            return Readiness::NoResponse;
        };
        let readiness = self.judge(response);
        let is_asked = match readiness {
            Readiness::TakesNoWrites(refusal) => refusal == WriteRefusal::ReadOnly && !self.is_sqlite,
            // A replica of MariaDB or MySQL can be open for writes, unlike a standby of PostgreSQL.
            Readiness::Ready => connection.get_database_backend() == DbBackend::MySql,
            _ => false,
        };
        if !is_asked {
            return readiness;
        }
        if self.replication.refresh(&connection, deadline).await.is_err() {
            // The query keeps the connection, and its response counts in later checks.
            self.reconnect().await;
        }
        with_replica(readiness, self.replication.replica())
    }

    /// Judges the response to the statement of a check.
    fn judge(&self, response: Result<(), DbErr>) -> Readiness {
        let Err(error) = response else {
            return self.last_refusal().map_or(Readiness::Ready, Readiness::TakesNoWrites);
        };
        match Unavailable::of(&error) {
            Some(Unavailable::ReadOnly) => Readiness::TakesNoWrites(WriteRefusal::ReadOnly),
            Some(Unavailable::DiskFull) => Readiness::TakesNoWrites(WriteRefusal::DiskFull),
            Some(Unavailable::NoConnection | Unavailable::TooSlow) => Readiness::NoResponse,
            // The database answered: another transaction holds a lock.
            Some(Unavailable::Locked) => Readiness::Ready,
            Some(Unavailable::Down) => Readiness::Unreachable(error),
            // The database answered: the account may lack the permission to delete.
            None if is_database_response(&error) => Readiness::Ready,
            None => Readiness::Unreachable(error),
        }
    }

    /// Returns why the database refused a write lately. Returns None if it did not, or if a later write succeeded.
    fn last_refusal(&self) -> Option<WriteRefusal> {
        let refusal = *self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.filter(|(at, _)| at.elapsed() < REFUSAL_MEMORY).map(|(_, refusal)| refusal)
    }

    /// Replaces a connection on which the response is missing. The response may never arrive, and the next check must not
    /// wait for it.
    async fn reconnect(&self) {
        let Some(options) = self.options.clone() else { return };
        // Sends nothing yet: the connection is lazy.
        if let Ok(fresh) = sea_orm::Database::connect(options).await {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    /// Closes the connection.
    pub(super) async fn close(&self) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A query for the status of the replication may hang on it.
        match timeout(RESPONSE_TIMEOUT, connection.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the connection for health checks could not be closed"),
            Err(_elapsed) => tracing::debug!("the connection for health checks is still in use"),
        }
    }
}

/// Adds what the database says about its replication.
fn with_replica(readiness: Readiness, replica: Option<Replica>) -> Readiness {
    match (readiness, replica) {
        (Readiness::TakesNoWrites(WriteRefusal::ReadOnly), Some(replica)) => {
            Readiness::ReadOnlyReplica(replica)
        }
        (Readiness::Ready, Some(replica)) if replica.is_late() => Readiness::LateReplica(replica),
        (readiness, _) => readiness,
    }
}

/// Sends the statement of a check.
async fn send_check(connection: &DatabaseConnection) -> Result<(), DbErr> {
    // A ping of the protocol is not enough: a Galera node that has lost its cluster still answers it.
    let text = match connection.get_database_backend() {
        // A write would wait for the only writer connection. The results of other writes are recorded instead.
        DbBackend::Sqlite => "SELECT 1",
        DbBackend::MySql => WRITE_NOTHING_AND_ROLL_BACK,
        _ => WRITE_NOTHING,
    };
    connection.execute_unprepared(text).await.map(drop)
}

/// Returns whether the error comes from the database itself, so that it has answered.
fn is_database_response(error: &DbErr) -> bool {
    let (DbErr::Exec(sea_orm::RuntimeErr::SqlxError(error))
    | DbErr::Query(sea_orm::RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    error.as_database_error().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_told_if_it_is_behind_or_read_only() {
        let replica = |seconds: Option<u64>| Some(Replica { lag: seconds.map(Duration::from_secs) });
        for seconds in [None, Some(0), Some(10)] {
            assert!(matches!(with_replica(Readiness::Ready, replica(seconds)), Readiness::Ready));
        }
        assert!(matches!(with_replica(Readiness::Ready, replica(Some(11))), Readiness::LateReplica(_)));
        assert!(matches!(with_replica(Readiness::Ready, None), Readiness::Ready));
        for seconds in [None, Some(0), Some(11)] {
            let closed = with_replica(Readiness::TakesNoWrites(WriteRefusal::ReadOnly), replica(seconds));
            assert!(matches!(closed, Readiness::ReadOnlyReplica(_)));
            let full = with_replica(Readiness::TakesNoWrites(WriteRefusal::DiskFull), replica(seconds));
            assert!(matches!(full, Readiness::TakesNoWrites(WriteRefusal::DiskFull)));
        }
        let closed = with_replica(Readiness::TakesNoWrites(WriteRefusal::ReadOnly), None);
        assert!(matches!(closed, Readiness::TakesNoWrites(WriteRefusal::ReadOnly)));
    }

    #[tokio::test]
    async fn a_check_says_why_a_write_was_refused() {
        let connection = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
        let probe = Probe::for_memory(connection.clone());
        assert!(matches!(probe.check().await, Readiness::Ready));

        connection.execute_unprepared("CREATE TABLE t (a); PRAGMA max_page_count = 2").await.unwrap();
        let full =
            connection.execute_unprepared("INSERT INTO t VALUES (zeroblob(100000))").await.unwrap_err();
        probe.record_failed_write(&full);
        assert!(matches!(probe.check().await, Readiness::TakesNoWrites(WriteRefusal::DiskFull)));

        connection.execute_unprepared("PRAGMA query_only = 1").await.unwrap();
        let closed = connection.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap_err();
        probe.record_failed_write(&closed);
        assert!(matches!(probe.check().await, Readiness::TakesNoWrites(WriteRefusal::ReadOnly)));

        probe.record_write();
        assert!(matches!(probe.check().await, Readiness::Ready));
    }
}
