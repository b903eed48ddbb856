//! The connection to the database: pools, transactions that are retried whole, and what differs between the
//! three databases.

mod connect;
mod dialect;
mod failure;
mod file;
mod losses;
mod migrate;
mod probe;
mod queue;
mod readable;
mod reader;
mod transaction;

pub use connect::{ConnectError, DatabaseOptions, StatementObserver};
pub use failure::{Failure, IsFailure, Unavailable};
pub use file::{
    Access, FileError, beside, create_private, open_file, real_file, refuse_foreign_log, sqlite_file,
};
pub use losses::Losses;
pub use migrate::{MigrateError, MigrationState, applied_migrations, unknown_among};
pub use probe::Readiness;
pub use reader::Reader;
pub use transaction::WriteOptions;

pub(crate) use dialect::{inserted, lock_subject, lock_user, locked, sql, utc, whole_number_type};
pub(crate) use readable::{Unreadable, readable, sorted_out};
pub(crate) use transaction::{joined, pause, shutting_down, to_its_end};

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use probe::Probe;
use queue::WriteQueue;

/// The database as the services see it: one handle to read through, one to write through.
///
/// Each has a pool of its own, so that neither can take the connections of the other: on PostgreSQL and MariaDB/MySQL half
/// of the connections. SQLite has one writer connection and a pool of read-only ones, so that writers queue here, in order,
/// and not in SQLite's busy loop.
#[derive(Clone, Debug)]
pub struct Database {
    reader: Reader,
    writer: DatabaseConnection,
    /// Where transactions wait before they take a connection of `writer`.
    queue: Arc<WriteQueue>,
    probe: Arc<Probe>,
    migrator: DatabaseConnection,
    /// Whether it is a node of a Galera cluster, whose locks are its own.
    is_cluster: bool,
    /// Conflicts are retried until this much time has passed since the first attempt.
    retry_for: Duration,
}

impl Database {
    /// For queries outside a transaction.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// For migrations. Everything else that writes does so in [`Database::write`] or [`Database::write_for`].
    #[must_use]
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Finds out whether the database answers and takes writes, within two seconds.
    pub async fn readiness(&self) -> Readiness {
        self.probe.look().await
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// Whether it is a node of a Galera cluster: locks that only read are unknown to the other nodes, and of two that
    /// write the same row the later one is run again.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    /// How long a write is retried while something is in its way.
    #[must_use]
    pub(crate) fn retry_for(&self) -> Duration {
        self.retry_for
    }

    /// The same database for work that can be done later: what is in its way is retried for this long and no longer.
    #[must_use]
    pub(crate) fn retrying_for(&self, retry_for: Duration) -> Self {
        Self { retry_for, ..self.clone() }
    }

    /// Closes all connections. On SQLite the connection that writes is the last, and leaves one file with everything in
    /// it: the readers cannot write the log back.
    ///
    /// # Errors
    /// When a pool cannot be closed.
    pub async fn close(self) -> Result<(), sea_orm::DbErr> {
        self.probe.close().await;
        let closed = self.reader.pool().close_by_ref().await;
        if self.backend() == DbBackend::Sqlite {
            write_back(&self.writer).await;
        } else {
            self.migrator.close().await?;
        }
        self.writer.close().await?;
        closed
    }
}

/// Writes SQLite's log back into its file. Another process that reads keeps the log from being emptied, and loses nothing
/// by it.
async fn write_back(writer: &DatabaseConnection) {
    let text = "PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE)";
    if let Err(error) = writer.execute_unprepared(text).await {
        tracing::debug!(%error, "the log was not written back; the next start reads it");
    }
}
