//! Runs one statement outside a transaction, with retries.

use std::time::Instant;

use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement};

use super::{Database, Failure, backoff, observe};
use crate::metrics::{PoolName, RetryCause};

impl Database {
    /// Runs one statement outside a transaction. Retries it after a conflict or a lost connection, so running it
    /// twice must have the same effect as running it once. Unlike [`Database::write`], it stops if the caller stops
    /// waiting.
    ///
    /// Returns the number of changed rows, as the database counts them.
    ///
    /// # Errors
    /// Returns the database's error at once if a retry cannot help, otherwise when the time for retries is over.
    pub(crate) async fn execute_until_done(
        &self,
        name: &'static str,
        statement: Statement,
    ) -> Result<u64, DbErr> {
        let done = self
            .send_until_done(name, statement, |writer, statement| {
                Box::pin(async move { writer.execute_raw(statement).await })
            })
            .await?;
        Ok(done.rows_affected())
    }

    /// Runs one statement that returns rows, with retries as [`Database::execute_until_done`] does.
    ///
    /// # Errors
    /// Returns the database's error at once if a retry cannot help, otherwise when the time for retries is over.
    pub(crate) async fn query_until_done(
        &self,
        name: &'static str,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, DbErr> {
        self.send_until_done(name, statement, |writer, statement| {
            Box::pin(async move { writer.query_all_raw(statement).await })
        })
        .await
    }

    async fn send_until_done<T>(
        &self,
        name: &'static str,
        statement: Statement,
        send: fn(DatabaseConnection, Statement) -> BoxFuture<'static, Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            let executed = send(self.writer.clone(), statement.clone());
            let borrowed = self.metrics.database().map(|metrics| metrics.borrowing(PoolName::Writer));
            let executed = observe::transaction(&self.metrics, name, executed).await;
            drop(borrowed);
            let error = match executed {
                Ok(done) => {
                    self.probe.record_write();
                    return Ok(done);
                }
                Err(error) => error,
            };
            self.probe.record_failed_write(&error);
            let failure = Failure::of(&error);
            if failure == Failure::Permanent || started.elapsed() >= self.retry_for {
                return Err(error);
            }
            tracing::debug!(statement = name, attempt, ?failure, "retrying");
            if let Some(metrics) = self.metrics.database() {
                metrics.retry(name, RetryCause::of(failure));
            }
            tokio::time::sleep(backoff(attempt)).await;
            attempt += 1;
        }
    }
}
