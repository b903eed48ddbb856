//! Checks whether the database answers and takes writes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use tokio::time::timeout;

use super::Unavailable;

/// Maximum time that the database may take to answer. Orchestrators commonly wait two seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long the database counts as read-only after a refused write, unless another write succeeds.
const REFUSAL_COUNTS_FOR: Duration = Duration::from_secs(30);

/// A write that changes nothing, on a table that always exists. A read-only server still refuses it.
const WRITE_NOTHING: &str = "DELETE FROM seaql_migrations WHERE version = ''";
/// The same for MariaDB and MySQL: rolled back, so that their binary log does not record each check.
const WRITE_NOTHING_AND_ROLL_BACK: &str =
    "START TRANSACTION; DELETE FROM seaql_migrations WHERE version = ''; ROLLBACK";

/// The result of a check whether the server can work with this database.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// The database answers and takes writes.
    Ready,
    /// The database answers, but it is read-only or its disk is full.
    TakesNoWrites,
    /// The database did not answer in time.
    NoAnswer,
    /// The database could not be reached.
    Unreachable(DbErr),
}

/// Checks the database through its own connection, because a busy pool does not mean a dead database.
#[derive(Debug)]
pub(super) struct Probe {
    connection: Mutex<DatabaseConnection>,
    /// The options to connect again after a lost answer. None for a database in memory.
    options: Option<ConnectOptions>,
    is_sqlite: bool,
    /// When the database last refused a write for a reason that a check does not find. None after a later successful
    /// write.
    refused_at: Mutex<Option<Instant>>,
}

impl Probe {
    /// Prepares a connection, which is opened at its first use.
    pub(super) async fn new(mut options: ConnectOptions) -> Result<Self, DbErr> {
        options.connect_lazy(true).acquire_timeout(ANSWER_TIMEOUT).connect_timeout(ANSWER_TIMEOUT);
        let connection = sea_orm::Database::connect(options.clone()).await?;
        Ok(Self { options: Some(options), ..Self::of_memory(connection) })
    }

    /// Uses the one connection that a database in memory has.
    pub(super) fn of_memory(connection: DatabaseConnection) -> Self {
        let is_sqlite = connection.get_database_backend() == DbBackend::Sqlite;
        Self { connection: Mutex::new(connection), options: None, is_sqlite, refused_at: Mutex::default() }
    }

    /// Records that the database took a write.
    pub(super) fn write_was_taken(&self) {
        *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that the database refused a write because it is read-only or full. No statement asks whether a disk
    /// is full.
    pub(super) fn write_has_failed(&self, error: &DbErr) {
        let counts = match Unavailable::of(error) {
            Some(Unavailable::DiskFull) => true,
            // The check of a server is a write itself.
            Some(Unavailable::ReadOnly) => self.is_sqlite,
            _ => false,
        };
        if counts {
            *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    pub(super) async fn look(&self) -> Readiness {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Ok(answer) = timeout(ANSWER_TIMEOUT, ask(&connection)).await else {
            self.connect_again().await;
            return Readiness::NoAnswer;
        };
        let Err(error) = answer else {
            return if self.was_refused() { Readiness::TakesNoWrites } else { Readiness::Ready };
        };
        match Unavailable::of(&error) {
            Some(Unavailable::ReadOnly | Unavailable::DiskFull) => Readiness::TakesNoWrites,
            Some(Unavailable::NoConnection | Unavailable::TooSlow) => Readiness::NoAnswer,
            // The database answered: the account may lack the right to delete, or another transaction holds a
            // lock.
            Some(Unavailable::Locked) => Readiness::Ready,
            Some(Unavailable::Down) => Readiness::Unreachable(error),
            None if is_answer(&error) => Readiness::Ready,
            None => Readiness::Unreachable(error),
        }
    }

    fn was_refused(&self) -> bool {
        let refused_at = *self.refused_at.lock().unwrap_or_else(PoisonError::into_inner);
        refused_at.is_some_and(|at| at.elapsed() < REFUSAL_COUNTS_FOR)
    }

    /// Replaces a connection on which an answer is missing. The answer may never come, and the next check must not
    /// wait for it.
    async fn connect_again(&self) {
        let Some(options) = self.options.clone() else { return };
        // Sends nothing yet: the connection is lazy.
        if let Ok(fresh) = sea_orm::Database::connect(options).await {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    pub(super) async fn close(&self) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "the connection for health checks could not be closed");
        }
    }
}

async fn ask(connection: &DatabaseConnection) -> Result<(), DbErr> {
    // Not a ping of the protocol: a Galera node that has lost its cluster answers that one.
    let text = match connection.get_database_backend() {
        // A write would have to wait for the one writer. Other writes show whether the database takes writes.
        DbBackend::Sqlite => "SELECT 1",
        DbBackend::MySql => WRITE_NOTHING_AND_ROLL_BACK,
        _ => WRITE_NOTHING,
    };
    connection.execute_unprepared(text).await.map(drop)
}

/// Whether the database itself refused the statement, and so has answered.
fn is_answer(error: &DbErr) -> bool {
    let (DbErr::Exec(sea_orm::RuntimeErr::SqlxError(error))
    | DbErr::Query(sea_orm::RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    error.as_database_error().is_some()
}
