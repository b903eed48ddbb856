//! Runs transactions, and retries them as a whole after a conflict.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rand::RngExt;
use sea_orm::{
    AccessMode, ConnAcquireErr, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqlErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::queue::Turn;
use super::{Database, Failure, QueueKey, observe};
use crate::error::Error;
use crate::metrics::{PoolName, RetryCause, TransactionOutcome};
use crate::trace::{self, TRACE_TARGET};

/// The name of a transaction, and the failures after which it is retried.
#[derive(Clone, Copy, Debug)]
pub struct WritePolicy {
    /// The name of the transaction in log lines, metrics and traces.
    name: &'static str,
    /// Whether to retry if the connection was lost during COMMIT. Then the transaction may have been committed.
    retries_lost_commit: bool,
    /// Whether to retry if a unique key refused a row.
    retries_taken_keys: bool,
}

impl WritePolicy {
    /// Returns the policy of a transaction that has the same effect if it runs twice. For example, it reads the rows
    /// of an earlier run before it writes. So it is retried even if its COMMIT may have succeeded.
    #[must_use]
    pub const fn idempotent(name: &'static str) -> Self {
        Self { name, retries_lost_commit: true, retries_taken_keys: false }
    }

    /// Returns the policy of a transaction whose second run would fail or write twice. If its COMMIT may have
    /// succeeded, it is not retried, and the caller gets the error.
    #[must_use]
    pub const fn not_idempotent(name: &'static str) -> Self {
        Self { name, retries_lost_commit: false, retries_taken_keys: false }
    }

    /// Also retries the transaction after a unique key refused a row. The next run finds the row of the other
    /// transaction. On a Galera cluster locks do not prevent this case, because each node has its own locks.
    #[must_use]
    pub const fn retry_taken_keys(self) -> Self {
        Self { retries_taken_keys: true, ..self }
    }
}

/// Maximum pause before the first retry. The maximum doubles with each retry, up to [`MAX_PAUSE`].
const FIRST_MAX_PAUSE: Duration = Duration::from_millis(4);
/// Maximum number of retries after a unique key refused a row.
const MAX_TAKEN_KEY_RETRIES: u32 = 20;
/// Maximum pause before any retry.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// The statements of a transaction. The function gets the open transaction and the input, and may run several times.
pub type TransactionBody<C, T, R> =
    for<'t> fn(&'t DatabaseTransaction, &'t C) -> BoxFuture<'t, Result<T, Error<R>>>;

impl Database {
    /// Runs a transaction whose first statement locks the row that `key` names. Waits for its turn: until no other
    /// transaction of this key runs on this server. If the caller stops waiting before the turn, the transaction does
    /// not start. Otherwise does the same as [`Database::write`].
    ///
    /// # Errors
    /// Returns the errors of [`Database::write`]. If too many transactions wait, or this transaction waits too long, it
    /// gets no connection ([`super::Unavailable::NoConnection`]).
    pub async fn write_for<C, T, R>(
        &self,
        key: impl Into<QueueKey>,
        policy: WritePolicy,
        input: C,
        body: TransactionBody<C, T, R>,
    ) -> Result<T, Error<R>>
    where
        C: Send + Sync + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        let turn = self.turn(key.into()).await?;
        let database = self.clone();
        run_detached(async move {
            let _turn = turn;
            database.measure_write(policy, &input, body).await
        })
        .await
    }

    /// Runs `body` in one transaction and commits it. After a conflict or a lost connection, retries the transaction
    /// from the start, as `policy` allows. Holds no connection during the pause before a retry. Each run gets the
    /// same `input`.
    ///
    /// The transaction continues if the caller stops waiting, for instance because a client hung up. It is committed
    /// or rolled back as a whole, and its connection returns to the pool.
    ///
    /// `body` must return every error of the database. PostgreSQL reports success for the COMMIT of a failed
    /// transaction, and stores nothing. On MariaDB a deadlock has already ended the transaction, so each later
    /// statement would be committed separately.
    ///
    /// # Errors
    /// Returns the error of `body` or the database, if `policy` allows no further retry after the error, or if the
    /// time for retries is over.
    pub async fn write<C, T, R>(
        &self,
        policy: WritePolicy,
        input: C,
        body: TransactionBody<C, T, R>,
    ) -> Result<T, Error<R>>
    where
        C: Send + Sync + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        let database = self.clone();
        run_detached(async move { database.measure_write(policy, &input, body).await }).await
    }

    /// Waits for the turn of a transaction among the transactions of its key.
    async fn turn(&self, key: QueueKey) -> Result<Turn, DbErr> {
        let Some(metrics) = self.metrics.database() else {
            return self.queue.turn(key, self.retry_for).await;
        };
        let (waiting, since) = (metrics.waiting_for_turn(), Instant::now());
        let turn = self.queue.turn(key, self.retry_for).await;
        metrics.turn_taken(since.elapsed());
        drop(waiting);
        turn
    }

    /// Runs a transaction with its retries, in a span of its own, and measures its time and outcome.
    async fn measure_write<C, T, R>(
        &self,
        policy: WritePolicy,
        input: &C,
        body: TransactionBody<C, T, R>,
    ) -> Result<T, Error<R>> {
        let span = trace::span(
            || tracing::debug_span!(target: TRACE_TARGET, "transaction", otel.name = policy.name),
        );
        let write = self.write_until_done(policy, input, body).instrument(span);
        let Some(metrics) = self.metrics.database() else { return write.await };
        let started = Instant::now();
        let result = observe::transaction(&self.metrics, policy.name, write).await;
        let outcome = match &result {
            Ok(_) => TransactionOutcome::Committed,
            Err(Error::Refused(_)) => TransactionOutcome::Refused,
            Err(Error::Failed(_)) => TransactionOutcome::Failed,
        };
        metrics.transaction(policy.name, outcome, started.elapsed());
        result
    }

    /// Runs a transaction, and retries it as its policy allows, until the time for retries is over.
    async fn write_until_done<C, T, R>(
        &self,
        policy: WritePolicy,
        input: &C,
        body: TransactionBody<C, T, R>,
    ) -> Result<T, Error<R>> {
        let started = Instant::now();
        let mut attempt = 0;
        let mut had_conflict = false;
        loop {
            // A transaction that waits for a lock holds a connection. So after a conflict, only a few transactions are
            // retried at the same time.
            let contended = match had_conflict {
                true => Some(self.queue.contended().await?),
                false => None,
            };
            let FailedAttempt { error, commit_was_sent, was_ended_early } =
                match self.attempt(input, body).await {
                    Ok(value) => {
                        self.probe.record_write();
                        return Ok(value);
                    }
                    Err(failed) => failed,
                };
            if let Some(error) = error.database_error() {
                self.probe.record_failed_write(error);
            }
            let failure = if was_ended_early { Failure::Conflict } else { failure_of(&error) };
            had_conflict |= failure == Failure::Conflict;
            let may_retry = match failure {
                Failure::Conflict => true,
                Failure::ConnectionLost => !commit_was_sent || policy.retries_lost_commit,
                Failure::Permanent => {
                    policy.retries_taken_keys && attempt < MAX_TAKEN_KEY_RETRIES && is_taken_key(&error)
                }
            };
            if !may_retry || started.elapsed() >= self.retry_for {
                return Err(error);
            }
            tracing::debug!(
                transaction = policy.name,
                attempt,
                ?failure,
                commit_was_sent,
                was_ended_early,
                "retrying"
            );
            if let Some(metrics) = self.metrics.database() {
                let cause = if was_ended_early { RetryCause::EndedEarly } else { RetryCause::of(failure) };
                metrics.retry(policy.name, cause);
            }
            drop(contended);
            tokio::time::sleep(backoff(attempt)).await;
            attempt += 1;
        }
    }

    /// Runs a transaction once.
    async fn attempt<C, T, R>(
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
                return committed.map(|()| value).map_err(|error| FailedAttempt {
                    error: error.into(),
                    commit_was_sent: true,
                    was_ended_early: false,
                });
            }
            (Err(error), Ok(true)) => FailedAttempt::before_commit(error),
            (_, Ok(false)) => {
                FailedAttempt { was_ended_early: true, ..FailedAttempt::before_commit(transaction_lost()) }
            }
            (_, Err(error)) => FailedAttempt::before_commit(error),
        };
        if let Err(rollback) = transaction.rollback().await {
            tracing::debug!(
                error = %rollback,
                "rollback failed; the pool closes the connection if it is broken"
            );
        }
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

/// An attempt that failed. Either COMMIT was not sent, or COMMIT failed and the transaction may still be committed.
struct FailedAttempt<R> {
    error: Error<R>,
    /// Whether COMMIT was sent before the failure.
    commit_was_sent: bool,
    /// Whether the Galera cluster had ended the transaction before its body ended, although no statement had reported a
    /// conflict.
    was_ended_early: bool,
}

impl<R> FailedAttempt<R> {
    /// Makes the failed attempt of a transaction that failed before COMMIT was sent.
    fn before_commit(error: impl Into<Error<R>>) -> Self {
        Self { error: error.into(), commit_was_sent: false, was_ended_early: false }
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

/// Classifies an error of a transaction. A refusal is permanent.
fn failure_of<R>(error: &Error<R>) -> Failure {
    error.database_error().map_or(Failure::Permanent, Failure::of)
}

/// Returns the error of a transaction that the Galera cluster has ended early without reporting a conflict.
fn transaction_lost() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

/// Returns whether the error is that a unique key refused a row.
fn is_taken_key<R>(error: &Error<R>) -> bool {
    let refused = error.database_error().and_then(DbErr::sql_err);
    matches!(refused, Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Returns the error of work that was interrupted by the end of the process.
pub(crate) fn shutting_down() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

/// Waits for a spawned task and returns its result. If the task panicked, this function panics too.
///
/// # Errors
/// Fails if the shutdown of the process has cancelled the task.
pub(crate) async fn join_task<T>(task: JoinHandle<T>) -> Result<T, DbErr> {
    task.await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => shutting_down(),
    })
}

/// Runs `work` in a task of its own, which starts at once and continues if the caller stops waiting.
///
/// # Errors
/// Returns the error of `work`.
// This is not an `async fn`, because its future would contain `work`. The nested futures of callers would then be too
// deep for the compiler.
pub(crate) fn run_detached<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> impl Future<Output = Result<T, E>> + Send
where
    T: Send + 'static,
    E: From<DbErr> + Send + 'static,
{
    // Log lines and traces of the work belong to the request that caused it.
    let task = tokio::spawn(work.in_current_span());
    async move { join_task(task).await? }
}

/// Returns the pause before a retry. The maximum pause grows exponentially up to [`MAX_PAUSE`]. The pause is a random
/// part of it, so that transactions that collided do not collide again.
// The crate `backon` does not fit here. Its jitter only lengthens a pause. And the callers of this function stop
// after an elapsed time, and wait for permits between attempts.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let ceiling = FIRST_MAX_PAUSE.saturating_mul(1 << attempt.min(10)).min(MAX_PAUSE);
    ceiling.mul_f64(rand::rng().random_range(0.1..1.0))
}
