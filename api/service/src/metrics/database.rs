//! Metrics of the database: statements, transactions, and waits for a connection.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::buckets::{HistogramFamily, database_seconds, group_sizes, histogram, histograms};
use super::labels::{PoolName, RetryCause, TransactionOutcome};
use super::registrar::Registrar;
use super::requests::ActiveGauge;
use super::statement::{StatementName, StatementVerb};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatementLabels {
    verb: StatementVerb,
    table: &'static str,
    transaction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransactionLabels {
    transaction: &'static str,
    outcome: TransactionOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabels {
    transaction: &'static str,
    cause: RetryCause,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: PoolName,
}

/// The metrics of the database.
pub struct DatabaseMetrics {
    statements: HistogramFamily<StatementLabels>,
    failed_statements: Family<StatementLabels, Counter>,
    transactions: HistogramFamily<TransactionLabels>,
    retries: Family<RetryLabels, Counter>,
    groups: Histogram,
    connection_wait: HistogramFamily<PoolLabels>,
    turn_wait: Histogram,
    waiting_for_turn: Gauge,
    /// For each pool, the number of tasks that wait for a connection or have one. Not registered: the collector of the
    /// pools reads it.
    borrowers: Family<PoolLabels, Gauge>,
}

impl DatabaseMetrics {
    pub(super) fn register(registry: &mut Registrar) -> Self {
        Self {
            statements: histograms(
                registry,
                "statement_seconds",
                "Time of statements, by verb, first table and transaction",
                database_seconds,
            ),
            failed_statements: registry.add("statement_failures", "Statements that failed"),
            transactions: histograms(
                registry,
                "transaction_seconds",
                "Time of transactions with their retries, by name and outcome",
                database_seconds,
            ),
            retries: registry.add(
                "transaction_retries",
                "Retries of transactions and of single statements, by name and cause",
            ),
            groups: histogram(
                registry,
                "group_transactions",
                "Purchases that shared one COMMIT",
                group_sizes,
            ),
            connection_wait: histograms(
                registry,
                "connection_wait_seconds",
                "Time to take a connection to the database, by pool",
                database_seconds,
            ),
            turn_wait: histogram(
                registry,
                "turn_wait_seconds",
                "Time that transactions waited for others of the same user, course, subject or new e-mail address",
                database_seconds,
            ),
            waiting_for_turn: registry.add(
                "turns_waiting",
                "Transactions that wait for others of the same user, course, subject or new e-mail address",
            ),
            borrowers: Family::default(),
        }
    }

    /// Records the duration of a statement, and counts the statement if it failed. `transaction` is the name of its
    /// transaction, or `none` outside a transaction.
    pub(crate) fn statement(
        &self,
        name: StatementName,
        transaction: &'static str,
        elapsed: Duration,
        failed: bool,
    ) {
        let labels = StatementLabels { verb: name.verb, table: name.table, transaction };
        self.statements.get_or_create(&labels).observe(elapsed.as_secs_f64());
        if failed {
            self.failed_statements.get_or_create(&labels).inc();
        }
    }

    /// Records the duration of a transaction with all its retries, by its name and outcome.
    pub(crate) fn transaction(
        &self,
        transaction: &'static str,
        outcome: TransactionOutcome,
        elapsed: Duration,
    ) {
        let labels = TransactionLabels { transaction, outcome };
        self.transactions.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    /// Counts a retry of a transaction or of a single statement, by its name and cause.
    pub(crate) fn retry(&self, transaction: &'static str, cause: RetryCause) {
        self.retries.get_or_create(&RetryLabels { transaction, cause }).inc();
    }

    /// Records the number of transactions that shared a transaction of the database.
    pub(crate) fn group(&self, transactions: usize) {
        self.groups.observe(u32::try_from(transactions).map_or(f64::INFINITY, f64::from));
    }

    /// Records the time that a task waited for a connection of a pool.
    pub(crate) fn connection_taken(&self, pool: PoolName, wait: Duration) {
        self.connection_wait.get_or_create(&PoolLabels { pool }).observe(wait.as_secs_f64());
    }

    /// Records the time that a transaction waited for its turn.
    pub(crate) fn turn_taken(&self, wait: Duration) {
        self.turn_wait.observe(wait.as_secs_f64());
    }

    /// Counts a transaction as waiting for its turn until the returned gauge is dropped.
    pub(crate) fn waiting_for_turn(&self) -> ActiveGauge {
        ActiveGauge::new(self.waiting_for_turn.clone())
    }

    /// Counts a task as waiting for a connection of a pool or having one, until the returned gauge is dropped.
    pub(crate) fn borrowing(&self, pool: PoolName) -> ActiveGauge {
        ActiveGauge::new(self.borrowers(pool))
    }

    /// Returns the gauge of the tasks that wait for a connection of a pool or have one.
    pub(crate) fn borrowers(&self, pool: PoolName) -> Gauge {
        self.borrowers.get_or_create_owned(&PoolLabels { pool })
    }
}
