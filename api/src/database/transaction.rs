//! Transactions, run again as a whole when another was in the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rand::RngExt;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, SqlErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};

use super::{Database, Failure, IsFailure};

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
    /// Runs `body` in one transaction and commits it; on a conflict or a lost connection runs it again, from
    /// the start, after a pause.
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
        let command = Arc::new(command);
        let task = tokio::spawn(async move { database.write_until_done(options, &*command, body).await });
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(shutting_down().into()),
        }
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
                Ok(done) => return Ok(done.rows_affected()),
                Err(error) => error,
            };
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
        loop {
            let (error, commit_was_sent) = match self.attempt(command, body).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            let failure = error.database_error().map_or(Failure::Permanent, Failure::of);
            let again = match failure {
                Failure::Conflict => true,
                Failure::ConnectionLost => !commit_was_sent || options.looks_before_it_writes,
                Failure::Permanent => options.another_may_be_first && attempt < RACES && is_taken(&error),
            };
            if !again || started.elapsed() >= self.retry_for {
                return Err(error);
            }
            tracing::debug!(transaction = options.name, attempt, ?failure, commit_was_sent, "retrying");
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    /// One attempt. The error says whether COMMIT had been sent.
    async fn attempt<C, T, E>(
        &self,
        command: &C,
        body: for<'t> fn(&'t DatabaseTransaction, &'t C) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, (E, bool)>
    where
        E: IsFailure,
    {
        let transaction = self.begin().await.map_err(|error| (error.into(), false))?;
        match body(&transaction, command).await {
            Ok(value) => match transaction.commit().await {
                Ok(()) => Ok(value),
                Err(error) => Err((error.into(), true)),
            },
            Err(error) => {
                if let Err(rollback) = transaction.rollback().await {
                    tracing::debug!(error = %rollback, "rollback failed; the connection is dropped");
                }
                Err((error, false))
            }
        }
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
                ..TransactionOptions::default()
            },
        };
        self.writer.begin_with_options(options).await
    }
}

fn is_taken(error: &impl IsFailure) -> bool {
    let refused = error.database_error().and_then(DbErr::sql_err);
    matches!(refused, Some(SqlErr::UniqueConstraintViolation(_)))
}

fn shutting_down() -> DbErr {
    DbErr::Custom("the server is shutting down".to_owned())
}

/// Exponential, with full jitter, so that those who collided do not meet again.
fn pause(attempt: u32) -> Duration {
    let ceiling = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
    ceiling.mul_f64(rand::rng().random_range(0.1..1.0))
}
