//! Transactions, run again as a whole when another was in the way.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rand::RngExt;
use sea_orm::{
    AccessMode, ConnAcquireErr, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqlErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tokio::task::JoinHandle;

use super::{Database, Failure, IsFailure, QueueKey};

/// How a transaction is run.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// Named in logs.
    pub name: &'static str,
    /// Whether running it again after a commit whose answer was lost is right: the body itself looks at what
    /// is there. Where it is not, such a commit is reported as an error.
    pub looks_before_it_writes: bool,
    /// Whether a unique key that refuses a row means that somebody else was first, and running it again finds what
    /// they made. The locks of a node of a Galera cluster are its own: what another commits can appear between a look
    /// and an insert.
    pub another_may_be_first: bool,
}

const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// How often somebody else may have been first.
const RACES: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Database {
    /// Runs a transaction that first locks the row that `key` names. It waits until no other transaction of this key runs on
    /// this server; see [`Database::write`] for the rest. A caller that leaves before that starts nothing.
    ///
    /// # Errors
    /// Returns the errors of [`Database::write`]. If too many transactions wait, or this one waits too long, it
    /// gets no connection ([`super::Unavailable::NoConnection`]).
    pub async fn write_for<C, T, E>(
        &self,
        key: impl Into<QueueKey>,
        options: WriteOptions,
        command: C,
        body: for<'t> fn(&'t DatabaseTransaction, &'t C) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, E>
    where
        C: Send + Sync + 'static,
        T: Send + 'static,
        E: IsFailure + Send + 'static,
    {
        let turn = self.queue.turn(key.into(), self.retry_for).await?;
        let database = self.clone();
        to_its_end(async move {
            let _turn = turn;
            database.write_until_done(options, &command, body).await
        })
        .await
    }

    /// Runs `body` in one transaction and commits it. After a conflict or a lost connection it retries from the
    /// start. It holds no connection in the pause before that.
    ///
    /// The work goes on when the caller stops waiting (a client that hung up): it ends committed or rolled back
    /// whole, and its connection returns to the pool either way.
    ///
    /// Inside `body` every error must propagate. PostgreSQL answers COMMIT of a failed transaction with success
    /// and stores nothing; on MariaDB a deadlock has already ended the transaction, and what follows would be
    /// committed statement by statement.
    ///
    /// # Errors
    /// What `body` returns, or the database's error once retrying is over.
    pub async fn write<C, T, E>(
        &self,
        options: WriteOptions,
        command: C,
        body: for<'t> fn(&'t DatabaseTransaction, &'t C) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, E>
    where
        C: Send + Sync + 'static,
        T: Send + 'static,
        E: IsFailure + Send + 'static,
    {
        let database = self.clone();
        to_its_end(async move { database.write_until_done(options, &command, body).await }).await
    }

    /// Runs one statement that commits by itself; on a conflict or a lost connection again, so running it twice must
    /// come to the same. Unlike [`Database::write`] it ends with its caller.
    ///
    /// Returns how many rows it changed, as the database counts them.
    ///
    /// # Errors
    /// The database's, once retrying is over.
    pub(crate) async fn execute_until_done(
        &self,
        name: &'static str,
        statement: Statement,
    ) -> Result<u64, DbErr> {
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            let error = match self.writer.execute_raw(statement.clone()).await {
                Ok(done) => {
                    self.probe.write_was_taken();
                    return Ok(done.rows_affected());
                }
                Err(error) => error,
            };
            self.probe.write_has_failed(&error);
            let failure = Failure::of(&error);
            if failure == Failure::Permanent || started.elapsed() >= self.retry_for {
                return Err(error);
            }
            tracing::debug!(statement = name, attempt, ?failure, "retrying");
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    async fn write_until_done<C, T, E>(
        &self,
        options: WriteOptions,
        command: &C,
        body: for<'t> fn(&'t DatabaseTransaction, &'t C) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, E>
    where
        E: IsFailure,
    {
        let started = Instant::now();
        let mut attempt = 0;
        let mut met_a_lock = false;
        loop {
            // A transaction that meets a lock holds a connection while it waits. So only a few of them are retried at once.
            let contended = match met_a_lock {
                true => Some(self.queue.contended().await?),
                false => None,
            };
            let Failed { error, commit_was_sent, was_lost } = match self.attempt(command, body).await {
                Ok(value) => {
                    self.probe.write_was_taken();
                    return Ok(value);
                }
                Err(failed) => failed,
            };
            if let Some(error) = error.database_error() {
                self.probe.write_has_failed(error);
            }
            let failure = if was_lost { Failure::Conflict } else { failure_of(&error) };
            met_a_lock |= failure == Failure::Conflict;
            let again = match failure {
                Failure::Conflict => true,
                Failure::ConnectionLost => !commit_was_sent || options.looks_before_it_writes,
                Failure::Permanent => options.another_may_be_first && attempt < RACES && is_taken(&error),
            };
            if !again || started.elapsed() >= self.retry_for {
                return Err(error);
            }
            tracing::debug!(
                transaction = options.name,
                attempt,
                ?failure,
                commit_was_sent,
                was_lost,
                "retrying"
            );
            drop(contended);
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    async fn attempt<C, T, E>(
        &self,
        command: &C,
        body: for<'t> fn(&'t DatabaseTransaction, &'t C) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, Failed<E>>
    where
        E: IsFailure,
    {
        // Queue first, connection second: a transaction with a connection waits only for the database.
        let _permit = self.queue.permit().await.map_err(Failed::before_commit)?;
        let transaction = self.begin().await.map_err(Failed::before_commit)?;
        let result = body(&transaction, command).await;
        // What the body came to counts for nothing where it ran outside the transaction.
        let is_told = matches!(&result, Err(error) if failure_of(error) != Failure::Permanent);
        let stands = if self.is_cluster && !is_told { still_stands(&transaction).await } else { Ok(true) };
        let error = match (result, stands) {
            (Ok(value), Ok(true)) => {
                let committed = transaction.commit().await;
                return committed.map(|()| value).map_err(|error| Failed {
                    error: error.into(),
                    commit_was_sent: true,
                    was_lost: false,
                });
            }
            (Err(error), Ok(true)) => Failed::before_commit(error),
            (_, Ok(false)) => Failed { was_lost: true, ..Failed::before_commit(lost()) },
            (_, Err(error)) => Failed::before_commit(error),
        };
        if let Err(rollback) = transaction.rollback().await {
            tracing::debug!(error = %rollback, "rollback failed; the connection is dropped");
        }
        Err(error)
    }

    /// READ COMMITTED on servers (MariaDB's default is REPEATABLE READ). On SQLite the writer lock is taken at
    /// once: a transaction that begins by reading cannot always become a writer.
    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = match self.backend() {
            DbBackend::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            },
            _ => TransactionOptions {
                isolation_level: Some(IsolationLevel::ReadCommitted),
                // Outside a transaction the connections to a cluster do not write: see `still_stands`.
                access_mode: self.is_cluster.then_some(AccessMode::ReadWrite),
                ..TransactionOptions::default()
            },
        };
        self.writer.begin_with_options(options).await
    }
}

/// Why an attempt came to nothing.
struct Failed<E> {
    error: E,
    /// Whether COMMIT had been sent.
    commit_was_sent: bool,
    /// Whether the transaction had ended before its body did.
    was_lost: bool,
}

impl<E> Failed<E> {
    fn before_commit(error: impl Into<E>) -> Self {
        Self { error: error.into(), commit_was_sent: false, was_lost: false }
    }
}

/// Whether this is still the transaction that was begun.
///
/// A node of a Galera cluster ends a transaction that is in the way of another node's, and answers the next statement
/// with a deadlock; but where that is the preparation of a statement, the answer is that all is well (seen on MariaDB
/// 10.11), and what follows would be committed one by one. Connections to a cluster read only outside transactions, so
/// that it is refused instead; and where only reads follow, this tells.
async fn still_stands(transaction: &DatabaseTransaction) -> Result<bool, DbErr> {
    let select = Statement::from_string(DbBackend::MySql, "SELECT CAST(@@in_transaction AS SIGNED)");
    let row = transaction.query_one_raw(select).await?;
    Ok(row.map(|row| row.try_get_by_index::<i64>(0)).transpose()? == Some(1))
}

fn failure_of(error: &impl IsFailure) -> Failure {
    error.database_error().map_or(Failure::Permanent, Failure::of)
}

/// Returns the error of a transaction that the cluster has ended again and again.
fn lost() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

fn is_taken(error: &impl IsFailure) -> bool {
    let refused = error.database_error().and_then(DbErr::sql_err);
    matches!(refused, Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Returns the error of work that was interrupted by the end of the process.
pub(crate) fn shutting_down() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

/// What a task of its own came to; where it panicked, so does this.
///
/// # Errors
/// Where the end of the process has cut it off.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> Result<T, DbErr> {
    task.await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => shutting_down(),
    })
}

/// Starts `work` at once, and continues it when the caller stops waiting.
///
/// # Errors
/// Those of `work`.
// Not an `async fn`: its future would contain `work`, and the futures of callers would be too deep to compile.
pub(crate) fn to_its_end<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> impl Future<Output = Result<T, E>> + Send
where
    T: Send + 'static,
    E: From<DbErr> + Send + 'static,
{
    let task = tokio::spawn(work);
    async move { joined(task).await? }
}

/// How long to wait before what was in the way is tried again: exponential, with full jitter, so that those who collided do
/// not meet again.
pub(crate) fn pause(attempt: u32) -> Duration {
    let ceiling = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
    ceiling.mul_f64(rand::rng().random_range(0.1..1.0))
}
