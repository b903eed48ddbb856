//! Measures statements, and the use of the pools. The pools report every statement to this module if metrics, traces
//! or an observer need them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use sea_orm::{DatabaseConnection, DbBackend, sqlx};

use super::Database;
use super::options::DatabaseOptions;
use crate::metrics::{ActiveGauge, Metrics, POOL_NAMES, PoolName, name_of_statement};
use crate::trace::{self, EndedStatement};

/// The label for a statement that runs outside a transaction.
const NO_TRANSACTION: &str = "none";

tokio::task_local! {
    /// The name of the transaction that runs in this task.
    static TRANSACTION: &'static str;
    /// The query that waits for a connection in this task.
    static QUERY: WaitingQuery;
}

/// A query outside a transaction, from its start until it has a connection.
pub(super) struct WaitingQuery {
    since: Instant,
    has_connection: Cell<bool>,
    /// Counts the query among those that wait for a connection or have one, until the query ends.
    _borrower: ActiveGauge,
}

/// Begins to measure how long a query outside a transaction waits for a connection. Returns None if the metrics are
/// off.
pub(super) fn waiting_query(metrics: &Metrics) -> Option<WaitingQuery> {
    let database = metrics.database()?;
    Some(WaitingQuery {
        since: Instant::now(),
        has_connection: Cell::new(false),
        _borrower: database.borrowing(PoolName::Reader),
    })
}

/// Runs a query that has a permit, and measures until the query has a connection.
pub(super) async fn query<T>(waiting: Option<WaitingQuery>, query: impl Future<Output = T>) -> T {
    match waiting {
        Some(waiting) => QUERY.scope(waiting, query).await,
        None => query.await,
    }
}

/// Runs the statements of a transaction, and reports them under the name of the transaction.
pub(super) async fn transaction<T>(
    metrics: &Metrics,
    name: &'static str,
    statements: impl Future<Output = T>,
) -> T {
    if metrics.is_on() { TRANSACTION.scope(name, statements).await } else { statements.await }
}

/// Makes a pool report its statements, if an observer, the metrics or the traces need them.
pub(super) fn observe_statements(connection: &mut DatabaseConnection, options: &DatabaseOptions) {
    let is_traced = trace::is_on();
    let (observer, metrics) = (options.observer.clone(), options.metrics.clone());
    if observer.is_none() && !metrics.is_on() && !is_traced {
        return;
    }
    connection.set_metric_callback(move |statement| {
        let sql = statement.statement.sql.as_str();
        if let Some(observer) = &observer {
            observer(sql);
        }
        if metrics.is_on() || is_traced {
            report(&metrics, sql, statement.elapsed, statement.failed);
        }
    });
}

/// Counts a statement, and adds it to the trace of the current span. At the first statement of a query outside a
/// transaction, measures how long the query waited for a connection.
fn report(metrics: &Metrics, sql: &str, elapsed: Duration, failed: bool) {
    let name = name_of_statement(sql);
    if let Some(database) = metrics.database() {
        let transaction = TRANSACTION.try_with(|name| *name).unwrap_or(NO_TRANSACTION);
        database.statement(name, transaction, elapsed, failed);
        let waited = QUERY.try_with(|query| {
            let is_first = !query.has_connection.replace(true);
            is_first.then(|| query.since.elapsed().saturating_sub(elapsed))
        });
        if let Ok(Some(wait)) = waited {
            database.connection_taken(PoolName::Reader, wait);
        }
    }
    // The values of a statement are not in its text, and are not reported.
    trace::add_statement(EndedStatement { name, text: sql, elapsed, failed });
}

/// A collector that reads the state of the pools at each scrape.
#[derive(Debug)]
struct PoolCollector {
    pools: Vec<ObservedPool>,
}

/// A pool, with the number of queries and transactions that wait for one of its connections or have a connection.
#[derive(Debug)]
struct ObservedPool {
    name: PoolName,
    pool: DriverPool,
    borrowers: Gauge,
}

/// A pool of the driver. The metrics can own it, because it does not refer to the metrics, unlike a pool of SeaORM.
#[derive(Debug)]
enum DriverPool {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
    MySql(sqlx::MySqlPool),
}

impl DriverPool {
    fn of(connection: &DatabaseConnection) -> Self {
        match connection.get_database_backend() {
            DbBackend::Postgres => Self::Postgres(connection.get_postgres_connection_pool().clone()),
            DbBackend::MySql => Self::MySql(connection.get_mysql_connection_pool().clone()),
            _ => Self::Sqlite(connection.get_sqlite_connection_pool().clone()),
        }
    }

    /// Returns the number of open connections, the number of idle connections, and the maximum number of connections.
    fn state(&self) -> (usize, usize, u32) {
        match self {
            Self::Sqlite(pool) => {
                (pool.size() as usize, pool.num_idle(), pool.options().get_max_connections())
            }
            Self::Postgres(pool) => {
                (pool.size() as usize, pool.num_idle(), pool.options().get_max_connections())
            }
            Self::MySql(pool) => {
                (pool.size() as usize, pool.num_idle(), pool.options().get_max_connections())
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolStateLabels {
    pool: PoolName,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: PoolName,
}

impl Collector for PoolCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (connections, waiting): (Family<_, Gauge>, Family<_, Gauge>) = Default::default();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for ObservedPool { name, pool, borrowers } in &self.pools {
            let (open, idle, max) = pool.state();
            let in_use = open.saturating_sub(idle);
            for (state, number) in [("in_use", in_use), ("idle", idle), ("max", max as usize)] {
                connections.get_or_create(&PoolStateLabels { pool: *name, state }).set(count(number));
            }
            // A query or transaction that is counted but has no connection is waiting for a connection.
            let waits = (borrowers.get() - count(in_use)).max(0);
            waiting.get_or_create(&PoolLabels { pool: *name }).set(waits);
        }
        let of_connections = encoder.encode_descriptor(
            POOL_NAMES[0],
            "Connections to the database that are in use or idle, and the maximum.",
            None,
            MetricType::Gauge,
        )?;
        connections.encode(of_connections)?;
        let of_waiting = encoder.encode_descriptor(
            POOL_NAMES[1],
            "Queries and transactions that wait for a connection.",
            None,
            MetricType::Gauge,
        )?;
        waiting.encode(of_waiting)
    }
}

impl Database {
    /// Adds the pools for reading and writing to the metrics, so that each scrape shows their state. Does nothing if
    /// metrics are off.
    pub(super) fn observe_pools(&self) {
        let Some(database) = self.metrics.database() else { return };
        let observed = |name, connection: &DatabaseConnection| ObservedPool {
            name,
            pool: DriverPool::of(connection),
            borrowers: database.borrowers(name),
        };
        let pools =
            vec![observed(PoolName::Reader, self.reader.pool()), observed(PoolName::Writer, &self.writer)];
        self.metrics.add_collector(PoolCollector { pools });
    }
}
