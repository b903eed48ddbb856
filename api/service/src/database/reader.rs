//! The handle for queries outside a transaction.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Failure;
use super::queue::no_connection;
use super::readable::{time_columns, time_out_of_range};
use super::transaction::{pause, to_its_end};

/// Maximum number of retries after a lost connection. A database that restarts leaves several dead connections in
/// the pool, and each attempt finds one of them.
const MAX_RETRIES: u32 = 2;

/// Runs queries outside a transaction, on connections that writers cannot take.
///
/// A query whose connection is lost is retried on another one. On MariaDB and MySQL a query runs to its end even
/// if its caller stops waiting. The driver cannot reuse a connection on which preparing a statement was
/// interrupted, so each client that hangs up then would cost a connection.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: DatabaseConnection,
    /// On MariaDB and MySQL, one permit for each connection of the pool. A query runs to its end, so its caller
    /// must have waited for a connection before.
    permits: Option<Permits>,
    /// Whether rows are passed on whose times the driver panics on.
    as_stored: bool,
}

#[derive(Clone, Debug)]
struct Permits {
    semaphore: Arc<Semaphore>,
    wait: Duration,
}

impl Permits {
    async fn take(&self) -> Result<OwnedSemaphorePermit, DbErr> {
        let permit = timeout(self.wait, Arc::clone(&self.semaphore).acquire_owned()).await;
        permit.map_err(|_elapsed| no_connection())?.map_err(|_closed| no_connection())
    }
}

/// Sends a statement on a connection of the pool.
type Query<T> = fn(DatabaseConnection, Statement) -> BoxFuture<'static, Result<T, DbErr>>;

impl Reader {
    /// Makes a reader over a pool of this many connections. A query waits at most `wait` for one of them.
    pub(super) fn new(pool: DatabaseConnection, connections: u32, wait: Duration) -> Self {
        let permits = (pool.get_database_backend() == DbBackend::MySql)
            .then(|| Permits { semaphore: Arc::new(Semaphore::new(connections as usize)), wait });
        Self { pool, permits, as_stored: false }
    }

    /// Returns the pool of its connections.
    #[must_use]
    pub fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// The same reader, which also passes on rows with times that cannot be read. Otherwise a query that finds such a row
    /// fails: the driver would panic on it.
    #[must_use]
    pub fn as_stored(&self) -> Self {
        Self { as_stored: true, ..self.clone() }
    }

    /// Fails where the driver would panic. All rows are of one result.
    fn check(&self, rows: &[QueryResult]) -> Result<(), DbErr> {
        if self.as_stored || self.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let times = rows.first().map(|row| time_columns(row, None)).unwrap_or_default();
        rows.iter().find_map(|row| time_out_of_range(row, &times)).map_or(Ok(()), Err)
    }

    async fn run<T: Send + 'static>(&self, statement: Statement, query: Query<T>) -> Result<T, DbErr> {
        let mut attempt = 0;
        loop {
            let sent = query(self.pool.clone(), statement.clone());
            let result = match &self.permits {
                None => sent.await,
                Some(permits) => {
                    let permit = permits.take().await?;
                    to_its_end(async move {
                        let _permit = permit;
                        sent.await
                    })
                    .await
                }
            };
            match result {
                Err(error) if attempt < MAX_RETRIES && Failure::of(&error) == Failure::ConnectionLost => {
                    tracing::debug!(%error, attempt, "a query lost its connection and is retried");
                    tokio::time::sleep(pause(attempt)).await;
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
        self.check(row.as_slice())?;
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let rows = self
            .run(statement, |pool, statement| async move { pool.query_all_raw(statement).await }.boxed())
            .await?;
        self.check(&rows)?;
        Ok(rows)
    }
}
