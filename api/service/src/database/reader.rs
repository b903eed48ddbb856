//! Runs queries outside a transaction.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Failure;
use super::observe;
use super::queue::no_connection;
use super::readable::{time_columns, time_out_of_range};
use super::transaction::{backoff, run_detached};
use crate::metrics::{Metrics, RetryCause};

/// Maximum number of retries after a lost connection. A database that restarts leaves several dead connections in the
/// pool, and each attempt may find one of them.
const MAX_RETRIES: u32 = 2;

/// Runs queries outside a transaction, on connections that writers cannot take.
///
/// A query that loses its connection is retried on another connection.
///
/// On MariaDB and MySQL a query runs to its end even if its caller stops waiting. The driver cannot reuse a connection
/// on which the preparation of a statement was interrupted. If queries were interrupted, each client that hangs up
/// would cost a connection.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: DatabaseConnection,
    /// One permit for each connection of the pool. A query takes a permit before the driver's future is made, because
    /// that future has 18 KB. On MariaDB and MySQL a query runs to its end, so its caller must wait beforehand.
    permits: Permits,
    /// Whether a query fails if a row has a time on which the driver would panic.
    checks_times: bool,
    metrics: Metrics,
}

/// The permits of a reader.
#[derive(Clone, Debug)]
struct Permits {
    semaphore: Arc<Semaphore>,
    /// Maximum time that a query waits for a permit.
    wait: Duration,
}

impl Permits {
    async fn take(&self) -> Result<OwnedSemaphorePermit, DbErr> {
        let permit = timeout(self.wait, Arc::clone(&self.semaphore).acquire_owned()).await;
        permit.map_err(|_elapsed| no_connection())?.map_err(|_closed| no_connection())
    }
}

/// A function that sends a statement on a connection of the pool.
type Query<T> = fn(DatabaseConnection, Statement) -> BoxFuture<'static, Result<T, DbErr>>;

impl Reader {
    /// Makes a reader over a pool of this many connections. A query waits at most `wait` for a permit. It may then wait
    /// again in the pool: a query whose caller has gone may still have the connection, or a transaction may have the
    /// only connection of a database in memory.
    pub(super) fn new(pool: DatabaseConnection, connections: u32, wait: Duration, metrics: Metrics) -> Self {
        let permits = Permits { semaphore: Arc::new(Semaphore::new(connections as usize)), wait };
        Self { pool, permits, checks_times: true, metrics }
    }

    /// Returns the pool of connections on which the reader runs its queries.
    #[must_use]
    pub fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Returns the same reader without the check of times. The caller must handle rows with times on which the driver
    /// panics.
    #[must_use]
    pub fn without_time_check(&self) -> Self {
        Self { checks_times: false, ..self.clone() }
    }

    /// Fails if a row has a time on which the driver would panic. All rows must come from one result. Does nothing if
    /// the check is switched off, or on a database other than PostgreSQL.
    fn check_times(&self, rows: &[QueryResult]) -> Result<(), DbErr> {
        if !self.checks_times || self.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let times = rows.first().map(|row| time_columns(row, None)).unwrap_or_default();
        rows.iter().find_map(|row| time_out_of_range(row, &times)).map_or(Ok(()), Err)
    }

    /// Runs a query, and retries it after a lost connection.
    async fn run<T: Send + 'static>(&self, statement: Statement, query: Query<T>) -> Result<T, DbErr> {
        let mut attempt = 0;
        loop {
            let waiting = observe::waiting_query(&self.metrics);
            let permit = self.permits.take().await?;
            let sent = observe::query(waiting, query(self.pool.clone(), statement.clone()));
            let sent = async move {
                let _permit = permit;
                sent.await
            };
            let result = match self.get_database_backend() {
                DbBackend::MySql => run_detached(sent).await,
                _ => sent.await,
            };
            match result {
                Err(error) if attempt < MAX_RETRIES && Failure::of(&error) == Failure::ConnectionLost => {
                    tracing::debug!(%error, attempt, "a query lost its connection and is retried");
                    if let Some(metrics) = self.metrics.database() {
                        metrics.retry("query", RetryCause::ConnectionLost);
                    }
                    tokio::time::sleep(backoff(attempt)).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pool.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let row = self
            .run(statement, |pool, statement| async move { pool.query_one_raw(statement).await }.boxed())
            .await?;
        self.check_times(row.as_slice())?;
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let rows = self
            .run(statement, |pool, statement| async move { pool.query_all_raw(statement).await }.boxed())
            .await?;
        self.check_times(&rows)?;
        Ok(rows)
    }
}
