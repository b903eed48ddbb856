//! Checks whether the database responds and takes writes, and whether it is a replica that is behind.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use tokio::time::{timeout, timeout_at};

use super::replication::Replication;
use super::{Replica, Unavailable};

/// Maximum time that the database may take to respond to a check. Orchestrators commonly wait two seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Time for which the database counts as refusing writes after it refused a write, unless a later write succeeds.
const REFUSAL_MEMORY: Duration = Duration::from_secs(30);

/// A write that changes nothing, on a table that every migrated database has. A read-only server still refuses it.
const WRITE_NOTHING: &str = "DELETE FROM seaql_migrations WHERE version = ''";
/// The write of [`WRITE_NOTHING`] for MariaDB and MySQL. It is rolled back, so that the binary log does not record each
/// check.
const WRITE_NOTHING_AND_ROLL_BACK: &str =
    "START TRANSACTION; DELETE FROM seaql_migrations WHERE version = ''; ROLLBACK";

/// The result of a check whether the server can work with this database.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// The database responds and takes writes.
    Ready,
    /// The database responds, but refuses writes.
    TakesNoWrites(WriteRefusal),
    /// The database is a replica of another database server, and is read-only.
    ReadOnlyReplica(Replica),
    /// The database takes writes, but is also a replica that is far behind its primary. It may be the active one of
    /// two servers that copy each other, so it stays in use.
    LateReplica(Replica),
    /// The database did not respond in time.
    NoResponse,
    /// The database could not be reached, or could not carry out the check.
    Unreachable(DbErr),
}

/// The reason why the database refuses writes.
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

/// The check of the database. It has a connection of its own, because a busy pool does not mean a dead database.
#[derive(Debug)]
pub(super) struct Probe {
    connection: Mutex<DatabaseConnection>,
    /// The options with which the probe connects again after a check got no response. None for a database in memory.
    options: Option<ConnectOptions>,
    is_sqlite: bool,
    /// When and why the database last refused a write. None if a later write succeeded. Only reasons that a check
    /// cannot find out are recorded: see [`record_failed_write`](Self::record_failed_write).
    refusal: Mutex<Option<(Instant, WriteRefusal)>>,
    replication: Replication,
}

impl Probe {
    /// Makes a probe with a connection that is opened at its first use.
    pub(super) async fn new(mut options: ConnectOptions) -> Result<Self, DbErr> {
        options.connect_lazy(true).acquire_timeout(RESPONSE_TIMEOUT).connect_timeout(RESPONSE_TIMEOUT);
        let connection = sea_orm::Database::connect(options.clone()).await?;
        Ok(Self { options: Some(options), ..Self::for_memory(connection) })
    }

    /// Makes a probe that uses the only connection of a database in memory.
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

    /// Records that a write succeeded, so that an earlier refusal no longer counts.
    pub(super) fn record_write(&self) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that the database refused a write, if the reason is one that a check cannot find out: a full disk on
    /// every database, and also a read-only database on SQLite.
    pub(super) fn record_failed_write(&self, error: &DbErr) {
        let Some(refusal) = WriteRefusal::of(error) else { return };
        // The check of a database server is a write, so it finds out whether the server is read-only.
        if refusal == WriteRefusal::DiskFull || self.is_sqlite {
            let refusal = Some((Instant::now(), refusal));
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
        }
    }

    /// Checks whether the database responds and takes writes, and whether it is a replica.
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
            // A replica of MariaDB or MySQL can take writes, unlike a standby of PostgreSQL.
            Readiness::Ready => connection.get_database_backend() == DbBackend::MySql,
            _ => false,
        };
        if !is_asked {
            return readiness;
        }
        if self.replication.refresh(&connection, deadline).await.is_err() {
            // The query still uses the old connection. Its response counts when it arrives, in later checks on the new
            // connection.
            self.reconnect().await;
        }
        with_replica(readiness, self.replication.replica())
    }

    /// Returns the readiness that follows from the response to the statement of a check.
    fn judge(&self, response: Result<(), DbErr>) -> Readiness {
        let Err(error) = response else {
            return self.last_refusal().map_or(Readiness::Ready, Readiness::TakesNoWrites);
        };
        match Unavailable::of(&error) {
            Some(Unavailable::ReadOnly) => Readiness::TakesNoWrites(WriteRefusal::ReadOnly),
            Some(Unavailable::DiskFull) => Readiness::TakesNoWrites(WriteRefusal::DiskFull),
            Some(Unavailable::NoConnection | Unavailable::TooSlow) => Readiness::NoResponse,
            // The database responded: another transaction has a lock.
            Some(Unavailable::Locked) => Readiness::Ready,
            Some(Unavailable::Down) => Readiness::Unreachable(error),
            // The database responded: the database account may lack the permission to delete.
            None if is_database_response(&error) => Readiness::Ready,
            None => Readiness::Unreachable(error),
        }
    }

    /// Returns why the database refused a write within the last 30 seconds. Returns None if it refused none, or if a
    /// later write succeeded.
    fn last_refusal(&self) -> Option<WriteRefusal> {
        let refusal = *self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.filter(|(at, _)| at.elapsed() < REFUSAL_MEMORY).map(|(_, refusal)| refusal)
    }

    /// Replaces the connection after a response did not arrive in time. The response may never arrive, and the next
    /// check must not wait for it.
    async fn reconnect(&self) {
        let Some(options) = self.options.clone() else { return };
        // This sends nothing, because the connection is opened at its first use.
        if let Ok(fresh) = sea_orm::Database::connect(options).await {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    /// Closes the connection. Does not wait longer than the maximum time of a check.
    pub(super) async fn close(&self) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A query for the status of the replication may hang on this connection.
        match timeout(RESPONSE_TIMEOUT, connection.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the connection for health checks could not be closed"),
            Err(_elapsed) => tracing::debug!("the connection for health checks is still in use"),
        }
    }
}

/// Combines the readiness with the status of the replication. The status matters only if the database is read-only,
/// or takes writes but is far behind.
fn with_replica(readiness: Readiness, replica: Option<Replica>) -> Readiness {
    match (readiness, replica) {
        (Readiness::TakesNoWrites(WriteRefusal::ReadOnly), Some(replica)) => {
            Readiness::ReadOnlyReplica(replica)
        }
        (Readiness::Ready, Some(replica)) if replica.is_late() => Readiness::LateReplica(replica),
        (readiness, _) => readiness,
    }
}

/// Sends the statement of a check to the database.
async fn send_check(connection: &DatabaseConnection) -> Result<(), DbErr> {
    // A ping of the protocol is not enough: a Galera node that has lost its cluster still responds to it.
    let text = match connection.get_database_backend() {
        // A write would wait for the only connection for writing. So the results of other writes are recorded
        // instead.
        DbBackend::Sqlite => "SELECT 1",
        DbBackend::MySql => WRITE_NOTHING_AND_ROLL_BACK,
        _ => WRITE_NOTHING,
    };
    connection.execute_unprepared(text).await.map(drop)
}

/// Returns whether the error comes from the database itself, so that the database has responded.
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
    fn a_replica_is_reported_if_it_is_behind_or_read_only() {
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
