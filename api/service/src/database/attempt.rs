//! One attempt to run a transaction.

use std::time::Instant;

use sea_orm::{
    AccessMode, ConnAcquireErr, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use super::transaction::{TransactionBody, failure_of};
use super::{Database, Failure};
use crate::error::Error;
use crate::metrics::PoolName;

/// An attempt that failed. Either COMMIT was not sent, or COMMIT failed and the transaction may still be committed.
pub(super) struct FailedAttempt<R> {
    pub(super) error: Error<R>,
    /// Whether COMMIT was sent before the failure.
    pub(super) commit_was_sent: bool,
    /// Whether the Galera cluster had ended the transaction before its body ended, although no statement had reported a
    /// conflict.
    pub(super) was_ended_early: bool,
}

impl<R> FailedAttempt<R> {
    /// Makes the failed attempt of a transaction that failed before COMMIT was sent.
    pub(super) fn before_commit(error: impl Into<Error<R>>) -> Self {
        Self::new(error, false)
    }

    /// Records that an attempt failed with this error. `commit_was_sent` tells whether COMMIT was sent before the
    /// error.
    pub(super) fn new(error: impl Into<Error<R>>, commit_was_sent: bool) -> Self {
        Self { error: error.into(), commit_was_sent, was_ended_early: false }
    }
}

/// Returns whether the transaction is still open on a node of a Galera cluster.
///
/// The node ends a transaction that conflicts with a transaction of another node, and should report a deadlock at the
/// next statement. But if the node was preparing a statement, the node reports success (seen on MariaDB 10.11). Each
/// later statement would then be committed separately. To prevent this, the connections to a cluster are read-only
/// outside a transaction, so that later writes fail. This check finds the case in which only reads follow.
async fn is_still_open(transaction: &DatabaseTransaction) -> Result<bool, DbErr> {
    let select = Statement::from_string(DbBackend::MySql, "SELECT CAST(@@in_transaction AS SIGNED)");
    let row = transaction.query_one_raw(select).await?;
    Ok(row.map(|row| row.try_get_by_index::<i64>(0)).transpose()? == Some(1))
}

impl Database {
    /// Runs a transaction once.
    pub(super) async fn attempt<C, T, R>(
        &self,
        input: &C,
        body: TransactionBody<C, T, R>,
    ) -> Result<T, FailedAttempt<R>> {
        // Waits for a permit before taking a connection, so that no transaction with a connection waits for a permit.
        let (metrics, since) = (self.metrics.database(), Instant::now());
        let _borrowed = metrics.map(|metrics| metrics.borrowing(PoolName::Writer));
        let _permit = self.queue.permit().await.map_err(FailedAttempt::before_commit)?;
        let transaction = self.begin().await.map_err(FailedAttempt::before_commit)?;
        if let Some(metrics) = metrics {
            metrics.connection_taken(PoolName::Writer, since.elapsed());
        }
        let result = body(&transaction, input).await;
        // If the cluster ended the transaction early, the result of the body must not be used. An error that leads to
        // a retry needs no check.
        let will_retry = matches!(&result, Err(error) if failure_of(error) != Failure::Permanent);
        let is_open =
            if self.is_cluster && !will_retry { is_still_open(&transaction).await } else { Ok(true) };
        let error = match (result, is_open) {
            (Ok(value), Ok(true)) => {
                let committed = transaction.commit().await;
                return committed.map(|()| value).map_err(|error| FailedAttempt::new(error, true));
            }
            (Err(error), Ok(true)) => FailedAttempt::before_commit(error),
            (_, Ok(false)) => {
                FailedAttempt { was_ended_early: true, ..FailedAttempt::before_commit(transaction_lost()) }
            }
            (_, Err(error)) => FailedAttempt::before_commit(error),
        };
        roll_back(transaction).await;
        Err(error)
    }

    /// Begins a transaction in one round trip. On servers its isolation level is READ COMMITTED, the default of the
    /// sessions in the pool. On SQLite the transaction locks the database for writing at once. A transaction that
    /// begins with a read cannot always get this lock later.
    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = match self.backend() {
            DbBackend::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            },
            _ if !self.is_cluster => TransactionOptions::default(),
            _ => TransactionOptions {
                isolation_level: Some(IsolationLevel::ReadCommitted),
                // Outside a transaction, the connections to a cluster are read-only: see `is_still_open`.
                access_mode: Some(AccessMode::ReadWrite),
                ..TransactionOptions::default()
            },
        };
        self.writer.begin_with_options(options).await
    }
}

/// Rolls a transaction back. A failure is only logged: the transaction was not committed in any case.
pub(super) async fn roll_back(transaction: DatabaseTransaction) {
    if let Err(error) = transaction.rollback().await {
        tracing::debug!(%error, "rollback failed; the pool closes the connection if it is broken");
    }
}

/// Returns the error of a transaction that the Galera cluster has ended early without reporting a conflict.
fn transaction_lost() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}
