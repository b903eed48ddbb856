//! The connection to the database: pools, transactions that are retried as a whole, and the differences between
//! SQLite, PostgreSQL, and MariaDB with MySQL.

mod attempt;
mod client;
mod connect;
mod dialect;
mod failure;
mod file;
mod group;
mod insert;
mod joined;
mod lock;
mod losses;
mod migrate;
mod observe;
mod options;
mod pool;
mod probe;
mod queue;
mod readable;
mod reader;
mod replica;
mod replication;
mod scratch;
mod sqlite;
mod statement;
mod statistics;
mod transaction;

pub use client::{ClientTarget, ClientUrlError, ClientVariables, client_environment, is_same_database};
pub use connect::ConnectError;
pub use failure::{Failure, Unavailable};
pub use file::{
    Access, FileError, beside, create_private, open_file, real_file, refuse_foreign_log, sqlite_file,
};
pub use losses::Losses;
pub use migrate::{MigrateError, MigrationState, applied_migrations, unknown_among};
pub use options::{DatabaseOptions, StatementObserver};
pub use probe::{Readiness, WriteRefusal};
pub use queue::QueueKey;
pub use reader::Reader;
pub use replica::Replica;
pub use scratch::{ScratchDatabase, ScratchError};
pub use transaction::{TransactionBody, WritePolicy};

pub(crate) use dialect::{
    MAX_IDS_PER_STATEMENT, columns_of, comparable_time, hold_subjects, inserted, lock_course, lock_subject,
    lock_user, locked, sql, updated_one, utc, whole_number_type,
};
pub(crate) use insert::{Cell, InsertStatement, array, cells};
pub(crate) use joined::{JoinedColumns, add_columns};
pub(crate) use lock::{HeldSubjects, lock_user_and_subjects, subjects_of_course};
pub(crate) use readable::{Unreadable, read_rows, split_readable};
pub(crate) use scratch::connect_alone;
pub(crate) use transaction::{backoff, join_task, run_detached, shutting_down};

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use crate::metrics::Metrics;
use group::Board;
use probe::Probe;
use queue::WriteQueue;

/// The database of the services, with one pool for reading and one for writing.
///
/// Readers and writers cannot take each other's connections. On PostgreSQL, MariaDB and MySQL each pool has half of the
/// connections. On SQLite there is one connection for writing, and a pool of read-only connections. So writers wait in
/// the queue of this type, and not in the busy loop of SQLite.
#[derive(Clone, Debug)]
pub struct Database {
    reader: Reader,
    writer: DatabaseConnection,
    /// The queue in which transactions wait before they take a connection of `writer`.
    queue: Arc<WriteQueue>,
    /// The waiting transactions that a group may take.
    groups: Arc<Board>,
    /// The connection for health checks.
    probe: Arc<Probe>,
    /// The pool for migrations.
    migrator: DatabaseConnection,
    /// Whether the server is a node of a Galera cluster. Each node has its own locks.
    is_cluster: bool,
    /// The metrics of this node. They count statements, transactions and connections.
    metrics: Metrics,
    /// A failed transaction is retried until this much time has passed since its first attempt began.
    retry_for: Duration,
}

impl Database {
    /// Returns the reader, which runs queries outside a transaction.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Returns the pool for writing. Operations use [`Database::write`] or [`Database::write_for`] instead. Only
    /// tools such as the adoption write to this pool directly.
    #[must_use]
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Checks within two seconds whether the database responds and takes writes, and whether it is a replica that is
    /// behind.
    pub async fn readiness(&self) -> Readiness {
        self.probe.check().await
    }

    /// Returns the kind of the database.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// Returns whether the server is a node of a Galera cluster. On a cluster, if a transaction locks a row that it
    /// only reads, the lock has no effect on other nodes. If two transactions on different nodes write one row, the
    /// later transaction must be retried.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    /// Returns the metrics of this node.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the time since the first attempt of a transaction after which a failure is no longer retried.
    #[must_use]
    pub(crate) fn retry_for(&self) -> Duration {
        self.retry_for
    }

    /// Returns the same database, but retries failed transactions only for this long. Use it for work that can be
    /// done later.
    #[must_use]
    pub(crate) fn retrying_for(&self, retry_for: Duration) -> Self {
        Self { retry_for, ..self.clone() }
    }

    /// Closes all connections. On SQLite the connection for writing is closed last, because only it can write the
    /// write-ahead log back into the file.
    ///
    /// # Errors
    /// Fails if a pool cannot be closed.
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

/// Writes the write-ahead log of SQLite back into the file. If another process still reads, the log is not emptied,
/// but no data is lost. Logs an error instead of returning it.
async fn write_back(writer: &DatabaseConnection) {
    let text = "PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE)";
    if let Err(error) = writer.execute_unprepared(text).await {
        tracing::debug!(%error, "the write-ahead log was not written back; the next start reads it");
    }
}
