//! Runs transactions, and retries them as a whole after a conflict.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rand::RngExt;
use sea_orm::{ConnAcquireErr, DatabaseTransaction, DbErr, SqlErr};
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

use super::attempt::FailedAttempt;
use super::queue::Turn;
use super::{Database, Failure, QueueKey, observe};
use crate::error::Error;
use crate::metrics::{RetryCause, TransactionOutcome};
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
    /// Whether the transaction may share a transaction of the database with others.
    joins_groups: bool,
}

impl WritePolicy {
    /// Returns the policy of a transaction that has the same effect if it runs twice. For example, it reads the rows
    /// of an earlier run before it writes. So it is retried even if its COMMIT may have succeeded.
    #[must_use]
    pub const fn idempotent(name: &'static str) -> Self {
        Self { name, retries_lost_commit: true, retries_taken_keys: false, joins_groups: false }
    }

    /// Returns the policy of a transaction whose second run would fail or write twice. If its COMMIT may have
    /// succeeded, it is not retried, and the caller gets the error.
    #[must_use]
    pub const fn not_idempotent(name: &'static str) -> Self {
        Self { name, retries_lost_commit: false, retries_taken_keys: false, joins_groups: false }
    }

    /// Also retries the transaction after a unique key refused a row. The next run finds the row of the other
    /// transaction. On a Galera cluster locks do not prevent this case, because each node has its own locks.
    #[must_use]
    pub const fn retry_taken_keys(self) -> Self {
        Self { retries_taken_keys: true, ..self }
    }

    /// Returns the policy of an idempotent transaction that may share one transaction of the database with others that
    /// wait for a connection. If one of them fails, all are rolled back, and each runs alone.
    ///
    /// The body must refuse before its first write, because the group of a refused transaction is committed. And it
    /// must return every error of the database: if it hid an error on PostgreSQL, the COMMIT of the whole group would
    /// store nothing.
    #[must_use]
    pub const fn grouped(name: &'static str) -> Self {
        Self { joins_groups: true, ..Self::idempotent(name) }
    }

    /// Returns the name of the transaction.
    pub(super) const fn name(self) -> &'static str {
        self.name
    }

    /// Makes the span of a transaction in a trace.
    pub(super) fn span(self) -> Span {
        trace::span(|| tracing::debug_span!(target: TRACE_TARGET, "transaction", otel.name = self.name))
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
        let key = key.into();
        if policy.joins_groups && !self.is_cluster {
            return self.write_in_group(key, policy, input, body).await;
        }
        let turn = self.turn(key).await?;
        let database = self.clone();
        run_detached(async move {
            let _turn = turn;
            database.measure_write(policy, policy.span(), &input, body, Instant::now(), None).await
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
        run_detached(async move {
            database.measure_write(policy, policy.span(), &input, body, Instant::now(), None).await
        })
        .await
    }

    /// Waits for the turn of a transaction among the transactions of its key.
    pub(super) async fn turn(&self, key: QueueKey) -> Result<Turn, DbErr> {
        let Some(metrics) = self.metrics.database() else {
            return self.queue.turn(key, self.retry_for).await;
        };
        let (waiting, since) = (metrics.waiting_for_turn(), Instant::now());
        let turn = self.queue.turn(key, self.retry_for).await;
        metrics.turn_taken(since.elapsed());
        drop(waiting);
        turn
    }

    /// Runs a transaction with its retries in this span, and measures its time since `started` and its outcome. If it
    /// was attempted already, `first` is the failed attempt.
    pub(super) async fn measure_write<C, T, R>(
        &self,
        policy: WritePolicy,
        span: Span,
        input: &C,
        body: TransactionBody<C, T, R>,
        started: Instant,
        first: Option<FailedAttempt<R>>,
    ) -> Result<T, Error<R>> {
        let write = self.write_until_done(policy, input, body, first).instrument(span);
        let Some(metrics) = self.metrics.database() else { return write.await };
        let result = observe::transaction(&self.metrics, policy.name, write).await;
        metrics.transaction(policy.name, TransactionOutcome::of(&result), started.elapsed());
        result
    }

    /// Runs a transaction, and retries it as its policy allows, until the time for retries is over.
    async fn write_until_done<C, T, R>(
        &self,
        policy: WritePolicy,
        input: &C,
        body: TransactionBody<C, T, R>,
        mut first: Option<FailedAttempt<R>>,
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
            let attempted = match first.take() {
                Some(failed) => Err(failed),
                None => self.attempt(input, body).await,
            };
            let FailedAttempt { error, commit_was_sent, was_ended_early } = match attempted {
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
}

/// Classifies an error of a transaction. A refusal is permanent.
pub(super) fn failure_of<R>(error: &Error<R>) -> Failure {
    error.database_error().map_or(Failure::Permanent, Failure::of)
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
