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
pub use queue::QueueKey;
pub use reader::Reader;
pub use transaction::WriteOptions;

pub(crate) use dialect::{
    hold_subjects, inserted, lock_subject, lock_user, locked, sql, utc, whole_number_type,
};
pub(crate) use readable::{Unreadable, readable, sorted_out};
pub(crate) use transaction::{joined, pause, shutting_down, to_its_end};

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use probe::Probe;
use queue::WriteQueue;

/// The database as the services see it: one handle to read through, one to write through.
///
/// Each has a pool of its own, so that neither can take the connections of the other. On PostgreSQL and
/// MariaDB/MySQL each has half of the connections. SQLite has one writer connection and a pool of read-only ones.
/// So writers queue here, in order, and not in SQLite's busy loop.
#[derive(Clone, Debug)]
pub struct Database {
    reader: Reader,
    writer: DatabaseConnection,
    /// The queue in which transactions wait before they take a connection of `writer`.
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

    /// Returns the connection for migrations. Everything else writes in [`Database::write`] or
    /// [`Database::write_for`].
    #[must_use]
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Checks within two seconds whether the database answers and takes writes.
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

    /// Returns how long a write is retried after a conflict.
    #[must_use]
    pub(crate) fn retry_for(&self) -> Duration {
        self.retry_for
    }

    /// Returns the same database for work that can be done later: conflicts are retried for at most this long.
    #[must_use]
    pub(crate) fn retrying_for(&self, retry_for: Duration) -> Self {
        Self { retry_for, ..self.clone() }
    }

    /// Closes all connections. On SQLite the writer is closed last, and leaves one complete file: readers cannot
    /// write the write-ahead log back.
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

/// Writes SQLite's write-ahead log back into its file. If another process still reads, the log is not emptied, and
/// no data is lost.
async fn write_back(writer: &DatabaseConnection) {
    let text = "PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE)";
    if let Err(error) = writer.execute_unprepared(text).await {
        tracing::debug!(%error, "the write-ahead log was not written back; the next start reads it");
    }
}
