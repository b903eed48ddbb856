//! Checks whether the database answers and takes writes, and whether it is a replica that is behind.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use tokio::time::timeout_at;

use super::{Replica, Unavailable};

/// Maximum time that the database may take to answer a check. Orchestrators commonly wait two seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Time for which the database counts as read-only after it refused a write, unless a later write succeeds.
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
    /// The database answers, but it is read-only or its disk is full.
    TakesNoWrites,
    /// The database copies another one, and takes no writes.
    ReadOnlyReplica(Replica),
    /// The database copies another one and takes writes, but is so far behind that it must not be read.
    LateReplica(Replica),
    /// The database did not answer in time.
    NoResponse,
    /// The database could not be reached.
    Unreachable(DbErr),
}

/// Checks the database through its own connection, because a busy pool does not mean a dead database.
#[derive(Debug)]
pub(super) struct Probe {
    connection: Mutex<DatabaseConnection>,
    /// The options to connect again after a check without an answer. None for a database in memory.
    options: Option<ConnectOptions>,
    is_sqlite: bool,
    /// When the database last refused a write for a reason that a check does not find. None if a later write succeeded.
    refused_at: Mutex<Option<Instant>>,
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
        Self { connection: Mutex::new(connection), options: None, is_sqlite, refused_at: Mutex::default() }
    }

    /// Records that a write succeeded.
    pub(super) fn record_write(&self) {
        *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that the database refused a write because it is read-only or its disk is full. A check cannot find out
    /// whether the disk is full.
    pub(super) fn record_failed_write(&self, error: &DbErr) {
        let counts = match Unavailable::of(error) {
            Some(Unavailable::DiskFull) => true,
            // On a server the check itself is a write, and finds this.
            Some(Unavailable::ReadOnly) => self.is_sqlite,
            _ => false,
        };
        if counts {
            *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
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
            Readiness::TakesNoWrites => true,
            // A replica of MariaDB or MySQL can be open for writes, unlike a standby of PostgreSQL.
            Readiness::Ready => connection.get_database_backend() == DbBackend::MySql,
            _ => false,
        };
        if !is_asked {
            return readiness;
        }
        match timeout_at(deadline, Replica::find(&connection)).await {
            Ok(Ok(replica)) => with_replica(readiness, replica),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the database did not tell whether it is a replica");
                readiness
            }
            Err(_) => {
                self.reconnect().await;
                readiness
            }
        }
    }

    /// Judges the response to the statement of a check.
    fn judge(&self, response: Result<(), DbErr>) -> Readiness {
        let Err(error) = response else {
            return if self.was_refused() { Readiness::TakesNoWrites } else { Readiness::Ready };
        };
        match Unavailable::of(&error) {
            Some(Unavailable::ReadOnly | Unavailable::DiskFull) => Readiness::TakesNoWrites,
            Some(Unavailable::NoConnection | Unavailable::TooSlow) => Readiness::NoResponse,
            // The database answered: another transaction holds a lock.
            Some(Unavailable::Locked) => Readiness::Ready,
            Some(Unavailable::Down) => Readiness::Unreachable(error),
            // The database answered: the account may lack the permission to delete.
            None if is_database_response(&error) => Readiness::Ready,
            None => Readiness::Unreachable(error),
        }
    }

    /// Returns whether the database refused a write lately.
    fn was_refused(&self) -> bool {
        let refused_at = *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner);
        refused_at.is_some_and(|at| at.elapsed() < REFUSAL_MEMORY)
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
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "the connection for health checks could not be closed");
        }
    }
}

/// Adds what the database says about its replication.
fn with_replica(readiness: Readiness, replica: Option<Replica>) -> Readiness {
    match (readiness, replica) {
        (Readiness::TakesNoWrites, Some(replica)) => Readiness::ReadOnlyReplica(replica),
        (Readiness::Ready, Some(replica)) if replica.is_too_late() => Readiness::LateReplica(replica),
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
    fn only_a_replica_that_is_behind_or_closed_is_not_ready() {
        let replica = |seconds: Option<u64>| Some(Replica { lag: seconds.map(Duration::from_secs) });
        for seconds in [None, Some(0), Some(10)] {
            assert!(matches!(with_replica(Readiness::Ready, replica(seconds)), Readiness::Ready));
        }
        assert!(matches!(with_replica(Readiness::Ready, replica(Some(11))), Readiness::LateReplica(_)));
        assert!(matches!(with_replica(Readiness::Ready, None), Readiness::Ready));
        for seconds in [None, Some(0), Some(11)] {
            let closed = with_replica(Readiness::TakesNoWrites, replica(seconds));
            assert!(matches!(closed, Readiness::ReadOnlyReplica(_)));
        }
        assert!(matches!(with_replica(Readiness::TakesNoWrites, None), Readiness::TakesNoWrites));
    }
}
